use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use shared::encryption::Keyring;

use crate::app::StartError;
use crate::config::Config;
use crate::db::Db;
use crate::search::{self, Progress};

/// How often it says how far it has come.
const TELLING: Duration = Duration::from_secs(2);

/// Makes search terms, and says how far it has come.
pub fn run(config: &Config, all: bool, json: bool) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{}: the runtime cannot be started: {error}", config.app);
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(reindex(config, all, json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", config.app);
            ExitCode::FAILURE
        }
    }
}

async fn reindex(config: &Config, all: bool, json: bool) -> Result<(), StartError> {
    let keyring = Keyring::parse(config.fernet_keys.expose())?;
    let db = Db::open(config.database_url.expose()).await?;
    let mut told = Instant::now();
    let done = search::reindex(&db, &keyring, all, |progress| {
        if told.elapsed() >= TELLING {
            told = Instant::now();
            tell(progress, json, false);
        }
    });
    tell(&done.await?, json, true);
    db.close().await;
    Ok(())
}

fn tell(progress: &Progress, json: bool, finished: bool) {
    let Progress { renewed, unreadable, messages } = *progress;
    let line = if json {
        json!({
            "renewed": renewed,
            "unreadable": unreadable,
            "messages": messages,
            "finished": finished,
        })
        .to_string()
    } else {
        let end = if finished { "done" } else { "going on" };
        format!("{renewed} renewed, {unreadable} unreadable, of {messages} messages; {end}")
    };
    // Whoever has closed the pipe does not want to know.
    let _ = writeln!(std::io::stdout(), "{line}");
}
