use shared::address::AppName;
use shared::id::{ConversationId, MessageId};
use shared::time::Timestamp;
use uuid::Uuid;

use super::MARGIN;
use crate::db::{Conn, Result, Row};

/// Marks that this database was restored from a backup of the moment `since`, and that a peer may have more.
pub async fn begin(conn: &mut Conn, peer: &str, since: Timestamp, now: Timestamp) -> Result<()> {
    const CLEAR: &str = "DELETE FROM restores WHERE peer = $1";
    const INSERT: &str = "INSERT INTO restores (peer, id, since, asked) VALUES ($1, $2, $3, FALSE)";
    conn.sql(CLEAR).bind(peer.to_owned()).execute().await?;
    let id = MessageId::mint(now).uuid();
    let query = conn.sql(INSERT).bind(peer.to_owned()).bind(id).bind(since.micros());
    query.execute().await.map(|_| ())
}

/// The restore that a peer has not been asked about yet.
pub async fn unasked(conn: &mut Conn, peer: &AppName) -> Result<Option<(Uuid, Timestamp)>> {
    const SELECT: &str = "SELECT id, since FROM restores WHERE peer = $1 AND NOT asked";
    let read = |row: &Row| Ok((row.take()?, row.time()?));
    conn.sql(SELECT).bind(peer.to_string()).optional(read).await
}

/// The peer has been asked.
pub async fn asked(conn: &mut Conn, peer: &AppName, id: Uuid) -> Result<()> {
    const UPDATE: &str = "UPDATE restores SET asked = TRUE WHERE peer = $1 AND id = $2";
    conn.sql(UPDATE).bind(peer.to_string()).bind(id).execute().await.map(|_| ())
}

/// The moment of the backup, less a margin, until a peer has given back what has happened since.
pub async fn since(conn: &mut Conn, peer: &AppName) -> Result<Option<Timestamp>> {
    const SELECT: &str = "SELECT since FROM restores WHERE peer = $1";
    let since = conn.sql(SELECT).bind(peer.to_string()).optional(|row| row.time()).await?;
    Ok(since.map(|since| since.before(MARGIN)))
}

/// The peer has given everything back; whether this was about the restore that it was asked about. It has been heard up
/// to the newest message of its users.
pub async fn end(conn: &mut Conn, peer: &AppName, id: Uuid) -> Result<bool> {
    const DELETE: &str = "DELETE FROM restores WHERE peer = $1 AND id = $2";
    const HEARD: &str = "UPDATE positions SET heard_to = COALESCE((SELECT max(m.created_at)
            FROM messages m JOIN users u ON u.id = m.sender_id WHERE u.app = $1), heard_to)
        WHERE origin = $1";
    if conn.sql(DELETE).bind(peer.to_string()).bind(id).execute().await? == 0 {
        return Ok(false);
    }
    conn.sql(HEARD).bind(peer.to_string()).execute().await?;
    Ok(true)
}

/// A peer that was restored, and how far it has been told.
pub struct Telling {
    pub id: Uuid,
    pub since: Timestamp,
    /// None has been told of yet, if absent.
    pub conversation: Option<ConversationId>,
    pub told: (Timestamp, MessageId),
}

/// Notes that a peer is to be told what has happened since a moment. The same request again changes nothing.
pub async fn enter(conn: &mut Conn, peer: &AppName, id: Uuid, since: Timestamp) -> Result<()> {
    const INSERT: &str = "INSERT INTO recoveries
            (peer, id, since, conversation_id, told_at, message_id)
        VALUES ($1, $2, $3, NULL, 0, $4)
        ON CONFLICT (peer) DO UPDATE SET id = excluded.id, since = excluded.since,
            conversation_id = NULL, told_at = 0, message_id = excluded.message_id
        WHERE recoveries.id <> excluded.id";
    let query = conn.sql(INSERT).bind(peer.to_string()).bind(id).bind(since.micros());
    query.bind(Uuid::nil()).execute().await.map(|_| ())
}

/// How far a peer has been told, if it is being told.
pub async fn telling(conn: &mut Conn, peer: &AppName) -> Result<Option<Telling>> {
    const SELECT: &str = "SELECT id, since, conversation_id, told_at, message_id
        FROM recoveries WHERE peer = $1";
    let read = |row: &Row| {
        Ok(Telling {
            id: row.take()?,
            since: row.time()?,
            conversation: row.take::<Option<Uuid>>()?.map(ConversationId::from),
            told: (row.time()?, row.id()?),
        })
    };
    conn.sql(SELECT).bind(peer.to_string()).optional(read).await
}

/// Notes how far a peer has been told.
pub async fn told(conn: &mut Conn, peer: &AppName, telling: &Telling) -> Result<()> {
    const UPDATE: &str = "UPDATE recoveries SET conversation_id = $2, told_at = $3, message_id = $4
        WHERE peer = $1";
    conn.sql(UPDATE)
        .bind(peer.to_string())
        .bind(telling.conversation.map(ConversationId::uuid))
        .bind(telling.told.0.micros())
        .bind(telling.told.1.uuid())
        .execute()
        .await
        .map(|_| ())
}

/// A peer has been told everything.
pub async fn leave(conn: &mut Conn, peer: &AppName) -> Result<()> {
    const DELETE: &str = "DELETE FROM recoveries WHERE peer = $1";
    conn.sql(DELETE).bind(peer.to_string()).execute().await.map(|_| ())
}

/// The users of this app that have changed since a moment.
pub async fn users(conn: &mut Conn, own: &AppName, since: Timestamp) -> Result<Vec<Uuid>> {
    const SELECT: &str = "SELECT id FROM users WHERE app = $1 AND changed_at >= $2 ORDER BY id";
    conn.sql(SELECT).bind(own.to_string()).bind(since.micros()).all(|row| row.take()).await
}

/// The conversation after one, in the order of their ids, that somebody of a peer takes or took part in.
pub async fn next_conversation(
    conn: &mut Conn,
    peer: &AppName,
    after: Option<ConversationId>,
) -> Result<Option<ConversationId>> {
    const SELECT: &str = "SELECT p.conversation_id
        FROM participants p JOIN users u ON u.id = p.user_id
        WHERE u.app = $1 AND p.conversation_id > $2 ORDER BY p.conversation_id LIMIT 1";
    let after = after.map_or(Uuid::nil(), ConversationId::uuid);
    conn.sql(SELECT).bind(peer.to_string()).bind(after).optional(|row| row.id()).await
}

/// What is being told of one conversation.
pub struct Piece<'a> {
    pub own: &'a AppName,
    pub peer: &'a AppName,
    pub conversation: ConversationId,
    pub since: Timestamp,
    pub after: (Timestamp, MessageId),
    pub limit: usize,
}

/// Messages of a conversation that are new or have changed since a moment: those of the peer's users, and those of this
/// app's users that were for somebody there and were not refused or given up.
pub async fn messages(conn: &mut Conn, piece: &Piece<'_>) -> Result<Vec<(Timestamp, MessageId)>> {
    const SELECT: &str = "SELECT m.created_at, m.id FROM messages m
        JOIN users s ON s.id = m.sender_id JOIN conversations c ON c.id = m.conversation_id
        WHERE m.conversation_id = $1 AND (m.created_at, m.id) > ($2, $3)
            AND (m.created_at >= $4 OR m.edited_at >= $4 OR m.deleted_at >= $4)
            AND (s.app = $5 OR (s.app = $6
                AND EXISTS (SELECT 1 FROM participants p JOIN users u ON u.id = p.user_id
                    WHERE p.conversation_id = m.conversation_id AND u.app = $5
                        AND (p.left_at IS NULL OR p.left_at >= m.created_at)
                        AND (p.joined_at <= m.created_at OR p.joined_at <= c.created_at))
                AND NOT EXISTS (SELECT 1 FROM failures f
                    WHERE f.message_id = m.id AND f.app = $5)))
        ORDER BY m.created_at, m.id LIMIT $7";
    conn.sql(SELECT)
        .bind(piece.conversation.uuid())
        .bind(piece.after.0.micros())
        .bind(piece.after.1.uuid())
        .bind(piece.since.micros())
        .bind(piece.peer.to_string())
        .bind(piece.own.to_string())
        .bind(i64::try_from(piece.limit).unwrap_or(0))
        .all(|row| Ok((row.time()?, row.id()?)))
        .await
}

/// The registers of a conversation that concern the two apps: how far the readers of each have come with the messages
/// of the other.
pub async fn registers(
    conn: &mut Conn,
    own: &AppName,
    peer: &AppName,
    conversation: ConversationId,
) -> Result<Vec<Uuid>> {
    const SELECT: &str = "SELECT r.id FROM receipts r JOIN users u ON u.id = r.user_id
        WHERE r.conversation_id = $1
            AND ((r.origin = $2 AND u.app = $3) OR (r.origin = $3 AND u.app = $2)) ORDER BY r.id";
    let query = conn.sql(SELECT).bind(conversation.uuid()).bind(own.to_string());
    query.bind(peer.to_string()).all(|row| row.take()).await
}
