use shared::id::{AuditId, UserId};
use shared::time::Timestamp;
use uuid::Uuid;

use crate::db::{Conn, Result, Row};
use crate::http::Window;

/// An entry as it is stored.
pub struct Entry {
    pub id: AuditId,
    pub created_at: Timestamp,
    pub actor: Option<UserId>,
    pub action: String,
    pub subject: String,
    pub details: String,
}

/// Adds an entry.
pub async fn insert(
    conn: &mut Conn,
    id: AuditId,
    actor: Option<UserId>,
    action: &'static str,
    subject: &str,
    details: &str,
    now: Timestamp,
) -> Result<()> {
    const INSERT: &str = "INSERT INTO audit (id, created_at, actor_id, action, subject, details)
        VALUES ($1, $2, $3, $4, $5, $6)";
    conn.sql(INSERT)
        .bind(id.uuid())
        .bind(now.micros())
        .bind(actor.map(UserId::uuid))
        .bind(action)
        .bind(subject.to_owned())
        .bind(details.to_owned())
        .execute()
        .await
        .map(|_| ())
}

/// How many entries there are, of one action or, if that is empty, of all.
pub async fn count(conn: &mut Conn, action: &str) -> Result<i64> {
    const COUNT: &str = "SELECT count(*) FROM audit WHERE $1 = '' OR action = $1";
    conn.sql(COUNT).bind(action.to_owned()).one(|row| row.take()).await
}

/// Some of them, the newest first.
pub async fn page(
    conn: &mut Conn,
    action: &str,
    window: &Window<(Timestamp, AuditId)>,
) -> Result<Vec<Entry>> {
    let (direction, beyond) = if window.backwards { ("ASC", ">") } else { ("DESC", "<") };
    let after = if window.after.is_some() {
        format!("AND (created_at, id) {beyond} ($4, $5)")
    } else {
        String::new()
    };
    let text = format!(
        "SELECT id, created_at, actor_id, action, subject, details FROM audit
         WHERE ($1 = '' OR action = $1) {after}
         ORDER BY created_at {direction}, id {direction} LIMIT $2 OFFSET $3"
    );
    let entry = |row: &Row| {
        Ok(Entry {
            id: row.id()?,
            created_at: row.time()?,
            actor: row.take::<Option<Uuid>>()?.map(UserId::from),
            action: row.take()?,
            subject: row.take()?,
            details: row.take()?,
        })
    };
    let query = conn.sql_built(text).bind(action.to_owned());
    let mut query = query.bind(window.limit).bind(window.offset);
    if let Some((at, id)) = window.after {
        query = query.bind(at.micros()).bind(id.uuid());
    }
    query.all(entry).await
}
