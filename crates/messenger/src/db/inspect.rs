use std::collections::BTreeSet;
use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, query_scalar};

use super::{POSTGRES, Result, SQLITE, Security, Server, sqlite_options};

/// What a database is like, without changing it.
pub struct Inspection {
    /// Migrations of this release that the database does not have yet, as `9 realtime`.
    pub pending: Vec<String>,
    /// Whether the database has migrations that this release does not know.
    pub newer: bool,
    /// What says whether a commit survives a power cut, as the server or the file has it: name and value.
    pub durability: Vec<(&'static str, String)>,
    /// How it is spoken to, if over a network.
    pub transport: Option<Transport>,
}

/// A connection to a server.
pub struct Transport {
    /// The version of TLS; `None` for one in the clear.
    pub tls: Option<String>,
    /// Whether it is certain that the server is the one that is meant.
    pub verified: bool,
}

impl Inspection {
    fn of(migrator: &Migrator, applied: &[i64]) -> Self {
        let applied: BTreeSet<i64> = applied.iter().copied().collect();
        let mut known = BTreeSet::new();
        let mut pending = Vec::new();
        for migration in migrator.iter() {
            known.insert(migration.version);
            if !applied.contains(&migration.version) {
                pending.push(format!("{} {}", migration.version, migration.description));
            }
        }
        let newer = !applied.is_subset(&known);
        Self { pending, newer, durability: Vec::new(), transport: None }
    }
}

/// Looks at the database at `url`. A SQLite file that is not there yet has everything pending.
pub async fn inspect(url: &str) -> Result<Inspection> {
    if url.starts_with("sqlite:") { sqlite(url).await } else { postgres(url).await }
}

async fn sqlite(url: &str) -> Result<Inspection> {
    const TABLE: &str = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success";
    let options = sqlite_options(url)?.create_if_missing(false);
    if !Path::new(options.get_filename()).exists() {
        return Ok(Inspection::of(&SQLITE, &[]));
    }
    let mut conn = SqliteConnection::connect_with(&options).await?;
    let table: i64 = query_scalar(TABLE).fetch_one(&mut conn).await?;
    let applied = match table {
        0 => Vec::new(),
        _ => query_scalar(APPLIED).fetch_all(&mut conn).await?,
    };
    let mut found = Inspection::of(&SQLITE, &applied);
    let journal: String = query_scalar("PRAGMA journal_mode").fetch_one(&mut conn).await?;
    let synchronous: i64 = query_scalar("PRAGMA synchronous").fetch_one(&mut conn).await?;
    let synchronous = ["off", "normal", "full", "extra"]
        .get(usize::try_from(synchronous).unwrap_or(usize::MAX))
        .map_or_else(|| synchronous.to_string(), |name| (*name).to_owned());
    found.durability = vec![("journal_mode", journal), ("synchronous", synchronous)];
    conn.close().await?;
    Ok(found)
}

async fn postgres(url: &str) -> Result<Inspection> {
    const TABLE: &str = "SELECT count(*) FROM information_schema.tables
        WHERE table_name = '_sqlx_migrations' AND table_schema = current_schema()";
    const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success";
    const TLS: &str = "SELECT version FROM pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()";
    let server = Server::parse(url)?;
    server.prepare()?;
    let mut conn = PgConnection::connect_with(&server.options).await?;
    let table: i64 = query_scalar(TABLE).fetch_one(&mut conn).await?;
    let applied = match table {
        0 => Vec::new(),
        _ => query_scalar(APPLIED).fetch_all(&mut conn).await?,
    };
    let mut found = Inspection::of(&POSTGRES, &applied);
    for (name, show) in [
        ("fsync", "SHOW fsync"),
        ("synchronous_commit", "SHOW synchronous_commit"),
        ("full_page_writes", "SHOW full_page_writes"),
    ] {
        found.durability.push((name, query_scalar(show).fetch_one(&mut conn).await?));
    }
    if server.host().is_some() {
        let tls = query_scalar(TLS).fetch_optional(&mut conn).await?;
        found.transport =
            Some(Transport { tls, verified: server.security() == Security::Verified });
    }
    conn.close().await?;
    Ok(found)
}
