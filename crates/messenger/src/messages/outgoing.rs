use std::collections::BTreeMap;
use std::sync::Arc;

use shared::address::AppName;
use shared::encryption::Ciphertext;
use shared::id::{ConversationId, MessageId, UserId};
use shared::models::Status;
use shared::problem::Problem;
use shared::time::{Clock, Timestamp};
use uuid::Uuid;

use super::store;
use crate::db::{Batcher, Conn, Db, Result};
use crate::relay::{self, EventKind, NewEvent};

/// A message that is to be stored and relayed.
pub struct NewRow {
    pub id: MessageId,
    pub conversation: ConversationId,
    pub sender: UserId,
    pub parent: Option<MessageId>,
    pub content: Ciphertext,
    /// The apps that it goes to.
    pub peers: Arc<[AppName]>,
    pub trace: Uuid,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    pub created_at: Timestamp,
    pub status: Status,
}

/// Writes new messages and their outbox rows, those that arrive together in one transaction.
pub struct Outgoing(Batcher<NewRow, Stored>);

impl Outgoing {
    /// Starts the writer.
    pub fn start(db: &Db, clock: &Clock) -> Self {
        let clock = clock.clone();
        Self(Batcher::start(db.clone(), move |conn, rows| {
            let clock = clock.clone();
            Box::pin(async move { store_rows(conn, &rows, &clock).await })
        }))
    }

    /// Gives when and how the message was stored, once it and its outbox rows are on disk.
    pub async fn submit(&self, row: NewRow) -> Result<Stored, Problem> {
        self.0.submit(row).await
    }
}

async fn store_rows(conn: &mut Conn, rows: &[Arc<NewRow>], clock: &Clock) -> Result<Vec<Stored>> {
    // The moment is taken here, in the order of the writes, so that a conversation reads as it was stored.
    let stored = |row: &Arc<NewRow>| {
        let status = if row.peers.is_empty() { Status::Relayed } else { Status::Queued };
        Stored { created_at: clock.now(), status }
    };
    let stored: Vec<Stored> = rows.iter().map(stored).collect();
    let inserts: Vec<_> = rows.iter().map(AsRef::as_ref).zip(stored.iter().copied()).collect();
    store::insert(conn, &inserts).await?;
    // In the order of their names, so that two replicas lock the streams in the same order.
    let mut events: BTreeMap<&AppName, Vec<NewEvent>> = BTreeMap::new();
    for (row, stored) in &inserts {
        for peer in row.peers.iter() {
            events.entry(peer).or_default().push(NewEvent {
                kind: EventKind::Message,
                subject: row.id.uuid(),
                trace: row.trace,
                at: stored.created_at,
            });
        }
    }
    for (peer, events) in events {
        relay::append(conn, peer, &events).await?;
    }
    Ok(stored)
}
