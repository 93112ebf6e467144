use shared::problem::Problem;
use shared::relay::{Batch, Event};
use tokio_util::sync::CancellationToken;

use super::sender::{Claimed, Sender};
use super::{GivenUp, PeerClient, Waits, give_up, store};
use crate::receipts::{self, StatusChange};

/// What the failure of a message is called that is too large for the way to the peer, as if the peer had refused it.
const REASON: &str = "too_large";

impl Sender {
    /// Has the next batch be smaller than one that was answered 413: it holds half as much, or if it was one event alone,
    /// does without that. `false` if that would not help, as it is not for its size that it was refused.
    pub(super) async fn make_smaller(
        &self,
        refused: &Claimed,
        client: &PeerClient,
        stopping: &CancellationToken,
    ) -> Result<bool, Problem> {
        let Batch { origin, stream, events } = &refused.batch;
        match events.as_slice() {
            [] => Ok(false),
            [event] => {
                // Who answers 413 to this as well would answer it to anything, and nothing is given up for that.
                let empty = Batch { origin: origin.clone(), stream: *stream, events: Vec::new() };
                match stopping.run_until_cancelled(client.deliver(&empty)).await {
                    Some(Ok(_)) => self.do_without(refused, event).await,
                    _ => Ok(false),
                }
            }
            _ => {
                let (peer, bytes) = (&self.peer, refused.bytes);
                if self.allowance.shrink(bytes) {
                    tracing::warn!(%peer, bytes, "a batch is too large for the peer, or for a proxy before it; smaller ones are sent");
                } else {
                    tracing::debug!(%peer, bytes, "a batch is too large for the peer");
                }
                Ok(true)
            }
        }
    }

    /// Gives up the one event of a batch; `false` if there is nothing to give up.
    async fn do_without(&self, refused: &Claimed, event: &Event) -> Result<bool, Problem> {
        let (peer, owner, fence) = (self.peer.clone(), self.lease.owner, refused.fence);
        let (seq, now) = (event.seq, self.app.clock.now());
        let given_up = self.app.db.write(move |conn| {
            Box::pin(async move {
                if !store::holds(conn, &peer, owner, fence).await? {
                    return Ok::<_, Problem>(None);
                }
                Ok(Some(give_up(conn, &peer, Waits::Seq(seq), REASON, now).await?))
            })
        });
        let Some(GivenUp { events, failed }) = given_up.await? else {
            self.lease.forget();
            return Ok(true);
        };
        if events > 0 {
            tracing::warn!(
                peer = %self.peer, seq, bytes = refused.bytes,
                "an event is too large for the peer, or for a proxy before it, and was given up"
            );
        }
        self.meter.settled(0, failed.len());
        receipts::announce(&self.app, StatusChange::Messages(failed));
        Ok(events > 0)
    }
}
