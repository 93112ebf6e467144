//! The way between the apps: events leave from the outbox in order, and what comes in is stored once, in order.
//!
//! | Step | File |
//! |---|---|
//! | an event is written in the transaction of what it tells of | `store.rs` ([`append`]) |
//! | a worker claims the lease of a peer, sends a batch, settles it | `sender.rs`, `lease.rs`, `batch.rs`, `settle.rs` |
//! | what is too large for the way to the peer is sent in smaller batches | `too_large.rs`, `allowance.rs` |
//! | requests between the apps are signed and checked | `service_token.rs`, `client.rs`, `signed.rs` |
//! | the peer takes a batch in | `receiver.rs`, `ingest.rs` |

mod allowance;
mod batch;
mod cause;
mod client;
mod give_up;
mod ingest;
mod keys;
mod lease;
mod meter;
mod parked;
mod reach;
mod receiver;
mod sender;
mod service_token;
mod settle;
mod signals;
mod signed;
mod store;
mod too_large;
mod turn;
mod users;
mod within;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use shared::address::AppName;
use shared::time::Clock;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, AppState};
use crate::config::Config;
use crate::recovery;
use crate::spans::Spans;
use crate::tls::{Current, TlsError};

pub use cause::Cause;
pub use client::{Delivery, PeerClient, Probe, Unreached, causes, connections};
pub use give_up::{GivenUp, Waits, give_up};
pub use ingest::{MAX_AHEAD, ingest};
pub use sender::{Claimed, Sender};
pub use signed::{Signed, signer};
pub use store::{
    EventKind, NewEvent, append, append_change, append_conversation, append_user, last_moment,
    last_written, raise_written,
};

/// Bytes of a batch of events, at most.
pub const MAX_BODY: usize = 8 * 1024 * 1024;

/// The routes under `/relay/v1`, for peers alone.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(receiver::events))
        .routes(routes!(keys::keys))
        .routes(routes!(recovery::recover))
        .routes(routes!(signals::signals))
        .routes(routes!(users::users))
        .routes(routes!(reach::reach))
        .routes(routes!(users::picture))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// What the parts of an app share to reach its peers.
pub struct Relay {
    peers: HashMap<AppName, PeerHandle>,
    /// After how long an event that cannot be delivered is given up.
    pub give_up_after: Duration,
    /// What all peers are asked with.
    connections: Arc<Current<reqwest::Client>>,
    /// Whether a peer must show a certificate.
    wants_certificates: bool,
}

/// One peer, as the rest of the app knows it.
struct PeerHandle {
    client: Arc<PeerClient>,
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
    pub fn new(config: &Config, clock: &Clock, spans: &Spans) -> Result<Self, TlsError> {
        let connections = Arc::new(connections(config)?);
        let peers = config.peers.iter().map(|peer| {
            let http = connections.clone();
            let client = PeerClient::new(&config.app, peer, http, clock.clone());
            let client = Arc::new(client.tell(spans));
            let handle =
                PeerHandle { client, signals: Arc::default(), ingesting: Mutex::default() };
            (peer.name.clone(), handle)
        });
        let peers = peers.collect();
        let wants_certificates = config.tls.client_ca.is_some();
        let give_up_after = config.give_up_after;
        Ok(Self { peers, give_up_after, connections, wants_certificates })
    }

    /// Keeps what peers are asked with current: the certificates that it trusts and shows.
    pub fn follow_certificates(
        &self,
        stopping: CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        self.connections.clone().follow(stopping)
    }

    /// The way to ask a peer something.
    pub fn client(&self, peer: &AppName) -> Option<&Arc<PeerClient>> {
        self.peers.get(peer).map(|peer| &peer.client)
    }

    /// All peers, in the order of their names.
    pub fn peers(&self) -> Vec<AppName> {
        let mut peers: Vec<_> = self.peers.keys().cloned().collect();
        peers.sort_unstable();
        peers
    }

    /// Says that there is something new for these peers.
    pub fn wake(&self, peers: &[AppName]) {
        for peer in peers.iter().filter_map(|name| self.peers.get(name)) {
            peer.signals.news.notify_one();
        }
    }

    /// Says that there may be something new for every peer.
    pub fn wake_all(&self) {
        for peer in self.peers.values() {
            peer.signals.news.notify_one();
        }
    }

    /// Says that these peers are to be tried at once, however long the wait after the last failure would still be.
    ///
    /// It concerns this process; [`crate::peers::try_now`] concerns all of them.
    pub fn try_now(&self, peers: &[AppName]) {
        for peer in peers {
            self.heard(peer);
        }
    }

    /// The ways to all peers.
    pub fn clients(&self) -> impl Iterator<Item = (&AppName, &Arc<PeerClient>)> {
        self.peers.iter().map(|(name, peer)| (name, &peer.client))
    }

    fn heard(&self, peer: &AppName) {
        if let Some(peer) = self.peers.get(peer) {
            peer.signals.heard.notify_one();
            peer.signals.news.notify_one();
        }
    }
}

/// Starts a worker for each peer; they end, and give up their leases, when `stopping` is cancelled.
pub fn start(
    app: &Arc<App>,
    give_up_after: Duration,
    stopping: &CancellationToken,
) -> Vec<tokio::task::JoinHandle<()>> {
    let worker = |(name, peer): (&AppName, &PeerHandle)| {
        let sender = Sender::new(app, name.clone(), give_up_after);
        let (client, signals) = (peer.client.clone(), peer.signals.clone());
        tokio::spawn(sender.work(client, signals, stopping.clone()))
    };
    app.relay.peers.iter().map(worker).collect()
}
