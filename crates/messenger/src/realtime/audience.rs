use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use shared::address::AppName;
use shared::id::{ConversationId, UserId};
use shared::time::Timestamp;

use super::entry::{Entry, EventKind};
use super::store;
use crate::db::{Conn, Result};

/// How long after they have left somebody hears of changes of a conversation.
const FAREWELL: Duration = Duration::from_mins(1);
/// Conversations whose listeners are remembered, at most.
const REMEMBERED: u64 = 20_000;

/// One of this app's users in a conversation, as far as hearing of it goes.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    pub user: UserId,
    pub joined_at: Timestamp,
    pub left_at: Option<Timestamp>,
}

impl Listener {
    /// Whether they hear of what has happened; `written` is when the message that it tells of was written. Who has left
    /// hears of nothing later, as they see nothing later.
    pub fn hears(&self, entry: &Entry, written: Option<Timestamp>) -> bool {
        let moment = match written {
            Some(written) if entry.kind == EventKind::MessageCreated => written,
            _ => entry.place.at,
        };
        // That they have left, they hear as well; on another app that comes to be known a little later.
        let grace = if entry.kind.is_of_message() { Duration::ZERO } else { FAREWELL };
        entry.only.is_none_or(|only| only == self.user)
            && self.left_at.is_none_or(|left_at| moment <= left_at.after(grace))
    }

    /// What they are told has happened: to who joins with it, a conversation that was there is new.
    pub fn kind(&self, entry: &Entry) -> EventKind {
        match entry.kind {
            EventKind::ConversationUpdated
                if self.joined_at == entry.place.at && entry.only.is_none() =>
            {
                EventKind::ConversationCreated
            }
            kind => kind,
        }
    }
}

/// Who listens where, remembered in step with the log: only the tailer writes to it, and it reads a conversation anew
/// when it comes upon a change of it. So what is remembered is never older than the place that the tailer has reached.
pub struct Audiences {
    own: AppName,
    cache: Cache<ConversationId, Arc<[Listener]>>,
}

impl Audiences {
    pub fn new(own: &AppName) -> Self {
        Self { own: own.clone(), cache: Cache::new(REMEMBERED) }
    }

    /// For the tailer: who listens to a conversation when this has happened to it.
    pub async fn follow(&self, conn: &mut Conn, entry: &Entry) -> Result<Arc<[Listener]>> {
        let changed = !entry.kind.is_of_message() && entry.only.is_none();
        if !changed && let Some(known) = self.cache.get(&entry.conversation) {
            return Ok(known);
        }
        let listeners = self.load(conn, entry.conversation).await?;
        self.cache.insert(entry.conversation, listeners.clone());
        Ok(listeners)
    }

    /// For everybody else, of what the tailer has passed.
    pub async fn of(&self, conn: &mut Conn, id: ConversationId) -> Result<Arc<[Listener]>> {
        match self.cache.get(&id) {
            Some(known) => Ok(known),
            None => self.load(conn, id).await,
        }
    }

    async fn load(&self, conn: &mut Conn, id: ConversationId) -> Result<Arc<[Listener]>> {
        Ok(store::listeners(conn, id, &self.own).await?.into())
    }

    /// The tailer has stopped following the log.
    pub fn forget(&self) {
        self.cache.invalidate_all();
    }
}
