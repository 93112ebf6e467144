use std::process::ExitCode;

use clap::{Command, ValueEnum};
use clap_complete::{Shell, generate};

use super::print;

/// A shell that completes what is typed.
#[derive(Clone, Copy, ValueEnum)]
pub enum For {
    /// Put it into `/etc/bash_completion.d`.
    Bash,
    /// Put it as `_app-a` into a folder of $fpath.
    Zsh,
    /// Put it into `~/.config/fish/completions`.
    Fish,
}

/// Prints the script by which a shell completes the commands of this binary.
pub fn run(mut command: Command, app: &str, shell: For) -> ExitCode {
    let shell = match shell {
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut command, app, &mut script);
    print(&String::from_utf8_lossy(&script))
}
