use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// Where the apps keep what they are sent.
pub enum Databases {
    /// A file each, in the folder of the run.
    Sqlite,
    /// A database each, on a server that is there.
    Postgres {
        /// The server, with a database from which others can be made.
        server: String,
        /// What the databases are called, up to the name of the app.
        prefix: String,
    },
}

/// The apps, as their databases are named.
const SUFFIXES: [&str; 2] = ["a", "b"];

impl Databases {
    /// Files, or fresh databases on `server`.
    pub async fn create(server: Option<&str>) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let Some(server) = server else { return Ok(Self::Sqlite) };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("bench_{}_{number}_", std::process::id());
        // From here on, what is made is taken away again.
        let databases = Self::Postgres { server: server.to_owned(), prefix: prefix.clone() };
        for suffix in SUFFIXES {
            let statement = format!("CREATE DATABASE {prefix}{suffix}");
            let mut command = tokio::process::Command::from(psql(server, &statement));
            ended(command.kill_on_drop(true).output().await)?;
        }
        Ok(databases)
    }

    /// The `DATABASE_URL` of an app, `a` or `b`.
    pub fn url(&self, suffix: &str, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}/{suffix}.db", folder.display()),
            Self::Postgres { server, prefix } => on(server, &format!("{prefix}{suffix}")),
        }
    }

    /// What it is, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres { .. } => "PostgreSQL",
        }
    }
}

/// What was made on a server is taken away; files go with their folder.
impl Drop for Databases {
    fn drop(&mut self) {
        let Self::Postgres { server, prefix } = self else { return };
        for suffix in SUFFIXES {
            let statement = format!("DROP DATABASE IF EXISTS {prefix}{suffix} WITH (FORCE)");
            if let Err(error) = ended(psql(server, &statement).output()) {
                eprintln!("bench: {prefix}{suffix} stays: {error}");
            }
        }
    }
}

/// How a server keeps what it is told: the settings that durability and speed depend on.
pub async fn settings(server: &str) -> Result<String> {
    let statement = "SELECT string_agg(name || '=' || setting, ', ' ORDER BY name) FROM pg_settings \
        WHERE name IN ('fsync', 'synchronous_commit', 'shared_buffers', 'server_version')";
    let mut command = tokio::process::Command::from(psql(server, statement));
    ended(command.kill_on_drop(true).output().await)
}

/// The URL of another database on the same server.
fn on(server: &str, database: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let authority = address.find("://").map_or(0, |scheme| scheme + 3);
    let end = address[authority..].find('/').map_or(address.len(), |slash| authority + slash);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{database}{mark}{query}", &address[..end])
}

fn psql(server: &str, statement: &str) -> Command {
    let mut command = Command::new("psql");
    command
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--dbname", server, "--command", statement])
        .stdin(Stdio::null());
    command
}

/// What psql has said.
fn ended(output: std::io::Result<Output>) -> Result<String> {
    let output = output?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::Failed(format!("psql: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_database_is_replaced_and_nothing_else() {
        for (server, url) in [
            ("postgres://u:p@h:5/old", "postgres://u:p@h:5/new"),
            ("postgres://h", "postgres://h/new"),
            ("postgres://h/old?host=/run", "postgres://h/new?host=/run"),
        ] {
            assert_eq!(on(server, "new"), url);
        }
    }
}
