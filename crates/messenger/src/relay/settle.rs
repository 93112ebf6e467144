use std::collections::HashMap;

use shared::id::MessageId;
use shared::problem::Problem;
use shared::relay::{Batch, BatchResult, Event, EventBody, Outcome};
use shared::time::Timestamp;
use uuid::Uuid;

use super::sender::{Claimed, Sender};
use super::store::{self, EventKind, NewEvent};
use crate::messages;
use crate::realtime;
use crate::receipts::{self, StatusChange};

/// As far as a register has come that nothing has been told of.
const NEVER: Timestamp = Timestamp::from_micros(0);

impl Sender {
    /// Takes in the peer's answer: what it has settled leaves the outbox, and messages become relayed or failed.
    ///
    /// `false` if the lease has gone to another process meanwhile; then nothing is done.
    pub async fn settle(&self, claimed: &Claimed, answer: BatchResult) -> Result<bool, Problem> {
        let Some(last) = claimed.batch.events.last().map(|event| event.seq) else {
            return Ok(true);
        };
        let (peer, owner, fence) = (self.peer.clone(), self.lease.owner, claimed.fence);
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
            self.lease.forget();
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
    pub(super) async fn restart(&self, fence: i64) -> Result<bool, Problem> {
        tracing::warn!(peer = %self.peer, "the peer is elsewhere in the stream; starting a new one");
        let (peer, owner, now) = (self.peer.clone(), self.lease.owner, self.app.clock.now());
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
