use std::collections::HashMap;

use shared::address::AppName;
use shared::id::{ConversationId, MessageId, UserId};
use shared::models::UserCard;
use shared::relay::{Progress, ReceiptState};
use shared::time::Timestamp;
use uuid::Uuid;

use super::{Move, Moved, Register};
use crate::db::{Conn, Insert, Result, Row, Statement};
use crate::http::Window;
use crate::users;

static ADVANCE: Insert = Insert::new(
    "INSERT INTO receipts (conversation_id, origin, user_id, id, delivered_from, delivered_to,
        delivered_at, seen_from, seen_to, seen_at, read_to, untold)",
    12,
    // Forwards only. What was between the old and the new position has been reached now.
    "ON CONFLICT (conversation_id, origin, user_id) DO UPDATE SET
        delivered_from = CASE WHEN excluded.delivered_to <= receipts.delivered_to
            THEN receipts.delivered_from WHEN excluded.delivered_from < receipts.delivered_to
            THEN receipts.delivered_to ELSE excluded.delivered_from END,
        delivered_at = CASE WHEN excluded.delivered_to <= receipts.delivered_to
            THEN receipts.delivered_at ELSE excluded.delivered_at END,
        delivered_to = CASE WHEN excluded.delivered_to <= receipts.delivered_to
            THEN receipts.delivered_to ELSE excluded.delivered_to END,
        seen_from = CASE WHEN excluded.seen_to <= receipts.seen_to
            THEN receipts.seen_from WHEN excluded.seen_from < receipts.seen_to
            THEN receipts.seen_to ELSE excluded.seen_from END,
        seen_at = CASE WHEN excluded.seen_to <= receipts.seen_to
            THEN receipts.seen_at ELSE excluded.seen_at END,
        seen_to = CASE WHEN excluded.seen_to <= receipts.seen_to
            THEN receipts.seen_to ELSE excluded.seen_to END,
        read_to = CASE WHEN excluded.read_to <= receipts.read_to
            THEN receipts.read_to ELSE excluded.read_to END,
        untold = receipts.untold + CASE WHEN excluded.delivered_to > receipts.delivered_to
            OR excluded.seen_to > receipts.seen_to THEN excluded.untold ELSE 0 END
     WHERE excluded.delivered_to > receipts.delivered_to OR excluded.seen_to > receipts.seen_to
        OR excluded.read_to > receipts.read_to
     RETURNING conversation_id, origin, user_id, id, delivered_from, delivered_to, delivered_at,
        seen_from, seen_to, seen_at, untold",
);

/// Moves registers forward, none of which may stand twice in `moves`, and gives those that have moved.
pub async fn advance(conn: &mut Conn, moves: &[Move], now: Timestamp) -> Result<Vec<Moved>> {
    let read = |row: &Row| {
        let (conversation, origin, reader) = (row.id()?, row.parse()?, row.id()?);
        let register = Register { conversation, origin, reader };
        let id = row.take()?;
        let (delivered, seen) = (Some(progress(row)?), Some(progress(row)?));
        Ok(Moved { register, id, delivered, seen, untold: row.take()? })
    };
    let rows = ADVANCE.returning(
        conn,
        moves,
        |query, row| {
            query
                .bind(row.register.conversation.uuid())
                .bind(row.register.origin.to_string())
                .bind(row.register.reader.uuid())
                .bind(MessageId::mint(now).uuid())
                .bind(row.delivered.from.micros())
                .bind(row.delivered.to.micros())
                .bind(row.delivered.at.micros())
                .bind(row.seen.from.micros())
                .bind(row.seen.to.micros())
                .bind(row.seen.at.micros())
                .bind(row.read_to.micros())
                .bind(i64::from(row.tell))
        },
        read,
    );
    let mut changed = rows.await?;
    let given: HashMap<_, _> = moves.iter().map(|row| (&row.register, row)).collect();
    for row in &mut changed {
        let Some(given) = given.get(&row.register) else { continue };
        // A register that stands where it was told to go, since it was told to, has just gone there.
        row.delivered = row.delivered.filter(|now| now.is_of(&given.delivered));
        row.seen = row.seen.filter(|now| now.is_of(&given.seen));
    }
    Ok(changed)
}

fn progress(row: &Row) -> Result<Progress> {
    Ok(Progress { from: row.time()?, to: row.time()?, at: row.time()? })
}

/// What the relay sends of registers, by the id that an event names.
pub async fn states(conn: &mut Conn, ids: &[Uuid]) -> Result<HashMap<Uuid, ReceiptState>> {
    const SELECT: &str = "SELECT id, conversation_id, user_id, delivered_from, delivered_to,
        delivered_at, seen_from, seen_to, seen_at FROM receipts WHERE id IN ({})";
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let read = |row: &Row| {
        let (id, conversation, reader) = (row.take()?, row.id()?, row.id()?);
        let (delivered, read) = (progress(row)?, progress(row)?);
        Ok((id, ReceiptState { conversation, reader, delivered, read }))
    };
    Ok(conn.sql_in(SELECT, &[], ids).all(read).await?.into_iter().collect())
}

static TOLD: Insert =
    Insert::new("UPDATE receipts SET untold = 0 WHERE (id, delivered_to, seen_to) IN (", 3, ")");

/// The app of the messages has been told these states; gives the registers that have moved on since, of which it must
/// be told again.
pub async fn settle(conn: &mut Conn, told: &[(Uuid, Timestamp, Timestamp)]) -> Result<Vec<Uuid>> {
    const MOVED: &str = "SELECT id FROM receipts WHERE untold > 0 AND id IN ({})";
    if told.is_empty() {
        return Ok(Vec::new());
    }
    TOLD.all(conn, told, |query, (id, delivered, seen)| {
        query.bind(*id).bind(delivered.micros()).bind(seen.micros())
    })
    .await?;
    let ids: Vec<Uuid> = told.iter().map(|(id, ..)| *id).collect();
    conn.sql_in(MOVED, &[], &ids).all(|row| row.take()).await
}

/// No event waits for these registers any more; their next move writes one.
pub async fn forget_untold(conn: &mut Conn, ids: &[Uuid]) -> Result<()> {
    const UPDATE: &str = "UPDATE receipts SET untold = 0 WHERE id IN ({})";
    if !ids.is_empty() {
        conn.sql_in(UPDATE, &[], ids).execute().await?;
    }
    Ok(())
}

/// Moves the bounds of what a participant has read: everything up to `all`, and nothing after `last`.
pub async fn mark_read(
    conn: &mut Conn,
    conversation: ConversationId,
    reader: UserId,
    all: Timestamp,
    last: Timestamp,
) -> Result<bool> {
    const UPDATE: &str = "UPDATE participants SET
            read_at = CASE WHEN read_at < $3 THEN $3 ELSE read_at END,
            read_until = CASE WHEN read_until < $4 THEN $4 ELSE read_until END
        WHERE conversation_id = $1 AND user_id = $2 AND (read_at < $3 OR read_until < $4)";
    let query = conn.sql(UPDATE).bind(conversation.uuid()).bind(reader.uuid());
    Ok(query.bind(all.micros()).bind(last.micros()).execute().await? == 1)
}

/// Whether a user lets others know what they have read.
pub async fn shows_reads(conn: &mut Conn, reader: UserId) -> Result<bool> {
    const SELECT: &str = "SELECT read_receipts FROM accounts WHERE user_id = $1";
    Ok(conn.sql(SELECT).bind(reader.uuid()).optional(|row| row.take()).await?.unwrap_or(false))
}

/// The moment of the newest message of each peer that has arrived here: of that peer, nothing earlier is to come.
pub async fn heard(conn: &mut Conn) -> Result<HashMap<AppName, Timestamp>> {
    const SELECT: &str = "SELECT origin, heard_to FROM positions";
    let read = |row: &Row| Ok((row.parse()?, row.time()?));
    Ok(conn.sql(SELECT).all(read).await?.into_iter().collect())
}

/// A participant and how far they have come with the messages of one app.
pub struct Recipient {
    /// Where they take or took part.
    pub conversation: ConversationId,
    /// Since when they are meant by what is written there.
    pub joined_at: Timestamp,
    /// Until when, if they have left.
    pub left_at: Option<Timestamp>,
    /// Up to which message it has been handed to a client of theirs.
    pub delivered_to: Timestamp,
    /// Up to which message they have read, as far as others are told.
    pub seen_to: Timestamp,
}

/// All but one user, of this app, of some conversations, with how far they have come with the messages of this app.
pub async fn recipients(
    conn: &mut Conn,
    sender: UserId,
    conversations: &[Uuid],
) -> Result<Vec<Recipient>> {
    // Who was there from the beginning is meant by everything: the clocks of two apps differ.
    const SELECT: &str = "SELECT p.conversation_id,
            CASE WHEN p.joined_at <= c.created_at THEN 0 ELSE p.joined_at END, p.left_at,
            COALESCE(r.delivered_to, 0), COALESCE(r.seen_to, 0)
        FROM users s CROSS JOIN participants p
        JOIN conversations c ON c.id = p.conversation_id
        LEFT JOIN receipts r ON r.conversation_id = p.conversation_id AND r.origin = s.app
            AND r.user_id = p.user_id
        WHERE s.id = $1 AND p.user_id <> s.id AND p.conversation_id IN ({})";
    if conversations.is_empty() {
        return Ok(Vec::new());
    }
    let read = |row: &Row| {
        Ok(Recipient {
            conversation: row.id()?,
            joined_at: row.time()?,
            left_at: row.maybe_time()?,
            delivered_to: row.time()?,
            seen_to: row.time()?,
        })
    };
    conn.sql_in(SELECT, &[sender.uuid()], conversations).all(read).await
}

/// One recipient of one message.
pub struct Reached {
    pub user: UserCard,
    pub delivered: Progress,
    pub seen: Progress,
    /// Why the message will never reach their app.
    pub failure: Option<String>,
    /// Whether the message waits for their app.
    pub waits: bool,
}

/// Some of the recipients of a message of this app, by their ids.
pub async fn page(
    conn: &mut Conn,
    message: MessageId,
    window: &Window<UserId>,
) -> Result<Vec<Reached>> {
    let mut statement = Statement::on(conn);
    let message = statement.id(message.uuid());
    let (direction, beyond) = if window.backwards { ("DESC", "<") } else { ("ASC", ">") };
    let after = window.after.map_or(String::new(), |user| {
        format!("AND p.user_id {beyond} {}", statement.id(user.uuid()))
    });
    let (limit, offset) = (statement.number(window.limit), statement.number(window.offset));
    let text = format!(
        "SELECT u.id, u.username, u.app, u.first_name, u.last_name, u.picture,
            COALESCE(r.delivered_from, 0), COALESCE(r.delivered_to, 0),
            COALESCE(r.delivered_at, 0), COALESCE(r.seen_from, 0), COALESCE(r.seen_to, 0),
            COALESCE(r.seen_at, 0), f.reason,
            COALESCE((SELECT o.created_at FROM outbox o WHERE o.peer = u.app AND o.kind = 0
                ORDER BY o.seq LIMIT 1) <= m.created_at, FALSE)
            -- Those that an operator has sent again are not in order.
            OR (m.status = 0 AND EXISTS (SELECT 1 FROM outbox o
                WHERE o.peer = u.app AND o.kind = 0 AND o.subject = m.id))
         {RECIPIENTS}
         JOIN users s ON s.id = m.sender_id JOIN users u ON u.id = p.user_id
         LEFT JOIN receipts r ON r.conversation_id = p.conversation_id AND r.origin = s.app
            AND r.user_id = p.user_id
         LEFT JOIN failures f ON f.message_id = m.id AND f.app = u.app
         WHERE m.id = {message} {after}
         ORDER BY p.user_id {direction} LIMIT {limit} OFFSET {offset}"
    );
    let read = |row: &Row| {
        Ok(Reached {
            user: users::card(row)?,
            delivered: progress(row)?,
            seen: progress(row)?,
            failure: row.take()?,
            waits: row.take()?,
        })
    };
    statement.run(conn, text).all(read).await
}

/// Everybody whom a message `m` is for: who took part when it was written, without its sender.
const RECIPIENTS: &str = "FROM messages m JOIN conversations c ON c.id = m.conversation_id
    JOIN participants p ON p.conversation_id = m.conversation_id AND p.user_id <> m.sender_id
        AND (p.left_at IS NULL OR p.left_at >= m.created_at)
        AND (p.joined_at <= m.created_at OR p.joined_at <= c.created_at)";

/// How many recipients a message has.
pub async fn count(conn: &mut Conn, message: MessageId) -> Result<i64> {
    let mut statement = Statement::on(conn);
    let message = statement.id(message.uuid());
    let text = format!("SELECT count(*) {RECIPIENTS} WHERE m.id = {message}");
    statement.run(conn, text).one(|row| row.take()).await
}
