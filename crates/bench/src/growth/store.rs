use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use uuid::Uuid;

use crate::error::{Error, Result};

/// Rows of one statement: the app waits no longer than that takes.
const ROWS: u64 = 20_000;
/// How long to wait while the app writes.
const BUSY: Duration = Duration::from_secs(30);

/// Copies a message: the row, under ids that are UUIDv7 of the moments that follow, a microsecond after each other.
///
/// $1 is the message, $2 and $3 the numbers of the first and the last copy.
const SQLITE: &str = "
    WITH RECURSIVE n (i) AS (SELECT $2 UNION ALL SELECT i + 1 FROM n WHERE i < $3)
    INSERT INTO messages (id, conversation_id, sender_id, parent_id, content, key_id, revision, created_at,
        edited_at, deleted_at, status, status_reason, pending, terms)
    SELECT unhex(printf('%012x', (m.created_at + n.i) / 1000) || '7' || substr(hex(randomblob(2)), 1, 3)
            || '8' || substr(hex(randomblob(8)), 1, 15)),
        m.conversation_id, m.sender_id, m.parent_id, m.content, m.key_id, m.revision, m.created_at + n.i,
        m.edited_at, m.deleted_at, m.status, m.status_reason, m.pending, m.terms
    FROM n JOIN messages m ON m.id = $1";

/// The same for PostgreSQL.
const POSTGRES: &str = "
    INSERT INTO messages (id, conversation_id, sender_id, parent_id, content, key_id, revision, created_at,
        edited_at, deleted_at, status, status_reason, pending, terms)
    SELECT (lpad(to_hex((m.created_at + n.i) / 1000), 12, '0') || '7' || substr(md5(random()::text), 1, 3)
            || '8' || substr(md5(random()::text), 1, 15))::uuid,
        m.conversation_id, m.sender_id, m.parent_id, m.content, m.key_id, m.revision, m.created_at + n.i,
        m.edited_at, m.deleted_at, m.status, m.status_reason, m.pending, m.terms
    FROM generate_series($2::bigint, $3::bigint) AS n (i) JOIN messages m ON m.id = $1";

/// The database of an app, filled without the app.
pub enum Store {
    /// A file.
    Sqlite(SqlitePool),
    /// A database of a server.
    Postgres(PgPool),
}

impl Store {
    /// Opens what a `DATABASE_URL` names.
    pub async fn open(url: &str) -> Result<Self> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?.busy_timeout(BUSY);
            return Ok(Self::Sqlite(SqlitePool::connect_with(options).await?));
        }
        Ok(Self::Postgres(PgPool::connect(url).await?))
    }

    /// Makes so many copies of a message, each a microsecond later than the one before. They are never on the newest
    /// page, so it does no harm that they cannot be opened under their ids.
    pub async fn multiply(&self, message: &str, copies: u64) -> Result<()> {
        let message = Uuid::parse_str(message).map_err(|error| Error::Failed(error.to_string()))?;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut made = 0;
        while made < copies {
            let last = copies.min(made + ROWS);
            let (first, last) = (number(made + 1), number(last));
            match self {
                Self::Sqlite(pool) => {
                    let insert = sqlx::query(SQLITE).bind(message).bind(first).bind(last);
                    insert.execute(pool).await?;
                }
                Self::Postgres(pool) => {
                    let insert = sqlx::query(POSTGRES).bind(message).bind(first).bind(last);
                    insert.execute(pool).await?;
                }
            }
            made = copies.min(made + ROWS);
            if made.is_multiple_of(10 * ROWS) {
                eprintln!("  {made} messages of {copies}");
            }
        }
        Ok(())
    }

    /// Leaves the database as it is when it has grown slowly: the log is in the file, and the statistics are there.
    pub async fn tidy(&self) -> Result<()> {
        match self {
            Self::Sqlite(pool) => {
                sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(pool).await?;
            }
            Self::Postgres(pool) => {
                sqlx::query("VACUUM (ANALYZE) messages").execute(pool).await?;
                sqlx::query("CHECKPOINT").execute(pool).await?;
            }
        }
        Ok(())
    }

    /// Leaves the database to the app.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}
