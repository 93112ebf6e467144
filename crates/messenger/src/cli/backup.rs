use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use shared::encryption::Keyring;
use shared::time::Clock;

use crate::backup::{self, BackupError};
use crate::config::Config;
use crate::db::Db;

/// Writes a backup, and says where it is and what it takes to read it.
pub fn run(config: &Config, place: &Path, json: bool) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{}: the runtime cannot be started: {error}", config.app);
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(write(config, place, json)) {
        Ok(text) => match writeln!(std::io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("{}: {}: {error}", config.app, place.display());
            ExitCode::FAILURE
        }
    }
}

async fn write(config: &Config, place: &Path, json: bool) -> Result<String, BackupError> {
    let ring = Keyring::parse(config.fernet_keys.expose()).map(|keyring| keyring.key_ids());
    let ring = ring.unwrap_or_default();
    let db = Db::open(config.database_url.expose()).await?;
    let now = Clock::system().wall();
    let done = backup::dump(&db, &config.app, &ring, place, now).await;
    db.close().await;
    let (path, head, foot) = done?;
    let keys: Vec<_> = head.keys.iter().map(ToString::to_string).collect();
    Ok(if json {
        json!({
            "file": path, "app": head.app, "schema": head.schema, "taken_at": head.taken_at,
            "keys": head.keys, "rows": foot.rows, "sha256": foot.sha256,
        })
        .to_string()
    } else {
        format!(
            "{}: {} rows as of {}; the keys that it takes to read it, kept elsewhere: {}",
            path.display(),
            foot.rows.values().sum::<u64>(),
            head.taken_at,
            keys.join(", ")
        )
    })
}
