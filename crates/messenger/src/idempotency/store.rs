use http::StatusCode;
use serde::Serialize;
use shared::id::UserId;
use shared::time::Timestamp;

use crate::db::{Conn, Error, Result, Row};

/// What is to be stored of a request, beside its answer.
#[derive(Clone)]
pub struct Record {
    pub(super) user: UserId,
    pub(super) key: String,
    pub(super) key_id: i64,
    pub(super) fingerprint: Vec<u8>,
    pub(super) created_at: Timestamp,
}

/// What is stored of a request.
pub struct Kept {
    pub key_id: i64,
    pub fingerprint: Vec<u8>,
    pub status: i16,
    pub response: String,
    pub created_at: Timestamp,
}

/// Stores a request with its answer. Fails as a duplicate if its key is there: another replica was faster.
pub async fn insert<T: Serialize>(
    conn: &mut Conn,
    record: &Record,
    status: StatusCode,
    answer: &T,
) -> Result<()> {
    const EXPIRED: &str =
        "DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND created_at < $3";
    const INSERT: &str = "INSERT INTO idempotency_keys
        (user_id, key, key_id, fingerprint, status, response, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let response =
        serde_json::to_string(answer).map_err(|error| Error::Value(error.to_string()))?;
    conn.sql(EXPIRED)
        .bind(record.user.uuid())
        .bind(record.key.clone())
        .bind(record.created_at.before(super::REMEMBERED).micros())
        .execute()
        .await?;
    conn.sql(INSERT)
        .bind(record.user.uuid())
        .bind(record.key.clone())
        .bind(record.key_id)
        .bind(record.fingerprint.clone())
        .bind(i16::try_from(status.as_u16()).unwrap_or(i16::MAX))
        .bind(response)
        .bind(record.created_at.micros())
        .execute()
        .await
        .map(|_| ())
}

/// The request that a user has made with a key.
pub async fn find(conn: &mut Conn, user: UserId, key: &str) -> Result<Option<Kept>> {
    const SELECT: &str = "SELECT key_id, fingerprint, status, response, created_at
        FROM idempotency_keys WHERE user_id = $1 AND key = $2";
    let kept = |row: &Row| {
        Ok(Kept {
            key_id: row.take()?,
            fingerprint: row.take()?,
            status: row.take()?,
            response: row.take()?,
            created_at: row.time()?,
        })
    };
    conn.sql(SELECT).bind(user.uuid()).bind(key.to_owned()).optional(kept).await
}

/// Forgets the requests from before a moment, and gives their number.
pub async fn forget_before(conn: &mut Conn, moment: Timestamp) -> Result<u64> {
    const DELETE: &str = "DELETE FROM idempotency_keys WHERE created_at < $1";
    conn.sql(DELETE).bind(moment.micros()).execute().await
}
