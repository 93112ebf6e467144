//! AppB.

use std::process::ExitCode;

fn main() -> ExitCode {
    messenger::cli::run(app_b::DEFAULTS, app_b::stack)
}
