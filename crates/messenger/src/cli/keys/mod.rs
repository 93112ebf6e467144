//! `keys …`: the life of the keys of the ring.

mod add;
mod list;
mod promote;
mod reseal;
mod retire;
mod ring;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use shared::encryption::KeyId;

use crate::config::Config;

/// What to do with the keys.
#[derive(Subcommand)]
pub enum Keys {
    /// Show the keys of the ring, what is sealed with each, and which peers hold it.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put a key at the end of the ring, where it opens and does not yet seal.
    Add {
        /// The key that the peer has got already, in a file (- for standard input), instead of a fresh one.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Change nothing; print the setting with the new ring.
        #[arg(long)]
        print: bool,
        /// Report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Move a key to the front of the ring, so that it seals from the next start on.
    Promote {
        /// Its name.
        id: KeyId,
        /// Even if a peer cannot be asked whether it holds the key.
        #[arg(long)]
        force: bool,
        /// Change nothing; print the setting with the new ring.
        #[arg(long)]
        print: bool,
        /// Report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Seal everything that is stored with the first key; also while the app serves.
    Reseal {
        /// Report on standard output, as one line of JSON after each step.
        #[arg(long)]
        json: bool,
    },
    /// Take a key that nothing needs any more out of the ring.
    Retire {
        /// Its name.
        id: KeyId,
        /// Even if a peer cannot be asked whether it still seals with the key.
        #[arg(long)]
        force: bool,
        /// Change nothing; print the setting with the new ring.
        #[arg(long)]
        print: bool,
        /// Report as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// How a changed ring is reported.
#[derive(Clone, Copy)]
struct Manner {
    print: bool,
    json: bool,
}

/// Runs one of the commands.
pub fn run(config: &Config, wanted: Keys) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(config, Err(error.to_string())),
    };
    let done = runtime.block_on(async {
        match wanted {
            Keys::List { json } => list::list(config, json).await,
            Keys::Add { key_file, print, json } => {
                add::add(config, key_file.as_deref(), Manner { print, json })
            }
            Keys::Promote { id, force, print, json } => {
                promote::promote(config, id, force, Manner { print, json }).await
            }
            Keys::Reseal { json } => reseal::reseal(config, json).await,
            Keys::Retire { id, force, print, json } => {
                retire::retire(config, id, force, Manner { print, json }).await
            }
        }
    });
    report(config, done)
}

fn report(config: &Config, done: Result<String, String>) -> ExitCode {
    match done {
        Ok(text) => match write!(std::io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(why) => {
            eprintln!("{}: {why}", config.app);
            ExitCode::FAILURE
        }
    }
}
