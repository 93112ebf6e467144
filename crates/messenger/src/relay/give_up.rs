use shared::address::AppName;
use shared::id::MessageId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::store::{self, EventKind};
use crate::db::{Conn, Result};
use crate::{messages, realtime, receipts};

/// Which of the events that wait for a peer.
#[derive(Clone, Copy, Debug)]
pub enum Waits {
    /// New messages that were written before a moment. Changes tell of a state, which the peer is to know however late.
    MessagesBefore(Timestamp),
    /// The one with this number.
    Seq(i64),
    /// All.
    AtAll,
}

/// What was given up.
pub struct GivenUp {
    /// How many events.
    pub events: usize,
    /// The messages that have failed by it, for [`receipts::announce`] after the commit.
    pub failed: Vec<MessageId>,
}

/// Gives up events that wait for a peer: their numbers stay in the stream, and new messages among them become failed for
/// this reason.
pub async fn give_up(
    conn: &mut Conn,
    peer: &AppName,
    which: Waits,
    reason: &'static str,
    now: Timestamp,
) -> Result<GivenUp> {
    let (mut failed, mut registers) = (Vec::new(), Vec::new());
    let given_up = store::give_up(conn, peer, which).await?;
    let events = given_up.len();
    for (kind, subject) in given_up {
        match kind {
            EventKind::Message => {
                messages::fail(conn, subject, peer, reason, now).await?;
                failed.push(MessageId::from(subject));
            }
            EventKind::Receipt => registers.push(subject),
            _ => {}
        }
    }
    receipts::forget_untold(conn, &registers).await?;
    let ids: Vec<Uuid> = failed.iter().map(|id| id.uuid()).collect();
    realtime::append_status(conn, &ids, now).await?;
    Ok(GivenUp { events, failed })
}
