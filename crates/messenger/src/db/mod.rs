//! Storage: one source of SQL for SQLite and PostgreSQL.
//!
//! Statements are written once, with `$N` placeholders, in the `store.rs` of the noun they belong to, and run
//! through [`Conn::sql`]. Reads take a connection with [`Db::read`]; writes run as a closure in a transaction
//! with [`Db::write`], which on SQLite commits those that arrive together as one group. The hot writes collect
//! their rows into multi-row statements first, with a [`Batcher`].

mod batch;
mod error;
mod insert;
mod inspect;
mod patience;
mod query;
mod remote;
mod server;
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
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use tokio::sync::Notify;

pub use batch::Batcher;
pub use error::{Error, Result};
pub use insert::Insert;
pub use inspect::{Inspection, Transport, inspect};
pub use patience::patiently;
pub use query::{Conn, Query, Row};
pub use remote::Remote;
pub use server::{Security, Server};
use sqlite::{Link, Readers};
pub use statement::Statement;
use write::Writer;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a request waits for a connection before it is answered 503.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL; two cores are kept busy by far fewer.
const POSTGRES_CONNECTIONS: u32 = 16;
/// Bytes that are free on the disk of a SQLite database that is ready, at least: a peer may send a batch of that size.
const ROOM: u64 = 4 * 1024 * 1024;
/// Connections that read SQLite.
const SQLITE_READERS: usize = 4;

/// What every connection to SQLite has, that of `doctor` too.
fn sqlite_options(url: &str) -> Result<SqliteConnectOptions> {
    let options = SqliteConnectOptions::from_str(url)?;
    Ok(options.synchronous(SqliteSynchronous::Full).busy_timeout(ACQUIRE))
}

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
        let options =
            sqlite_options(url)?.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
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
        let server = Server::parse(url)?;
        server.prepare()?;
        let options = server.options;
        // The pool would only say that it has timed out; a single attempt says why.
        PgConnection::connect_with(&options).await?.close().await?;
        // Without limits: a migration may take long.
        let migrating = PgPoolOptions::new().max_connections(1);
        let migrating = migrating.idle_timeout(None).max_lifetime(None);
        let migrating = migrating.connect_with(options.clone()).await?;
        POSTGRES.run(&migrating).await?;
        migrating.close().await;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .after_connect(|conn, _| {
                Box::pin(
                    async move { sqlx::raw_sql(remote::LIMITS).execute(conn).await.map(|_| ()) },
                )
            })
            .connect_with(options)
            .await?;
        Ok(Self::Postgres { pool, commits: Arc::default() })
    }

    /// A connection for reading, each statement on its own.
    pub async fn read(&self) -> Result<Conn> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Conn::SqliteReader(readers.lend(ACQUIRE).await?),
            Self::Postgres { pool, .. } => Conn::Postgres(Remote::new(pool.acquire().await?)),
        })
    }

    /// A connection that sees everything as it is at its first statement, whatever is written meanwhile;
    /// [`Db::end_snapshot`] gives it back.
    pub async fn snapshot(&self) -> Result<Conn> {
        let mut conn = self.read().await?;
        conn.run(if conn.is_postgres() {
            // Whoever reads all of it takes long, and holds up nobody.
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
             SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
        } else {
            "BEGIN"
        })
        .await?;
        Ok(conn)
    }

    /// Ends a snapshot.
    pub async fn end_snapshot(mut conn: Conn) -> Result<()> {
        conn.run("ROLLBACK").await
    }

    /// Notified after each commit of this process; for one waiter, who looks at what the commits have brought.
    pub fn commits(&self) -> &Arc<Notify> {
        match self {
            Self::Sqlite { writer, .. } => writer.commits(),
            Self::Postgres { commits, .. } => commits,
        }
    }

    /// How many transactions wait for the one connection that writes, and how many may; nothing on PostgreSQL, where
    /// they wait for a connection.
    pub fn waiting(&self) -> Option<(usize, usize)> {
        match self {
            Self::Sqlite { writer, .. } => Some(writer.waiting()),
            Self::Postgres { .. } => None,
        }
    }

    /// How many connections are in use, that which writes to SQLite not among them, and how many are idle.
    pub fn connections(&self) -> (usize, usize) {
        match self {
            Self::Sqlite { readers, .. } => readers.counts(),
            Self::Postgres { pool, .. } => {
                let idle = pool.num_idle();
                (usize::try_from(pool.size()).unwrap_or(0).saturating_sub(idle), idle)
            }
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
        let applied: i64 = self.read().await?.sql(APPLIED).one(|row| row.take()).await?;
        if usize::try_from(applied).is_ok_and(|applied| applied >= expected) {
            Ok(())
        } else {
            Err(Error::Schema)
        }
    }

    /// Fails if there is no room for what is to come on the disk of a SQLite database; PostgreSQL has its own.
    pub fn check_room(&self) -> Result<()> {
        let Self::Sqlite { readers, .. } = self else { return Ok(()) };
        match rustix::fs::statvfs(readers.path()) {
            Ok(system) if system.f_bavail.saturating_mul(system.f_frsize) < ROOM => {
                Err(Error::Full)
            }
            // Where it cannot be told, the next write will.
            _ => Ok(()),
        }
    }

    /// Waits for the writes under way and closes all connections; not for long, if PostgreSQL does not answer.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                readers.close();
                writer.close().await;
            }
            Self::Postgres { pool, .. } => {
                let _ = tokio::time::timeout(ACQUIRE, pool.close()).await;
            }
        }
    }
}
