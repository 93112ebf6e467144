use shared::address::AppName;
use shared::id::{ConversationId, SessionId, UserId};
use shared::time::Timestamp;
use uuid::Uuid;

use super::audience::Listener;
use super::cursor::Cursor;
use super::entry::{Entry, EventKind, NewEntry};
use crate::db::{Conn, Insert, Result, Row, Statement};

static APPEND: Insert = Insert::new(
    "INSERT INTO event_log (kind, conversation_id, subject, user_id, created_at)",
    5,
    "",
);

/// Writes what has happened to the log, in the transaction in which it happens. Whoever listens is told of the commit
/// by the database layer.
pub async fn append(conn: &mut Conn, entries: &[NewEntry]) -> Result<()> {
    APPEND
        .all(conn, entries, |query, entry| {
            query
                .bind(entry.kind.number())
                .bind(entry.conversation.uuid())
                .bind(entry.subject)
                .bind(entry.only.map(UserId::uuid))
                .bind(entry.at.micros())
        })
        .await
        .map(|_| ())
}

/// Writes that messages have come further, each for its sender alone, in the transaction in which they do.
pub async fn append_status(conn: &mut Conn, messages: &[Uuid], now: Timestamp) -> Result<()> {
    let Some(last) = messages.last() else { return Ok(()) };
    let mut statement = Statement::on(conn);
    let (kind, now) = (statement.number(STATUS), statement.number(now.micros()));
    // Padded, so that few distinct statements are prepared.
    let padding = messages.len().next_power_of_two() - messages.len();
    let padded = messages.iter().chain(std::iter::repeat_n(last, padding));
    let places: Vec<String> = padded.map(|id| statement.id(*id)).collect();
    let text = format!(
        "INSERT INTO event_log (kind, conversation_id, subject, user_id, created_at)
         SELECT CAST({kind} AS SMALLINT), conversation_id, id, sender_id, CAST({now} AS BIGINT)
         FROM messages WHERE id IN ({}) ORDER BY created_at, id",
        places.join(",")
    );
    statement.run(conn, text).execute().await.map(|_| ())
}

const STATUS: i64 = EventKind::MessageStatus.number() as i64;

/// A reader's way through the messages that the users of an app have written in a conversation.
pub struct Way<'a> {
    /// Where the messages are.
    pub conversation: ConversationId,
    /// The app of those who have written them.
    pub origin: &'a AppName,
    /// Those after this moment.
    pub from: Timestamp,
    /// Up to this one.
    pub to: Timestamp,
}

/// The same for the messages that a reader has been handed or has read at once; of many only the newest, as those before
/// them have come as far.
pub async fn append_way(conn: &mut Conn, way: &Way<'_>, now: Timestamp) -> Result<()> {
    const INSERT: &str =
        "INSERT INTO event_log (kind, conversation_id, subject, user_id, created_at)
        SELECT CAST($6 AS SMALLINT), conversation_id, id, sender_id, CAST($5 AS BIGINT) FROM (
            SELECT m.conversation_id, m.id, m.sender_id, m.created_at
            FROM messages m JOIN users u ON u.id = m.sender_id
            WHERE m.conversation_id = $1 AND u.app = $2 AND m.created_at > $3 AND m.created_at <= $4
            ORDER BY m.created_at DESC, m.id DESC LIMIT 50) AS newest
        ORDER BY created_at, id";
    conn.sql(INSERT)
        .bind(way.conversation.uuid())
        .bind(way.origin.to_string())
        .bind(way.from.micros())
        .bind(way.to.micros())
        .bind(now.micros())
        .bind(STATUS)
        .execute()
        .await
        .map(|_| ())
}

/// The rows of a read, and whether it has stopped before one that may still be preceded by another.
pub struct Tail {
    pub entries: Vec<Entry>,
    pub unsettled: bool,
}

fn entry(row: &Row) -> Result<Entry> {
    let (seq, kind) = (row.take()?, row.number()?);
    let (conversation, subject) = (row.id()?, row.take()?);
    let only = row.take::<Option<Uuid>>()?.map(UserId::from);
    let place = Cursor { seq, at: row.time()? };
    Ok(Entry { place, kind, conversation, subject, only })
}

/// The number up to which the log is complete, and the last number that has been given out.
///
/// On SQLite rows appear in the order of their numbers. On PostgreSQL they do not, but who writes says so before; the
/// migration tells how. What is complete is so for statements that come after this one.
async fn settled(conn: &mut Conn) -> Result<(i64, i64)> {
    const SELECT: &str = "SELECT settled, last FROM event_log_settled()";
    if !conn.is_postgres() {
        return Ok((i64::MAX, i64::MAX));
    }
    conn.sql(SELECT).one(|row| Ok((row.take()?, row.take()?))).await
}

/// The rows after a place, in order, at most `limit`, and never one before which another may still appear.
pub async fn after(conn: &mut Conn, place: Cursor, limit: i64) -> Result<Tail> {
    const SELECT: &str = "SELECT seq, kind, conversation_id, subject, user_id, created_at
        FROM event_log WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
    let (settled, last) = settled(conn).await?;
    let query = conn.sql(SELECT).bind(place.seq).bind(settled).bind(limit);
    Ok(Tail { entries: query.all(entry).await?, unsettled: settled < last })
}

/// The rows after one place and up to another that may concern a user, in order, at most `limit`. Up to the second
/// place the log must be complete.
pub async fn of_user(
    conn: &mut Conn,
    user: UserId,
    after: Cursor,
    until: Cursor,
    limit: i64,
) -> Result<Vec<Entry>> {
    const SELECT: &str = "SELECT seq, kind, conversation_id, subject, user_id, created_at
        FROM event_log WHERE seq > $2 AND seq <= $3
            AND conversation_id IN (SELECT conversation_id FROM participants WHERE user_id = $1)
            AND (user_id IS NULL OR user_id = $1)
        ORDER BY seq LIMIT $4";
    let query = conn.sql(SELECT).bind(user.uuid()).bind(after.seq).bind(until.seq);
    query.bind(limit).all(entry).await
}

/// The last place up to which the log is complete.
pub async fn newest(conn: &mut Conn) -> Result<Cursor> {
    const SELECT: &str = "SELECT seq, created_at FROM event_log
        WHERE seq <= $1 ORDER BY seq DESC LIMIT 1";
    let (settled, _) = settled(conn).await?;
    let read = |row: &Row| Ok(Cursor { seq: row.take()?, at: row.time()? });
    let newest = conn.sql(SELECT).bind(settled).optional(read).await?;
    // Everything before may have been pruned; then this is a place, though not that of a row.
    Ok(newest.unwrap_or(Cursor { seq: settled, at: Timestamp::from_micros(0) }))
}

/// Whether the log has a row at a place.
pub async fn is_there(conn: &mut Conn, place: Cursor) -> Result<bool> {
    const SELECT: &str = "SELECT count(*) FROM event_log WHERE seq = $1 AND created_at = $2";
    let query = conn.sql(SELECT).bind(place.seq).bind(place.at.micros());
    Ok(query.one(|row| row.take::<i64>()).await? > 0)
}

/// Removes some of the oldest rows: those from before a moment, and those beyond a number of rows. The newest stays.
pub async fn prune(conn: &mut Conn, before: Timestamp, rows: i64, limit: i64) -> Result<u64> {
    const DELETE: &str = "DELETE FROM event_log WHERE seq IN
            (SELECT seq FROM event_log ORDER BY seq LIMIT $3)
        AND seq < (SELECT max(seq) FROM event_log)
        AND (created_at < $1 OR seq <= (SELECT max(seq) FROM event_log) - $2)";
    conn.sql(DELETE).bind(before.micros()).bind(rows).bind(limit).execute().await
}

/// Those of an app who take or took part in a conversation.
pub async fn listeners(
    conn: &mut Conn,
    id: ConversationId,
    own: &AppName,
) -> Result<Vec<Listener>> {
    const SELECT: &str = "SELECT p.user_id, p.joined_at, p.left_at
        FROM participants p JOIN users u ON u.id = p.user_id
        WHERE p.conversation_id = $1 AND u.app = $2";
    let read = |row: &Row| {
        Ok(Listener { user: row.id()?, joined_at: row.time()?, left_at: row.maybe_time()? })
    };
    conn.sql(SELECT).bind(id.uuid()).bind(own.to_string()).all(read).await
}

/// Keeps what opens a socket, and removes what has expired.
pub async fn add_ticket(
    conn: &mut Conn,
    hash: &[u8],
    session: SessionId,
    now: Timestamp,
    until: Timestamp,
) -> Result<()> {
    const EXPIRE: &str = "DELETE FROM socket_tickets WHERE expires_at < $1";
    const INSERT: &str =
        "INSERT INTO socket_tickets (hash, session_id, expires_at) VALUES ($1, $2, $3)";
    conn.sql(EXPIRE).bind(now.micros()).execute().await?;
    let query = conn.sql(INSERT).bind(hash.to_vec()).bind(session.uuid());
    query.bind(until.micros()).execute().await.map(|_| ())
}

/// Takes a ticket away, and gives the session that it is for if it has not expired.
pub async fn spend_ticket(
    conn: &mut Conn,
    hash: &[u8],
    now: Timestamp,
) -> Result<Option<SessionId>> {
    const DELETE: &str = "DELETE FROM socket_tickets WHERE hash = $1 AND expires_at > $2
        RETURNING session_id";
    conn.sql(DELETE).bind(hash.to_vec()).bind(now.micros()).optional(|row| row.id()).await
}

/// The sessions that have been ended since a moment, and whose they are.
pub async fn ended_since(conn: &mut Conn, moment: Timestamp) -> Result<Vec<(SessionId, UserId)>> {
    const SELECT: &str = "SELECT id, user_id FROM sessions WHERE ended_at >= $1";
    conn.sql(SELECT).bind(moment.micros()).all(|row| Ok((row.id()?, row.id()?))).await
}

/// Those of the sessions that are alive, at a moment.
pub async fn living(conn: &mut Conn, sessions: &[Uuid], now: Timestamp) -> Result<Vec<SessionId>> {
    const SELECT: &str = "SELECT s.id, s.expires_at
        FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE u.is_active AND s.ended_at IS NULL AND s.id IN ({})";
    let read = |row: &Row| Ok((row.id()?, row.time()?));
    let found = conn.sql_in(SELECT, &[], sessions).all(read).await?;
    Ok(found.into_iter().filter(|(_, expires_at)| *expires_at > now).map(|(id, _)| id).collect())
}

/// Somebody who shares a conversation with a user.
pub struct Acquaintance {
    /// The user.
    pub of: UserId,
    /// Whether that is a user of this app.
    pub own: bool,
    /// Who shares a conversation with them.
    pub user: UserId,
    /// The app of whom.
    pub app: AppName,
}

/// Everybody who takes part in a conversation together with one of the users.
pub async fn acquaintances(conn: &mut Conn, users: &[UserId]) -> Result<Vec<Acquaintance>> {
    const SELECT: &str = "SELECT DISTINCT p.user_id,
            EXISTS (SELECT 1 FROM accounts a WHERE a.user_id = p.user_id), o.user_id, u.app
        FROM participants p
        JOIN participants o ON o.conversation_id = p.conversation_id AND o.user_id <> p.user_id
        JOIN users u ON u.id = o.user_id
        WHERE p.left_at IS NULL AND o.left_at IS NULL AND p.user_id IN ({})";
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = users.iter().map(|user| user.uuid()).collect();
    let read = |row: &Row| {
        let (of, own) = (row.id()?, row.take()?);
        Ok(Acquaintance { of, own, user: row.id()?, app: row.parse()? })
    };
    conn.sql_in(SELECT, &[], &ids).all(read).await
}

/// Those of the ids that are users of an app.
pub async fn users_of(conn: &mut Conn, app: &AppName, ids: &[UserId]) -> Result<Vec<UserId>> {
    const SELECT: &str = "SELECT id, app FROM users WHERE id IN ({})";
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let read = |row: &Row| Ok((row.id()?, row.parse::<AppName>()?));
    let found = conn.sql_in(SELECT, &[], &ids).all(read).await?;
    Ok(found.into_iter().filter(|(_, theirs)| theirs == app).map(|(id, _)| id).collect())
}
