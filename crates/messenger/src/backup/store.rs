use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use shared::id::StreamId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::tables::{Kind, Table};
use crate::db::{Conn, Error, Query, Result, Row};

/// Hands every row of a table to `take`, in the order of its first column.
pub async fn rows(
    conn: &mut Conn,
    table: &Table,
    mut take: impl FnMut(Vec<Value>) -> std::io::Result<()>,
) -> Result<std::io::Result<()>> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let text = format!("SELECT {} FROM {} ORDER BY 1", names.join(", "), table.name);
    let mut failed = Ok(());
    let query = conn.sql_built(text);
    let each = query.each(|row| {
        let cells = table.columns.iter().map(|(_, kind)| read(row, *kind));
        failed = take(cells.collect::<Result<_>>()?);
        Ok(failed.is_ok())
    });
    each.await?;
    Ok(failed)
}

fn read(row: &Row, kind: Kind) -> Result<Value> {
    Ok(match kind {
        Kind::Id => row.take::<Option<Uuid>>()?.map(|id| id.to_string()).into(),
        Kind::Bytes => row.take::<Option<Vec<u8>>>()?.map(|bytes| STANDARD.encode(bytes)).into(),
        Kind::Number => row.take::<Option<i64>>()?.into(),
        Kind::Small => row.take::<Option<i16>>()?.into(),
        Kind::Flag => row.take::<Option<bool>>()?.into(),
        Kind::Text => row.take::<Option<String>>()?.into(),
    })
}

/// Inserts rows, whose cells are those of `columns`.
pub async fn insert(
    conn: &mut Conn,
    table: &str,
    columns: &[(&str, Kind)],
    rows: &[Vec<Value>],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut text = format!("INSERT INTO {table} ({}) VALUES ", names.join(", "));
    for row in 0..rows.len() {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=columns.len() {
            let comma = if column == 1 { "" } else { ", " };
            let _ = write!(text, "{comma}${}", row * columns.len() + column);
        }
        text.push(')');
    }
    let mut query = conn.sql_built(text);
    for row in rows {
        for ((_, kind), cell) in columns.iter().zip(row) {
            query = bind(query, *kind, cell)?;
        }
    }
    query.execute().await.map(|_| ())
}

fn bind<'c>(query: Query<'c>, kind: Kind, cell: &Value) -> Result<Query<'c>> {
    let wrong = || Error::Value(format!("{kind:?}"));
    let text = || cell.as_str().ok_or_else(wrong);
    if cell.is_null() {
        return Ok(match kind {
            Kind::Id => query.bind(None::<Uuid>),
            Kind::Bytes => query.bind(None::<Vec<u8>>),
            Kind::Number => query.bind(None::<i64>),
            Kind::Small => query.bind(None::<i16>),
            Kind::Flag => query.bind(None::<bool>),
            Kind::Text => query.bind(None::<String>),
        });
    }
    Ok(match kind {
        Kind::Id => query.bind(Uuid::try_parse(text()?).map_err(|_| wrong())?),
        Kind::Bytes => query.bind(STANDARD.decode(text()?).map_err(|_| wrong())?),
        Kind::Number => query.bind(cell.as_i64().ok_or_else(wrong)?),
        Kind::Small => {
            let small = cell.as_i64().and_then(|number| i16::try_from(number).ok());
            query.bind(small.ok_or_else(wrong)?)
        }
        Kind::Flag => query.bind(cell.as_bool().ok_or_else(wrong)?),
        Kind::Text => query.bind(text()?.to_owned()),
    })
}

/// The number of migrations that have been applied.
pub async fn schema(conn: &mut Conn) -> Result<i64> {
    conn.sql("SELECT count(*) FROM _sqlx_migrations WHERE success").one(|row| row.take()).await
}

/// Whether there is anything in the database that somebody would miss.
pub async fn is_occupied(conn: &mut Conn) -> Result<bool> {
    const SELECT: &str = "SELECT (SELECT count(*) FROM (SELECT id FROM users LIMIT 1) u)
        + (SELECT count(*) FROM (SELECT id FROM conversations LIMIT 1) c)
        + (SELECT count(*) FROM (SELECT id FROM messages LIMIT 1) m)";
    Ok(conn.sql(SELECT).one(|row| row.take::<i64>()).await? > 0)
}

/// Empties a table.
pub async fn clear(conn: &mut Conn, table: &str) -> Result<()> {
    conn.sql_built(format!("DELETE FROM {table}")).execute().await.map(|_| ())
}

/// Empties what the backup leaves out: what it says is of a state that is no more.
pub async fn clear_derived(conn: &mut Conn, now: Timestamp) -> Result<()> {
    const BEGIN: &str = "INSERT INTO event_log (kind, conversation_id, subject, created_at)
        VALUES (0, $1, $1, $2)";
    const PRUNE: &str = "DELETE FROM event_log WHERE seq < (SELECT max(seq) FROM event_log)";
    for table in
        ["search_queue", "search_documents", "socket_tickets", "leases", "peers", "recoveries"]
    {
        clear(conn, table).await?;
    }
    if !conn.is_postgres() {
        const TERMS: &str = "INSERT INTO search_terms (search_terms) VALUES ('delete-all')";
        conn.sql(TERMS).execute().await?;
    }
    // A new beginning, so that no cursor leads into what was.
    conn.sql(BEGIN).bind(Uuid::nil()).bind(now.micros()).execute().await?;
    conn.sql(PRUNE).execute().await.map(|_| ())
}

/// Has every message indexed again.
pub async fn queue_all(conn: &mut Conn) -> Result<()> {
    const INSERT: &str = "INSERT INTO search_queue (message_id)
        SELECT id FROM messages WHERE terms IS NOT NULL ORDER BY id";
    conn.sql(INSERT).execute().await.map(|_| ())
}

/// Ends all sessions: some of them may have been ended since the backup.
pub async fn end_sessions(conn: &mut Conn, now: Timestamp) -> Result<()> {
    const UPDATE: &str = "UPDATE sessions SET ended_at = $1 WHERE ended_at IS NULL";
    conn.sql(UPDATE).bind(now.micros()).execute().await.map(|_| ())
}

/// The peers that this app has ever sent something to, or had something from.
pub async fn peers(conn: &mut Conn) -> Result<Vec<String>> {
    const SELECT: &str = "SELECT peer FROM streams UNION SELECT origin FROM positions ORDER BY 1";
    conn.sql(SELECT).all(|row| row.take()).await
}

/// Begins a new stream to a peer: the numbers of the old one have been used for something else since.
pub async fn renew_stream(conn: &mut Conn, peer: &str, now: Timestamp) -> Result<()> {
    const UPDATE: &str = "UPDATE streams SET stream = $2 WHERE peer = $1";
    let stream = StreamId::mint(now).uuid();
    conn.sql(UPDATE).bind(peer.to_owned()).bind(stream).execute().await.map(|_| ())
}
