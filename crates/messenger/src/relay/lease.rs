use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::address::AppName;
use shared::problem::Problem;
use shared::time::Timestamp;
use uuid::Uuid;

use super::store::{self, Held};
use crate::app::App;

/// How long a lease lasts where several processes share the database.
const SHARED_LEASE: Duration = Duration::from_secs(10);
/// How long it lasts where only one process can; it is taken over at once by the next.
const SOLE_LEASE: Duration = Duration::from_mins(10);

/// The right to send to a peer, which one process has at a time.
pub struct Lease {
    app: Arc<App>,
    peer: AppName,
    /// Who this process is, among those that would have it.
    pub owner: Uuid,
    known: Mutex<Known>,
}

/// What is known of the lease. Moments are those of this process's clock, which may differ from those of other
/// processes, and may step back.
#[derive(Clone, Copy)]
enum Known {
    /// Nothing.
    Nothing,
    /// This process has taken it, or renewed it, at a moment.
    Own { fence: i64, since: Timestamp },
    /// Another has it, and has neither renewed it nor given it back since a moment.
    Other { held: Held, since: Timestamp },
}

impl Lease {
    /// The lease of a peer, which this process does not have yet.
    pub fn of(app: &Arc<App>, peer: &AppName) -> Self {
        // A process alone with its database may take over at once from the one that was killed before it.
        let owner = if app.db.is_shared() { Uuid::from_u128(rand::random()) } else { Uuid::nil() };
        Self { app: app.clone(), peer: peer.clone(), owner, known: Mutex::new(Known::Nothing) }
    }

    /// Takes or keeps it, and gives its fence; `None` if another process has it.
    pub async fn hold(&self) -> Result<Option<i64>, Problem> {
        let now = self.app.clock.wall();
        let span = if self.app.db.is_shared() { SHARED_LEASE } else { SOLE_LEASE };
        let is_within = |since: Timestamp, span| since <= now && now < since.after(span);
        let known = *self.known();
        let run_out = match known {
            Known::Own { fence, since } if is_within(since, span / 3) => return Ok(Some(fence)),
            Known::Other { held, since } if now >= since.after(span) => Some(held),
            _ => None,
        };
        let (peer, owner, until) = (self.peer.clone(), self.owner, now.after(span));
        let claim = self.app.db.write(move |conn| {
            Box::pin(async move { store::lease(conn, &peer, owner, until, run_out).await })
        });
        let lease = match (claim.await?, known) {
            (Ok(fence), _) => Known::Own { fence, since: now },
            (Err(Some(held)), Known::Other { held: before, since })
                if held == before && since <= now =>
            {
                known
            }
            (Err(Some(held)), _) => Known::Other { held, since: now },
            (Err(None), _) => Known::Nothing,
        };
        *self.known() = lease;
        match (known, lease) {
            (_, Known::Own { fence, .. }) => return Ok(Some(fence)),
            (Known::Own { .. }, _) => {
                tracing::warn!(peer = %self.peer, "the lease has gone to another process");
            }
            _ => {}
        }
        Ok(None)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Knows nothing of it any more: it has turned out to be another's.
    pub fn forget(&self) {
        *self.known() = Known::Nothing;
    }

    /// Gives it back.
    pub async fn release(&self) -> Result<(), Problem> {
        let (peer, owner) = (self.peer.clone(), self.owner);
        let work = self
            .app
            .db
            .write(move |conn| Box::pin(async move { store::release(conn, &peer, owner).await }));
        Ok(work.await?)
    }
}
