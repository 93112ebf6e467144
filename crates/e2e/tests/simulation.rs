//! A seeded simulation: both apps' senders and receivers over a network that drops, repeats, delays and reorders, and
//! over processes that stop between any two steps. Whatever happens, both end up with the same messages, each once,
//! in the order of their writing, with their last edit, and known to be read.
//!
//! `SIM_SEED=… SIM_RUNS=1 cargo test -p e2e --test simulation` repeats a run that failed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use e2e::{Database, Storage};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use messenger::app::{App, AppState};
use messenger::config::{Config, Defaults, Environment};
use messenger::db::Db;
use messenger::receipts::flush;
use messenger::relay::{Claimed, Sender, ingest};
use messenger::router::{Service, Stack, router};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::encryption::Keyring;
use shared::relay::{Batch, BatchResult};
use shared::time::Clock;
use tower::ServiceExt;

/// Steps of a run before the network is healed.
const STEPS: usize = 60;

/// What the two apps of all runs have in common.
struct World {
    configs: [(Config, Stack); 2],
    clock: Clock,
    keyring: Arc<Keyring>,
    tokens: [String; 2],
}

/// One app that can stop at any moment: all but the database is lost then.
struct Node {
    db: Db,
    app: AppState,
    service: Service,
    sender: Sender,
    /// How often it has been started; what was under way for an earlier process concerns nobody any more.
    life: u32,
}

/// What is on its way.
enum Letter {
    Request { from: usize, life: u32, claimed: Arc<Claimed>, body: Vec<u8> },
    Answer { to: usize, life: u32, claimed: Arc<Claimed>, answer: BatchResult },
}

/// A message as its writer knows it: id, and the text of the last acknowledged edit (none if deleted).
type Written = Vec<(String, Option<String>)>;

fn config(defaults: Defaults, url: &str, keys: &[(&str, &str)], peer: &str) -> Config {
    let own = [("DATABASE_URL", url), ("PEERS", peer)];
    let all = own.iter().chain(keys).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(&Environment::new(all, defaults.app), defaults).unwrap()
}

impl World {
    fn new() -> Self {
        let (keys, secret) = (Keyring::generate_key(), Keyring::generate_key());
        let (jwt_a, jwt_b) = (Keyring::generate_key(), Keyring::generate_key());
        let of = |jwt| {
            [("FERNET_KEYS", keys.as_str()), ("RELAY_SECRET", secret.as_str()), ("JWT_SECRET", jwt)]
        };
        let a = config(app_a::DEFAULTS, "sqlite://unused", &of(&jwt_a), "app-b=http://127.0.0.1:1");
        let b = config(app_b::DEFAULTS, "sqlite://unused", &of(&jwt_b), "app-a=http://127.0.0.1:1");
        Self {
            configs: [(a, app_a::stack as Stack), (b, app_b::stack as Stack)],
            clock: Clock::manual(Clock::system().now()),
            keyring: Arc::new(Keyring::parse(&keys).unwrap()),
            tokens: Default::default(),
        }
    }

    async fn node(&self, which: usize, db: &Db, life: u32) -> Node {
        let (config, stack) = &self.configs[which];
        let app = App::new(config, db.clone(), self.clock.clone()).await.unwrap();
        let service = router(app.clone(), self.keyring.clone(), *stack);
        let sender = Sender::new(&app, config.peers[0].name.clone(), Duration::from_hours(1));
        Node { db: db.clone(), app, service, sender, life }
    }

    async fn call(
        &self,
        node: &Node,
        which: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !self.tokens[which].is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.tokens[which]));
        }
        let body = body.map_or(Body::empty(), |json| Body::from(json.to_string()));
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let response = node.service.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// A user on each app with a session, and the conversation of the two, in databases to copy from.
    async fn populate(&mut self, urls: [&str; 2]) {
        let dbs = [Db::open(urls[0]).await.unwrap(), Db::open(urls[1]).await.unwrap()];
        let mut nodes = [self.node(0, &dbs[0], 0).await, self.node(1, &dbs[1], 0).await];
        for (which, name) in ["alice", "bob"].into_iter().enumerate() {
            let node = &nodes[which];
            let email = format!("{name}@example.org");
            let body =
                json!({ "username": name, "email": email, "password": "correct horse battery" });
            let (status, _) = self
                .call(node, which, Method::POST, "/api/auth/register/", Some(body.clone()))
                .await;
            assert_eq!(status, 201);
            let body = json!({ "username": name, "password": "correct horse battery" });
            let (status, tokens) =
                self.call(node, which, Method::POST, "/api/auth/login/", Some(body)).await;
            assert_eq!(status, 200);
            tokens["access_token"].as_str().unwrap().clone_into(&mut self.tokens[which]);
        }
        // Each has heard of the other, as a look-up over the network would have done.
        let cards = [card(&nodes[0]).await, card(&nodes[1]).await];
        for (which, card) in [(0, cards[1].clone()), (1, cards[0].clone())] {
            let adopt = nodes[which].db.write(move |conn| {
                Box::pin(async move {
                    messenger::users::adopt(conn, &card, true, Clock::system().now()).await
                })
            });
            assert!(adopt.await.unwrap().is_some());
        }
        let body = json!({ "participants": [cards[1].id.to_string()] });
        let (status, _) =
            self.call(&nodes[0], 0, Method::POST, "/api/chats/conversations/", Some(body)).await;
        assert_eq!(status, 201);
        drain(&self.clock, &mut nodes).await;
        for db in dbs {
            db.close().await;
        }
    }
}

async fn card(node: &Node) -> shared::models::UserCard {
    let name = if node.app.name.as_str() == "app-a" { "alice" } else { "bob" };
    node.app.directory.find_by_name(&node.app.relay, name).await.unwrap().unwrap()
}

async fn take_in(app: &Arc<App>, body: &[u8]) -> Result<BatchResult, shared::problem::Problem> {
    let batch: Batch<&RawValue> = serde_json::from_slice(body).unwrap();
    ingest(app, batch).await
}

/// Delivers everything over a perfect network until nothing is left.
async fn drain(clock: &Clock, nodes: &mut [Node; 2]) {
    loop {
        let mut sent = 0;
        for (from, to) in [(0, 1), (1, 0)] {
            let Some(claimed) = nodes[from].sender.claim().await.unwrap() else {
                // The lease of a process that is gone has to run out.
                clock.advance(Duration::from_secs(11));
                sent += 1;
                continue;
            };
            if claimed.batch.events.is_empty() {
                continue;
            }
            sent += claimed.batch.events.len();
            let body = serde_json::to_vec(&claimed.batch).unwrap();
            let answer = take_in(&nodes[to].app, &body).await.unwrap();
            nodes[from].sender.settle(&claimed, answer).await.unwrap();
        }
        if sent == 0 {
            return;
        }
    }
}

struct Run<'a> {
    world: &'a World,
    rng: StdRng,
    nodes: [Node; 2],
    network: Vec<Letter>,
    written: [Written; 2],
    conversation: String,
    next: usize,
}

impl Run<'_> {
    async fn step(&mut self) {
        let which = self.rng.random_range(0..2);
        self.world.clock.advance(Duration::from_millis(self.rng.random_range(0..2000)));
        match self.rng.random_range(0..100) {
            0..25 => self.write(which).await,
            25..35 => self.change(which).await,
            35..39 => self.read(which).await,
            39..42 => flush(&self.nodes[which].app).await.unwrap(),
            42..60 => self.claim(which).await,
            60..94 => self.carry().await,
            _ => {
                let life = self.nodes[which].life + 1;
                self.nodes[which] = self.world.node(which, &self.nodes[which].db, life).await;
            }
        }
    }

    async fn write(&mut self, which: usize) {
        let text = format!("{which} wrote {}", self.next);
        self.next += 1;
        let body = json!({ "conversation": self.conversation, "content": text });
        let (status, sent) = self
            .world
            .call(&self.nodes[which], which, Method::POST, "/api/chats/messages/", Some(body))
            .await;
        assert_eq!(status, 201, "{sent}");
        self.written[which].push((sent["id"].as_str().unwrap().to_owned(), Some(text)));
    }

    async fn change(&mut self, which: usize) {
        let count = self.written[which].len();
        if count == 0 {
            return;
        }
        let (id, text) = self.written[which][self.rng.random_range(0..count)].clone();
        let path = format!("/api/chats/messages/{id}/");
        let delete = self.rng.random_ratio(1, 4);
        let entry = self.written[which].iter_mut().find(|(other, _)| *other == id).unwrap();
        if delete {
            let (status, _) =
                self.world.call(&self.nodes[which], which, Method::DELETE, &path, None).await;
            assert_eq!(status, 204);
            entry.1 = None;
        } else {
            let edit = format!("{which} edited {}", self.next);
            self.next += 1;
            let body = json!({ "content": edit });
            let (status, _) =
                self.world.call(&self.nodes[which], which, Method::PATCH, &path, Some(body)).await;
            if text.is_some() {
                assert_eq!(status, 200);
                entry.1 = Some(edit);
            } else {
                assert_eq!(status, 409);
            }
        }
    }

    /// Looks at the list, which is delivered by that, and may say that all of it has been read.
    async fn read(&mut self, which: usize) {
        let list = self.list(which).await;
        let Some(last) = list.last().filter(|_| self.rng.random_ratio(2, 3)) else { return };
        self.say_read(which, last).await;
    }

    async fn say_read(&self, which: usize, message: &Value) {
        let path = format!("/api/chats/conversations/{}/read/", self.conversation);
        let body = Some(json!({ "message": message["id"] }));
        let (status, left) =
            self.world.call(&self.nodes[which], which, Method::POST, &path, body).await;
        assert_eq!(status, 200, "{left}");
    }

    async fn claim(&mut self, from: usize) {
        let node = &self.nodes[from];
        let Some(claimed) = node.sender.claim().await.unwrap() else { return };
        if claimed.batch.events.is_empty() {
            return;
        }
        let body = serde_json::to_vec(&claimed.batch).unwrap();
        let claimed = Arc::new(claimed);
        self.network.push(Letter::Request { from, life: node.life, claimed, body });
    }

    /// Takes any letter, not the first; it may be lost, and it may come again later.
    async fn carry(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let index = self.rng.random_range(0..self.network.len());
        let again = self.rng.random_ratio(1, 5);
        let lost = self.rng.random_ratio(1, 5);
        let letter = self.network.swap_remove(index);
        if lost {
            return;
        }
        match letter {
            Letter::Request { from, life, claimed, body } => {
                // A sender that restarted its stream has made this letter stale; that is a good answer too.
                if let Ok(answer) = take_in(&self.nodes[1 - from].app, &body).await {
                    self.network.push(Letter::Answer {
                        to: from,
                        life,
                        claimed: claimed.clone(),
                        answer,
                    });
                }
                if again {
                    self.network.push(Letter::Request { from, life, claimed, body });
                }
            }
            Letter::Answer { to, life, claimed, answer } => {
                if self.nodes[to].life == life {
                    self.nodes[to].sender.settle(&claimed, answer.clone()).await.unwrap();
                }
                if again {
                    self.network.push(Letter::Answer { to, life, claimed, answer });
                }
            }
        }
    }

    async fn list(&self, which: usize) -> Vec<Value> {
        let path =
            format!("/api/chats/conversations/{}/messages/?page_size=100", self.conversation);
        let (status, page) =
            self.world.call(&self.nodes[which], which, Method::GET, &path, None).await;
        assert_eq!(status, 200);
        assert!(page["next"].is_null(), "a run fits on a page");
        let mut messages = page["results"].as_array().unwrap().clone();
        messages.reverse();
        messages
    }

    async fn check(&self) {
        let [a, b] = [self.list(0).await, self.list(1).await];
        assert_eq!(a, b, "both apps show the same");
        let expected: HashMap<_, _> = self.written.iter().flatten().cloned().collect();
        assert_eq!(a.len(), expected.len(), "each message stands once");
        for message in &a {
            let text = &expected[message["id"].as_str().unwrap()];
            assert_eq!(message["content"], json!(text), "its last edit: {message}");
            assert_eq!(message["status"], "read", "{message}");
        }
        for (which, app) in ["app-a", "app-b"].into_iter().enumerate() {
            let shown = a
                .iter()
                .filter(|message| message["origin"] == app)
                .map(|m| m["id"].as_str().unwrap());
            let written = self.written[which].iter().map(|(id, _)| id.as_str());
            assert!(shown.eq(written), "in the order in which {app} has written them");
        }
    }
}

async fn run(world: &World, seed: u64, dbs: [Db; 2]) {
    let mut run = Run {
        world,
        rng: StdRng::seed_from_u64(seed),
        nodes: [world.node(0, &dbs[0], 0).await, world.node(1, &dbs[1], 0).await],
        network: Vec::new(),
        written: Default::default(),
        conversation: shared::id::ConversationId::direct(
            &"alice@app-a".parse().unwrap(),
            &"bob@app-b".parse().unwrap(),
        )
        .to_string(),
        next: 0,
    };
    for _ in 0..STEPS {
        run.step().await;
    }
    // Every process that is alive may still get late letters; then the network heals.
    while !run.network.is_empty() {
        run.carry().await;
    }
    drain(&world.clock, &mut run.nodes).await;
    // Both have everything now, and read it; what they say of that is relayed too.
    for which in 0..2 {
        if let Some(last) = run.list(which).await.last() {
            run.say_read(which, last).await;
        }
        flush(&run.nodes[which].app).await.unwrap();
    }
    drain(&world.clock, &mut run.nodes).await;
    run.check().await;
}

/// Prints the seed if it is dropped while panicking.
struct Seed(u64, Database);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the run with SIM_SEED={} SIM_RUNS=1 failed on {:?}", self.0, self.1);
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// A temporary folder in memory, where there is one: these runs are about order, not about disks.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

async fn sqlite_share(world: &World, template: &Path, seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let _seed = Seed(seed, Database::Sqlite);
        let folder = folder();
        let mut dbs = Vec::new();
        for name in ["a.db", "b.db"] {
            std::fs::copy(template.join(name), folder.path().join(name)).unwrap();
            dbs.push(
                Db::open(&format!("sqlite://{}", folder.path().join(name).display()))
                    .await
                    .unwrap(),
            );
        }
        let dbs: [Db; 2] = dbs.try_into().ok().unwrap();
        run(world, seed, dbs.clone()).await;
        for db in dbs {
            db.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_apps_agree_whatever_the_network_does_on_sqlite() {
    let template = folder();
    let mut world = World::new();
    let url = |name| format!("sqlite://{}", template.path().join(name).display());
    world.populate([&url("a.db"), &url("b.db")]).await;
    let (first, runs) = (number("SIM_SEED", rand::random::<u64>() >> 1), number("SIM_RUNS", 2000));
    println!("SIM_SEED={first} SIM_RUNS={runs}");
    let world = Arc::new(world);
    let shares = (0..2).map(|share| {
        let (world, template) = (world.clone(), template.path().to_owned());
        let seeds =
            (0..runs).filter(move |run| run % 2 == share).map(move |run| first.wrapping_add(run));
        tokio::spawn(async move { sqlite_share(&world, &template, seeds).await })
    });
    for share in futures::future::join_all(shares).await {
        share.expect("no run fails");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_apps_agree_whatever_the_network_does_on_postgres() {
    if !Database::Postgres.is_to_be_tested() {
        return;
    }
    let (first, runs) =
        (number("SIM_SEED", rand::random::<u64>() >> 1), number("SIM_RUNS", 2000) / 100);
    for seed in first..=first.wrapping_add(runs) {
        let _seed = Seed(seed, Database::Postgres);
        let storages: [Storage; 2] =
            [Database::Postgres.fresh().await, Database::Postgres.fresh().await];
        let mut world = World::new();
        world.populate([&storages[0].url, &storages[1].url]).await;
        let dbs =
            [Db::open(&storages[0].url).await.unwrap(), Db::open(&storages[1].url).await.unwrap()];
        run(&world, seed, dbs.clone()).await;
        for db in dbs {
            db.close().await;
        }
    }
}
