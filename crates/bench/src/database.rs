use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

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
        let Some(server) = server else { return Ok(Self::Sqlite) };
        let prefix = format!("bench_{}_", std::process::id());
        for suffix in SUFFIXES {
            psql(server, &format!("CREATE DATABASE {prefix}{suffix}")).await?;
        }
        Ok(Self::Postgres { server: server.to_owned(), prefix })
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

    /// Takes away what was made on a server; files go with their folder.
    pub async fn remove(&self) {
        let Self::Postgres { server, prefix } = self else { return };
        for suffix in SUFFIXES {
            let statement = format!("DROP DATABASE IF EXISTS {prefix}{suffix} WITH (FORCE)");
            if let Err(error) = psql(server, &statement).await {
                eprintln!("bench: {prefix}{suffix} stays: {error}");
            }
        }
    }
}

/// The URL of another database on the same server.
fn on(server: &str, database: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let authority = address.find("://").map_or(0, |scheme| scheme + 3);
    let end = address[authority..].find('/').map_or(address.len(), |slash| authority + slash);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{database}{mark}{query}", &address[..end])
}

async fn psql(server: &str, statement: &str) -> Result<()> {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--dbname", server, "--command", statement])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
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
