//! Taking in a batch: each event once, in order, in the transaction that advances the position.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use shared::address::AppName;
use shared::id::{ConversationId, MessageId, StreamId, UserId};
use shared::problem::Problem;
use shared::relay::{
    Batch, BatchResult, Event, EventBody, EventResult, MessageState, Outcome, ReceiptState,
};
use shared::time::Timestamp;

use super::store;
use crate::app::App;
use crate::conversations::{self, Membership};
use crate::db::{Conn, Error};
use crate::messages;
use crate::receipts::{self, Moved};

/// Characters of a token, at most: that of the longest message, and a little more.
const MAX_TOKEN: usize = 128 * 1024;
/// How far in the future a peer may say that something happened: a message would stand above all others until then,
/// and a change would win over all others.
pub const MAX_AHEAD: Duration = Duration::from_hours(24);

/// Takes in a batch of the peer that has signed it. The events must be consecutive.
///
/// What has been settled before is answered as stored, an event after a gap as early, and an event that will never
/// be taken as refused; only the last two tell the sender more than the position does.
pub async fn ingest(app: &Arc<App>, batch: Batch<&RawValue>) -> Result<BatchResult, Problem> {
    let handle = app.relay.peers.get(&batch.origin).ok_or_else(Problem::not_found)?;
    let Some(first) = batch.events.first().map(|event| event.seq) else {
        return Ok(BatchResult { stream: batch.stream, position: 0, results: Vec::new() });
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
            .map(|event| (event.seq, event.trace, parse(event)))
            .collect();
        let early = fresh.first().is_some_and(|(seq, ..)| *seq != start + 1);
        let repeated = if first <= start {
            let mut conn = app.db.read().await?;
            store::refusals(&mut conn, &batch.origin, batch.stream, first).await?
        } else {
            HashMap::new()
        };
        if fresh.is_empty() || early {
            return Ok(answer(&batch, start, repeated));
        }
        let advance = Advance {
            origin: batch.origin.clone(),
            stream: batch.stream,
            known,
            position: start + i64::try_from(fresh.len()).unwrap_or(0),
        };
        let (shared, end) = (app.clone(), advance.position);
        let work = app.db.write(move |conn| {
            Box::pin(async move { take_in(&shared, conn, fresh, advance).await })
        });
        if let Some(taken) = work.await? {
            for id in taken.conversations {
                app.memberships.forget(id).await;
            }
            receipts::announce_moved(app, taken.moved);
            let refused = taken.refused.into_iter().map(|(seq, code)| (seq, code.to_owned()));
            return Ok(answer(&batch, end, repeated.into_iter().chain(refused).collect()));
        }
    }
    Err(Problem::unavailable("busy", "The position of the stream is contended.", 1))
}

type Fresh = (i64, Option<uuid::Uuid>, Result<EventBody, &'static str>);

fn parse(event: &Event<&RawValue>) -> Result<EventBody, &'static str> {
    serde_json::from_str(event.body.get()).map_err(|_| "malformed")
}

fn answer(
    batch: &Batch<&RawValue>,
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
    BatchResult { stream: batch.stream, position, results: results.collect() }
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
struct Taken {
    refused: HashMap<i64, &'static str>,
    conversations: HashSet<ConversationId>,
    moved: Vec<Moved>,
}

/// Stores the events and moves the position; `None`, and nothing stored, if the position has moved meanwhile.
async fn take_in(
    app: &App,
    conn: &mut Conn,
    events: Vec<Fresh>,
    advance: Advance,
) -> Result<Option<Taken>, Error> {
    let Advance { origin, stream, known, position } = advance;
    let heard_to = heard_to(&events);
    if !store::advance(conn, &origin, stream, known, position, heard_to).await? {
        return Ok(None);
    }
    let now = app.clock.wall();
    let mut taken = Taken::default();
    let mut run = Run::default();
    for (seq, trace, body) in events {
        match body {
            Err(code) => {
                taken.refused.insert(seq, code);
            }
            Ok(EventBody::Void) => {}
            Ok(EventBody::Message(state)) => {
                if let Some(trace) = trace {
                    tracing::debug!(trace = %trace.simple(), message = %state.id, "received");
                }
                run.messages.push((seq, *state));
            }
            Ok(EventBody::Receipt(state)) => run.receipts.push((seq, *state)),
            // Messages after it may depend on it, so the ones before it are written first.
            Ok(EventBody::Conversation(state)) => {
                store_run(app, conn, &origin, std::mem::take(&mut run), &mut taken, now).await?;
                let id = state.id;
                match conversations::merge(conn, &app.name, &origin, *state, now).await? {
                    Ok(()) => {
                        taken.conversations.insert(id);
                    }
                    Err(code) => {
                        taken.refused.insert(seq, code);
                    }
                }
            }
        }
    }
    store_run(app, conn, &origin, run, &mut taken, now).await?;
    store::refuse(conn, &origin, stream, &taken.refused).await?;
    for (seq, code) in &taken.refused {
        tracing::warn!(peer = %origin, seq, code, "an event was refused");
    }
    Ok(Some(taken))
}

/// Events that do not depend on each other, to be written together.
#[derive(Default)]
struct Run {
    messages: Vec<(i64, MessageState)>,
    receipts: Vec<(i64, ReceiptState)>,
}

/// The moment of the newest message of a batch, refused ones included: no earlier one follows it.
fn heard_to(events: &[Fresh]) -> Timestamp {
    let at = |(_, _, body): &Fresh| match body {
        Ok(EventBody::Message(state)) => Some(state.created_at),
        _ => None,
    };
    events.iter().filter_map(at).max().unwrap_or(Timestamp::from_micros(0))
}

async fn store_run(
    app: &App,
    conn: &mut Conn,
    origin: &AppName,
    run: Run,
    taken: &mut Taken,
    now: Timestamp,
) -> Result<(), Error> {
    let messages = run.messages.iter().map(|(_, state)| state.conversation);
    let receipts = run.receipts.iter().map(|(_, state)| state.conversation);
    let ids: BTreeSet<ConversationId> = messages.chain(receipts).collect();
    let mut memberships = HashMap::new();
    for id in ids {
        let changed = taken.conversations.contains(&id);
        let remembered = if changed { None } else { app.memberships.remembered(id).await };
        let membership = match remembered {
            Some(membership) => Some(membership),
            None => app.memberships.load(conn, &app.name, id).await?,
        };
        memberships.extend(membership.map(|membership| (id, membership)));
    }
    let mut states = Vec::with_capacity(run.receipts.len());
    for (seq, state) in run.receipts {
        let membership = memberships.get(&state.conversation).map(AsRef::as_ref);
        match receipts::check(origin, &state, membership, now) {
            Ok(()) => states.push(state),
            Err(code) => {
                taken.refused.insert(seq, code);
            }
        }
    }
    store_messages(conn, origin, run.messages, &memberships, taken, now).await?;
    let moved = receipts::merge(conn, &app.name, origin, states, app.clock.now()).await?;
    taken.moved.extend(moved);
    Ok(())
}

async fn store_messages(
    conn: &mut Conn,
    origin: &AppName,
    run: Vec<(i64, MessageState)>,
    memberships: &HashMap<ConversationId, Arc<Membership>>,
    taken: &mut Taken,
    now: Timestamp,
) -> Result<(), Error> {
    if run.is_empty() {
        return Ok(());
    }
    // Parents are looked up with them.
    let parents = run.iter().filter_map(|(_, state)| state.parent);
    let ids: Vec<MessageId> = run.iter().map(|(_, state)| state.id).chain(parents).collect();
    let owners = messages::owners(conn, &ids).await?;
    let owners: HashMap<_, _> =
        owners.into_iter().map(|(id, user, place)| (id, (user, place))).collect();

    let mut merged: Vec<MessageState> = Vec::with_capacity(run.len());
    let mut places: HashMap<MessageId, usize> = HashMap::with_capacity(run.len());
    for (seq, state) in run {
        let membership = memberships.get(&state.conversation).map(AsRef::as_ref);
        let owner = match places.get(&state.id) {
            Some(&place) => Some((merged[place].sender, merged[place].conversation)),
            None => owners.get(&state.id).copied(),
        };
        let parent = state.parent.and_then(|parent| match places.get(&parent) {
            Some(&place) => Some(merged[place].conversation),
            None => owners.get(&parent).map(|(_, place)| *place),
        });
        // A parent that is not known may still come, from another app.
        let elsewhere = parent.is_some_and(|place| place != state.conversation);
        if elsewhere || state.parent == Some(state.id) {
            taken.refused.insert(seq, "bad_parent");
        } else if let Err(code) = check(origin, &state, membership, owner, now) {
            taken.refused.insert(seq, code);
        } else if let Some(&place) = places.get(&state.id) {
            let known = &mut merged[place];
            let later = state.deleted_at.is_some() || state.revision > known.revision;
            if known.deleted_at.is_none() && later {
                *known = state;
            }
        } else {
            places.insert(state.id, merged.len());
            merged.push(state);
        }
    }
    messages::merge(conn, &merged).await
}

/// Whether the peer may say this of a message.
fn check(
    origin: &AppName,
    state: &MessageState,
    membership: Option<&Membership>,
    owner: Option<(UserId, ConversationId)>,
    now: Timestamp,
) -> Result<(), &'static str> {
    let membership = membership.ok_or("unknown_conversation")?;
    let sender = membership.active(state.sender).ok_or("not_a_participant")?;
    if sender.app != *origin {
        return Err("not_your_user");
    }
    if owner.is_some_and(|owner| owner != (state.sender, state.conversation)) {
        return Err("message_conflict");
    }
    if state.content.is_some() == state.deleted_at.is_some() {
        return Err("malformed");
    }
    if state.content.as_ref().is_some_and(|content| content.token().len() > MAX_TOKEN) {
        return Err("too_large");
    }
    if state.created_at > now.after(MAX_AHEAD) {
        return Err("from_the_future");
    }
    Ok(())
}
