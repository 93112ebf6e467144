use std::collections::HashMap;

use shared::address::AppName;
use shared::id::{ConversationId, MessageId};
use shared::models::ConversationKind;
use shared::time::Timestamp;
use uuid::Uuid;

use super::entry::{Entry, EntryId, EntryKind, EntryState, OutboxEntry};
use crate::db::{Conn, Error, Result, Row, Statement};
use crate::http::Window;
use crate::relay::EventKind;

/// What there is for one peer.
#[derive(Clone, Debug, Default)]
pub struct Depth {
    /// Events that wait.
    pub waiting: i64,
    /// When the oldest of them was written.
    pub oldest_waiting_at: Option<Timestamp>,
    /// Messages that have failed.
    pub failed: i64,
}

/// What there is for each peer that there is something for. It counts, which takes about a tenth of a second for each
/// million of events.
pub async fn depths(conn: &mut Conn) -> Result<HashMap<AppName, Depth>> {
    const WAITING: &str =
        "SELECT peer, count(*), min(created_at) FROM outbox WHERE kind <> $1 GROUP BY peer";
    const FAILED: &str = "SELECT app, count(*) FROM failures GROUP BY app";
    let read = |row: &Row| Ok((row.parse()?, row.take()?, row.maybe_time()?));
    let waiting = conn.sql(WAITING).bind(EventKind::Void.number()).all(read).await?;
    let mut depths: HashMap<AppName, Depth> = HashMap::new();
    for (peer, waiting, oldest_waiting_at) in waiting {
        depths.insert(peer, Depth { waiting, oldest_waiting_at, failed: 0 });
    }
    let failed = conn.sql(FAILED).all(|row| Ok((row.parse::<AppName>()?, row.take()?)));
    for (peer, failed) in failed.await? {
        depths.entry(peer).or_default().failed = failed;
    }
    Ok(depths)
}

/// Which entries a list holds.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of one peer alone.
    pub peer: Option<AppName>,
    /// Those in one state alone.
    pub state: Option<EntryState>,
    /// The latest first, instead of the oldest.
    pub newest_first: bool,
}

impl Filter {
    /// Both tables as one, with what [`entry`] reads.
    fn source(&self, statement: &mut Statement) -> String {
        let waiting = format!(
            "SELECT peer, seq, kind, subject, created_at, CAST(NULL AS BIGINT) AS failed_at,
                CAST(NULL AS TEXT) AS reason
             FROM outbox WHERE kind <> {}{}",
            EventKind::Void.number(),
            self.of_peer("peer", statement)
        );
        let failed = format!(
            "SELECT f.app AS peer, CAST(0 AS BIGINT) AS seq, CAST({} AS SMALLINT) AS kind,
                f.message_id AS subject, m.created_at, f.failed_at, f.reason
             FROM failures f JOIN messages m ON m.id = f.message_id WHERE TRUE{}",
            EventKind::Message.number(),
            self.of_peer("f.app", statement)
        );
        match self.state {
            Some(EntryState::Waiting) => waiting,
            Some(EntryState::Failed) => failed,
            None => format!("{waiting} UNION ALL {failed}"),
        }
    }

    fn of_peer(&self, column: &str, statement: &mut Statement) -> String {
        let of = |peer: &AppName| format!(" AND {column} = {}", statement.text(peer.to_string()));
        self.peer.as_ref().map_or(String::new(), of)
    }
}

/// By what a list of entries is ordered: moment, subject, peer, number.
pub type Key = (Timestamp, Uuid, String, i64);

/// The place of an entry in a list.
pub fn key(row: &Found) -> Key {
    let seq = match row.entry.id.what {
        Entry::Waiting(seq) => seq,
        Entry::Failed(_) => 0,
    };
    (row.entry.created_at, row.subject, row.entry.peer.to_string(), seq)
}

/// An entry as it is found.
pub struct Found {
    /// The entry.
    pub entry: OutboxEntry,
    subject: Uuid,
}

/// How many entries a filter leaves.
pub async fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    let mut statement = Statement::on(conn);
    let source = filter.source(&mut statement);
    statement.run(conn, format!("SELECT count(*) FROM ({source}) e")).one(|row| row.take()).await
}

/// Some of the entries that a filter leaves.
pub async fn page(conn: &mut Conn, filter: &Filter, window: &Window<Key>) -> Result<Vec<Found>> {
    let mut statement = Statement::on(conn);
    let source = filter.source(&mut statement);
    let descending = filter.newest_first != window.backwards;
    let (direction, beyond) = if descending { ("DESC", "<") } else { ("ASC", ">") };
    let after = window.after.as_ref().map_or(String::new(), |(at, subject, peer, seq)| {
        let (at, subject) = (statement.number(at.micros()), statement.id(*subject));
        let (peer, seq) = (statement.text(peer.clone()), statement.number(*seq));
        format!("WHERE (created_at, subject, peer, seq) {beyond} ({at}, {subject}, {peer}, {seq})")
    });
    let order = |e: &str| {
        let columns = ["created_at", "subject", "peer", "seq"];
        columns.map(|column| format!("{e}.{column} {direction}")).join(", ")
    };
    let (limit, offset) = (statement.number(window.limit), statement.number(window.offset));
    let text = format!(
        "SELECT e.peer, e.seq, e.kind, e.subject, e.created_at, e.failed_at, e.reason,
            COALESCE(m.conversation_id, r.conversation_id)
         FROM (SELECT * FROM ({source}) s {after} ORDER BY {} LIMIT {limit} OFFSET {offset}) e
         LEFT JOIN messages m ON m.id = e.subject LEFT JOIN receipts r ON r.id = e.subject
         ORDER BY {}",
        order("s"),
        order("e")
    );
    statement.run(conn, text).all(found).await
}

fn found(row: &Row) -> Result<Found> {
    let (peer, seq): (AppName, i64) = (row.parse()?, row.take()?);
    let (kind, subject): (EventKind, Uuid) = (row.number()?, row.take()?);
    let (created_at, failed_at) = (row.time()?, row.maybe_time()?);
    let reason: Option<String> = row.take()?;
    let conversation = row.take::<Option<Uuid>>()?.map(ConversationId::from);
    let kind = EntryKind::of(kind).ok_or_else(|| Error::Value("a void event".to_owned()))?;
    let state = if reason.is_some() { EntryState::Failed } else { EntryState::Waiting };
    let what = match state {
        EntryState::Waiting => Entry::Waiting(seq),
        EntryState::Failed => Entry::Failed(subject.into()),
    };
    let of_message = matches!(kind, EntryKind::Message | EntryKind::MessageChange);
    let of_conversation = kind == EntryKind::Conversation;
    let entry = OutboxEntry {
        id: EntryId { peer: peer.clone(), what },
        peer,
        kind,
        message: of_message.then(|| subject.into()),
        conversation: conversation.or_else(|| of_conversation.then(|| subject.into())),
        user: (kind == EntryKind::User).then(|| subject.into()),
        created_at,
        state,
        failed_at,
        reason,
    };
    Ok(Found { entry, subject })
}

/// Whether an event waits for a peer.
pub async fn is_waiting(conn: &mut Conn, peer: &AppName, seq: i64) -> Result<bool> {
    const SELECT: &str = "SELECT count(*) FROM outbox WHERE peer = $1 AND seq = $2 AND kind <> $3";
    let query = conn.sql(SELECT).bind(peer.to_string()).bind(seq);
    Ok(query.bind(EventKind::Void.number()).one(|row| row.take::<i64>()).await? > 0)
}

/// A message that has failed.
pub struct Failure {
    pub message: MessageId,
    pub conversation: ConversationId,
    pub kind: ConversationKind,
}

/// Messages that have failed for a peer, for one `reason` or any, the oldest first, at most `limit`; or `only` one.
pub async fn failures(
    conn: &mut Conn,
    peer: &AppName,
    reason: Option<&str>,
    only: Option<MessageId>,
    limit: i64,
) -> Result<Vec<Failure>> {
    let mut statement = Statement::on(conn);
    let peer = statement.text(peer.to_string());
    let of = |reason: &str| format!("AND f.reason = {}", statement.text(reason.to_owned()));
    let reason = reason.map_or(String::new(), of);
    let of = |only: MessageId| format!("AND f.message_id = {}", statement.id(only.uuid()));
    let only = only.map_or(String::new(), of);
    let limit = statement.number(limit);
    let text = format!(
        "SELECT m.id, m.conversation_id, c.kind FROM failures f
         JOIN messages m ON m.id = f.message_id JOIN conversations c ON c.id = m.conversation_id
         WHERE f.app = {peer} {reason} {only} ORDER BY m.created_at, m.id LIMIT {limit}"
    );
    let read = |row: &Row| {
        Ok(Failure { message: row.id()?, conversation: row.id()?, kind: row.number()? })
    };
    statement.run(conn, text).all(read).await
}

/// How many messages have failed for a peer, for one `reason` or any.
pub async fn count_failures(conn: &mut Conn, peer: &AppName, reason: Option<&str>) -> Result<i64> {
    const COUNT: &str = "SELECT count(*) FROM failures WHERE app = $1 AND ($2 = '' OR reason = $2)";
    let query = conn.sql(COUNT).bind(peer.to_string());
    query.bind(reason.unwrap_or_default().to_owned()).one(|row| row.take()).await
}
