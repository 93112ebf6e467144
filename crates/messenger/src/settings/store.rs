use shared::time::Timestamp;

use crate::db::{Conn, Result};

/// What has been set, by name.
pub async fn all(conn: &mut Conn) -> Result<Vec<(String, i64)>> {
    const SELECT: &str = "SELECT name, value FROM settings";
    conn.sql(SELECT).all(|row| Ok((row.take()?, row.take()?))).await
}

/// Sets a value.
pub async fn set(conn: &mut Conn, name: &'static str, value: i64, now: Timestamp) -> Result<()> {
    const UPSERT: &str = "INSERT INTO settings (name, value, changed_at) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at";
    conn.sql(UPSERT).bind(name).bind(value).bind(now.micros()).execute().await.map(|_| ())
}
