//! The command line that both binaries have.

mod backup;
mod completions;
mod config;
mod create_admin;
mod doctor;
mod healthcheck;
mod keygen;
mod keys;
mod migrate;
mod openapi;
mod outbox;
mod password;
mod peers;
mod reindex;
mod reset_password;
mod restore;
mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use shared::problem::Problem;
use shared::time::Clock;

use crate::app::{App, AppState};
use crate::config::{Config, Defaults, Environment, Examined, Finding, Level};
use crate::db::Db;
use crate::router::Stack;

/// A messenger that relays sealed messages to its peers.
///
/// Settings come from the environment and from a .env file; `config docs` explains them all.
///
/// Exit codes: 0 success, 1 failure, 2 wrong usage or settings.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the app (the default).
    Serve,
    /// Print a fresh Fernet key, or a whole .env file with fresh secrets for both apps.
    Keygen {
        /// Print a .env file.
        #[arg(long)]
        env: bool,
        /// Write to files instead; one that is there stays as it is. PATH=TEXT writes a text in which {} is the key.
        #[arg(long, value_name = "PATH[=TEXT]", conflicts_with = "env")]
        file: Vec<String>,
        /// Let the group of the files read them too.
        #[arg(long, requires = "file")]
        group: bool,
    },
    /// The keys that seal: show, add, promote, reseal, retire.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Write everything that the database holds to one file, from one moment; also while the app serves.
    Backup {
        /// The file, which must not be there, or a folder in which one is made.
        place: PathBuf,
        /// Report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put a backup into an empty database, of either kind. The app must be stopped.
    Restore(restore::Restore),
    /// Print the OpenAPI description of the API.
    Openapi,
    /// Make the search terms of the messages that lack them or have those of another key; also while the app serves.
    Reindex {
        /// Of every message.
        #[arg(long)]
        all: bool,
        /// Report on standard output, as one line of JSON after each step.
        #[arg(long)]
        json: bool,
    },
    /// Make an admin: a new account, or with --promote a user who is there.
    CreateAdmin(create_admin::CreateAdmin),
    /// Give a user another password, and end all their sessions.
    ResetPassword(reset_password::ResetPassword),
    /// Bring the schema of the database up to date, as every start does.
    Migrate {
        /// Only say whether it is; exit code 1 if not.
        #[arg(long)]
        check: bool,
        /// Report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Each peer: whether it is reached, what waits for it, and the last error.
    Peers {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// What waits for the peers, and what has failed for them.
    #[command(subcommand)]
    Outbox(outbox::OutboxCommand),
    /// Look for what is wrong: settings, database, disk, the way to each peer and back; exit code 1 if something is.
    Doctor {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Print the script by which a shell completes these commands.
    Completions {
        /// The shell.
        shell: completions::For,
    },
    /// Explain, check or show the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Ask the running app whether it is ready; exit code 0 if so.
    Healthcheck,
}

/// Runs what the command line says and gives the exit code: 0 success, 1 failure, 2 wrong usage or settings.
pub fn run(defaults: Defaults, stack: Stack) -> ExitCode {
    let matches = Cli::command().name(defaults.app).get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match cli.command.unwrap_or(Command::Serve) {
        Command::Keygen { file, group, .. } if !file.is_empty() => keygen::to_files(&file, group),
        Command::Keygen { env, .. } => keygen::run(env),
        Command::Keys(wanted) => with_config(defaults, |config| keys::run(&config, wanted)),
        Command::Backup { place, json } => {
            with_config(defaults, |config| backup::run(&config, &place, json))
        }
        Command::Restore(wanted) => with_config(defaults, |config| restore::run(&config, &wanted)),
        Command::Openapi => openapi::run(),
        Command::CreateAdmin(wanted) => {
            with_config(defaults, |config| create_admin::run(&config, &wanted))
        }
        Command::Healthcheck => with_config(defaults, |config| healthcheck::run(&config)),
        Command::Reindex { all, json } => {
            with_config(defaults, |config| reindex::run(&config, all, json))
        }
        Command::ResetPassword(wanted) => {
            with_config(defaults, |config| reset_password::run(&config, &wanted))
        }
        Command::Migrate { check, json } => {
            with_config(defaults, |config| migrate::run(&config, check, json))
        }
        Command::Peers { json } => with_config(defaults, |config| peers::run(&config, json)),
        Command::Outbox(command) => with_config(defaults, |config| outbox::run(&config, &command)),
        Command::Doctor { json } => doctor::run(defaults, json),
        Command::Completions { shell } => {
            completions::run(Cli::command().name(defaults.app), defaults.app, shell)
        }
        Command::Config(command) => config::run(defaults, &command),
        Command::Serve => examined(defaults, |config, findings| {
            serve::run(&config, stack, findings, defaults.app)
        }),
    }
}

/// Runs a command that needs sound settings; without them, says what is wrong with them.
fn with_config(defaults: Defaults, command: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    examined(defaults, |config, _| command(config))
}

/// The same for a command that tells what is odd about the settings, too.
fn examined(defaults: Defaults, command: impl FnOnce(Config, &[Finding]) -> ExitCode) -> ExitCode {
    let Examined { config, findings, .. } =
        Config::examine(&Environment::load(defaults.app), defaults);
    if let Some(config) = config {
        return command(config, &findings);
    }
    for finding in findings.iter().filter(|finding| finding.level == Level::Error) {
        eprintln!("{}: {}", defaults.app, finding.message);
    }
    ExitCode::from(2)
}

/// Runs a command to its end, and says why if it fails.
fn block_on(config: &Config, command: impl Future<Output = Result<ExitCode, String>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => Err(error.to_string()),
    };
    done.unwrap_or_else(|why| {
        eprintln!("{}: {why}", config.app);
        ExitCode::FAILURE
    })
}

/// Opens the database, runs a command with an app over it, and says why if it fails.
fn opened(
    config: &Config,
    command: impl AsyncFnOnce(AppState) -> Result<ExitCode, Problem>,
) -> ExitCode {
    block_on(config, async {
        let db = Db::open(config.database_url.expose()).await;
        let db = db.map_err(|error| format!("the database cannot be used: {error}"))?;
        let app = App::new(config, db.clone(), Clock::system()).await;
        let done = command(app.map_err(|error| error.to_string())?).await;
        db.close().await;
        done.map_err(|problem| create_admin::explain(&problem))
    })
}

/// Writes a text to standard output. Whoever has closed the pipe has seen enough.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Command;

    use super::*;

    /// Every command without commands of its own, by its whole name, and whether it can answer in JSON.
    fn leaves(command: &Command, before: &str, found: &mut BTreeSet<(String, bool)>) {
        for command in command.get_subcommands() {
            let name = format!("{before} {}", command.get_name()).trim().to_owned();
            if command.has_subcommands() {
                leaves(command, &name, found);
            } else {
                let has_json = command.get_arguments().any(|argument| argument.get_id() == "json");
                found.insert((name, has_json));
            }
        }
    }

    #[test]
    fn the_documentation_lists_every_command() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATIONS.md");
        let text = std::fs::read_to_string(path).unwrap();
        let section = text.split("\n## Command line\n").nth(1).unwrap();
        let table = section.split("\n\n").find(|part| part.starts_with("| Command |")).unwrap();
        let rows = table.lines().skip(2).map(|row| row.split('|').nth(1).unwrap());
        let listed: BTreeSet<_> = rows
            .flat_map(|cell| cell.split(','))
            .map(|item| (item.split('`').nth(1).unwrap().to_owned(), item.contains('*')))
            .collect();
        let mut expected = BTreeSet::from([("help".to_owned(), false)]);
        leaves(&Cli::command(), "", &mut expected);
        assert_eq!(listed, expected, "docs/OPERATIONS.md, Command line");
    }
}
