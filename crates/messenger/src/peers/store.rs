use std::collections::HashMap;

use shared::address::AppName;
use shared::time::Timestamp;

use crate::db::{Conn, Result, Row};

/// How the process that sends to a peer has last fared with it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// When the peer last took a request.
    pub seen_at: Option<Timestamp>,
    /// When it last did not.
    pub failed_at: Option<Timestamp>,
    /// Why it did not, as the code of a [`crate::relay::Cause`].
    pub error: Option<String>,
    /// When it will be tried again, if the last attempt has failed.
    pub retry_at: Option<Timestamp>,
}

/// Writes that a peer has taken a request.
pub async fn reached(conn: &mut Conn, peer: &AppName, now: Timestamp) -> Result<()> {
    const UPSERT: &str = "INSERT INTO peers (peer, seen_at) VALUES ($1, $2)
        ON CONFLICT (peer) DO UPDATE SET seen_at = $2, retry_at = NULL";
    conn.sql(UPSERT).bind(peer.to_string()).bind(now.micros()).execute().await.map(|_| ())
}

/// Writes that a peer has not taken a request, and until when it is left alone.
pub async fn failed(
    conn: &mut Conn,
    peer: &AppName,
    code: &'static str,
    now: Timestamp,
    retry_at: Timestamp,
) -> Result<()> {
    const UPSERT: &str = "INSERT INTO peers (peer, failed_at, error, retry_at)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (peer) DO UPDATE SET failed_at = $2, error = $3, retry_at = $4";
    let query = conn.sql(UPSERT).bind(peer.to_string()).bind(now.micros()).bind(code);
    query.bind(retry_at.micros()).execute().await.map(|_| ())
}

/// Writes that peers need not be left alone any longer.
pub async fn try_now(conn: &mut Conn, peers: &[AppName]) -> Result<()> {
    const UPDATE: &str = "UPDATE peers SET retry_at = NULL WHERE peer = $1";
    for peer in peers {
        conn.sql(UPDATE).bind(peer.to_string()).execute().await?;
    }
    Ok(())
}

/// Until when a peer is left alone, if it is.
pub async fn retry_at(conn: &mut Conn, peer: &AppName) -> Result<Option<Timestamp>> {
    const SELECT: &str = "SELECT retry_at FROM peers WHERE peer = $1";
    let found = conn.sql(SELECT).bind(peer.to_string()).optional(|row| row.maybe_time()).await?;
    Ok(found.flatten())
}

/// What is written of every peer that a process has ever sent to.
pub async fn records(conn: &mut Conn) -> Result<HashMap<AppName, Record>> {
    const SELECT: &str = "SELECT peer, seen_at, failed_at, error, retry_at FROM peers";
    let read = |row: &Row| {
        let peer = row.parse()?;
        let (seen_at, failed_at) = (row.maybe_time()?, row.maybe_time()?);
        Ok((peer, Record { seen_at, failed_at, error: row.take()?, retry_at: row.maybe_time()? }))
    };
    Ok(conn.sql(SELECT).all(read).await?.into_iter().collect())
}
