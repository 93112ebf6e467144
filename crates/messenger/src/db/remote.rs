use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::{Error, Result};

/// How long an answer of the server may take; a connection on which none has come is not used again. The server breaks
/// off a statement before that ([`LIMITS`]), so it is the server that is silent then, or the way to it.
pub(super) const WITHIN: Duration = Duration::from_secs(7);
/// What the server is told on each connection, in its words. A process that stands still in the midst of a transaction
/// must not hold its locks for longer: the others wait for them.
pub(super) const LIMITS: &str =
    "SET statement_timeout = '5s'; SET idle_in_transaction_session_timeout = '5s'";

/// A connection to PostgreSQL, whose server may fall silent at any moment.
pub struct Remote(Option<PoolConnection<Postgres>>);

impl Remote {
    pub(super) fn new(conn: PoolConnection<Postgres>) -> Self {
        Self(Some(conn))
    }

    /// The connection, to ask something of the server.
    pub(super) fn live(&mut self) -> Result<&mut PgConnection> {
        Ok(self.0.as_mut().ok_or(Error::Silent)?)
    }

    /// What the server has answered; if nothing in time, lets go of the connection.
    pub(super) fn heard<T>(&mut self, answer: Result<sqlx::Result<T>, Elapsed>) -> Result<T> {
        if let Ok(answer) = answer {
            return Ok(answer?);
        }
        self.discard();
        Err(Error::Silent)
    }

    /// Closes the connection without a word, so that the pool makes another one.
    pub(super) fn discard(&mut self) {
        drop(self.0.take().map(PoolConnection::detach));
    }
}

impl Drop for Remote {
    /// The pool asks the server whether it is still there, and would wait for that for ever.
    fn drop(&mut self) {
        if let (Some(mut conn), Ok(runtime)) =
            (self.0.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(timeout(WITHIN, async move { conn.return_to_pool().await }));
        }
    }
}
