use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use shared::encryption::{FieldCipher, Keyring};
use shared::time::Clock;

use crate::backup::{self, BackupError, Restored, Verified};
use crate::config::Config;
use crate::db::Db;

/// What to restore, and how.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Restore {
    /// The backup.
    file: PathBuf,
    /// Only check that it is complete, undamaged and can be read with the keys; touch no database.
    #[arg(long)]
    verify: bool,
    /// Empty a database that is not empty first.
    #[arg(long)]
    force: bool,
    /// The app was stopped before the backup was taken, and moves to another database: sessions go on, and nothing is
    /// asked back from the peers.
    #[arg(long)]
    moved: bool,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies a backup and, unless that is all, puts it into the database.
pub fn run(config: &Config, wanted: &Restore) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{}: the runtime cannot be started: {error}", config.app);
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(restore(config, wanted)) {
        Ok(verified) => report(wanted, &verified),
        Err(error) => {
            eprintln!("{}: {}: {error}", config.app, wanted.file.display());
            ExitCode::FAILURE
        }
    }
}

async fn restore(config: &Config, wanted: &Restore) -> Result<Verified, BackupError> {
    let list = config.fernet_keys.expose();
    let unsound = |error: shared::encryption::KeyringError| std::io::Error::other(error);
    let keyring = Keyring::parse(list).map_err(unsound)?;
    let fields = FieldCipher::parse(list).map_err(unsound)?;
    let verified = backup::verify(&wanted.file, &config.app, &keyring, &fields)?;
    if !wanted.verify {
        let db = Db::open(config.database_url.expose()).await?;
        let how = Restored { force: wanted.force, moved: wanted.moved };
        let done = backup::restore(&db, &wanted.file, how, Clock::system().wall()).await;
        db.close().await;
        done?;
    }
    Ok(verified)
}

fn report(wanted: &Restore, verified: &Verified) -> ExitCode {
    let Verified { head, foot, tried, opened } = verified;
    let text = if wanted.json {
        json!({
            "restored": !wanted.verify, "app": head.app, "schema": head.schema,
            "taken_at": head.taken_at, "keys": head.keys, "rows": foot.rows,
            "tried": tried, "opened": opened,
        })
        .to_string()
    } else {
        let rows: u64 = foot.rows.values().sum();
        let sound = format!(
            "{}, {rows} rows as of {}; {opened} of {tried} messages that were tried open",
            head.app, head.taken_at
        );
        match (wanted.verify, wanted.moved) {
            (true, _) => format!("sound: {sound}"),
            (false, true) => format!("restored: {sound}"),
            (false, false) => format!(
                "restored: {sound}\nAll sessions were ended. Once the app is started, the peers are asked for what \
                 has happened since."
            ),
        }
    };
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
