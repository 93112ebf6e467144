//! Whether the database is there, of this release, and keeps what it is given.

use super::Report;
use crate::config::Config;
use crate::db::{self, Transport};

const AREA: &str = "database";

/// Opens the database and changes nothing.
pub(super) async fn look(config: &Config, report: &mut Report) {
    let found = match db::inspect(config.database_url.expose()).await {
        Ok(found) => found,
        Err(error) => {
            let what = format!("The database cannot be opened: {error}");
            report.fail(AREA, what, remedy(&error.to_string()));
            return;
        }
    };
    if found.newer {
        let what = "The database has been used by a newer release.";
        report.fail(AREA, what, "Run that release; the way back is a backup of before.");
    } else if found.pending.is_empty() {
        report.ok(AREA, "The database opens, and its schema is that of this release.");
    } else {
        let what = format!("The schema lacks {} migrations.", found.pending.len());
        report.warn(AREA, what, "Start the app or run the command migrate, after a backup.");
    }
    for (name, value) in &found.durability {
        judge(name, value, report);
    }
    if let Some(transport) = &found.transport {
        report.ok(AREA, describe(transport));
    }
}

/// What to do where the database does not open.
fn remedy(why: &str) -> &'static str {
    if why.contains("certificate") {
        "Name the authority of the server's certificate in DATABASE_URL (sslrootcert=FILE), and a host that the certificate names."
    } else {
        "Check that the server runs and DATABASE_URL is right (host, name, user, password), or that the file is a database of this app."
    }
}

/// How the server is spoken to. Where that is worth a warning, the settings have given it.
fn describe(transport: &Transport) -> String {
    match (&transport.tls, transport.verified) {
        (Some(version), true) => {
            format!("The connection is encrypted ({version}), and the server is verified.")
        }
        (Some(version), false) => format!(
            "The connection is encrypted ({version}); which server it is is not verified (sslmode=verify-full)."
        ),
        (None, _) => "The connection is not encrypted (sslmode=verify-full).".to_owned(),
    }
}

fn judge(name: &str, value: &str, report: &mut Report) {
    let what = format!("{name} is {value}.");
    match (name, value) {
        ("synchronous_commit", "on" | "remote_apply" | "remote_write" | "local")
        | ("fsync" | "full_page_writes", "on")
        | ("journal_mode", "wal")
        | ("synchronous", "full" | "extra") => report.ok(AREA, what),
        ("full_page_writes", _) => report.warn(
            AREA,
            format!("{what} A power cut may tear pages, unless the file system writes them whole."),
            "Set full_page_writes = on in postgresql.conf, and reload.",
        ),
        ("synchronous_commit" | "fsync", _) => report.fail(
            AREA,
            format!("{what} A message that was answered 201 may be gone after a power cut."),
            &format!("Set {name} = on in postgresql.conf (or ALTER DATABASE … SET), and reload."),
        ),
        // The app puts the file into this mode whenever it starts.
        _ => report.warn(AREA, what, "Start the app once; it sets the mode."),
    }
}
