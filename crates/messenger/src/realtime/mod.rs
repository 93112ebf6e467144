//! What happens, told to whom it concerns while it happens.
//!
//! | Step | File |
//! |---|---|
//! | what happens is written to the log, in the transaction in which it happens | `entry.rs`, `store.rs` ([`append`]) |
//! | one task follows the log, finds who hears of it, and hands it to their sockets | `tailer.rs`, `audience.rs`, `hub.rs` |
//! | a socket is opened, with a Bearer token or a ticket | `connect.rs`, `ticket.rs` |
//! | it is told what it has missed, then what happens; it may say a few things itself | `socket.rs`, `frames.rs` |
//! | who writes and who is there is passed on, and kept nowhere | `typing.rs`, `presence.rs`, to the peers by `signals.rs` |
//! | replicas wake each other through Redis | `replicas.rs` |
//! | sockets of ended sessions and of silent clients are closed, the log is pruned | `watch.rs` |
//!
//! A socket is a hint and the log is the truth: each frame has a [cursor](Cursor), a place in the log, from which a
//! client goes on after whatever has happened to its socket. Nothing in here can read a message; what opens the frames
//! comes with the request, from a layer beside the encryption layers.

mod allowance;
mod audience;
mod connect;
mod cursor;
mod entry;
mod frames;
mod hub;
mod presence;
mod replicas;
mod signals;
mod socket;
mod store;
mod tailer;
mod ticket;
mod typing;
mod watch;

use std::sync::Arc;

use shared::address::AppName;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, AppState};
use crate::config::Config;

use audience::Audiences;
pub use cursor::Cursor;
pub use entry::{EventKind, NewEntry};
use hub::Hub;
use presence::Presence;
use replicas::{Replicas, Word};
pub use signals::take as take_signals;
pub use store::{Way, append, append_status, append_way};
use typing::Typists;

/// Sockets that read at once what they have missed, at most.
const REPLAYS: usize = 3;

/// The route `/api/ws` of the socket, which wants to be mounted beneath the layer that opens its frames.
pub fn socket_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(connect::connect))
}

/// The other routes under `/api/ws`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(ticket::ticket))
}

/// What the sockets of a process share.
pub struct Realtime {
    hub: Arc<Hub>,
    audiences: Audiences,
    replicas: Replicas,
    presence: Presence,
    typists: Typists,
    signals: signals::Outgoing,
    replays: Semaphore,
    /// The tasks of the sockets, to wait for their end.
    sockets: TaskTracker,
}

impl Realtime {
    /// Without any sockets yet.
    pub fn new(config: &Config) -> Self {
        Self {
            hub: Arc::default(),
            audiences: Audiences::new(&config.app),
            replicas: Replicas::new(config.redis.is_some()),
            presence: Presence::default(),
            typists: Typists::default(),
            signals: signals::Outgoing::new(config),
            replays: Semaphore::new(REPLAYS),
            sockets: TaskTracker::new(),
        }
    }

    /// Has the other replicas try peers at once.
    pub fn try_now(&self, peers: &[AppName]) {
        self.replicas.say(Word::TryNow { peers: peers.to_vec() });
    }

    /// Closes all sockets, and lets no others in.
    pub fn stop(&self) {
        self.hub.stop();
        self.sockets.close();
    }

    /// Waits until the sockets are gone.
    pub async fn stopped(&self) {
        self.sockets.wait().await;
    }
}

/// Starts what serves the sockets, besides themselves; it ends when `stopping` is cancelled.
pub fn start(app: &Arc<App>, stopping: &CancellationToken) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![
        tokio::spawn(tailer::tail(app.clone(), stopping.clone())),
        tokio::spawn(watch::watch(app.clone(), stopping.clone())),
        tokio::spawn(watch::prune(app.clone(), stopping.clone())),
        tokio::spawn(presence::follow(app.clone(), stopping.clone())),
    ];
    for (peer, client) in app.relay.clients() {
        let sending = signals::send(app.clone(), peer.clone(), client.clone(), stopping.clone());
        tasks.push(tokio::spawn(sending));
    }
    if let Some(redis) = &app.redis {
        let (speak, listen) = (replicas::speak, replicas::listen);
        tasks.push(tokio::spawn(speak(app.clone(), redis.clone(), stopping.clone())));
        tasks.push(tokio::spawn(listen(app.clone(), redis.clone(), stopping.clone())));
    }
    tasks
}
