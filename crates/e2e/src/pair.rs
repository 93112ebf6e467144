use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use messenger::accounts::create_admin;
use messenger::app::App;
use messenger::config::{Config, Defaults, Environment};
use messenger::db::Db;
use messenger::router::Stack;
use shared::encryption::Keyring;
use shared::time::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{Client, Database, PASSWORD, Storage, Wire};

/// Both apps, running in this process.
pub struct Pair {
    /// AppA.
    pub a: Instance,
    /// AppB.
    pub b: Instance,
    /// What AppA sends to AppB.
    pub a_to_b: Wire,
    /// What AppB sends to AppA.
    pub b_to_a: Wire,
    /// What the two sign with.
    pub relay_secret: String,
}

/// One app.
pub struct Instance {
    /// Its settings.
    pub config: Config,
    /// Its database.
    pub storage: Arc<Storage>,
    stack: Stack,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Pair {
    /// Starts both on fresh databases.
    pub async fn start(database: Database) -> Self {
        Self::start_with(database, &[]).await
    }

    /// Starts both on fresh databases, with further settings.
    pub async fn start_with(database: Database, settings: &[(&str, &str)]) -> Self {
        let (listener_a, a) = listen().await;
        let (listener_b, b) = listen().await;
        let (a_to_b, b_to_a) = (Wire::to(b).await, Wire::to(a).await);
        let (keys, relay_secret) = (Keyring::generate_key(), Keyring::generate_key());
        let shared = [("FERNET_KEYS", keys.as_str()), ("RELAY_SECRET", relay_secret.as_str())];
        let shared = [&shared, settings].concat();
        let mut pair = Self {
            a: Instance::new(app_a::DEFAULTS, app_a::stack, a, &a_to_b, database, &shared).await,
            b: Instance::new(app_b::DEFAULTS, app_b::stack, b, &b_to_a, database, &shared).await,
            a_to_b,
            b_to_a,
            relay_secret,
        };
        pair.a.serve(listener_a);
        pair.b.serve(listener_b);
        pair
    }

    /// Stops both.
    pub async fn stop(mut self) {
        self.a.stop().await;
        self.b.stop().await;
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// A whole city's worth, as few users do in seconds what many do in days.
pub(crate) const HIGH_LIMITS: [(&str, &str); 8] = [
    ("RATE_LIMIT_REGISTER", "100000"),
    ("RATE_LIMIT_LOGIN", "100000"),
    ("RATE_LIMIT_LOGIN_ACCOUNT", "100000"),
    ("RATE_LIMIT_REFRESH", "100000"),
    ("RATE_LIMIT_SEND", "1000000"),
    ("RATE_LIMIT_LOOKUP", "100000"),
    ("RATE_LIMIT_UPLOAD", "100000"),
    ("RATE_LIMIT_SOCKET", "100000"),
];

impl Instance {
    async fn new(
        defaults: Defaults,
        stack: Stack,
        bind: SocketAddr,
        wire: &Wire,
        database: Database,
        shared: &[(&str, &str)],
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let storage = Arc::new(database.fresh().await);
        let peer = if defaults.app == "app-a" { "app-b" } else { "app-a" };
        let own = [
            ("BIND_ADDR", bind.to_string()),
            ("DATABASE_URL", storage.url.clone()),
            ("JWT_SECRET", Keyring::generate_key()),
            ("PEERS", format!("{peer}=http://{}", wire.address)),
        ];
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let all = HIGH_LIMITS.into_iter().chain(own).chain(shared.iter().copied());
        let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment::new(all, defaults.app);
        let config = Config::read(&environment, defaults).expect("sound settings");
        Self { config, storage, stack, running: None }
    }

    /// Somebody who may log in.
    pub fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.config.bind), self.config.app.as_str())
    }

    /// An admin, made as the command line makes one while the app runs.
    pub async fn admin(&self, name: &str) -> Client {
        // Once it serves, it has brought the schema up to date; two who do that at once get into each other's way.
        self.client().get("/health/ready").await.expect(200);
        let db = Db::open(self.config.database_url.expose()).await.expect("the database");
        let app = App::new(&self.config, db.clone(), Clock::system()).await.expect("an app");
        let email = format!("{name}@example.org");
        let made = create_admin(&app, name, &email, PASSWORD.to_owned()).await;
        made.expect("an admin");
        db.close().await;
        let mut admin = self.client();
        admin.name = name.to_owned();
        admin.log_in().await;
        admin
    }

    /// Another process of the same app, over the same database, at an address of its own.
    pub async fn replica(&self) -> Self {
        let (listener, bind) = listen().await;
        let config = Config { bind, ..self.config.clone() };
        let (storage, stack) = (self.storage.clone(), self.stack);
        let mut replica = Self { config, storage, stack, running: None };
        replica.serve(listener);
        replica
    }

    /// Starts it again, at the same address and over the same database.
    pub async fn start(&mut self) {
        let bind = self.config.bind;
        let listener = crate::eventually("the port is free again", || async move {
            TcpListener::bind(bind).await.ok()
        });
        let listener = listener.await;
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let (config, stack, stopping) = (self.config.clone(), self.stack, CancellationToken::new());
        let stop = stopping.clone();
        let task = tokio::spawn(async move {
            messenger::serve::serve(&config, stack, listener, stop).await.expect("the app runs");
        });
        self.running = Some((stopping, task));
    }

    /// Stops it as SIGTERM would, and waits for its end.
    pub async fn stop(&mut self) {
        if let Some((stopping, task)) = self.running.take() {
            stopping.cancel();
            let ended = tokio::time::timeout(Duration::from_secs(30), task).await;
            ended.expect("it stops in time").expect("it stops cleanly");
        }
    }
}
