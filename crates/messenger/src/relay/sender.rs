use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use shared::address::AppName;
use shared::id::{ConversationId, EventId, MessageId, StreamId, UserId};
use shared::problem::Problem;
use shared::relay::{
    Batch, BatchResult, Change, Deed, Event, EventBody, MAX_BATCH, Outcome, ReceiptState,
};
use shared::time::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::meter::Meter;
use super::store::{self, EventKind, Held, NewEvent, Waiting};
use super::{Cause, Delivery, GivenUp, PeerClient, Signals, Waits, give_up};
use crate::app::App;
use crate::conversations;
use crate::db::Conn;
use crate::messages;
use crate::peers::Standing;
use crate::realtime;
use crate::receipts::{self, StatusChange};
use crate::recovery;
use crate::users;

/// How often to look for events that nothing has announced: those of another replica, say.
const POLL: Duration = Duration::from_secs(1);
/// The first wait after a failure; it doubles from one to the next.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait after a failure, so that both apps agree soon after they reach each other again.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// How long a lease lasts where several processes share the database.
const SHARED_LEASE: Duration = Duration::from_secs(10);
/// How long it lasts where only one process can; it is taken over at once by the next.
const SOLE_LEASE: Duration = Duration::from_mins(10);
/// Bytes of a user or of a change in a conversation's state, roughly.
const ABOUT_A_LINE: usize = 250;
/// Bytes of tokens, terms and states in one batch, at most; a state that is longer goes alone.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// As far as a register has come that nothing has been told of.
const NEVER: Timestamp = Timestamp::from_micros(0);

/// Sends the events for one peer, in order.
///
/// It is a loop over three steps, which tests drive one by one: [`claim`](Sender::claim) a batch,
/// [`deliver`](PeerClient::deliver) it, [`settle`](Sender::settle) the answer. It may stop between any two of
/// them; the next claim begins where the last settlement ended, and what the peer has already it takes as a repeat.
pub struct Sender {
    app: Arc<App>,
    peer: AppName,
    owner: Uuid,
    give_up_after: Duration,
    lease: Mutex<Lease>,
    meter: Meter,
}

/// What a sender knows of the lease of its peer. Moments are those of its own clock, which may differ from those of other
/// processes, and may step back.
#[derive(Clone, Copy)]
enum Lease {
    /// Nothing.
    Unknown,
    /// This sender has taken it, or renewed it, at a moment.
    Own { fence: i64, since: Timestamp },
    /// Another has it, and has neither renewed it nor given it back since a moment.
    Other { held: Held, since: Timestamp },
}

/// A batch that is to be delivered.
pub struct Claimed {
    /// The batch.
    pub batch: Batch,
    fence: i64,
}

impl Sender {
    /// A sender of `app` to `peer`; what is older than `give_up_after` is not sent any more.
    pub fn new(app: &Arc<App>, peer: AppName, give_up_after: Duration) -> Self {
        // A process alone with its database may take over at once from the one that was killed before it.
        let owner = if app.db.is_shared() { Uuid::from_u128(rand::random()) } else { Uuid::nil() };
        let (lease, meter) = (Mutex::new(Lease::Unknown), Meter::of(&peer));
        Self { app: app.clone(), peer, owner, give_up_after, lease, meter }
    }

    /// The next events, empty if there are none; `None` if another process sends to this peer.
    pub async fn claim(&self) -> Result<Option<Claimed>, Problem> {
        let Some(fence) = self.hold_lease().await? else { return Ok(None) };
        let limit = i64::try_from(MAX_BATCH).unwrap_or(0);
        let mut waiting = store::waiting(&mut self.app.db.read().await?, &self.peer, limit).await?;
        let oldest = self.app.clock.wall().before(self.give_up_after);
        if waiting.iter().any(|w| w.created_at < oldest && w.kind == EventKind::Message) {
            self.give_up(oldest).await?;
            waiting = store::waiting(&mut self.app.db.read().await?, &self.peer, limit).await?;
        }
        let mut conn = self.app.db.read().await?;
        let stream = store::stream(&mut conn, &self.peer).await?;
        let stream = stream.map_or_else(|| Uuid::nil().into(), |(stream, _)| stream);
        let of_registers = waiting.iter().filter(|waiting| waiting.kind == EventKind::Receipt);
        let registers: Vec<Uuid> = of_registers.map(|waiting| waiting.subject).collect();
        let mut registers = receipts::states(&mut conn, &registers).await?;
        let mut events = Vec::with_capacity(waiting.len());
        let mut bytes = 0;
        leave_to_the_last(&mut waiting);
        for waiting in waiting {
            let event = event(&mut conn, stream, waiting, &mut registers).await?;
            bytes += size(&event.body);
            if bytes > BATCH_BYTES && !events.is_empty() {
                break;
            }
            events.push(event);
        }
        let batch = Batch { origin: self.app.name.clone(), stream, events };
        Ok(Some(Claimed { batch, fence }))
    }

    /// Takes in the peer's answer: what it has settled leaves the outbox, and messages become relayed or failed.
    ///
    /// `false` if the lease has gone to another process meanwhile; then nothing is done.
    pub async fn settle(&self, claimed: &Claimed, answer: BatchResult) -> Result<bool, Problem> {
        let Some(last) = claimed.batch.events.last().map(|event| event.seq) else {
            return Ok(true);
        };
        let (peer, owner, fence) = (self.peer.clone(), self.owner, claimed.fence);
        let first = claimed.batch.events[0].seq;
        if answer.position < first - 1 || self.is_beyond(answer.position, last).await? {
            return self.restart(claimed.fence).await;
        }
        // What was settled beyond this batch is sent again, to learn what became of it.
        let position = answer.position.min(last);
        let refused: Vec<(i64, String)> = answer
            .results
            .into_iter()
            .filter_map(|result| match result.outcome {
                Outcome::Refused { code } => Some((result.seq, code)),
                _ => None,
            })
            .collect();
        let told = told(&claimed.batch, answer.before);
        let now = self.app.clock.now();
        let settled = self.app.db.write(move |conn| {
            Box::pin(async move {
                if !store::holds(conn, &peer, owner, fence).await? {
                    return Ok::<_, Problem>(None);
                }
                let (mut relayed, mut failed, mut registers) = (Vec::new(), Vec::new(), Vec::new());
                let settled = store::settle(conn, &peer, position).await?;
                let number = settled.len();
                for (seq, kind, subject) in settled {
                    let code = refused.iter().find(|(number, _)| *number == seq);
                    if kind == EventKind::Receipt {
                        let (delivered, seen) = told.get(&seq).copied().unwrap_or((NEVER, NEVER));
                        registers.push((subject, delivered, seen));
                    }
                    match (kind, code) {
                        (EventKind::Message, None) => relayed.push(subject),
                        (EventKind::Message, Some((_, code))) => {
                            messages::fail(conn, subject, &peer, code, now).await?;
                            failed.push(subject);
                        }
                        (_, Some((_, code))) => {
                            tracing::warn!(%peer, seq, ?kind, %subject, code, "the peer refused an event");
                        }
                        (_, None) => {}
                    }
                }
                messages::relayed(conn, &relayed).await?;
                // What has moved on since it was sent is sent again.
                let events: Vec<_> = receipts::settle(conn, &registers)
                    .await?
                    .into_iter()
                    .map(|subject| NewEvent {
                        kind: EventKind::Receipt,
                        subject,
                        trace: Uuid::from_u128(rand::random()),
                        at: now,
                    })
                    .collect();
                let refused = failed.len();
                relayed.append(&mut failed);
                realtime::append_status(conn, &relayed, now).await?;
                store::append(conn, &peer, &events).await?;
                Ok(Some((relayed, number, refused)))
            })
        });
        let Some((changed, number, refused)) = settled.await? else {
            tracing::warn!(peer = %self.peer, "the lease has gone to another process; nothing was settled");
            self.forget_lease();
            return Ok(false);
        };
        self.meter.settled(number, refused);
        if !changed.is_empty() {
            let changed = changed.into_iter().map(MessageId::from).collect();
            receipts::announce(&self.app, StatusChange::Messages(changed));
        }
        Ok(true)
    }

    /// Whether the peer has settled more than has ever been sent, let alone the `last` of a batch.
    async fn is_beyond(&self, position: i64, last: i64) -> Result<bool, Problem> {
        if position <= last {
            return Ok(false);
        }
        let newest = store::stream(&mut self.app.db.read().await?, &self.peer).await?;
        Ok(newest.is_none_or(|(_, last_seq)| position > last_seq))
    }

    /// The two sides disagree about what has been sent: one of them has been restored from a backup. A new stream
    /// begins with what is waiting.
    async fn restart(&self, fence: i64) -> Result<bool, Problem> {
        tracing::warn!(peer = %self.peer, "the peer is elsewhere in the stream; starting a new one");
        let (peer, owner, now) = (self.peer.clone(), self.owner, self.app.clock.now());
        let restarted = self.app.db.write(move |conn| {
            Box::pin(async move {
                let held = store::holds(conn, &peer, owner, fence).await?;
                if held {
                    store::restart(conn, &peer, now).await?;
                }
                Ok::<_, Problem>(held)
            })
        });
        restarted.await
    }

    async fn give_up(&self, oldest: Timestamp) -> Result<(), Problem> {
        let (peer, now) = (self.peer.clone(), self.app.clock.now());
        let given_up = self.app.db.write(move |conn| {
            Box::pin(async move {
                give_up(conn, &peer, Waits::MessagesBefore(oldest), "expired", now).await
            })
        });
        let GivenUp { failed, .. } = given_up.await?;
        let messages = failed.len();
        self.meter.expired(messages);
        receipts::announce(&self.app, StatusChange::Messages(failed));
        tracing::warn!(peer = %self.peer, messages, "events were given up, as the peer has been away too long");
        Ok(())
    }

    async fn hold_lease(&self) -> Result<Option<i64>, Problem> {
        let now = self.app.clock.wall();
        let span = if self.app.db.is_shared() { SHARED_LEASE } else { SOLE_LEASE };
        let is_within = |since: Timestamp, span| since <= now && now < since.after(span);
        let known = *self.known();
        let run_out = match known {
            Lease::Own { fence, since } if is_within(since, span / 3) => return Ok(Some(fence)),
            Lease::Other { held, since } if now >= since.after(span) => Some(held),
            _ => None,
        };
        let (peer, owner, until) = (self.peer.clone(), self.owner, now.after(span));
        let claim = self.app.db.write(move |conn| {
            Box::pin(async move { store::lease(conn, &peer, owner, until, run_out).await })
        });
        let lease = match (claim.await?, known) {
            (Ok(fence), _) => Lease::Own { fence, since: now },
            (Err(Some(held)), Lease::Other { held: before, since })
                if held == before && since <= now =>
            {
                known
            }
            (Err(Some(held)), _) => Lease::Other { held, since: now },
            (Err(None), _) => Lease::Unknown,
        };
        *self.known() = lease;
        Ok(match lease {
            Lease::Own { fence, .. } => Some(fence),
            Lease::Other { .. } | Lease::Unknown => None,
        })
    }

    fn known(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_lease(&self) {
        *self.known() = Lease::Unknown;
    }

    /// Gives the lease back.
    pub async fn release(&self) -> Result<(), Problem> {
        let (peer, owner) = (self.peer.clone(), self.owner);
        let work = self
            .app
            .db
            .write(move |conn| Box::pin(async move { store::release(conn, &peer, owner).await }));
        Ok(work.await?)
    }

    /// Sends until `stopping` is cancelled, and gives the lease back.
    pub async fn work(
        self,
        client: Arc<PeerClient>,
        signals: Arc<Signals>,
        stopping: CancellationToken,
    ) {
        let (mut failures, mut standing) = (0, Standing::default());
        // An empty batch tells the peer that this app is there again, so that it need not wait out its own delay; and
        // this app, where there is nothing to send, that the peer is.
        let mut greet = true;
        while !stopping.is_cancelled() {
            // Registered before the table is read, so that nothing is missed in between.
            let news = signals.news.notified();
            match self.step(&client, greet, &stopping).await {
                // Another process sends to this peer; there is nothing to do but to be there when it is not.
                Ok(None) => {
                    stopping.run_until_cancelled(sleep(POLL)).await;
                }
                Ok(Some(events)) => {
                    failures = 0;
                    if (greet || events > 0) && !stopping.is_cancelled() {
                        standing.reached(&self.app, &self.peer).await;
                    }
                    if events == 0 {
                        tokio::select! {
                            () = news => {}
                            () = sleep(POLL) => {}
                            () = stopping.cancelled() => {}
                        }
                    }
                    greet = standing.is_old(&self.app);
                }
                Err(failure) => {
                    // A peer may ask for more patience than there would be, but not for less.
                    let wait = wait(failures).max(failure.retry_after.unwrap_or_default());
                    standing.failed(&self.app, &self.peer, failure.cause, wait).await;
                    if failures == 0 {
                        tracing::warn!(peer = %self.peer, reason = failure.reason, "delivery failed; trying again");
                    } else {
                        tracing::debug!(peer = %self.peer, reason = failure.reason, failures, ?wait, "delivery failed");
                    }
                    failures += 1;
                    // News do not cut this short, or every message would knock at a closed door.
                    tokio::select! {
                        () = signals.heard.notified() => {}
                        () = sleep(wait) => {}
                        () = stopping.cancelled() => {}
                    }
                }
            }
        }
        if let Err(problem) = self.release().await {
            tracing::warn!(peer = %self.peer, %problem, "the lease cannot be given back");
        }
    }

    /// Claims, delivers and settles one batch, and gives the number of its events; `None` if another process does that.
    async fn step(
        &self,
        client: &PeerClient,
        greet: bool,
        stopping: &CancellationToken,
    ) -> Result<Option<usize>, Delivery> {
        let failed = |problem: Problem| Delivery::failed(Cause::Internal, problem.to_string());
        let Some(claimed) = self.claim().await.map_err(failed)? else { return Ok(None) };
        let events = claimed.batch.events.len();
        if greet {
            recovery::ask(&self.app, &self.peer, client).await?;
        }
        if events < MAX_BATCH {
            let told = recovery::tell(&self.app, &self.peer).await;
            told.map_err(|error| Delivery::internal(&error))?;
        }
        if events == 0 && !greet {
            return Ok(Some(0));
        }
        let started = Instant::now();
        let answer = tokio::select! {
            answer = client.deliver(&claimed.batch) => answer,
            // The peer may have it or not; the next process will find out.
            () = stopping.cancelled() => return Ok(Some(0)),
        };
        self.meter.attempt(&answer, started.elapsed());
        if answer.as_ref().is_err_and(|failure| failure.cause == Cause::StaleStream) {
            self.restart(claimed.fence).await.map_err(failed)?;
        }
        let answer = answer?;
        self.settle(&claimed, answer).await.map_err(failed)?;
        Ok(Some(events))
    }
}

/// How far the registers have come of which a batch has told, by the numbers of the events. Those that were settled
/// `before` told of an earlier state, whichever that was.
fn told(batch: &Batch, before: Option<i64>) -> HashMap<i64, (Timestamp, Timestamp)> {
    let told = |event: &Event| match &event.body {
        EventBody::Receipt(state) => Some((event.seq, (state.delivered.to, state.read.to))),
        _ => None,
    };
    let fresh = batch.events.iter().filter(|event| before.is_none_or(|before| event.seq > before));
    fresh.filter_map(told).collect()
}

/// The wait after a number of failures in a row: doubling up to the longest, of which a random half (full jitter
/// would allow none at all).
fn wait(failures: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    longest.mul_f64(rand::random_range(0.5..1.0))
}

async fn event(
    conn: &mut Conn,
    stream: StreamId,
    waiting: Waiting,
    registers: &mut HashMap<Uuid, ReceiptState>,
) -> Result<Event, Problem> {
    let Waiting { seq, kind, subject, trace, message, .. } = waiting;
    let body = match (kind, message) {
        (EventKind::Message | EventKind::MessageChange, Some(state)) => {
            EventBody::Message(Box::new(state))
        }
        (EventKind::Conversation, _) => {
            let state = conversations::state(conn, ConversationId::from(subject)).await?;
            state.map_or(EventBody::Void, |state| EventBody::Conversation(Box::new(state)))
        }
        (EventKind::User, _) => {
            let state = users::state(conn, UserId::from(subject)).await?;
            state.map_or(EventBody::Void, |state| EventBody::User(Box::new(state)))
        }
        (EventKind::Recovered, _) => EventBody::Recovered { id: subject },
        (EventKind::Receipt, _) => {
            let state = registers.remove(&subject);
            state.map_or(EventBody::Void, |state| EventBody::Receipt(Box::new(state)))
        }
        _ => EventBody::Void,
    };
    Ok(Event { id: Some(EventId::of(stream, seq)), seq, trace, body })
}

/// Makes void what a later event says as well: each event of a conversation tells all of it, so of several the last
/// is enough. But a message must come after what its sender takes part by, and the peer may know any number of
/// these events already and look at the others alone.
fn leave_to_the_last(waiting: &mut [Waiting]) {
    let mut said_later = HashSet::new();
    for waiting in waiting.iter_mut().rev() {
        if let Some(message) = &waiting.message {
            said_later.remove(&message.conversation.uuid());
        } else if waiting.kind == EventKind::Conversation && !said_later.insert(waiting.subject) {
            waiting.kind = EventKind::Void;
        }
    }
}

/// About how many bytes an event takes.
fn size(body: &EventBody) -> usize {
    match body {
        EventBody::Message(state) => {
            let terms = state.terms.as_ref().map_or(0, |terms| terms.packed().len() * 4 / 3);
            state.content.as_ref().map_or(0, |content| content.token().len()) + terms
        }
        EventBody::Conversation(state) => {
            let title = |change: &Change| match &change.deed {
                Deed::Title { title } => title.as_ref().map_or(0, String::len),
                _ => 0,
            };
            let lines = state.users.len() + state.changes.len();
            lines * ABOUT_A_LINE + state.changes.iter().map(title).sum::<usize>()
        }
        EventBody::User(_) | EventBody::Receipt(_) => ABOUT_A_LINE,
        EventBody::Void | EventBody::Recovered { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_bounded() {
        for failures in 0..40 {
            let longest = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
            assert!(wait(failures) >= longest / 2 && wait(failures) <= longest);
        }
    }
}
