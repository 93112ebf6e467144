use shared::address::AppName;
use shared::encryption::{Ciphertext, SealedContent, Terms};
use shared::id::{ConversationId, MessageId, UserId};
use shared::models::{Message, Status};
use shared::relay::MessageState;
use shared::time::Timestamp;
use uuid::Uuid;

use super::filter::{Conditions, Filter, unread};
use super::outgoing::{NewRow, Stored};
use crate::db::{Conn, Insert, Result, Row, Statement};
use crate::http::Window;
use crate::search;
use crate::users::Cards;

static INSERT: Insert = Insert::new(
    "INSERT INTO messages (id, conversation_id, sender_id, parent_id, content, key_id, revision,
        created_at, status, pending, terms)",
    11,
    "",
);

/// Adds new messages of this app's users.
pub async fn insert(conn: &mut Conn, rows: &[(&NewRow, Stored)]) -> Result<()> {
    INSERT
        .all(conn, rows, |query, (row, stored)| {
            query
                .bind(row.id.uuid())
                .bind(row.conversation.uuid())
                .bind(row.sender.id.uuid())
                .bind(row.parent.map(MessageId::uuid))
                .bind(row.content.token().to_owned())
                .bind(row.content.key().number())
                .bind(0i64)
                .bind(stored.created_at.micros())
                .bind(stored.status.number())
                .bind(i16::try_from(row.peers.len()).unwrap_or(i16::MAX))
                .bind(row.terms.packed().to_vec())
        })
        .await?;
    let found = rows.iter().filter(|(row, _)| !row.terms.is_empty());
    search::enqueue(conn, &found.map(|(row, _)| row.id).collect::<Vec<_>>()).await
}

static MERGE: Insert = Insert::new(
    "INSERT INTO messages (id, conversation_id, sender_id, parent_id, content, key_id, revision,
        created_at, edited_at, deleted_at, status, pending, terms)",
    13,
    // The higher revision wins, and deletion is for ever.
    "ON CONFLICT (id) DO UPDATE SET content = excluded.content, key_id = excluded.key_id,
        revision = excluded.revision, edited_at = excluded.edited_at,
        deleted_at = excluded.deleted_at, terms = excluded.terms
     WHERE messages.deleted_at IS NULL
        AND (excluded.deleted_at IS NOT NULL OR excluded.revision > messages.revision)
     RETURNING id",
);

/// Merges states of messages that a peer's users have written, and gives those that were news. No message may stand
/// twice among them.
pub async fn merge(conn: &mut Conn, states: &[MessageState]) -> Result<Vec<MessageId>> {
    let news = MERGE
        .returning(
            conn,
            states,
            |query, state| {
                let content = state.content.as_ref();
                query
                    .bind(state.id.uuid())
                    .bind(state.conversation.uuid())
                    .bind(state.sender.uuid())
                    .bind(state.parent.map(MessageId::uuid))
                    .bind(content.map(|content| content.token().to_owned()))
                    .bind(content.map(|content| content.key().number()))
                    .bind(state.revision)
                    .bind(state.created_at.micros())
                    .bind(state.edited_at.map(Timestamp::micros))
                    .bind(state.deleted_at.map(Timestamp::micros))
                    .bind(Status::Relayed.number())
                    .bind(0i16)
                    .bind(content.and(state.terms.as_ref()).map(|terms| terms.packed().to_vec()))
            },
            |row| row.id(),
        )
        .await?;
    search::enqueue(conn, &states.iter().map(|state| state.id).collect::<Vec<_>>()).await?;
    Ok(news)
}

/// Whose messages these are, and where, of those that are known.
pub async fn owners(
    conn: &mut Conn,
    ids: &[MessageId],
) -> Result<Vec<(MessageId, UserId, ConversationId)>> {
    const SELECT: &str = "SELECT id, sender_id, conversation_id FROM messages WHERE id IN ({})";
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    conn.sql_in(SELECT, &[], &ids).all(|row| Ok((row.id()?, row.id()?, row.id()?))).await
}

/// Gives a message a new text; `false` if it has been deleted or has a later one.
pub async fn edit(
    conn: &mut Conn,
    id: MessageId,
    token: &Ciphertext,
    terms: &Terms,
    revision: i64,
) -> Result<bool> {
    const UPDATE: &str = "UPDATE messages SET content = $2, key_id = $3, revision = $4,
        edited_at = $4, terms = $5 WHERE id = $1 AND deleted_at IS NULL AND revision < $4";
    let edited = conn
        .sql(UPDATE)
        .bind(id.uuid())
        .bind(token.token().to_owned())
        .bind(token.key().number())
        .bind(revision)
        .bind(terms.packed().to_vec())
        .execute()
        .await?;
    search::enqueue(conn, &[id]).await?;
    Ok(edited == 1)
}

/// Takes the text of a message away; `false` if that has been done.
pub async fn delete(conn: &mut Conn, id: MessageId, now: Timestamp) -> Result<bool> {
    const UPDATE: &str = "UPDATE messages SET content = NULL, key_id = NULL, terms = NULL,
        deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL";
    let deleted = conn.sql(UPDATE).bind(id.uuid()).bind(now.micros()).execute().await?;
    search::enqueue(conn, &[id]).await?;
    Ok(deleted == 1)
}

/// One more peer has stored these messages; those that no peer is missing any more are relayed.
pub async fn relayed(conn: &mut Conn, ids: &[Uuid]) -> Result<()> {
    const UPDATE: &str = "UPDATE messages SET pending = pending - 1,
        status = CASE WHEN pending = 1 AND status = 0 THEN 1 ELSE status END WHERE id IN ({})";
    if !ids.is_empty() {
        conn.sql_in(UPDATE, &[], ids).execute().await?;
    }
    Ok(())
}

/// A peer will never store this message, unless an operator has it [sent again](requeue). The first reason stands for
/// all.
pub async fn fail(
    conn: &mut Conn,
    id: Uuid,
    peer: &AppName,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    const INSERT: &str = "INSERT INTO failures (message_id, app, reason, failed_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT (message_id, app) DO NOTHING";
    const UPDATE: &str = "UPDATE messages SET pending = pending - 1, status = 4,
        status_reason = COALESCE(status_reason, $2) WHERE id = $1";
    let query = conn.sql(INSERT).bind(id).bind(peer.to_string()).bind(reason.to_owned());
    if query.bind(now.micros()).execute().await? == 1 {
        conn.sql(UPDATE).bind(id).bind(reason.to_owned()).execute().await?;
    }
    Ok(())
}

/// Makes messages that have failed for a peer wait for it again, and gives those that had failed: with an event in the
/// outbox for each of them, they are queued as they were at first. One that has failed for another peer too stays
/// failed, for that reason.
pub async fn requeue(conn: &mut Conn, ids: &[Uuid], peer: &AppName) -> Result<Vec<Uuid>> {
    const DELETE: &str = "DELETE FROM failures WHERE app = $1 AND message_id = $2";
    // Apart from each other, so that the second sees what a settlement has done that the first has waited for.
    const WAIT: &str = "UPDATE messages SET pending = pending + 1 WHERE id IN ({})";
    const QUEUE: &str = "UPDATE messages SET
            status = CASE WHEN EXISTS (SELECT 1 FROM failures f WHERE f.message_id = messages.id)
                THEN 4 ELSE 0 END,
            status_reason = (SELECT min(f.reason) FROM failures f WHERE f.message_id = messages.id)
        WHERE id IN ({})";
    let mut requeued = Vec::with_capacity(ids.len());
    for &id in ids {
        if conn.sql(DELETE).bind(peer.to_string()).bind(id).execute().await? == 1 {
            requeued.push(id);
        }
    }
    if !requeued.is_empty() {
        conn.sql_in(WAIT, &[], &requeued).execute().await?;
        conn.sql_in(QUEUE, &[], &requeued).execute().await?;
    }
    Ok(requeued)
}

/// Gives a message that nobody but its sender has seen another moment.
pub async fn renew(conn: &mut Conn, id: Uuid, now: Timestamp) -> Result<()> {
    const UPDATE: &str = "UPDATE messages SET created_at = $2 WHERE id = $1";
    conn.sql(UPDATE).bind(id).bind(now.micros()).execute().await.map(|_| ())
}

/// The columns of a message `m` that [`state`] reads; in an outer join all of them may be absent.
macro_rules! state_columns {
    () => {
        "m.conversation_id, m.sender_id, m.parent_id, m.content, m.key_id, m.revision,
         m.created_at, m.edited_at, m.deleted_at, m.terms"
    };
}
pub(crate) use state_columns;

/// What the relay sends of a message; `None` if there is no such message.
pub fn state(row: &Row, id: MessageId) -> Result<Option<MessageState>> {
    let Some(conversation) = row.take::<Option<Uuid>>()? else { return Ok(None) };
    Ok(Some(MessageState {
        id,
        conversation: conversation.into(),
        sender: row.id()?,
        parent: row.take::<Option<Uuid>>()?.map(MessageId::from),
        content: token(row)?,
        revision: row.take()?,
        created_at: row.time()?,
        edited_at: row.maybe_time()?,
        deleted_at: row.maybe_time()?,
        terms: row.take::<Option<Vec<u8>>>()?.and_then(|terms| Terms::unpack(terms).ok()),
    }))
}

fn token(row: &Row) -> Result<Option<Ciphertext>> {
    let (token, key): (Option<String>, Option<i64>) = (row.take()?, row.take()?);
    Ok(token.zip(key).map(|(token, key)| Ciphertext::stored(key, token)))
}

/// Selects messages `m` as the participant `p` may see them, with what [`listed`] reads.
macro_rules! select_messages {
    ($($rest:expr),*) => {
        concat!(
            "SELECT m.id, m.conversation_id, m.parent_id, m.content, m.key_id, m.revision,
                m.created_at, m.edited_at, m.deleted_at, m.status, m.status_reason,
                (SELECT count(*) FROM messages y WHERE y.parent_id = m.id
                    AND y.conversation_id = m.conversation_id
                    AND (p.left_at IS NULL OR y.created_at <= p.left_at)),
                u.id, u.username, u.app, u.first_name, u.last_name, u.picture,
                NOT (", unread!("m"), "), COALESCE((SELECT r.delivered_to FROM receipts r
                    WHERE r.conversation_id = p.conversation_id AND r.origin = u.app
                    AND r.user_id = p.user_id), 0) ",
            $($rest),*
        )
    };
}

/// A message as it is found for somebody.
pub struct Listed {
    /// The message; its status is still that of its relay.
    pub message: Message,
    /// Whether they have read it.
    pub read: bool,
    /// Whether it has been handed to a client of theirs before.
    pub delivered: bool,
}

/// Reads the rows of a list.
fn listing() -> impl Fn(&Row) -> Result<Listed> {
    let senders = Cards::default();
    move |row| listed(row, &senders)
}

fn listed(row: &Row, senders: &Cards) -> Result<Listed> {
    let (id, conversation) = (row.id()?, row.id()?);
    let parent = row.take::<Option<Uuid>>()?.map(MessageId::from);
    let (token, revision) = (token(row)?, row.take()?);
    let (created_at, edited_at, deleted_at) = (row.time()?, row.maybe_time()?, row.maybe_time()?);
    let (status, status_reason) = (row.number()?, row.take()?);
    let reply_count = row.take()?;
    let sender = senders.read(row)?;
    let origin = sender.app.clone();
    let content = token.map(|token| SealedContent::new(id, sender.id, revision, token));
    let message = Message {
        id,
        conversation,
        sender,
        content,
        parent,
        reply_count,
        status,
        status_reason,
        created_at,
        edited_at,
        deleted_at,
        origin,
    };
    let (read, delivered_to) = (row.take()?, row.time()?);
    Ok(Listed { message, read, delivered: created_at <= delivered_to })
}

/// Messages by id, in no order, as the user finds them who takes or took part in their conversations.
pub async fn by_ids(conn: &mut Conn, ids: &[MessageId], user: UserId) -> Result<Vec<Listed>> {
    const SELECT: &str = select_messages!(
        "FROM messages m JOIN users u ON u.id = m.sender_id
         JOIN participants p ON p.conversation_id = m.conversation_id AND p.user_id = $1
         WHERE m.id IN ({})"
    );
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    conn.sql_in(SELECT, &[user.uuid()], &ids).all(listing()).await
}

/// A message, if the user may see it: they take part in its conversation, or did when it was written.
pub async fn find(conn: &mut Conn, id: MessageId, user: UserId) -> Result<Option<Listed>> {
    const SELECT: &str = select_messages!(
        "FROM messages m JOIN users u ON u.id = m.sender_id
         JOIN participants p ON p.conversation_id = m.conversation_id AND p.user_id = $2
         WHERE m.id = $1 AND (p.left_at IS NULL OR m.created_at <= p.left_at)"
    );
    conn.sql(SELECT).bind(id.uuid()).bind(user.uuid()).optional(listing()).await
}

/// Whether a user takes or took part in a conversation.
pub async fn takes_part(conn: &mut Conn, id: ConversationId, user: UserId) -> Result<bool> {
    const SELECT: &str =
        "SELECT count(*) FROM participants WHERE conversation_id = $1 AND user_id = $2";
    Ok(conn.sql(SELECT).bind(id.uuid()).bind(user.uuid()).one(|row| row.take::<i64>()).await? > 0)
}

/// How many messages a filter leaves. All of a conversation, or all of others, are looked up in its tallies; what more a
/// filter asks for, and what somebody sees who has left, is counted one by one, by a walk through that part of the index,
/// conversation by conversation. As a join PostgreSQL would rather read the whole table.
pub async fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    let mut statement = Statement::on(conn);
    let Conditions { of_participants, of_messages, source } = filter.conditions(&mut statement);
    let walk = format!("(SELECT count(*) FROM {source} WHERE {of_messages})");
    let each = if filter.is_whole() {
        let of_whom = if filter.of_others { "AND t.sender_id <> p.user_id" } else { "" };
        format!(
            "CASE WHEN p.left_at IS NULL THEN (SELECT sum(t.messages) FROM tallies t
                WHERE t.conversation_id = p.conversation_id {of_whom}) ELSE {walk} END"
        )
    } else {
        walk
    };
    let text = format!(
        "SELECT CAST(COALESCE(sum({each}), 0) AS BIGINT) FROM participants p WHERE {of_participants}"
    );
    statement.run(conn, text).one(|row| row.take()).await
}

/// By what lists of messages are ordered.
pub type Key = (Timestamp, MessageId);

/// Some of the messages that a filter leaves, each with whether the caller has read it.
///
/// Which ones they are is found in the index of each conversation, of which no more is read than can stand on the page;
/// only those are then read whole. This is the one read whose text differs between the databases: SQLite has no
/// `LATERAL`, so it looks up how far the page can reach into a conversation and reads up to there. The hits of a search
/// come in no order, and are all compared.
pub async fn page(conn: &mut Conn, filter: &Filter, window: &Window<Key>) -> Result<Vec<Listed>> {
    const COLUMNS: &str = select_messages!(
        "FROM (SELECT p.conversation_id, p.user_id, p.left_at, p.read_at, p.read_until,
            x.id AS message_id FROM participants p"
    );
    let mut statement = Statement::on(conn);
    let Conditions { of_participants, of_messages, source } = filter.conditions(&mut statement);
    let ascending = filter.oldest_first != window.backwards;
    let (direction, beyond) = if ascending { ("ASC", ">") } else { ("DESC", "<") };
    let after = window.after.map_or(String::new(), |(at, id)| {
        let (at, id) = (statement.number(at.micros()), statement.id(id.uuid()));
        format!("AND (x.created_at, x.id) {beyond} ({at}, {id})")
    });
    let order = format!("ORDER BY x.created_at {direction}, x.id {direction}");
    let reach = window.limit.saturating_add(window.offset);
    let places = if conn.is_postgres() {
        let reach = statement.number(reach);
        format!(
            "CROSS JOIN LATERAL (SELECT x.id, x.created_at FROM {source}
                WHERE {of_messages} {after} {order} LIMIT {reach}) x WHERE {of_participants}"
        )
    } else if filter.terms.is_some() {
        format!("CROSS JOIN {source} WHERE {of_participants} AND {of_messages} {after}")
    } else {
        let before = statement.number(reach - 1);
        let (within, all) = if ascending { ("<=", i64::MAX) } else { (">=", i64::MIN) };
        format!(
            "CROSS JOIN {source} WHERE {of_participants} AND {of_messages} {after}
                AND x.created_at {within} COALESCE((SELECT x.created_at FROM {source}
                    WHERE {of_messages} {after} {order} LIMIT 1 OFFSET {before}), {all})"
        )
    };
    let (limit, offset) = (statement.number(window.limit), statement.number(window.offset));
    let text = format!(
        "{COLUMNS} {places} {order} LIMIT {limit} OFFSET {offset}) p
         JOIN messages m ON m.id = p.message_id JOIN users u ON u.id = m.sender_id"
    );
    let mut found = statement.run(conn, text).all(listing()).await?;
    found.sort_unstable_by_key(|listed| (listed.message.created_at, listed.message.id));
    if !ascending {
        found.reverse();
    }
    Ok(found)
}
