use std::collections::HashMap;

use shared::address::AppName;
use shared::id::{ConversationId, MessageId, StreamId, UserId};
use shared::relay::MessageState;
use shared::time::Timestamp;
use uuid::Uuid;

use super::give_up::Waits;
use crate::db::{Conn, Insert, Result, Row};
use crate::messages::{self, state_columns};

/// What an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A new message; until the peer has it, its status is `queued`.
    Message,
    /// A message that was edited or deleted.
    MessageChange,
    /// A conversation.
    Conversation,
    /// Nothing any more; only its number is needed.
    Void,
    /// A user of this app who has changed.
    User,
    /// How far a reader of this app has come; after a restore of the peer, one of the peer's.
    Receipt,
    /// The end of what a peer that was restored is told again.
    Recovered,
}

impl EventKind {
    /// The number that the database holds.
    pub const fn number(self) -> i16 {
        self as i16
    }
}

impl TryFrom<i16> for EventKind {
    type Error = i16;

    fn try_from(number: i16) -> std::result::Result<Self, i16> {
        [
            Self::Message,
            Self::MessageChange,
            Self::Conversation,
            Self::Void,
            Self::User,
            Self::Receipt,
            Self::Recovered,
        ]
        .into_iter()
        .find(|kind| kind.number() == number)
        .ok_or(number)
    }
}

/// An event that is to be written.
pub struct NewEvent {
    /// What it tells of.
    pub kind: EventKind,
    /// The message, the conversation or the register.
    pub subject: Uuid,
    /// The trace of the request that caused it.
    pub trace: Uuid,
    /// When it happened.
    pub at: Timestamp,
}

static OUTBOX: Insert =
    Insert::new("INSERT INTO outbox (peer, seq, kind, subject, trace, created_at)", 6, "");

/// Writes events for a peer, in the transaction of what they tell of.
///
/// The row of the stream stays locked until the commit, so that on PostgreSQL too the numbers are in the order of
/// the commits and none is left out. It should therefore be the last thing that a transaction does.
pub async fn append(conn: &mut Conn, peer: &AppName, events: &[NewEvent]) -> Result<()> {
    const NUMBER: &str = "INSERT INTO streams (peer, stream, last_seq, last_at)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (peer) DO UPDATE SET last_seq = streams.last_seq + $3,
            last_at = CASE WHEN streams.last_at < $4 THEN $4 ELSE streams.last_at END
        RETURNING last_seq";
    let Some(last) = events.last() else { return Ok(()) };
    let count = i64::try_from(events.len()).unwrap_or(0);
    let last_seq: i64 = conn
        .sql(NUMBER)
        .bind(peer.to_string())
        .bind(StreamId::mint(last.at).uuid())
        .bind(count)
        .bind(last.at.micros())
        .one(|row| row.take())
        .await?;
    let rows: Vec<_> = (last_seq - count + 1..).zip(events).collect();
    OUTBOX
        .all(conn, &rows, |query, (seq, event)| {
            query
                .bind(peer.to_string())
                .bind(*seq)
                .bind(event.kind.number())
                .bind(event.subject)
                .bind(event.trace)
                .bind(event.at.micros())
        })
        .await
        .map(|_| ())
}

/// Writes that a message was edited or deleted.
pub async fn append_change(
    conn: &mut Conn,
    peers: &[AppName],
    message: MessageId,
    trace: Uuid,
    at: Timestamp,
) -> Result<()> {
    let kind = EventKind::MessageChange;
    for peer in peers {
        append(conn, peer, &[NewEvent { kind, subject: message.uuid(), trace, at }]).await?;
    }
    Ok(())
}

/// Writes that a conversation is new or has changed.
pub async fn append_conversation(
    conn: &mut Conn,
    peer: &AppName,
    id: ConversationId,
    trace: Uuid,
    at: Timestamp,
) -> Result<()> {
    let kind = EventKind::Conversation;
    append(conn, peer, &[NewEvent { kind, subject: id.uuid(), trace, at }]).await
}

/// Writes that a user of this app has changed, for all peers: which of them know the user is not known here.
pub async fn append_user(
    conn: &mut Conn,
    peers: &[AppName],
    id: UserId,
    trace: Uuid,
    at: Timestamp,
) -> Result<()> {
    let kind = EventKind::User;
    for peer in peers {
        append(conn, peer, &[NewEvent { kind, subject: id.uuid(), trace, at }]).await?;
    }
    Ok(())
}

/// The latest moment that this app has written for a peer or at the end of its log, by the clock of whichever of its
/// processes wrote it.
pub async fn last_moment(conn: &mut Conn) -> Result<Timestamp> {
    const SELECT: &str = "SELECT COALESCE(max(moment), 0) FROM (SELECT last_at AS moment FROM streams
        UNION ALL SELECT * FROM (SELECT created_at FROM event_log ORDER BY seq DESC LIMIT 1) AS newest
        ) AS written";
    conn.sql(SELECT).one(|row| row.time()).await
}

/// The latest moment that an event for a peer carries; the beginning of time if there has never been one.
pub async fn last_written(conn: &mut Conn, peer: &AppName) -> Result<Timestamp> {
    const SELECT: &str = "SELECT last_at FROM streams WHERE peer = $1";
    let found = conn.sql(SELECT).bind(peer.to_string()).optional(|row| row.time()).await?;
    Ok(found.unwrap_or(Timestamp::from_micros(0)))
}

/// Notes that what this app has written for a peer reaches up to a moment: it has been told so by the peer itself.
pub async fn raise_written(conn: &mut Conn, peer: &AppName, at: Timestamp) -> Result<()> {
    const RAISE: &str = "INSERT INTO streams (peer, stream, last_seq, last_at)
        VALUES ($1, $2, 0, $3) ON CONFLICT (peer) DO UPDATE SET
            last_at = CASE WHEN streams.last_at < $3 THEN $3 ELSE streams.last_at END";
    let stream = StreamId::mint(at).uuid();
    let query = conn.sql(RAISE).bind(peer.to_string()).bind(stream).bind(at.micros());
    query.execute().await.map(|_| ())
}

/// The stream to a peer, and the number of its last event; `None` if there has never been one.
pub async fn stream(conn: &mut Conn, peer: &AppName) -> Result<Option<(StreamId, i64)>> {
    const SELECT: &str = "SELECT stream, last_seq FROM streams WHERE peer = $1";
    let read = |row: &Row| Ok((row.id()?, row.take()?));
    conn.sql(SELECT).bind(peer.to_string()).optional(read).await
}

/// An event that waits, with the message that it tells of as it is now.
pub struct Waiting {
    pub seq: i64,
    pub kind: EventKind,
    pub subject: Uuid,
    pub trace: Option<Uuid>,
    pub created_at: Timestamp,
    pub message: Option<MessageState>,
}

/// The first events that wait for a peer, at most `limit`. A change of a message that has failed for the peer comes without
/// the message, as it would bring it along.
pub async fn waiting(conn: &mut Conn, peer: &AppName, limit: i64) -> Result<Vec<Waiting>> {
    const SELECT: &str = concat!(
        "SELECT o.seq, o.kind, o.subject, o.trace, o.created_at, ",
        state_columns!(),
        " FROM outbox o LEFT JOIN messages m ON m.id = o.subject
            AND NOT (o.kind = 1 AND EXISTS (SELECT 1 FROM failures f
                WHERE f.message_id = o.subject AND f.app = o.peer))
          WHERE o.peer = $1 ORDER BY o.seq LIMIT $2"
    );
    let read = |row: &Row| {
        let (seq, kind, subject) = (row.take()?, row.number()?, row.take::<Uuid>()?);
        let (trace, created_at) = (row.take()?, row.time()?);
        let message = messages::state(row, subject.into())?;
        Ok(Waiting { seq, kind, subject, trace, created_at, message })
    };
    conn.sql(SELECT).bind(peer.to_string()).bind(limit).all(read).await
}

/// Removes the events that a peer has settled, and gives number, kind and subject of each that was still there.
pub async fn settle(
    conn: &mut Conn,
    peer: &AppName,
    position: i64,
) -> Result<Vec<(i64, EventKind, Uuid)>> {
    const DELETE: &str =
        "DELETE FROM outbox WHERE peer = $1 AND seq <= $2 RETURNING seq, kind, subject";
    let read = |row: &Row| Ok((row.take()?, row.number()?, row.take()?));
    conn.sql(DELETE).bind(peer.to_string()).bind(position).all(read).await
}

/// Makes waiting events void, and gives their kinds and subjects; their numbers stay in the stream.
pub async fn give_up(
    conn: &mut Conn,
    peer: &AppName,
    which: Waits,
) -> Result<Vec<(EventKind, Uuid)>> {
    const SELECT: &str = "SELECT kind, subject FROM outbox
        WHERE peer = $1 AND kind <> $2 AND kind <= $3 AND created_at < $4 AND seq BETWEEN $5 AND $6";
    const UPDATE: &str = "UPDATE outbox SET kind = $2
        WHERE peer = $1 AND kind <> $2 AND kind <= $3 AND created_at < $4 AND seq BETWEEN $5 AND $6";
    let (kinds, before, first, last) = match which {
        Waits::MessagesBefore(at) => (EventKind::Message.number(), at.micros(), 0, i64::MAX),
        Waits::Seq(seq) => (i16::MAX, i64::MAX, seq, seq),
        Waits::AtAll => (i16::MAX, i64::MAX, 0, i64::MAX),
    };
    let read = |row: &Row| Ok((row.number::<EventKind>()?, row.take()?));
    let query = conn.sql(SELECT).bind(peer.to_string()).bind(EventKind::Void.number());
    let given_up = query.bind(kinds).bind(before).bind(first).bind(last).all(read).await?;
    let query = conn.sql(UPDATE).bind(peer.to_string()).bind(EventKind::Void.number());
    query.bind(kinds).bind(before).bind(first).bind(last).execute().await?;
    Ok(given_up)
}

/// Starts the stream to a peer anew, from the events that are waiting.
pub async fn restart(conn: &mut Conn, peer: &AppName, now: Timestamp) -> Result<()> {
    const UPDATE: &str = "UPDATE streams SET stream = $2 WHERE peer = $1";
    let stream = StreamId::mint(now).uuid();
    conn.sql(UPDATE).bind(peer.to_string()).bind(stream).execute().await.map(|_| ())
}

/// The lease of a peer, as another process has taken or renewed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    fence: i64,
    /// Changes with each renewal; by the clock of who holds it, so not to be compared with any other.
    until: Timestamp,
}

/// Takes or keeps the lease of a peer, and gives its fence; or else who has it. It can be taken if it was given back, or
/// if it is still the one that is known to have `run_out`.
pub async fn lease(
    conn: &mut Conn,
    peer: &AppName,
    owner: Uuid,
    until: Timestamp,
    run_out: Option<Held>,
) -> Result<std::result::Result<i64, Option<Held>>> {
    const CLAIM: &str = "INSERT INTO leases (peer, owner, until, fence) VALUES ($1, $2, $3, 1)
        ON CONFLICT (peer) DO UPDATE SET owner = $2, until = $3,
            fence = leases.fence + CASE WHEN leases.owner = $2 THEN 0 ELSE 1 END
        WHERE leases.owner = $2 OR leases.until = 0
            OR (leases.fence = $4 AND leases.until = $5)
        RETURNING fence";
    const HELD: &str = "SELECT fence, until FROM leases WHERE peer = $1";
    let query = conn.sql(CLAIM).bind(peer.to_string()).bind(owner).bind(until.micros());
    let query = query.bind(run_out.map(|held| held.fence));
    let taken =
        query.bind(run_out.map(|held| held.until.micros())).optional(|row| row.take()).await?;
    if let Some(fence) = taken {
        return Ok(Ok(fence));
    }
    let held = |row: &Row| Ok(Held { fence: row.take()?, until: row.time()? });
    Ok(Err(conn.sql(HELD).bind(peer.to_string()).optional(held).await?))
}

/// Whether a lease is still the one with this fence.
pub async fn holds(conn: &mut Conn, peer: &AppName, owner: Uuid, fence: i64) -> Result<bool> {
    const SELECT: &str =
        "SELECT count(*) FROM leases WHERE peer = $1 AND owner = $2 AND fence = $3";
    let query = conn.sql(SELECT).bind(peer.to_string()).bind(owner).bind(fence);
    Ok(query.one(|row| row.take::<i64>()).await? > 0)
}

/// Gives a lease back, so that another process need not wait for its end.
pub async fn release(conn: &mut Conn, peer: &AppName, owner: Uuid) -> Result<()> {
    const UPDATE: &str = "UPDATE leases SET until = 0 WHERE peer = $1 AND owner = $2";
    conn.sql(UPDATE).bind(peer.to_string()).bind(owner).execute().await.map(|_| ())
}

/// How far the stream of a peer has been settled here.
pub async fn position(conn: &mut Conn, origin: &AppName) -> Result<Option<(StreamId, i64)>> {
    const SELECT: &str = "SELECT stream, position FROM positions WHERE origin = $1";
    let read = |row: &Row| Ok((row.id()?, row.take()?));
    conn.sql(SELECT).bind(origin.to_string()).optional(read).await
}

/// Remembers which events of a stream were refused, so that a repeat is answered as the first delivery was.
pub async fn refuse(
    conn: &mut Conn,
    origin: &AppName,
    stream: StreamId,
    refused: &HashMap<i64, &'static str>,
) -> Result<()> {
    const INSERT: &str = "INSERT INTO refusals (origin, stream, seq, code) VALUES ($1, $2, $3, $4)
        ON CONFLICT (origin, stream, seq) DO NOTHING";
    for (&seq, &code) in refused {
        let query = conn.sql(INSERT).bind(origin.to_string()).bind(stream.uuid());
        query.bind(seq).bind(code).execute().await?;
    }
    Ok(())
}

/// Which events from `first` on were refused.
pub async fn refusals(
    conn: &mut Conn,
    origin: &AppName,
    stream: StreamId,
    first: i64,
) -> Result<HashMap<i64, String>> {
    const SELECT: &str = "SELECT seq, code FROM refusals
        WHERE origin = $1 AND stream = $2 AND seq >= $3 ORDER BY seq LIMIT 500";
    let query = conn.sql(SELECT).bind(origin.to_string()).bind(stream.uuid()).bind(first);
    Ok(query.all(|row| Ok((row.take()?, row.take()?))).await?.into_iter().collect())
}

/// Moves the position of a stream, and the moment up to which messages have arrived; `false` if it is not where it was `known` to be.
pub async fn advance(
    conn: &mut Conn,
    origin: &AppName,
    stream: StreamId,
    known: Option<(StreamId, i64)>,
    position: i64,
    heard_to: Timestamp,
) -> Result<bool> {
    const BEGIN: &str = "INSERT INTO positions (origin, stream, position, heard_to)
        VALUES ($1, $2, $3, $4) ON CONFLICT (origin) DO NOTHING";
    const MOVE: &str = "UPDATE positions SET stream = $2, position = $3,
            heard_to = CASE WHEN heard_to < $4 THEN $4 ELSE heard_to END
        WHERE origin = $1 AND stream = $5 AND position = $6";
    let query = conn.sql(if known.is_none() { BEGIN } else { MOVE });
    let mut query = query.bind(origin.to_string()).bind(stream.uuid()).bind(position);
    query = query.bind(heard_to.micros());
    if let Some((stream, position)) = known {
        query = query.bind(stream.uuid()).bind(position);
    }
    Ok(query.execute().await? == 1)
}

/// Sets an event of a peer aside; `false`, if that many of it are waiting already.
pub async fn park(
    conn: &mut Conn,
    event: &Parked,
    conversation: ConversationId,
    now: Timestamp,
    limit: i64,
) -> Result<bool> {
    const INSERT: &str = "INSERT INTO parked
            (origin, stream, seq, conversation_id, body, parked_at)
        SELECT $1, $2, $3, $4, $5, $6
        WHERE (SELECT count(*) FROM parked WHERE origin = $1) < $7
        ON CONFLICT (origin, stream, seq) DO NOTHING";
    let parked = conn
        .sql(INSERT)
        .bind(event.origin.to_string())
        .bind(event.stream.uuid())
        .bind(event.seq)
        .bind(conversation.uuid())
        .bind(event.body.clone())
        .bind(now.micros())
        .bind(limit)
        .execute()
        .await?;
    Ok(parked == 1)
}

/// Forgets the events that were set aside before a moment.
pub async fn forget_parked(conn: &mut Conn, before: Timestamp) -> Result<()> {
    const DELETE: &str = "DELETE FROM parked WHERE parked_at < $1";
    conn.sql(DELETE).bind(before.micros()).execute().await.map(|_| ())
}

/// An event that waits for what another peer may tell.
pub struct Parked {
    pub origin: AppName,
    pub stream: StreamId,
    pub seq: i64,
    pub body: String,
}

/// Takes out the events that wait for a conversation.
pub async fn unpark(conn: &mut Conn, id: ConversationId) -> Result<Vec<Parked>> {
    const DELETE: &str = "DELETE FROM parked WHERE conversation_id = $1
        RETURNING origin, stream, seq, body";
    let parked = |row: &Row| {
        Ok(Parked { origin: row.parse()?, stream: row.id()?, seq: row.take()?, body: row.take()? })
    };
    conn.sql(DELETE).bind(id.uuid()).all(parked).await
}
