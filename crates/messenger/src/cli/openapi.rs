use std::io::Write;
use std::process::ExitCode;

/// Prints the description of the API, as `/api/schema/` serves it, laid out for people.
pub fn run() -> ExitCode {
    let text = crate::openapi::description().to_pretty_json().unwrap_or_default();
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
