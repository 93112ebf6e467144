//! The state that handlers share. Nothing in it can open a message: the keyring opens for the layers alone, and what
//! [`Recovery`] has of it only says whether a text opens where it stands.

use std::sync::Arc;

use shared::address::AppName;
use shared::encryption::{KeyId, Keyring, KeyringError};
use shared::time::Clock;

use crate::accounts::Accounts;
use crate::config::Config;
use crate::conversations::Memberships;
use crate::db::{self, Db};
use crate::http::{Cursors, Origins, Proxies};
use crate::idempotency::Idempotency;
use crate::keys;
use crate::limits::Limits;
use crate::messages::Outgoing;
use crate::monitoring::Requests;
use crate::pictures::Pictures;
use crate::realtime::Realtime;
use crate::receipts::Receipts;
use crate::recovery::Recovery;
use crate::redis::{self, Redis};
use crate::relay::Relay;
use crate::search::Index;
use crate::settings::Settings;
use crate::spans::Spans;
use crate::tls::TlsError;
use crate::users::Directory;
use crate::web::About;

/// One running app.
pub struct App {
    /// Its name, the part of an address after the @.
    pub name: AppName,
    /// What anybody may know of it.
    pub about: About,
    /// How clients reach it, if the operator has said so.
    pub public_url: Option<String>,
    /// Whether they reach it over TLS.
    pub over_tls: bool,
    /// Whose pages may act for their users.
    pub origins: Origins,
    /// Where everything is.
    pub db: Db,
    /// Where moments come from.
    pub clock: Clock,
    /// Passwords, tokens and sessions.
    pub accounts: Accounts,
    /// The names of the keys of its ring, the sealing one first.
    pub keys: Vec<KeyId>,
    /// Who is who, here and at the peers.
    pub directory: Directory,
    /// Requests that are under way and may be repeated.
    pub idempotency: Idempotency,
    /// The index of the search.
    pub index: Index,
    /// Who takes part in which conversation.
    pub memberships: Memberships,
    /// Profile pictures.
    pub pictures: Pictures,
    /// The batching writer of new messages.
    pub outgoing: Outgoing,
    /// What is counted of requests.
    pub requests: Requests,
    /// What the collector of traces is told.
    pub spans: Spans,
    /// What signs the cursors of lists.
    pub cursors: Cursors,
    /// What has been handed to clients, and what becomes known of messages.
    pub receipts: Receipts,
    /// Who is told at once what happens.
    pub realtime: Realtime,
    /// What is taken back from peers after a restore.
    pub recovery: Recovery,
    /// The way to the peers.
    pub relay: Relay,
    /// What admins have set.
    pub settings: Arc<Settings>,
    /// How often who may do what.
    pub limits: Limits,
    /// The proxies before it.
    pub proxies: Proxies,
    /// What its replicas share beside the database, if the operator has given them something.
    pub redis: Option<Arc<Redis>>,
}

/// What handlers are given.
pub type AppState = Arc<App>;

/// Why an app does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be opened or used.
    #[error("the database cannot be used: {0}")]
    Database(#[from] db::Error),
    /// Certificates or keys cannot be used.
    #[error("TLS cannot be had: {0}")]
    Tls(#[from] TlsError),
    /// The address for metrics cannot be listened on.
    #[error("cannot listen on {0} for metrics: {1}")]
    Metrics(std::net::SocketAddr, std::io::Error),
    /// Redis could not be connected to even if it was there.
    #[error(transparent)]
    Redis(#[from] redis::Unusable),
    /// The keys are not sound; configuration has checked them before.
    #[error("FERNET_KEYS is not valid: {0}")]
    Keys(#[from] KeyringError),
    /// The database has been sealed with another ring.
    #[error(
        "FERNET_KEYS lacks the key {0}, with which this database was sealed; add it to the list"
    )]
    MissingKey(KeyId),
}

impl App {
    /// Puts an app together over an open database.
    pub async fn new(config: &Config, db: Db, clock: Clock) -> Result<AppState, StartError> {
        let redis = config.redis.as_ref().map(|place| Redis::new(&config.app, place)).transpose();
        let redis = redis?.map(Arc::new);
        let spans = config.collector.as_ref().map(|_| Spans::on(&clock)).unwrap_or_default();
        let settings = Arc::new(Settings::new(&config.settings));
        settings.load(&db).await?;
        let keyring = Keyring::parse(config.fernet_keys.expose())?;
        let key_ids = keyring.key_ids();
        let accounts = Accounts::new(config, &db, &clock, &settings).await?;
        keys::check(&db, &key_ids, clock.wall()).await?;
        clock.raise(crate::relay::last_moment(&mut db.read().await?).await?);
        Ok(Arc::new(Self {
            name: config.app.clone(),
            about: About::new(config),
            public_url: config.public_url.clone(),
            over_tls: config.is_over_tls(),
            origins: Origins::new(config),
            accounts,
            keys: key_ids,
            directory: Directory::new(&config.app, &db, &clock),
            idempotency: Idempotency::default(),
            index: Index::start(&db),
            memberships: Memberships::default(),
            pictures: Pictures::new(),
            outgoing: Outgoing::start(&db, &clock),
            requests: Requests::register(),
            cursors: Cursors::new(&config.jwt_secret),
            receipts: Receipts::default(),
            realtime: Realtime::new(config),
            recovery: Recovery::new(keyring.into()),
            relay: Relay::new(config, &clock, &spans)?,
            limits: Limits::new(&settings, redis.as_ref()),
            spans,
            proxies: Proxies::new(config.trusted_proxies.clone()),
            settings,
            redis,
            db,
            clock,
        }))
    }
}
