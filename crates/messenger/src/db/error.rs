use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
use shared::problem::Problem;

use crate::tls::TlsError;

/// What can go wrong in the database; cheap to clone, as a group of writes shares one fate.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database, or the way to it.
    #[error(transparent)]
    Database(Arc<sqlx::Error>),
    /// SQLite, or its file.
    #[error(transparent)]
    Sqlite(Arc<rusqlite::Error>),
    /// The certificates with which the server is to be verified.
    #[error(transparent)]
    Tls(Arc<TlsError>),
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
    /// There is no room on the disk of the database.
    #[error("the disk of the database is full")]
    Full,
    /// The app is shutting down.
    #[error("the database is closed")]
    Closed,
}

/// The result of a database operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the statement broke a `UNIQUE` or `PRIMARY KEY` constraint.
    pub fn is_duplicate(&self) -> bool {
        match self {
            Self::Database(error) => error
                .as_database_error()
                .is_some_and(sqlx::error::DatabaseError::is_unique_violation),
            Self::Sqlite(error) => error.sqlite_error().is_some_and(|error| {
                matches!(
                    error.extended_code,
                    SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY
                )
            }),
            _ => false,
        }
    }

    /// Whether it is the data that the database does not take, and it would never: constraints, sizes, forms.
    pub fn is_of_data(&self) -> bool {
        match self {
            Self::Value(_) => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
            ),
            Self::Database(error) => error.as_database_error().is_some_and(|error| {
                // Data 22, constraint 23.
                let code = error.code().unwrap_or_default();
                ["22", "23"].iter().any(|class| code.starts_with(class))
            }),
            _ => false,
        }
    }

    /// Whether the same operation may succeed later: the database is away, busy, full or shutting down.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Undone | Self::Silent | Self::Full | Self::Closed => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::ReadOnly
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::DiskFull
                        | ErrorCode::CannotOpen
                )
            ),
            Self::Database(error) => match &**error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                sqlx::Error::Database(error) => {
                    // Connection 08, resources 53, operator 57, serialisation and deadlock 40, and a transaction that has
                    // stood still for too long 25P03.
                    let code = error.code().unwrap_or_default();
                    ["08", "53", "57", "40", "25P03"].iter().any(|class| code.starts_with(class))
                }
                _ => false,
            },
            _ => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
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
