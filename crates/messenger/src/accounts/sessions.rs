use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use shared::id::SessionId;
use shared::models::{AccountRole, UserCard};
use shared::problem::Problem;
use shared::time::Clock;
use tokio::sync::Notify;

use super::store;
use crate::db::Db;

/// How long a replica may go on believing what it has read about a session.
const BELIEVED: Duration = Duration::from_secs(1);
/// Sessions remembered, at most.
const REMEMBERED: u64 = 50_000;

/// Whose session it is.
#[derive(Debug)]
pub struct SessionUser {
    pub card: UserCard,
    pub role: AccountRole,
}

/// Which sessions are alive, read at most once a second each.
pub struct Sessions {
    db: Db,
    clock: Clock,
    cache: Cache<SessionId, Option<Arc<SessionUser>>>,
    /// Notified when a session has been ended by this process.
    pub ended: Notify,
}

impl Sessions {
    pub fn new(db: Db, clock: Clock) -> Self {
        let cache = Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build();
        Self { db, clock, cache, ended: Notify::new() }
    }

    /// The user of a session that has not ended, and whose account is active.
    pub async fn find(&self, id: SessionId) -> Result<Option<Arc<SessionUser>>, Problem> {
        if let Some(known) = self.cache.get(&id).await {
            return Ok(known);
        }
        let load = async {
            let now = self.clock.wall();
            let mut conn = self.db.read().await?;
            let user = store::session_user(&mut conn, id, now).await?;
            Ok::<_, Problem>(user.map(Arc::new))
        };
        Box::pin(self.cache.try_get_with(id, load)).await.map_err(|problem| (*problem).clone())
    }

    /// Forgets a session that has just ended.
    pub async fn forget(&self, id: SessionId) {
        self.cache.invalidate(&id).await;
        self.ended.notify_one();
    }
}
