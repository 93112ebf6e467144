//! Taking in a batch: each event once, in order, in the transaction that advances the position.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use shared::address::{Address, AppName};
use shared::id::{ConversationId, StreamId};
use shared::problem::Problem;
use shared::relay::{Batch, BatchResult, EventBody, EventResult, Outcome};
use shared::time::Timestamp;
use uuid::Uuid;

use super::turn::Turn;
use super::{parked, store};
use crate::app::App;
use crate::db::{Conn, Error};
use crate::receipts::{self, Moved};
use crate::recovery;

/// How far in the future a peer may say that something happened: a message would stand above all others until then,
/// and a change would win over all others.
pub const MAX_AHEAD: Duration = Duration::from_hours(24);

/// Takes in a batch of the peer that has signed it. The events must be consecutive.
///
/// What has been settled before is answered as stored, an event after a gap as early, and an event that will never
/// be taken as refused; only the last two tell the sender more than the position does.
pub async fn ingest(app: &Arc<App>, batch: Batch<&RawValue>) -> Result<BatchResult, Problem> {
    let handle = app.relay.peers.get(&batch.origin).ok_or_else(Problem::not_found)?;
    let has_others = app.relay.peers.len() > 1;
    let Some(first) = batch.events.first().map(|event| event.seq) else {
        let (stream, results) = (batch.stream, Vec::new());
        return Ok(BatchResult { stream, position: 0, before: None, results });
    };
    // Another replica may take in the same batch; then the position has moved, and this is tried again from there.
    for _ in 0..5 {
        let _turn = handle.ingesting.lock().await;
        let known = store::position(&mut app.db.read().await?, &batch.origin).await?;
        let start = match &known {
            Some((stream, _)) if *stream > batch.stream => {
                return Err(Problem::conflict(
                    "stale_stream",
                    "There is a newer stream of this peer.",
                ));
            }
            Some((stream, position)) if *stream == batch.stream => *position,
            _ => first.saturating_sub(1),
        };
        let fresh: Vec<_> = batch
            .events
            .iter()
            .filter(|event| event.seq > start)
            .map(|event| Fresh::parse(event.seq, event.trace, event.body.get(), has_others))
            .collect();
        let early = fresh.first().is_some_and(|event| event.seq != start + 1);
        let repeated = if first <= start {
            let mut conn = app.db.read().await?;
            store::refusals(&mut conn, &batch.origin, batch.stream, first).await?
        } else {
            HashMap::new()
        };
        if fresh.is_empty() || early {
            return Ok(answer(&batch, start, start, repeated));
        }
        let end = start + i64::try_from(fresh.len()).unwrap_or(0);
        let refused = match take(app, &batch, known, fresh).await {
            // One of them is what the database does not take, and the others must not wait for it.
            Err(error) if error.is_of_data() => {
                tracing::error!(peer = %batch.origin, %error, "an event cannot be stored");
                take_one_by_one(app, &batch, known, start).await?
            }
            taken => taken?,
        };
        if let Some(refused) = refused {
            let refused = refused.into_iter().map(|(seq, code)| (seq, code.to_owned()));
            return Ok(answer(&batch, start, end, repeated.into_iter().chain(refused).collect()));
        }
    }
    Err(Problem::unavailable("busy", "The position of the stream is contended.", 1))
}

/// Takes in events and gives those that were refused; `None`, and nothing taken in, if the position has moved meanwhile.
async fn take(
    app: &Arc<App>,
    batch: &Batch<&RawValue>,
    known: Option<(StreamId, i64)>,
    fresh: Vec<Fresh>,
) -> Result<Option<HashMap<i64, &'static str>>, Error> {
    let Some(position) = fresh.last().map(|event| event.seq) else { return Ok(None) };
    let advance = Advance { origin: batch.origin.clone(), stream: batch.stream, known, position };
    let (shared, events) = (app.clone(), fresh.len());
    let work = app
        .db
        .write(move |conn| Box::pin(async move { take_in(&shared, conn, fresh, advance).await }));
    let Some(taken) = work.await? else { return Ok(None) };
    count(&batch.origin, events, taken.refused.len());
    for id in taken.conversations {
        app.memberships.forget(id).await;
    }
    let told: Vec<_> = taken.told.into_iter().map(|(peer, _)| peer).collect();
    app.relay.wake(&told);
    for user in taken.users {
        app.directory.forget(&user).await;
    }
    receipts::announce_moved(app, taken.moved);
    Ok(Some(taken.refused))
}

/// Takes in the events after a position, each in a transaction of its own, and refuses those that cannot be stored.
async fn take_one_by_one(
    app: &Arc<App>,
    batch: &Batch<&RawValue>,
    mut known: Option<(StreamId, i64)>,
    after: i64,
) -> Result<Option<HashMap<i64, &'static str>>, Error> {
    let has_others = app.relay.peers.len() > 1;
    let mut refused = HashMap::new();
    for event in batch.events.iter().filter(|event| event.seq > after) {
        let fresh = Fresh::parse(event.seq, event.trace, event.body.get(), has_others);
        let taken = match take(app, batch, known, vec![fresh]).await {
            Err(error) if error.is_of_data() => {
                let body = Err("unprocessable");
                let fresh = Fresh { seq: event.seq, trace: event.trace, body, text: None };
                take(app, batch, known, vec![fresh]).await?
            }
            taken => taken?,
        };
        let Some(taken) = taken else { return Ok(None) };
        refused.extend(taken);
        known = Some((batch.stream, event.seq));
    }
    Ok(Some(refused))
}

/// Counts the events that were settled, and those of them that were refused.
fn count(origin: &AppName, events: usize, refused: usize) {
    let number = |events| u64::try_from(events).unwrap_or(u64::MAX);
    metrics::counter!("messaging_relay_events_received_total", "peer" => origin.to_string())
        .increment(number(events));
    if refused > 0 {
        metrics::counter!("messaging_relay_events_refused_total", "peer" => origin.to_string())
            .increment(number(refused));
    }
}

/// An event that is beyond the position.
pub(super) struct Fresh {
    pub(super) seq: i64,
    pub(super) trace: Option<Uuid>,
    pub(super) body: Result<EventBody, &'static str>,
    /// The body as it came, where it may have to be parked.
    pub(super) text: Option<Box<str>>,
}

impl Fresh {
    pub(super) fn parse(seq: i64, trace: Option<Uuid>, text: &str, may_wait: bool) -> Self {
        let body = serde_json::from_str(text).map_err(|_| "malformed");
        Self { seq, trace, body, text: may_wait.then(|| text.into()) }
    }
}

fn answer(
    batch: &Batch<&RawValue>,
    before: i64,
    position: i64,
    mut refused: HashMap<i64, String>,
) -> BatchResult {
    let results = batch.events.iter().map(|event| {
        let outcome = match refused.remove(&event.seq) {
            Some(code) => Outcome::Refused { code },
            None if event.seq <= position => Outcome::Stored,
            None => Outcome::Early,
        };
        EventResult { seq: event.seq, outcome }
    });
    let results = results.collect();
    BatchResult { stream: batch.stream, position, before: Some(before), results }
}

/// From where to where the stream moves.
struct Advance {
    origin: AppName,
    stream: StreamId,
    known: Option<(StreamId, i64)>,
    position: i64,
}

/// What a batch has done.
#[derive(Default)]
pub(super) struct Taken {
    pub refused: HashMap<i64, &'static str>,
    pub conversations: HashSet<ConversationId>,
    /// Which peers must hear of which conversations.
    pub told: BTreeSet<(AppName, ConversationId)>,
    pub users: Vec<Address>,
    pub moved: Vec<Moved>,
    /// The newest message of this app that the peer has given back; not later than now, whatever the peer says.
    pub returned: Option<Timestamp>,
}

/// The moment of the newest message of a batch, refused ones included: no earlier one follows it.
///
/// Not so while the peer tells again what has happened since a backup: then it goes from conversation to conversation.
fn heard_to(events: &[Fresh], recovering: Option<Timestamp>) -> Timestamp {
    let nothing = Timestamp::from_micros(0);
    if recovering.is_some() {
        return nothing;
    }
    let at = |event: &Fresh| match &event.body {
        Ok(EventBody::Message(state)) => Some(state.created_at),
        _ => None,
    };
    events.iter().filter_map(at).max().unwrap_or(nothing)
}

/// Stores the events and moves the position; `None`, and nothing stored, if the position has moved meanwhile.
async fn take_in(
    app: &App,
    conn: &mut Conn,
    events: Vec<Fresh>,
    advance: Advance,
) -> Result<Option<Taken>, Error> {
    let Advance { origin, stream, known, position } = advance;
    let recovering = recovery::since(conn, &origin).await?;
    let heard_to = heard_to(&events, recovering);
    if !store::advance(conn, &origin, stream, known, position, heard_to).await? {
        return Ok(None);
    }
    let mut taken = Taken::default();
    Turn { app, origin: &origin, stream, now: app.clock.wall(), recovering }
        .take_all(conn, events, &mut taken)
        .await?;
    if app.relay.peers.len() > 1 {
        look_again(app, conn, &mut taken).await?;
    }
    store::refuse(conn, &origin, stream, &taken.refused).await?;
    for (seq, code) in &taken.refused {
        tracing::warn!(peer = %origin, seq, code, "an event was refused");
    }
    // Last, as the streams stay locked until the commit, and in the order of their names.
    if let Some(at) = taken.returned {
        store::raise_written(conn, &origin, at).await?;
    }
    let (trace, now) = (Uuid::from_u128(rand::random()), app.clock.now());
    for (peer, id) in taken.told.iter().filter(|(peer, _)| app.relay.peers.contains_key(peer)) {
        store::append_conversation(conn, peer, *id, trace, now).await?;
    }
    Ok(Some(taken))
}

/// Takes in the events that were waiting for what a batch has told of.
async fn look_again(app: &App, conn: &mut Conn, taken: &mut Taken) -> Result<(), Error> {
    let mut heard: Vec<_> = taken.conversations.iter().copied().collect();
    while let Some(id) = heard.pop() {
        let mut again = Taken::default();
        for (origin, stream, events) in parked::unpark(conn, id).await? {
            let recovering = recovery::since(conn, &origin).await?;
            let now = app.clock.wall();
            let turn = Turn { app, origin: &origin, stream, now, recovering };
            turn.take_all(conn, events, &mut again).await?;
            for (seq, code) in again.refused.drain() {
                tracing::warn!(peer = %origin, seq, code, "an event that had waited was refused");
            }
        }
        // One of them has told of the conversation itself, which others may have waited for.
        heard.extend(again.conversations.iter().copied());
        taken.conversations.extend(again.conversations);
        taken.users.extend(again.users);
        taken.moved.extend(again.moved);
        taken.told.extend(again.told);
    }
    Ok(())
}
