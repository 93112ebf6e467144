//! What is only worth knowing now, on its way to the peers: collected for a moment, sent once, and forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::address::AppName;
use shared::id::{ConversationId, UserId};
use shared::problem::Problem;
use shared::relay::{MAX_SIGNALS, Signals, Typing};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::allowance::Allowance;
use super::{presence, typing};
use crate::app::App;
use crate::config::Config;
use crate::relay::PeerClient;

/// How long signals are collected before they are sent.
const COLLECTED: Duration = Duration::from_millis(50);
/// How long a peer that does not take them is left alone; what comes up meanwhile is sent then, if it still holds.
const PAUSE: Duration = Duration::from_secs(5);
/// Signals that wait for one peer, at most.
const WAITING: usize = 20_000;
/// Requests that a peer may send at once, and each second for long.
const TAKEN: (f64, f64) = (100.0, 30.0);

#[derive(Default)]
struct Pending {
    presence: HashMap<UserId, bool>,
    typing: HashMap<(ConversationId, UserId), bool>,
}

struct Peer {
    pending: Mutex<Pending>,
    news: Notify,
    allowance: Mutex<Allowance>,
}

/// What waits for each peer; later signals replace earlier ones of the same user.
pub struct Outgoing {
    peers: HashMap<AppName, Peer>,
}

impl Outgoing {
    pub fn new(config: &Config) -> Self {
        let peer = || Peer {
            pending: Mutex::default(),
            news: Notify::new(),
            allowance: Mutex::new(Allowance::new(TAKEN.0, TAKEN.1)),
        };
        Self { peers: config.peers.iter().map(|known| (known.name.clone(), peer())).collect() }
    }

    /// Whether a user is there.
    pub fn presence(&self, peer: &AppName, user: UserId, online: bool) {
        self.add(peer, |pending| {
            if pending.presence.len() < WAITING {
                pending.presence.insert(user, online);
            }
        });
    }

    /// Whether a user is writing.
    pub fn typing(&self, peer: &AppName, typing: Typing) {
        self.add(peer, |pending| {
            if pending.typing.len() < WAITING {
                pending.typing.insert((typing.conversation, typing.user), typing.active);
            }
        });
    }

    fn add(&self, peer: &AppName, add: impl FnOnce(&mut Pending)) {
        if let Some(peer) = self.peers.get(peer) {
            add(&mut peer.pending.lock().unwrap_or_else(PoisonError::into_inner));
            peer.news.notify_one();
        }
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.presence.is_empty() && self.typing.is_empty()
    }

    /// Some of what waits.
    fn take(&mut self) -> Signals {
        let mut signals = Signals::default();
        let keys: Vec<_> = self.typing.keys().take(MAX_SIGNALS).copied().collect();
        for key in keys {
            if let Some(active) = self.typing.remove(&key) {
                signals.typing.push(Typing { conversation: key.0, user: key.1, active });
            }
        }
        let room = MAX_SIGNALS - signals.typing.len();
        let users: Vec<_> = self.presence.keys().take(room).copied().collect();
        for user in users {
            match self.presence.remove(&user) {
                Some(true) => signals.online.push(user),
                Some(false) => signals.offline.push(user),
                None => {}
            }
        }
        signals
    }
}

/// Sends signals to a peer, until `stopping` is cancelled.
pub async fn send(
    app: Arc<App>,
    name: AppName,
    client: Arc<PeerClient>,
    stopping: CancellationToken,
) {
    let Some(peer) = app.realtime.signals.peers.get(&name) else { return };
    let sending = async {
        loop {
            peer.news.notified().await;
            tokio::time::sleep(COLLECTED).await;
            loop {
                let signals = {
                    let mut pending = peer.pending.lock().unwrap_or_else(PoisonError::into_inner);
                    if pending.is_empty() {
                        break;
                    }
                    pending.take()
                };
                if let Err(failure) = client.signal(&signals).await {
                    tracing::debug!(peer = %name, reason = failure.reason, "signals were lost");
                    tokio::time::sleep(failure.retry_after.unwrap_or(PAUSE).max(PAUSE)).await;
                }
            }
        }
    };
    stopping.run_until_cancelled(sending).await;
}

/// Takes in what a peer says of its users.
pub async fn take(app: &App, peer: &AppName, signals: Signals) -> Result<(), Problem> {
    let Signals { online, offline, typing } = signals;
    if online.len() + offline.len() + typing.len() > MAX_SIGNALS {
        return Err(Problem::invalid().field("online", "A request has at most 500 signals."));
    }
    let known = app.realtime.signals.peers.get(peer).ok_or_else(Problem::not_found)?;
    if !known.allowance.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now()) {
        let status = http::StatusCode::TOO_MANY_REQUESTS;
        return Err(Problem::new(status, "too_many_signals", "Send fewer.").retry_after(5));
    }
    presence::from_peer(app, peer, &online, &offline).await?;
    for typing in typing {
        typing::from_peer(app, peer, typing).await?;
    }
    Ok(())
}
