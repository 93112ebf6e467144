//! The way between the apps: events leave from the outbox in order, and what comes in is stored once, in order.
//!
//! | Step | File |
//! |---|---|
//! | an event is written in the transaction of what it tells of | `store.rs` ([`append`]) |
//! | a worker claims the lease of a peer, sends a batch, settles it | `sender.rs` |
//! | requests between the apps are signed and checked | `service_token.rs`, `client.rs`, `signed.rs` |
//! | the peer takes a batch in | `receiver.rs`, `ingest.rs` |

mod client;
mod ingest;
mod receiver;
mod sender;
mod service_token;
mod signed;
mod store;
mod users;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use shared::address::AppName;
use shared::problem::Problem;
use shared::time::Clock;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use crate::app::{App, AppState};
use crate::config::Config;
use crate::db::Db;

pub use client::{Delivery, PeerClient};
pub use ingest::ingest;
pub use sender::{Claimed, Sender};
use service_token::ServiceTokens;
pub use store::{
    EventKind, NewEvent, append, append_change, append_conversation, backlog, last_moment,
};

/// Bytes of a batch of events, at most.
pub const MAX_BODY: usize = 8 * 1024 * 1024;

/// The routes under `/relay/v1`, for peers alone.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/events", post(receiver::events))
        .route("/users", get(users::users))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// What the parts of an app share to reach its peers.
pub struct Relay {
    peers: HashMap<AppName, PeerHandle>,
}

/// One peer, as the rest of the app knows it.
struct PeerHandle {
    tokens: ServiceTokens,
    signals: Arc<Signals>,
    /// Batches of one origin are taken in one after the other.
    ingesting: Mutex<()>,
}

/// What wakes the worker of a peer.
#[derive(Default)]
pub struct Signals {
    /// There is something new to send.
    news: Notify,
    /// The peer has been heard, so it can be reached.
    heard: Notify,
}

impl Relay {
    /// The peers of a configuration.
    pub fn new(config: &Config, _: &Db, clock: &Clock) -> Result<Self, Problem> {
        let peers = config.peers.iter().map(|peer| {
            let tokens = ServiceTokens::new(&config.app, peer, clock.clone());
            let handle =
                PeerHandle { tokens, signals: Arc::default(), ingesting: Mutex::default() };
            (peer.name.clone(), handle)
        });
        Ok(Self { peers: peers.collect() })
    }

    /// Says that there is something new for these peers.
    pub fn wake(&self, peers: &[AppName]) {
        for peer in peers.iter().filter_map(|name| self.peers.get(name)) {
            peer.signals.news.notify_one();
        }
    }

    fn heard(&self, peer: &AppName) {
        if let Some(peer) = self.peers.get(peer) {
            peer.signals.heard.notify_one();
            peer.signals.news.notify_one();
        }
    }

    /// What wakes the worker of a peer.
    pub fn signals(&self, peer: &AppName) -> Arc<Signals> {
        self.peers.get(peer).map(|peer| peer.signals.clone()).unwrap_or_default()
    }
}

/// Starts a worker for each peer; they end, and give up their leases, when `stopping` is cancelled.
pub fn start(
    app: &Arc<App>,
    config: &Config,
    stopping: &CancellationToken,
) -> Result<Vec<tokio::task::JoinHandle<()>>, Problem> {
    let mut workers = Vec::new();
    for peer in &config.peers {
        let client = PeerClient::new(&config.app, peer, app.clock.clone())?;
        let sender = Sender::new(app, peer.name.clone(), config.give_up_after);
        let signals = app.relay.signals(&peer.name);
        workers.push(tokio::spawn(sender.work(client, signals, stopping.clone())));
    }
    Ok(workers)
}
