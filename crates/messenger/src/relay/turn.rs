//! What the events of one origin do, in their order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use shared::address::AppName;
use shared::id::{ConversationId, MessageId, StreamId, UserId};
use shared::models::ConversationKind;
use shared::relay::{EventBody, MessageState, ReceiptState};
use shared::time::Timestamp;

use super::ingest::{Fresh, MAX_AHEAD, Taken};
use super::{parked, store};
use crate::app::App;
use crate::conversations::{self, Membership, Merge, Place};
use crate::db::{Conn, Error};
use crate::realtime::{self, EventKind, NewEntry};
use crate::{messages, receipts, recovery, users};

/// Characters of a token, at most: that of the longest message, and a little more.
const MAX_TOKEN: usize = 128 * 1024;
/// How late a peer may be with what somebody did before they left, or before the conversation was ended.
const MAX_LATE: Duration = Duration::from_hours(7 * 24);

/// One origin's events being taken in.
pub(super) struct Turn<'a> {
    pub app: &'a App,
    pub origin: &'a AppName,
    pub stream: StreamId,
    pub now: Timestamp,
    /// The moment of the backup that this app was restored from, while the origin gives back what has happened since.
    pub recovering: Option<Timestamp>,
}

impl Turn<'_> {
    pub async fn take_all(
        &self,
        conn: &mut Conn,
        events: Vec<Fresh>,
        taken: &mut Taken,
    ) -> Result<(), Error> {
        let has_others = self.app.relay.peers.len() > 1;
        let mut run = Run::default();
        for Fresh { seq, trace, body, text } in events {
            match body {
                Err(code) => {
                    taken.refused.insert(seq, code);
                }
                Ok(EventBody::Void) => {}
                Ok(EventBody::Recovered { id }) => {
                    self.store_run(conn, std::mem::take(&mut run), taken).await?;
                    if recovery::end(conn, self.origin, id).await? {
                        tracing::info!(peer = %self.origin, "what has happened since the backup is here");
                    }
                }
                Ok(EventBody::Message(state)) => {
                    if let Some(trace) = trace {
                        tracing::debug!(trace = %trace.simple(), message = %state.id, "received");
                    }
                    run.messages.push(Said { seq, state: *state, text });
                }
                Ok(EventBody::Receipt(state)) => {
                    run.receipts.push(Said { seq, state: *state, text });
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
                    self.store_run(conn, std::mem::take(&mut run), taken).await?;
                    let id = state.id;
                    let (own, origin, now) = (&self.app.name, self.origin, self.now);
                    let recovering = self.recovering;
                    let place = Place { own, origin, has_others, now, recovering };
                    let known = self.app.memberships.load(conn, own, id).await?.is_some();
                    let merge = conversations::merge(conn, &place, *state).await?;
                    if matches!(merge, Merge::Taken(_) | Merge::Kept(..)) {
                        let kind = if known {
                            EventKind::ConversationUpdated
                        } else {
                            EventKind::ConversationCreated
                        };
                        let entry = NewEntry::conversation(kind, id, now);
                        realtime::append(conn, &[entry]).await?;
                    }
                    match merge {
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
        self.store_run(conn, run, taken).await
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

    async fn store_run(&self, conn: &mut Conn, run: Run, taken: &mut Taken) -> Result<(), Error> {
        let messages = run.messages.iter().map(|said| (said.state.conversation, said.state.sender));
        let receipts = run.receipts.iter().map(|said| (said.state.conversation, said.state.reader));
        let mut actors: BTreeMap<ConversationId, BTreeSet<UserId>> = BTreeMap::new();
        for (id, actor) in messages.chain(receipts) {
            actors.entry(id).or_default().insert(actor);
        }
        let mut memberships = HashMap::new();
        for (id, actors) in actors {
            let membership = self.membership(conn, id, &actors, taken).await?;
            memberships.extend(membership.map(|membership| (id, membership)));
        }
        self.store_messages(conn, run.messages, &memberships, taken).await?;
        self.store_receipts(conn, run.receipts, &memberships, taken).await
    }

    /// Who takes part in a conversation. What is remembered may lack what another replica has just taken in, so it counts
    /// only where all actors may act by it; whoever is refused is refused for what is stored.
    async fn membership(
        &self,
        conn: &mut Conn,
        id: ConversationId,
        actors: &BTreeSet<UserId>,
        taken: &Taken,
    ) -> Result<Option<Arc<Membership>>, Error> {
        let memberships = &self.app.memberships;
        if taken.conversations.contains(&id) {
            return memberships.load(conn, &self.app.name, id).await;
        }
        let may_act = |membership: &Arc<Membership>| {
            membership.ended_at().is_none()
                && actors.iter().all(|actor| membership.active(*actor).is_some())
        };
        if let Some(remembered) = memberships.remembered(id).await.filter(may_act) {
            return Ok(Some(remembered));
        }
        let stored = memberships.load(conn, &self.app.name, id).await?;
        if let Some(stored) = &stored {
            memberships.remember(id, stored.clone()).await;
        }
        Ok(stored)
    }

    async fn store_receipts(
        &self,
        conn: &mut Conn,
        run: Vec<Said<ReceiptState>>,
        memberships: &Memberships,
        taken: &mut Taken,
    ) -> Result<(), Error> {
        let (mut states, mut returned) = (Vec::with_capacity(run.len()), Vec::new());
        for Said { seq, state, text } in run {
            let membership = memberships.get(&state.conversation).map(AsRef::as_ref);
            if self.is_returned(membership, state.reader) {
                match receipts::check(&self.app.name, &state, membership, self.now) {
                    Ok(()) => returned.push(state),
                    Err(code) => {
                        taken.refused.insert(seq, code);
                    }
                }
                continue;
            }
            match receipts::check(self.origin, &state, membership, self.now) {
                Ok(()) => states.push(state),
                Err(code) if text.is_some() && is_early(state.reader, membership) => {
                    self.park(conn, seq, state.conversation, text, taken, code).await?;
                }
                Err(code) => {
                    taken.refused.insert(seq, code);
                }
            }
        }
        let (own, now) = (&self.app.name, self.app.clock.now());
        // The newest messages that have come back are what they may be about.
        if let Some(at) = taken.returned {
            store::raise_written(conn, self.origin, at).await?;
        }
        taken.moved.extend(receipts::merge(conn, own, self.origin, states, now).await?);
        receipts::take_back(conn, self.origin, returned, now).await
    }

    /// Whether what is told of a user is told of one of this app, by a peer that gives back what was lost.
    fn is_returned(&self, membership: Option<&Membership>, user: UserId) -> bool {
        let member = membership.and_then(|membership| membership.member(user));
        self.recovering.is_some() && member.is_some_and(|member| member.app == self.app.name)
    }

    async fn store_messages(
        &self,
        conn: &mut Conn,
        run: Vec<Said<MessageState>>,
        memberships: &Memberships,
        taken: &mut Taken,
    ) -> Result<(), Error> {
        if run.is_empty() {
            return Ok(());
        }
        // Parents are looked up with them.
        let parents = run.iter().filter_map(|said| said.state.parent);
        let ids: Vec<MessageId> = run.iter().map(|said| said.state.id).chain(parents).collect();
        let owners = messages::owners(conn, &ids).await?;
        let owners: HashMap<_, _> =
            owners.into_iter().map(|(id, user, place)| (id, (user, place))).collect();

        let mut merged: Vec<MessageState> = Vec::with_capacity(run.len());
        let mut places: HashMap<MessageId, usize> = HashMap::with_capacity(run.len());
        for Said { seq, mut state, text } in run {
            let membership = memberships.get(&state.conversation).map(AsRef::as_ref);
            let returned = self.is_returned(membership, state.sender);
            let since = self.recovering.filter(|_| returned);
            let by = if returned { &self.app.name } else { self.origin };
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
            } else if since.is_some_and(|since| !self.app.recovery.take_back(&mut state, since)) {
                taken.refused.insert(seq, "not_your_user");
            } else if let Err(code) = check(by, &state, membership, owner, self.now) {
                if text.is_some() && is_early(state.sender, membership) {
                    self.park(conn, seq, state.conversation, text, taken, code).await?;
                } else {
                    taken.refused.insert(seq, code);
                }
            } else if let Some(&place) = places.get(&state.id) {
                taken.returned = taken.returned.max(since.map(|_| state.created_at.min(self.now)));
                let known = &mut merged[place];
                let later = state.deleted_at.is_some() || state.revision > known.revision;
                if known.deleted_at.is_none() && later {
                    *known = state;
                }
            } else {
                taken.returned = taken.returned.max(since.map(|_| state.created_at.min(self.now)));
                places.insert(state.id, merged.len());
                merged.push(state);
            }
        }
        let news: HashSet<MessageId> = messages::merge(conn, &merged).await?.into_iter().collect();
        let news = merged.iter().filter(|state| news.contains(&state.id));
        let entries: Vec<_> =
            news.map(|state| entry(state, owners.contains_key(&state.id), self.now)).collect();
        realtime::append(conn, &entries).await
    }
}

/// Who takes part in the conversations of a run.
type Memberships = HashMap<ConversationId, Arc<Membership>>;

/// Events that do not depend on each other, to be written together.
#[derive(Default)]
struct Run {
    messages: Vec<Said<MessageState>>,
    receipts: Vec<Said<ReceiptState>>,
}

/// What one event says.
struct Said<T> {
    seq: i64,
    state: T,
    /// As it came, where it may have to be parked.
    text: Option<Box<str>>,
}

/// Whether another peer may be about to tell of the conversation, or that the actor takes part in it.
fn is_early(actor: UserId, membership: Option<&Membership>) -> bool {
    match membership {
        None => true,
        Some(m) => m.kind() == ConversationKind::Group && m.member(actor).is_none(),
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

/// What the state of a message has brought, which was known before or not.
fn entry(state: &MessageState, known: bool, now: Timestamp) -> NewEntry {
    let kind = match (state.deleted_at, known) {
        (Some(_), _) => EventKind::MessageDeleted,
        (None, true) => EventKind::MessageUpdated,
        (None, false) => EventKind::MessageCreated,
    };
    NewEntry::message(kind, state.conversation, state.id, now)
}
