//! Storage: one source of SQL for SQLite and PostgreSQL.
//!
//! Statements are written once, with `$N` placeholders, in the `store.rs` of the noun they belong to, and run
//! through [`Conn::sql`]. Reads take a connection with [`Db::read`]; writes run as a closure in a transaction
//! with [`Db::write`], which on SQLite commits those that arrive together as one group. The hot writes collect
//! their rows into multi-row statements first, with a [`Batcher`].

mod batch;
mod error;
mod insert;
mod query;
mod sqlite;
mod statement;
mod value;
mod write;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tokio::sync::Notify;

pub use batch::Batcher;
pub use error::{Error, Result};
pub use insert::Insert;
pub use query::{Conn, Query, Row};
use sqlite::{Link, Readers};
pub use statement::Statement;
use write::Writer;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a request waits for a connection before it is answered 503.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL; two cores are kept busy by far fewer.
const POSTGRES_CONNECTIONS: u32 = 16;
/// Connections that read SQLite.
const SQLITE_READERS: usize = 4;

/// The database of one app; cheap to clone.
#[derive(Clone)]
pub enum Db {
    /// One file, one process.
    Sqlite {
        /// Connections that only read.
        readers: Arc<Readers>,
        /// The one connection that writes.
        writer: Writer,
    },
    /// One server, any number of processes.
    Postgres {
        /// Connections that read and write.
        pool: PgPool,
        /// What each commit of this process notifies.
        commits: Arc<Notify>,
    },
}

impl Db {
    /// Opens the database at `url` (`sqlite://path` or `postgres://…`), creates a SQLite file and its folder where
    /// there is none, and brings the schema up to date.
    pub async fn open(url: &str) -> Result<Self> {
        if url.starts_with("sqlite:") {
            Self::open_sqlite(url).await
        } else {
            Self::open_postgres(url).await
        }
    }

    async fn open_sqlite(url: &str) -> Result<Self> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(ACQUIRE);
        let path = options.get_filename().to_owned();
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
        }
        let migrating = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        SQLITE.run(&migrating).await?;
        migrating.close().await;
        let writer = Writer::start(Link::open(&path, ACQUIRE, false)?)?;
        Ok(Self::Sqlite { readers: Readers::new(path, ACQUIRE, SQLITE_READERS), writer })
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?.statement_cache_capacity(256);
        // The pool would only say that it has timed out; a single attempt says why.
        PgConnection::connect_with(&options).await?.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        POSTGRES.run(&pool).await?;
        Ok(Self::Postgres { pool, commits: Arc::default() })
    }

    /// A connection for reading, each statement on its own.
    pub async fn read(&self) -> Result<Conn> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Conn::SqliteReader(readers.lend(ACQUIRE).await?),
            Self::Postgres { pool, .. } => Conn::Postgres(pool.acquire().await?),
        })
    }

    /// Notified after each commit of this process; for one waiter, who looks at what the commits have brought.
    pub fn commits(&self) -> &Arc<Notify> {
        match self {
            Self::Sqlite { writer, .. } => writer.commits(),
            Self::Postgres { commits, .. } => commits,
        }
    }

    /// Whether several processes may share this database.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// Fails unless the database answers and has the schema of this release.
    pub async fn check(&self) -> Result<()> {
        const APPLIED: &str = "SELECT count(*) FROM _sqlx_migrations WHERE success";
        let expected = match self {
            Self::Sqlite { .. } => SQLITE.iter().count(),
            Self::Postgres { .. } => POSTGRES.iter().count(),
        };
        let applied: i64 = self.read().await?.sql(APPLIED).one(Row::take).await?;
        if usize::try_from(applied).is_ok_and(|applied| applied >= expected) {
            Ok(())
        } else {
            Err(Error::Schema)
        }
    }

    /// Waits for the writes under way and closes all connections.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                readers.close();
                writer.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}
