//! AppA.

use std::process::ExitCode;

fn main() -> ExitCode {
    messenger::cli::run(app_a::DEFAULTS, app_a::stack)
}
