//! Taking in a batch: each event once, in order, in the transaction that advances the position.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use shared::address::{Address, AppName};
use shared::id::{ConversationId, MessageId, StreamId, UserId};
use shared::models::ConversationKind;
use shared::problem::Problem;
use shared::relay::{Batch, BatchResult, EventBody, EventResult, MessageState, Outcome};
use shared::time::Timestamp;
use uuid::Uuid;

use super::{parked, store};
use crate::app::App;
use crate::conversations::{self, Membership, Merge, Place};
use crate::db::{Conn, Error};
use crate::messages;
use crate::users;

/// Characters of a token, at most: that of the longest message, and a little more.
const MAX_TOKEN: usize = 128 * 1024;
/// How far in the future a peer may say that something happened: a message would stand above all others until then,
/// and a change would win over all others.
pub const MAX_AHEAD: Duration = Duration::from_hours(24);
/// How late a peer may be with what somebody did before they left, or before the conversation was ended.
const MAX_LATE: Duration = Duration::from_hours(7 * 24);

/// Takes in a batch of the peer that has signed it. The events must be consecutive.
///
/// What has been settled before is answered as stored, an event after a gap as early, and an event that will never
/// be taken as refused; only the last two tell the sender more than the position does.
pub async fn ingest(app: &Arc<App>, batch: Batch<&RawValue>) -> Result<BatchResult, Problem> {
    let handle = app.relay.peers.get(&batch.origin).ok_or_else(Problem::not_found)?;
    let has_others = app.relay.peers.len() > 1;
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
            let told: Vec<_> = taken.told.into_iter().map(|(peer, _)| peer).collect();
            app.relay.wake(&told);
            for user in taken.users {
                app.directory.forget(&user).await;
            }
            let refused = taken.refused.into_iter().map(|(seq, code)| (seq, code.to_owned()));
            return Ok(answer(&batch, end, repeated.into_iter().chain(refused).collect()));
        }
    }
    Err(Problem::unavailable("busy", "The position of the stream is contended.", 1))
}

/// An event that is beyond the position.
pub(super) struct Fresh {
    pub(super) seq: i64,
    trace: Option<Uuid>,
    body: Result<EventBody, &'static str>,
    /// The body as it came, where it may have to be parked.
    text: Option<Box<str>>,
}

impl Fresh {
    pub(super) fn parse(seq: i64, trace: Option<Uuid>, text: &str, may_wait: bool) -> Self {
        let body = serde_json::from_str(text).map_err(|_| "malformed");
        Self { seq, trace, body, text: may_wait.then(|| text.into()) }
    }
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
    /// Which peers must hear of which conversations.
    told: BTreeSet<(AppName, ConversationId)>,
    users: Vec<Address>,
}

/// Stores the events and moves the position; `None`, and nothing stored, if the position has moved meanwhile.
async fn take_in(
    app: &App,
    conn: &mut Conn,
    events: Vec<Fresh>,
    advance: Advance,
) -> Result<Option<Taken>, Error> {
    let Advance { origin, stream, known, position } = advance;
    if !store::advance(conn, &origin, stream, known, position).await? {
        return Ok(None);
    }
    let mut taken = Taken::default();
    Turn { app, origin: &origin, stream, now: app.clock.wall() }
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
            let turn = Turn { app, origin: &origin, stream, now: app.clock.wall() };
            turn.take_all(conn, events, &mut again).await?;
            for (seq, code) in again.refused.drain() {
                tracing::warn!(peer = %origin, seq, code, "an event that had waited was refused");
            }
        }
        // One of them has told of the conversation itself, which others may have waited for.
        heard.extend(again.conversations.iter().copied());
        taken.conversations.extend(again.conversations);
        taken.users.extend(again.users);
        taken.told.extend(again.told);
    }
    Ok(())
}

/// One origin's events being taken in.
struct Turn<'a> {
    app: &'a App,
    origin: &'a AppName,
    stream: StreamId,
    now: Timestamp,
}

impl Turn<'_> {
    async fn take_all(
        &self,
        conn: &mut Conn,
        events: Vec<Fresh>,
        taken: &mut Taken,
    ) -> Result<(), Error> {
        let has_others = self.app.relay.peers.len() > 1;
        let mut run: Vec<Message> = Vec::new();
        for Fresh { seq, trace, body, text } in events {
            match body {
                Err(code) => {
                    taken.refused.insert(seq, code);
                }
                Ok(EventBody::Void) => {}
                Ok(EventBody::Message(state)) => {
                    if let Some(trace) = trace {
                        tracing::debug!(trace = %trace.simple(), message = %state.id, "received");
                    }
                    run.push(Message { seq, state: *state, text });
                }
                Ok(EventBody::User(state)) => {
                    match users::merge(conn, self.origin, &state, self.now).await? {
                        Ok(()) => taken.users.push(state.user.address()),
                        Err(code) => {
                            taken.refused.insert(seq, code);
                        }
                    }
                }
                // Messages after it may depend on it, so the ones before it are written first.
                Ok(EventBody::Conversation(state)) => {
                    self.store_messages(conn, std::mem::take(&mut run), taken).await?;
                    let id = state.id;
                    let (own, origin, now) = (&self.app.name, self.origin, self.now);
                    let place = Place { own, origin, has_others, now };
                    match conversations::merge(conn, &place, *state).await? {
                        Merge::Taken(told) => {
                            taken.conversations.insert(id);
                            taken.told.extend(told.into_iter().map(|peer| (peer, id)));
                        }
                        Merge::Kept(code, told) => {
                            taken.conversations.insert(id);
                            taken.told.extend(told.into_iter().map(|peer| (peer, id)));
                            taken.refused.insert(seq, code);
                        }
                        Merge::Refused(code) => {
                            taken.refused.insert(seq, code);
                        }
                        Merge::Early => self.park(conn, seq, id, text, taken, "early").await?,
                    }
                }
            }
        }
        self.store_messages(conn, run, taken).await
    }

    /// Sets an event aside until its conversation is told of, or refuses it, for the reason `code`, if there is no
    /// room for it.
    async fn park(
        &self,
        conn: &mut Conn,
        seq: i64,
        id: ConversationId,
        text: Option<Box<str>>,
        taken: &mut Taken,
        code: &'static str,
    ) -> Result<(), Error> {
        let is_parked = match text {
            Some(text) => {
                let (origin, stream) = (self.origin.clone(), self.stream);
                let event = store::Parked { origin, stream, seq, body: text.into() };
                parked::park(conn, event, id, self.now).await?
            }
            None => false,
        };
        if !is_parked {
            taken.refused.insert(seq, code);
        }
        Ok(())
    }

    async fn store_messages(
        &self,
        conn: &mut Conn,
        run: Vec<Message>,
        taken: &mut Taken,
    ) -> Result<(), Error> {
        let (app, origin, now) = (self.app, self.origin, self.now);
        if run.is_empty() {
            return Ok(());
        }
        let ids: BTreeSet<ConversationId> =
            run.iter().map(|message| message.state.conversation).collect();
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
        let ids: Vec<MessageId> = run.iter().map(|message| message.state.id).collect();
        let owners = messages::owners(conn, &ids).await?;
        let owners: HashMap<_, _> =
            owners.into_iter().map(|(id, user, place)| (id, (user, place))).collect();

        let mut merged: Vec<MessageState> = Vec::with_capacity(run.len());
        let mut places: HashMap<MessageId, usize> = HashMap::with_capacity(run.len());
        for Message { seq, state, text } in run {
            let membership = memberships.get(&state.conversation).map(AsRef::as_ref);
            let owner = match places.get(&state.id) {
                Some(&place) => Some((merged[place].sender, merged[place].conversation)),
                None => owners.get(&state.id).copied(),
            };
            if let Err(code) = check(origin, &state, membership, owner, now) {
                if text.is_some() && is_early(&state, membership) {
                    self.park(conn, seq, state.conversation, text, taken, code).await?;
                } else {
                    taken.refused.insert(seq, code);
                }
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
}

/// A message of a batch.
struct Message {
    seq: i64,
    state: MessageState,
    text: Option<Box<str>>,
}

/// Whether another peer may be about to tell of the conversation, or that the sender takes part in it.
fn is_early(state: &MessageState, membership: Option<&Membership>) -> bool {
    match membership {
        None => true,
        Some(m) => m.kind() == ConversationKind::Group && m.member(state.sender).is_none(),
    }
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
    let sender = membership.member(state.sender).ok_or("not_a_participant")?;
    if sender.app != *origin {
        return Err("not_your_user");
    }
    // What somebody did while they took part may arrive later than the word that they have left, but not for ever.
    let written = state.edited_at.map_or(state.created_at, |at| at.max(state.created_at));
    let done = state.deleted_at.map_or(written, |at| at.max(written));
    if sender.left_at.is_some_and(|left_at| done > left_at || now > left_at.after(MAX_LATE)) {
        return Err("not_a_participant");
    }
    if membership.ended_at().is_some_and(|end| written > end || now > end.after(MAX_LATE)) {
        return Err("conversation_ended");
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
