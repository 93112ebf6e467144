use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::address::AppName;
use shared::id::UserId;
use shared::models::Message;
use shared::problem::Problem;
use shared::relay::Progress;
use shared::time::Timestamp;
use tokio::sync::{Notify, broadcast};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Move, Register, StatusChange, advance, announce_moved};
use crate::app::{App, AppState};

/// How long to collect before writing, so that a person who reads page after page causes few writes.
const COLLECT: Duration = Duration::from_millis(100);
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// Registers that one transaction moves, at most.
const BATCH: usize = 512;
/// Registers that wait, at most; what is beyond is noted when its messages are next looked at.
const WAITING: usize = 50_000;
/// Changes that a listener may lag behind before it loses some.
const LAG: usize = 4096;

/// What has been handed to clients and is not yet on disk, and who wants to know of changes.
pub struct Receipts {
    waiting: Mutex<HashMap<Register, Timestamp>>,
    news: Notify,
    changes: broadcast::Sender<StatusChange>,
}

impl Default for Receipts {
    fn default() -> Self {
        let (changes, _) = broadcast::channel(LAG);
        Self { waiting: Mutex::default(), news: Notify::default(), changes }
    }
}

impl Receipts {
    /// What comes to be known from now on, in this process; what others have done is found in the database.
    pub fn changes(&self) -> broadcast::Receiver<StatusChange> {
        self.changes.subscribe()
    }

    pub(super) fn publish(&self, change: StatusChange) {
        // Nobody may be listening.
        let _ = self.changes.send(change);
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Register, Timestamp>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, register: Register, at: Timestamp) {
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING && !waiting.contains_key(&register) {
            return;
        }
        let known = waiting.entry(register).or_insert(at);
        *known = (*known).max(at);
        drop(waiting);
        self.news.notify_one();
    }
}

/// Notes that messages are being handed to a client of a user of this app; writes nothing by itself. The user's own
/// messages do not count.
pub fn delivered<'m>(app: &App, reader: UserId, messages: impl IntoIterator<Item = &'m Message>) {
    for message in messages {
        if message.sender.id != reader {
            let (conversation, origin) = (message.conversation, message.origin.clone());
            let register = Register { conversation, origin, reader };
            app.receipts.note(register, message.created_at);
        }
    }
}

/// Writes what has been noted, in batches. What cannot be written stays noted.
pub async fn flush(app: &App) -> Result<(), Problem> {
    loop {
        let batch: Vec<(Register, Timestamp)> = {
            let mut waiting = app.receipts.waiting();
            let some: Vec<_> = waiting.keys().take(BATCH).cloned().collect();
            some.into_iter().filter_map(|register| waiting.remove_entry(&register)).collect()
        };
        if batch.is_empty() {
            return Ok(());
        }
        if let Err(problem) = write(app, &batch).await {
            for (register, at) in batch {
                app.receipts.note(register, at);
            }
            return Err(problem);
        }
    }
}

async fn write(app: &App, batch: &[(Register, Timestamp)]) -> Result<(), Problem> {
    let now = app.clock.now();
    let mut moves = Vec::with_capacity(batch.len());
    let mut peers: BTreeSet<AppName> = BTreeSet::new();
    for (register, to) in batch {
        let membership = app.memberships.of(app, register.conversation).await?;
        let tell = membership.is_some_and(|m| m.elsewhere().contains(&register.origin));
        if tell {
            peers.insert(register.origin.clone());
        }
        moves.push(Move {
            register: register.clone(),
            delivered: Progress::begin(*to, now),
            seen: Progress::default(),
            read_to: Progress::default().to,
            tell,
        });
    }
    let trace = Uuid::from_u128(rand::random());
    let own = app.name.clone();
    let changed = app
        .db
        .write(move |conn| Box::pin(async move { advance(conn, &own, moves, trace, now).await }))
        .await?;
    app.relay.wake(&peers.into_iter().collect::<Vec<_>>());
    announce_moved(app, changed);
    Ok(())
}

/// Writes what is noted, soon after it is, until `stopping` is cancelled; and what is left then.
pub async fn flush_regularly(app: AppState, stopping: CancellationToken) {
    loop {
        let going = stopping.run_until_cancelled(app.receipts.news.notified()).await.is_some();
        if going {
            stopping.run_until_cancelled(sleep(COLLECT)).await;
        }
        if let Err(problem) = flush(&app).await {
            tracing::warn!(%problem, "deliveries cannot be written");
            stopping.run_until_cancelled(sleep(RETRY)).await;
        }
        if !going {
            return;
        }
    }
}
