use std::sync::Arc;

use shared::problem::Problem;

/// What can go wrong in the database; cheap to clone, as a group of writes shares one fate.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database, or the way to it.
    #[error(transparent)]
    Database(Arc<sqlx::Error>),
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Migration(Arc<sqlx::migrate::MigrateError>),
    /// The schema is older than this release.
    #[error("the schema is not up to date")]
    Schema,
    /// A column holds what this release has not written.
    #[error("a stored value is not valid: {0}")]
    Value(String),
    /// The transaction was undone because a neighbour in its group broke it.
    #[error("the transaction was undone")]
    Undone,
    /// The server has not answered in time, nor has it refused the connection.
    #[error("the database does not answer")]
    Silent,
    /// The app is shutting down.
    #[error("the database is closed")]
    Closed,
}

/// The result of a database operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the statement broke a `UNIQUE` or `PRIMARY KEY` constraint.
    pub fn is_duplicate(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }

    /// Whether it is the data that the database does not take, and it would never: constraints, sizes, forms.
    pub fn is_of_data(&self) -> bool {
        let Self::Database(error) = self else { return matches!(self, Self::Value(_)) };
        let Some(error) = error.as_database_error() else { return false };
        let code = error.code().unwrap_or_default();
        // SQLite: too big 18, constraint 19, mismatch 20. PostgreSQL: data 22, constraint 23.
        let sqlite =
            code.parse::<u32>().is_ok_and(|c| code.len() < 5 && matches!(c & 0xff, 18..=20));
        let postgres = code.len() == 5 && ["22", "23"].iter().any(|class| code.starts_with(class));
        sqlite || postgres
    }

    /// Whether the same operation may succeed later: the database is away, busy, full or shutting down.
    pub fn is_transient(&self) -> bool {
        let Self::Database(error) = self else {
            return matches!(self, Self::Undone | Self::Silent | Self::Closed);
        };
        match &**error {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                // SQLite: busy 5, locked 6, read-only 8, I/O 10, full 13, cannot open 14, with extended codes above 8 bits.
                let sqlite = code
                    .parse::<u32>()
                    .is_ok_and(|c| code.len() < 5 && matches!(c & 0xff, 5 | 6 | 8 | 10 | 13 | 14));
                // PostgreSQL: connection 08, resources 53, operator 57, serialisation and deadlock 40, and a transaction that
                // has stood still for too long 25P03.
                let postgres = code.len() == 5
                    && ["08", "53", "57", "40", "25P03"]
                        .iter()
                        .any(|class| code.starts_with(class));
                sqlite || postgres
            }
            _ => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(Arc::new(error))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if error.is_duplicate() {
            Self::conflict("conflict", "Somebody else was faster; look at it again.").retry_after(1)
        } else if error.is_transient() {
            tracing::warn!(%error, "the database is not available");
            Self::unavailable("storage_unavailable", "The database is not available just now.", 1)
        } else {
            tracing::error!(%error, "a database operation failed");
            Self::internal()
        }
    }
}
