use std::time::Duration;

use shared::address::AppName;
use shared::time::Timestamp;

use super::store;
use crate::app::App;
use crate::relay::Cause;

/// After how long without a request a peer is asked whether it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(30);
/// How often at most it is written down that all is well.
const WRITE_EVERY: Duration = Duration::from_secs(10);
/// How often to look whether a peer is to be tried now.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How the one process that sends to a peer fares with it; written down for all others.
#[derive(Debug, Default)]
pub struct Standing {
    reached_at: Option<Timestamp>,
    written_at: Option<Timestamp>,
    is_failing: bool,
    /// Until when the peer is left alone, as it is written down.
    retry_at: Option<Timestamp>,
}

impl Standing {
    /// Whether it has not been heard for a while that the peer is there.
    pub fn is_old(&self, app: &App) -> bool {
        let now = app.clock.wall();
        self.is_failing || self.reached_at.is_none_or(|at| at.after(HEARTBEAT) <= now)
    }

    /// The peer has taken a request.
    pub async fn reached(&mut self, app: &App, peer: &AppName) {
        let now = app.clock.wall();
        self.reached_at = Some(now);
        let is_fresh = self.written_at.is_some_and(|at| now < at.after(WRITE_EVERY));
        if is_fresh && !self.is_failing {
            return;
        }
        let name = peer.clone();
        let write = app
            .db
            .write(move |conn| Box::pin(async move { store::reached(conn, &name, now).await }));
        match write.await {
            Ok(()) => {
                (self.written_at, self.is_failing, self.retry_at) = (Some(now), false, None);
            }
            Err(error) => tracing::debug!(%peer, %error, "the standing of a peer is not written"),
        }
    }

    /// The peer has not taken a request, and is left alone for a while.
    pub async fn failed(&mut self, app: &App, peer: &AppName, cause: Cause, wait: Duration) {
        let now = app.clock.wall();
        self.is_failing = true;
        let (name, code, retry_at) = (peer.clone(), cause.code(), now.after(wait));
        let write = app.db.write(move |conn| {
            Box::pin(async move { store::failed(conn, &name, code, now, retry_at).await })
        });
        self.retry_at = match write.await {
            Ok(()) => Some(retry_at),
            Err(error) => {
                tracing::debug!(%peer, %error, "the standing of a peer is not written");
                None
            }
        };
    }

    /// Waits until another process has written that the peer is to be tried now ([`try_now`](super::try_now)).
    pub async fn hurried(&self, app: &App, peer: &AppName) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(written) = self.retry_at else { continue };
            let Ok(mut conn) = app.db.read().await else { continue };
            if store::retry_at(&mut conn, peer).await.is_ok_and(|found| found != Some(written)) {
                return;
            }
        }
    }
}
