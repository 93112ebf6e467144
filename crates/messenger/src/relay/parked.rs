//! Events that come before what they rest on.
//!
//! With three apps, what one of them does may be known to the second before the third has heard what made it possible:
//! that somebody now takes part in a group, say. Order within a stream does not help there. Such an event is set
//! aside, answered as stored, and looked at again when its conversation is told of.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::address::AppName;
use shared::id::{ConversationId, StreamId};
use shared::time::Timestamp;

use super::ingest::Fresh;
use super::store::{self, Parked};
use crate::db::{Conn, Result};

/// Events of one peer that are set aside, at most.
const LIMIT: i64 = 10_000;
/// How long they are: what has not been told of by then is not told of any more.
const PATIENCE: Duration = Duration::from_hours(7 * 24);

/// Sets an event aside; `false` if too many of its origin are waiting already.
pub async fn park(
    conn: &mut Conn,
    event: Parked,
    conversation: ConversationId,
    now: Timestamp,
) -> Result<bool> {
    store::forget_parked(conn, now.before(PATIENCE)).await?;
    store::park(conn, &event, conversation, now, LIMIT).await
}

/// Takes out the events that wait for a conversation, in the order of their streams.
pub async fn unpark(
    conn: &mut Conn,
    id: ConversationId,
) -> Result<Vec<(AppName, StreamId, Vec<Fresh>)>> {
    let mut waiting: BTreeMap<(AppName, StreamId), Vec<Fresh>> = BTreeMap::new();
    for Parked { origin, stream, seq, body } in store::unpark(conn, id).await? {
        let fresh = Fresh::parse(seq, None, &body, true);
        waiting.entry((origin, stream)).or_default().push(fresh);
    }
    Ok(waiting
        .into_iter()
        .map(|((origin, stream), mut events)| {
            events.sort_by_key(|event| event.seq);
            (origin, stream, events)
        })
        .collect())
}
