use shared::address::AppName;
use shared::id::{ConversationId, UserId};
use shared::models::{ConversationKind, Role};
use shared::relay::{Change, Deed};
use shared::time::Timestamp;

use super::replay::{Entry, Group, Seat, kind};
use crate::db::{Conn, Error, Insert, Result, Row};

/// How a conversation began.
pub struct Beginning {
    pub kind: ConversationKind,
    pub founder: UserId,
    pub app: AppName,
    pub created_at: Timestamp,
}

/// How a conversation began; its changes are nobody else's until the end of the transaction.
pub async fn lock(conn: &mut Conn, id: ConversationId) -> Result<Option<Beginning>> {
    const LOCK: &str = "UPDATE conversations SET kind = kind WHERE id = $1";
    conn.sql(LOCK).bind(id.uuid()).execute().await?;
    beginning(conn, id).await
}

/// How a conversation began.
pub async fn beginning(conn: &mut Conn, id: ConversationId) -> Result<Option<Beginning>> {
    const SELECT: &str = "SELECT c.kind, c.created_by, u.app, c.created_at
        FROM conversations c JOIN users u ON u.id = c.created_by WHERE c.id = $1";
    let read = |row: &Row| {
        Ok(Beginning {
            kind: row.number()?,
            founder: row.id()?,
            app: row.parse()?,
            created_at: row.time()?,
        })
    };
    conn.sql(SELECT).bind(id.uuid()).optional(read).await
}

/// The changes of a group, in their order.
pub async fn entries(conn: &mut Conn, id: ConversationId) -> Result<Vec<Entry>> {
    const SELECT: &str = "SELECT at, app, kind, user_id, actor_id, role, title
        FROM changes WHERE conversation_id = $1";
    let mut entries = conn.sql(SELECT).bind(id.uuid()).all(entry).await?;
    // Sorted here: the two databases compare texts in orders of their own.
    entries.sort();
    Ok(entries)
}

fn entry(row: &Row) -> Result<Entry> {
    let (at, app, kind) = (row.time()?, row.parse()?, row.take::<i16>()?);
    let (user, actor) = (row.id()?, row.id()?);
    let role = || {
        let number: Option<i16> = row.take()?;
        number.and_then(|n| Role::try_from(n).ok()).ok_or_else(|| Error::Value("role".into()))
    };
    let deed = match kind {
        0 => {
            row.take::<Option<i16>>()?;
            Deed::Title { title: row.take()? }
        }
        1 => Deed::Add { user, role: role()? },
        2 => Deed::Remove { user },
        3 => Deed::Role { user, role: role()? },
        4 => Deed::End,
        other => return Err(Error::Value(other.to_string())),
    };
    Ok(Entry { change: Change { at, actor, deed }, app })
}

static CHANGES: Insert = Insert::new(
    "INSERT INTO changes
        (conversation_id, at, app, kind, user_id, actor_id, role, title)",
    8,
    "ON CONFLICT (conversation_id, at, app, kind, user_id) DO NOTHING",
);

/// Keeps changes; those that are there already stay as they are.
pub async fn insert(conn: &mut Conn, id: ConversationId, entries: &[Entry]) -> Result<()> {
    CHANGES
        .all(conn, entries, |query, entry| {
            let Change { at, actor, deed } = &entry.change;
            let role = match deed {
                Deed::Add { role, .. } | Deed::Role { role, .. } => Some(role.number()),
                _ => None,
            };
            let title = match deed {
                Deed::Title { title } => title.clone(),
                _ => None,
            };
            query
                .bind(id.uuid())
                .bind(at.micros())
                .bind(entry.app.to_string())
                .bind(kind(deed))
                .bind(entry.subject().uuid())
                .bind(actor.uuid())
                .bind(role)
                .bind(title)
        })
        .await
        .map(|_| ())
}

static SEATS: Insert = Insert::new(
    "INSERT INTO participants
        (conversation_id, user_id, role, joined_at, left_at, changed_at, changed_app)",
    7,
    "ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role,
        joined_at = excluded.joined_at, left_at = excluded.left_at,
        changed_at = excluded.changed_at, changed_app = excluded.changed_app",
);

/// Writes what a group has become, where it is not what it was.
pub async fn write(
    conn: &mut Conn,
    id: ConversationId,
    before: Option<&Group>,
    after: &Group,
) -> Result<()> {
    const HEAD: &str = "UPDATE conversations SET title = $2, title_at = $3, title_app = $4,
        ended_at = $5, changed_at = $6 WHERE id = $1";
    const GONE: &str = "DELETE FROM participants WHERE conversation_id = $1 AND user_id = $2";
    conn.sql(HEAD)
        .bind(id.uuid())
        .bind(after.title.clone())
        .bind(after.title_at.micros())
        .bind(after.title_app.to_string())
        .bind(after.ended_at.map(Timestamp::micros))
        .bind(after.changed_at.micros())
        .execute()
        .await?;
    let was = |user: &UserId| before.and_then(|before| before.seats.get(user));
    let differ: Vec<(&UserId, &Seat)> =
        after.seats.iter().filter(|(user, seat)| was(user) != Some(*seat)).collect();
    SEATS
        .all(conn, &differ, |query, (user, seat)| {
            query
                .bind(id.uuid())
                .bind(user.uuid())
                .bind(seat.role.number())
                .bind(seat.joined_at.micros())
                .bind(seat.left_at.map(Timestamp::micros))
                .bind(seat.changed_at.micros())
                .bind(seat.changed_app.to_string())
        })
        .await?;
    // Whoever added them might not, as has come out now: they have never taken part.
    let seats = before.map(|before| &before.seats).into_iter().flatten();
    for (user, _) in seats.filter(|(user, _)| !after.seats.contains_key(user)) {
        conn.sql(GONE).bind(id.uuid()).bind(user.uuid()).execute().await?;
    }
    Ok(())
}

/// The apps that somebody in a conversation belongs to.
pub async fn apps(conn: &mut Conn, id: ConversationId) -> Result<Vec<AppName>> {
    const SELECT: &str = "SELECT DISTINCT u.app FROM participants p
        JOIN users u ON u.id = p.user_id WHERE p.conversation_id = $1 AND p.left_at IS NULL";
    conn.sql(SELECT).bind(id.uuid()).all(|row| row.parse()).await
}
