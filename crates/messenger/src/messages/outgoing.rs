use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use shared::address::AppName;
use shared::encryption::{Ciphertext, SealedContent, Terms};
use shared::id::{ConversationId, MessageId};
use shared::models::{Message, Status, UserCard};
use shared::problem::Problem;
use shared::time::{Clock, Timestamp};
use uuid::Uuid;

use super::store;
use crate::db::{Batcher, Conn, Db, Result};
use crate::idempotency::{self, Record};
use crate::realtime::{self, NewEntry};
use crate::relay::{self, NewEvent};

/// A message that is to be stored and relayed.
pub struct NewRow {
    pub id: MessageId,
    pub conversation: ConversationId,
    pub sender: UserCard,
    pub parent: Option<MessageId>,
    pub content: Ciphertext,
    /// What the text is found by.
    pub terms: Terms,
    /// The apps that it goes to.
    pub peers: Arc<[AppName]>,
    pub trace: Uuid,
    /// What a repeat of the request is recognised by.
    pub record: Option<Record>,
}

/// When and how it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    pub created_at: Timestamp,
    pub status: Status,
}

impl NewRow {
    /// The message as its sender is shown it.
    fn message(&self, stored: Stored) -> Message {
        Message {
            id: self.id,
            conversation: self.conversation,
            sender: self.sender.clone(),
            content: Some(SealedContent::new(self.id, self.sender.id, 0, self.content.clone())),
            parent: self.parent,
            reply_count: 0,
            status: stored.status,
            status_reason: None,
            created_at: stored.created_at,
            edited_at: None,
            deleted_at: None,
            origin: self.sender.app.clone(),
        }
    }
}

/// Writes new messages and their outbox rows, those that arrive together in one transaction.
pub struct Outgoing(Batcher<NewRow, Message>);

impl Outgoing {
    /// Starts the writer.
    pub fn start(db: &Db, clock: &Clock) -> Self {
        let clock = clock.clone();
        Self(Batcher::start(db.clone(), move |conn, rows| {
            let clock = clock.clone();
            Box::pin(async move { store_rows(conn, &rows, &clock).await })
        }))
    }

    /// How many messages wait, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        self.0.waiting()
    }

    /// Gives the message once it and its outbox rows are on disk.
    pub async fn submit(&self, row: NewRow) -> Result<Message, Problem> {
        self.0.submit(row).await
    }
}

async fn store_rows(conn: &mut Conn, rows: &[Arc<NewRow>], clock: &Clock) -> Result<Vec<Message>> {
    // The moment is taken here, in the order of the writes, so that a conversation reads as it was stored; after all that
    // another replica has written, whose clock may be ahead.
    if conn.is_postgres() {
        clock.raise(relay::last_moment(conn).await?);
    }
    let stored = |row: &Arc<NewRow>| {
        let status = if row.peers.is_empty() { Status::Relayed } else { Status::Queued };
        Stored { created_at: clock.now(), status }
    };
    let stored: Vec<Stored> = rows.iter().map(stored).collect();
    let inserts: Vec<_> = rows.iter().map(AsRef::as_ref).zip(stored.iter().copied()).collect();
    store::insert(conn, &inserts).await?;
    let messages: Vec<_> = inserts.iter().map(|(row, stored)| row.message(*stored)).collect();
    for ((row, _), message) in inserts.iter().zip(&messages) {
        if let Some(record) = &row.record {
            idempotency::insert(conn, record, StatusCode::CREATED, message).await?;
        }
    }
    let created = |(row, stored): &(&NewRow, Stored)| {
        let kind = realtime::EventKind::MessageCreated;
        NewEntry::message(kind, row.conversation, row.id, stored.created_at)
    };
    let entries: Vec<_> = inserts.iter().map(created).collect();
    realtime::append(conn, &entries).await?;
    // In the order of their names, so that two replicas lock the streams in the same order.
    let mut events: BTreeMap<&AppName, Vec<NewEvent>> = BTreeMap::new();
    for (row, stored) in &inserts {
        for peer in row.peers.iter() {
            events.entry(peer).or_default().push(NewEvent {
                kind: relay::EventKind::Message,
                subject: row.id.uuid(),
                trace: row.trace,
                at: stored.created_at,
            });
        }
    }
    for (peer, events) in events {
        relay::append(conn, peer, &events).await?;
    }
    Ok(messages)
}
