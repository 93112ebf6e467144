//! Whether there is room for what is to come.

use std::path::{Path, PathBuf};

use super::Report;
use crate::config::Config;

const AREA: &str = "disk";
/// Less than this is soon gone.
const LITTLE: u64 = 1024 * MIB;
/// Less than this does not last for the log of SQLite's own commits.
const NOTHING: u64 = 64 * MIB;
const MIB: u64 = 1024 * 1024;

/// Looks at the folder of the SQLite database; PostgreSQL has its own machine.
pub(super) fn look(config: &Config, report: &mut Report) {
    let Some(path) = config.database_url.expose().strip_prefix("sqlite:") else { return };
    let path = path.trim_start_matches("//").split('?').next().unwrap_or_default();
    let folder = nearest(Path::new(path).parent().unwrap_or(Path::new("")));
    let shown = folder.display();
    if !folder.is_dir() {
        let what = format!("{shown} is no folder, so the database cannot be there.");
        report.fail(AREA, what, "Set DATA_DIR or DATABASE_URL to a folder of the app's own.");
        return;
    }
    if rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK).is_err() {
        let what = format!("{shown} cannot be written to by this user.");
        let remedy = "Give the folder to the user that the app runs as, or mount it writable.";
        report.fail(AREA, what, remedy);
        return;
    }
    match rustix::fs::statvfs(&folder) {
        Ok(system) => {
            let free = system.f_bavail.saturating_mul(system.f_frsize);
            let what = format!("{} MiB are free at {shown}.", free / MIB);
            if free < NOTHING {
                let remedy = "Make room or move the database: without it every change is answered 503 and nothing is lost.";
                report.fail(AREA, what, remedy);
            } else if free < LITTLE {
                report.warn(AREA, what, "Make room, or move the database to a larger disk.");
            } else {
                report.ok(AREA, what);
            }
        }
        Err(error) => {
            let what = format!("The free room at {shown} cannot be told: {error}");
            report.warn(AREA, what, "See for yourself, with df.");
        }
    }
}

/// A folder, or where it will be made if it is not there yet.
fn nearest(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|folder| folder.exists());
    there.filter(|folder| *folder != Path::new("")).unwrap_or(Path::new(".")).to_owned()
}
