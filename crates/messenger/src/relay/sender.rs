use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::address::AppName;
use shared::problem::Problem;
use shared::relay::{Batch, MAX_BATCH};
use shared::time::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::allowance::Allowance;
use super::batch::{self, Contents};
use super::lease::Lease;
use super::meter::Meter;
use super::store::{self, EventKind};
use super::{Cause, Delivery, GivenUp, PeerClient, Signals, Waits, give_up};
use crate::app::App;
use crate::peers::Standing;
use crate::receipts::{self, StatusChange};
use crate::recovery;

/// How often to look for events that nothing has announced: those of another replica, say.
const POLL: Duration = Duration::from_secs(1);
/// The first wait after a failure; it doubles from one to the next.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait after a failure, so that both apps agree soon after they reach each other again.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Sends the events for one peer, in order.
///
/// It is a loop over three steps, which tests drive one by one: [`claim`](Sender::claim) a batch,
/// [`deliver`](PeerClient::deliver) it, [`settle`](Sender::settle) the answer. It may stop between any two of
/// them; the next claim begins where the last settlement ended, and what the peer has already it takes as a repeat.
pub struct Sender {
    pub(super) app: Arc<App>,
    pub(super) peer: AppName,
    pub(super) lease: Lease,
    pub(super) meter: Meter,
    pub(super) allowance: Allowance,
    give_up_after: Duration,
}

/// A batch that is to be delivered.
pub struct Claimed {
    /// The batch.
    pub batch: Batch,
    pub(super) fence: i64,
    /// How many bytes its events take, roughly.
    pub(super) bytes: usize,
    /// Whether events that wait were left out, as there was no room.
    is_cut: bool,
}

/// What has come of one round of the loop.
enum Step {
    /// Another process sends to this peer.
    NotOurs,
    /// The peer has answered to so many events, or there was nothing to send.
    Done(usize),
    /// The batch was too large. The next one is smaller.
    TooLarge,
}

impl Sender {
    /// A sender of `app` to `peer`; what is older than `give_up_after` is not sent any more.
    pub fn new(app: &Arc<App>, peer: AppName, give_up_after: Duration) -> Self {
        let (lease, meter) = (Lease::of(app, &peer), Meter::of(&peer));
        let allowance = Allowance::whole();
        Self { app: app.clone(), peer, lease, meter, allowance, give_up_after }
    }

    /// The next events, empty if there are none; `None` if another process sends to this peer.
    pub async fn claim(&self) -> Result<Option<Claimed>, Problem> {
        let Some(fence) = self.lease.hold().await? else { return Ok(None) };
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
        let room = self.allowance.bytes();
        let contents = batch::contents(&mut conn, stream, waiting, room).await?;
        let Contents { events, bytes, is_cut } = contents;
        let batch = Batch { origin: self.app.name.clone(), stream, events };
        Ok(Some(Claimed { batch, fence, bytes, is_cut }))
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
                Ok(Step::NotOurs) => {
                    stopping.run_until_cancelled(sleep(POLL)).await;
                }
                Ok(Step::TooLarge) => {}
                Ok(Step::Done(events)) => {
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
                        () = standing.hurried(&self.app, &self.peer) => {}
                        () = sleep(wait) => {}
                        () = stopping.cancelled() => {}
                    }
                }
            }
        }
        if let Err(problem) = self.lease.release().await {
            tracing::warn!(peer = %self.peer, %problem, "the lease cannot be given back");
        }
    }

    /// Claims, delivers and settles one batch.
    async fn step(
        &self,
        client: &PeerClient,
        greet: bool,
        stopping: &CancellationToken,
    ) -> Result<Step, Delivery> {
        let failed = |problem: Problem| Delivery::failed(Cause::Internal, problem.to_string());
        let Some(claimed) = self.claim().await.map_err(failed)? else {
            return Ok(Step::NotOurs);
        };
        let events = claimed.batch.events.len();
        if greet {
            recovery::ask(&self.app, &self.peer, client).await?;
        }
        if events < MAX_BATCH && !claimed.is_cut {
            let told = recovery::tell(&self.app, &self.peer).await;
            told.map_err(|error| Delivery::internal(&error))?;
        }
        if events == 0 && !greet {
            return Ok(Step::Done(0));
        }
        let started = Instant::now();
        let answer = tokio::select! {
            answer = client.deliver(&claimed.batch) => answer,
            // The peer may have it or not; the next process will find out.
            () = stopping.cancelled() => return Ok(Step::Done(0)),
        };
        self.meter.attempt(&answer, started.elapsed());
        match answer.as_ref().map_err(|failure| failure.cause) {
            Err(Cause::StaleStream) => {
                self.restart(claimed.fence).await.map_err(failed)?;
            }
            Err(Cause::TooLarge) => {
                let smaller = self.make_smaller(&claimed, client, stopping).await;
                if smaller.map_err(failed)? {
                    return Ok(Step::TooLarge);
                }
            }
            Ok(_) if claimed.is_cut => self.allowance.grow(),
            _ => {}
        }
        let answer = answer?;
        self.settle(&claimed, answer).await.map_err(failed)?;
        Ok(Step::Done(events))
    }
}

/// The wait after a number of failures in a row: doubling up to the longest, of which a random half (full jitter
/// would allow none at all).
fn wait(failures: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    longest.mul_f64(rand::random_range(0.5..1.0))
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
