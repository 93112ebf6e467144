//! A password that is given to a command: never as an argument, where every process of the machine could read it.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

/// The first line of the file or of standard input; on a terminal it is asked for and not shown.
pub(super) fn password(file: Option<&Path>) -> Result<Zeroizing<String>, String> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
        None => from_standard_input().map_err(|error| format!("no password: {error}"))?,
    };
    let text = Zeroizing::new(text);
    match text.lines().next().unwrap_or_default() {
        "" => Err("no password; send it on standard input or name a --password-file".to_owned()),
        line => Ok(Zeroizing::new(line.to_owned())),
    }
}

fn from_standard_input() -> std::io::Result<String> {
    let input = std::io::stdin();
    let mut line = String::new();
    if !input.is_terminal() {
        input.lock().read_line(&mut line)?;
        return Ok(line);
    }
    let mut error = std::io::stderr();
    write!(error, "Password: ")?;
    error.flush()?;
    let hidden = echo(false);
    let read = input.lock().read_line(&mut line);
    if hidden {
        echo(true);
        writeln!(error)?;
    }
    read.map(|_| line)
}

/// Has the terminal show what is typed, or not; `false` if it cannot be told to.
fn echo(on: bool) -> bool {
    let mut stty = Command::new("stty");
    let told = stty.arg(if on { "echo" } else { "-echo" }).stdin(Stdio::inherit()).status();
    told.is_ok_and(|status| status.success())
}
