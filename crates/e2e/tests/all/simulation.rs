//! A seeded simulation: the apps' senders and receivers over a network that drops, repeats, delays and reorders, and
//! over processes that stop between any two steps. Whatever happens, both ends of a direct conversation have the same
//! messages, each once, in the order of their writing, with their last edit, and known to be read; and all apps see the same group, whoever
//! has changed it meanwhile, whether they might or not.
//!
//! `SIM_SEED=… SIM_RUNS=1 cargo test -p e2e --test simulation` repeats a run that failed.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use e2e::{Database, Storage};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use messenger::app::{App, AppState};
use messenger::config::{Accent, Config, Defaults, Environment};
use messenger::db::Db;
use messenger::receipts::flush;
use messenger::relay::{Claimed, Sender, ingest};
use messenger::router::{Service, Stack, router};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::encryption::Keyring;
use shared::models::UserCard;
use shared::relay::{Batch, BatchResult};
use shared::time::Clock;
use tower::ServiceExt;
use uuid::Uuid;

/// Steps of a run before the network is healed.
const STEPS: usize = 80;
/// Two people of each app.
const PEOPLE: [[&str; 2]; 3] = [["alice", "carol"], ["bob", "dave"], ["erin", "frank"]];
const CONVERSATIONS: &str = "/api/chats/conversations/";

/// What the apps of all runs have in common.
struct World {
    configs: Vec<(Config, Stack)>,
    clock: Clock,
    keyring: Arc<Keyring>,
    people: Vec<Person>,
    group: String,
}

/// Somebody with a session on an app.
struct Person {
    which: usize,
    token: String,
    card: UserCard,
}

/// One app that can stop at any moment: all but the database is lost then.
struct Node {
    db: Db,
    app: AppState,
    service: Service,
    /// One for each other app.
    senders: Vec<(usize, Sender)>,
    /// How often it has been started; what was under way for an earlier process concerns nobody any more.
    life: u32,
}

/// What is on its way.
enum Letter {
    Request { from: usize, to: usize, life: u32, claimed: Arc<Claimed>, body: Vec<u8> },
    Answer { from: usize, to: usize, life: u32, claimed: Arc<Claimed>, answer: BatchResult },
}

/// A message as its writer knows it: id, and the text of the last acknowledged edit (none if deleted).
type Written = Vec<(String, Option<String>)>;

fn config(defaults: Defaults, keys: &[(&str, &str)], peers: &str) -> Config {
    // Its days pass in moments, and limits go by the machine's clock.
    let unlimited = [("RATE_LIMIT_SEND", "0"), ("RATE_LIMIT_RELAY", "0")];
    let own = [("DATABASE_URL", "sqlite://unused"), ("PEERS", peers), unlimited[0], unlimited[1]];
    let all = own.iter().chain(keys).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(&Environment::new(all, defaults.app), defaults).unwrap()
}

impl World {
    /// A world of two or three apps.
    fn new(size: usize) -> Self {
        let (keys, secret) = (Keyring::generate_key(), Keyring::generate_key());
        let apps = [
            (app_a::DEFAULTS, app_a::stack as Stack),
            (app_b::DEFAULTS, app_b::stack as Stack),
            (Defaults { app: "app-c", port: 8003, accent: Accent::Slate }, app_a::stack as Stack),
        ];
        let configs = apps.iter().take(size).map(|(defaults, stack)| {
            let jwt = Keyring::generate_key();
            let keys = [
                ("FERNET_KEYS", keys.as_str()),
                ("RELAY_SECRET", secret.as_str()),
                ("JWT_SECRET", jwt.as_str()),
            ];
            let others = apps.iter().take(size).map(|(other, _)| other);
            let others = others.filter(|other| other.app != defaults.app);
            let peers =
                others.map(|other| format!("{}=http://127.0.0.1:{}", other.app, other.port));
            let peers: Vec<_> = peers.collect();
            (config(*defaults, &keys, &peers.join(",")), *stack)
        });
        Self {
            configs: configs.collect(),
            clock: Clock::manual(Clock::system().now()),
            keyring: Arc::new(Keyring::parse(&keys).unwrap()),
            people: Vec::new(),
            group: String::new(),
        }
    }

    /// The session of who writes in the direct conversation, on AppA or on AppB.
    fn token(&self, which: usize) -> &str {
        &self.people[2 * which].token
    }

    fn size(&self) -> usize {
        self.configs.len()
    }

    async fn node(&self, which: usize, db: &Db, life: u32) -> Node {
        let (config, stack) = &self.configs[which];
        let app = App::new(config, db.clone(), self.clock.clone()).await.unwrap();
        let service = router(app.clone(), self.keyring.clone(), *stack);
        let others = (0..self.size()).filter(|other| *other != which);
        let senders = others.map(|other| {
            let name = self.configs[other].0.app.clone();
            (other, Sender::new(&app, name, Duration::from_hours(1)))
        });
        Node { db: db.clone(), senders: senders.collect(), app, service, life }
    }

    async fn call(
        &self,
        node: &Node,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map_or(Body::empty(), |json| Body::from(json.to_string()));
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let response = node.service.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// People of each app with a session, the direct conversation of the first of AppA and of AppB, and a group, in
    /// databases to copy from.
    async fn populate(&mut self, urls: &[String]) {
        let mut nodes = Vec::new();
        for (which, url) in urls.iter().enumerate() {
            nodes.push(self.node(which, &Db::open(url).await.unwrap(), 0).await);
        }
        for (which, names) in PEOPLE.iter().enumerate().take(self.size()) {
            for name in names {
                let person = self.join(&nodes[which], which, name).await;
                self.people.push(person);
            }
        }
        // Each app has heard of all, as look-ups over the network would have done.
        for person in &self.people {
            for node in nodes.iter().filter(|node| node.app.name != person.card.app) {
                let card = person.card.clone();
                let adopt = node.db.write(move |conn| {
                    Box::pin(async move {
                        messenger::users::adopt(conn, &card, true, Clock::system().now()).await
                    })
                });
                assert!(adopt.await.unwrap().is_some());
            }
        }
        let alice = self.people[0].token.clone();
        let id = |index: usize| self.people[index].card.id.to_string();
        let body = json!({ "participants": [id(2)] });
        let call = async |method, path: &str, body| {
            self.call(&nodes[0], &alice, method, path, Some(body)).await
        };
        assert_eq!(call(Method::POST, CONVERSATIONS, body).await.0, 201);
        // AppC has nobody in it yet.
        let body = json!({ "participants": [id(1), id(2), id(3)], "title": "Begun" });
        let (status, group) = call(Method::POST, CONVERSATIONS, body).await;
        assert_eq!(status, 201);
        let group = group["id"].as_str().unwrap().to_owned();
        let path = format!("{CONVERSATIONS}{group}/participants/{}/", id(2));
        assert_eq!(call(Method::PATCH, &path, json!({ "role": "owner" })).await.0, 200);
        self.group = group;
        drain(&self.clock, &nodes).await;
        for node in nodes {
            node.db.close().await;
        }
    }

    async fn join(&self, node: &Node, which: usize, name: &str) -> Person {
        let email = format!("{name}@example.org");
        let body = json!({ "username": name, "email": email, "password": "correct horse battery" });
        let (status, _) =
            self.call(node, "", Method::POST, "/api/auth/register/", Some(body)).await;
        assert_eq!(status, 201);
        let body = json!({ "username": name, "password": "correct horse battery" });
        let (status, tokens) =
            self.call(node, "", Method::POST, "/api/auth/login/", Some(body)).await;
        assert_eq!(status, 200);
        let card = node.app.directory.find_by_name(&node.app.relay, name).await.unwrap().unwrap();
        Person { which, token: tokens["access_token"].as_str().unwrap().to_owned(), card }
    }
}

async fn take_in(app: &Arc<App>, body: &[u8]) -> Result<BatchResult, shared::problem::Problem> {
    let batch: Batch<&RawValue> = serde_json::from_slice(body).unwrap();
    ingest(app, batch).await
}

/// Delivers everything over a perfect network until nothing is left.
async fn drain(clock: &Clock, nodes: &[Node]) {
    loop {
        let mut sent = 0;
        for node in nodes {
            for (to, sender) in &node.senders {
                let Some(claimed) = sender.claim().await.unwrap() else {
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
                let answer = take_in(&nodes[*to].app, &body).await.unwrap();
                sender.settle(&claimed, answer).await.unwrap();
            }
        }
        if sent == 0 {
            return;
        }
    }
}

struct Run<'a> {
    world: &'a World,
    rng: StdRng,
    nodes: Vec<Node>,
    network: Vec<Letter>,
    written: [Written; 2],
    conversation: String,
    next: usize,
}

impl Run<'_> {
    async fn step(&mut self) {
        let which = self.rng.random_range(0..self.nodes.len());
        self.world.clock.advance(Duration::from_millis(self.rng.random_range(0..2000)));
        match self.rng.random_range(0..100) {
            0..15 => self.write(which % 2).await,
            15..21 => self.change(which % 2).await,
            21..25 => self.read(which % 2).await,
            25..28 => flush(&self.nodes[which].app).await.unwrap(),
            28..42 => self.govern().await,
            42..62 => self.claim(which).await,
            62..95 => self.carry().await,
            _ => {
                let life = self.nodes[which].life + 1;
                self.nodes[which] = self.world.node(which, &self.nodes[which].db, life).await;
            }
        }
    }

    /// Somebody does something to the group, or says something in it, if their app lets them.
    async fn govern(&mut self) {
        let people = &self.world.people;
        let actor = &people[self.rng.random_range(0..people.len())];
        let whom = people[self.rng.random_range(0..people.len())].card.id;
        let role = ["owner", "admin", "member"][self.rng.random_range(0..3)];
        let path = format!("{CONVERSATIONS}{}/", self.world.group);
        let seat = format!("{path}participants/{whom}/");
        self.next += 1;
        let (method, path, body) = match self.rng.random_range(0..100) {
            0..15 => (Method::PATCH, path, json!({ "title": format!("Title {}", self.next) })),
            15..45 => {
                let body = json!({ "participants": [whom], "role": role });
                (Method::POST, format!("{path}participants/"), body)
            }
            45..60 => (Method::DELETE, seat, Value::Null),
            60..78 => (Method::PATCH, seat, json!({ "role": role })),
            78..99 => {
                let text = format!("said {}", self.next);
                let body = json!({ "conversation": self.world.group, "content": text });
                (Method::POST, "/api/chats/messages/".to_owned(), body)
            }
            _ => (Method::DELETE, path, Value::Null),
        };
        let body = (!body.is_null()).then_some(body);
        let node = &self.nodes[actor.which];
        let (status, answer) = self.world.call(node, &actor.token, method, &path, body).await;
        let fine = [200, 201, 204, 403, 404, 409].contains(&status.as_u16());
        assert!(fine, "{status} {answer}");
    }

    async fn write(&mut self, which: usize) {
        let text = format!("{which} wrote {}", self.next);
        self.next += 1;
        let body = json!({ "conversation": self.conversation, "content": text });
        let (status, sent) = self
            .world
            .call(
                &self.nodes[which],
                self.world.token(which),
                Method::POST,
                "/api/chats/messages/",
                Some(body),
            )
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
            let (status, _) = self
                .world
                .call(&self.nodes[which], self.world.token(which), Method::DELETE, &path, None)
                .await;
            assert_eq!(status, 204);
            entry.1 = None;
        } else {
            let edit = format!("{which} edited {}", self.next);
            self.next += 1;
            let body = json!({ "content": edit });
            let (status, _) = self
                .world
                .call(&self.nodes[which], self.world.token(which), Method::PATCH, &path, Some(body))
                .await;
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
        let all = self.list(which).await;
        let Some(last) = all.last().filter(|_| self.rng.random_ratio(2, 3)) else { return };
        self.say_read(which, last).await;
    }

    async fn say_read(&self, which: usize, message: &Value) {
        let path = format!("/api/chats/conversations/{}/read/", self.conversation);
        let body = Some(json!({ "message": message["id"] }));
        let (status, left) = self
            .world
            .call(&self.nodes[which], self.world.token(which), Method::POST, &path, body)
            .await;
        assert_eq!(status, 200, "{left}");
    }

    async fn claim(&mut self, from: usize) {
        let node = &self.nodes[from];
        let (to, sender) = &node.senders[self.rng.random_range(0..node.senders.len())];
        let Some(claimed) = sender.claim().await.unwrap() else { return };
        if claimed.batch.events.is_empty() {
            return;
        }
        let body = serde_json::to_vec(&claimed.batch).unwrap();
        let claimed = Arc::new(claimed);
        self.network.push(Letter::Request { from, to: *to, life: node.life, claimed, body });
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
            Letter::Request { from, to, life, claimed, body } => {
                // A sender that restarted its stream has made this letter stale; that is a good answer too.
                if let Ok(answer) = take_in(&self.nodes[to].app, &body).await {
                    let claimed = claimed.clone();
                    self.network.push(Letter::Answer { from, to, life, claimed, answer });
                }
                if again {
                    self.network.push(Letter::Request { from, to, life, claimed, body });
                }
            }
            Letter::Answer { from, to, life, claimed, answer } => {
                if self.nodes[from].life == life {
                    let mut senders = self.nodes[from].senders.iter();
                    let (_, sender) = senders.find(|(other, _)| *other == to).unwrap();
                    sender.settle(&claimed, answer.clone()).await.unwrap();
                }
                if again {
                    self.network.push(Letter::Answer { from, to, life, claimed, answer });
                }
            }
        }
    }

    async fn list(&self, which: usize) -> Vec<Value> {
        let path =
            format!("/api/chats/conversations/{}/messages/?page_size=100", self.conversation);
        let (status, page) = self
            .world
            .call(&self.nodes[which], self.world.token(which), Method::GET, &path, None)
            .await;
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
        for which in [0, 1] {
            // What is counted without being looked at, too.
            let path =
                format!("/api/chats/conversations/{}/messages/?page_size=1", self.conversation);
            let token = self.world.token(which);
            let node = &self.nodes[which];
            let (_, page) = self.world.call(node, token, Method::GET, &path, None).await;
            assert_eq!(page["count"], a.len(), "{page}");
            for word in ["wrote", "edited"] {
                let path = format!("/api/chats/messages/?search={word}&page_size=100");
                let (status, page) = self
                    .world
                    .call(&self.nodes[which], self.world.token(which), Method::GET, &path, None)
                    .await;
                assert_eq!(status, 200, "{page}");
                let results = page["results"].as_array().unwrap();
                let found: BTreeSet<_> =
                    results.iter().map(|m| m["id"].as_str().unwrap()).collect();
                let texts = expected.iter().filter(|(_, text)| {
                    text.as_ref().is_some_and(|text| text.split(' ').any(|part| part == word))
                });
                let holding: BTreeSet<_> = texts.map(|(id, _)| id.as_str()).collect();
                assert_eq!(found, holding, "found by {word}");
            }
        }
    }
}

/// What an app holds of the group: its head, its seats, and its messages with their status.
#[derive(Debug, PartialEq)]
struct Held {
    head: (Option<String>, Option<i64>, i64),
    seats: Vec<(Uuid, i16, i64, Option<i64>)>,
    messages: HashMap<Uuid, (i16, Option<String>)>,
}

impl Run<'_> {
    async fn held(&self, which: usize) -> Option<Held> {
        let id: Uuid = self.world.group.parse().unwrap();
        let mut conn = self.nodes[which].db.read().await.unwrap();
        let head = conn
            .sql("SELECT title, ended_at, changed_at FROM conversations WHERE id = $1")
            .bind(id)
            .optional(|row| Ok((row.take()?, row.take()?, row.take()?)))
            .await
            .unwrap()?;
        let mut seats = conn
            .sql("SELECT user_id, role, joined_at, left_at FROM participants WHERE conversation_id = $1")
            .bind(id)
            .all(|row| Ok((row.take()?, row.take()?, row.take()?, row.take()?)))
            .await
            .unwrap();
        seats.sort_unstable();
        let messages = conn
            .sql("SELECT id, status, status_reason FROM messages WHERE conversation_id = $1")
            .bind(id)
            .all(|row| Ok((row.take()?, (row.take()?, row.take()?))))
            .await
            .unwrap();
        Some(Held { head, seats, messages: messages.into_iter().collect() })
    }

    /// All apps that have somebody in the group see the same one, and the others know that they have nobody.
    async fn check_group(&self) {
        let mut seen: Vec<Held> = Vec::new();
        let mut outside = Vec::new();
        for which in 0..self.nodes.len() {
            let own: Vec<Uuid> = self
                .world
                .people
                .iter()
                .filter(|person| person.which == which)
                .map(|person| person.card.id.uuid())
                .collect();
            let held = self.held(which).await;
            let in_it = |(user, _, _, left_at): &(Uuid, i16, i64, Option<i64>)| {
                own.contains(user) && left_at.is_none()
            };
            match held {
                Some(held) if held.seats.iter().any(in_it) => seen.push(held),
                _ => outside.extend(own),
            }
        }
        for pair in seen.windows(2) {
            assert_eq!(pair[0].head, pair[1].head, "the same title and end");
            assert_eq!(pair[0].seats, pair[1].seats, "the same people");
        }
        let active = |held: &Held| held.seats.iter().filter(|seat| seat.3.is_none()).count();
        if let Some(first) = seen.first() {
            let stays = first
                .seats
                .iter()
                .filter(|(user, .., left_at)| outside.contains(user) && left_at.is_none());
            assert_eq!(stays.count(), 0, "nobody is thought to be in it who does not know it");
            let owner = first.seats.iter().any(|(_, role, _, left)| *role == 0 && left.is_none());
            assert!(owner || first.head.1.is_some() || active(first) == 0, "somebody owns it");
        }
        for held in &seen {
            for (status, reason) in held.messages.values() {
                let reason = reason.as_deref().unwrap_or_default();
                let refused = ["not_a_participant", "conversation_ended", "unknown_conversation"];
                assert!(
                    *status == 1 || (*status == 4 && refused.contains(&reason)),
                    "{status} {reason}"
                );
            }
        }
        if let [a, b] = seen.as_slice()
            && self.nodes.len() == 2
        {
            for (id, (status, _)) in a.messages.iter().chain(&b.messages) {
                let both = a.messages.contains_key(id) && b.messages.contains_key(id);
                assert!(*status != 4 || !both, "what was refused is not there");
            }
        }
    }
}

async fn run(world: &World, seed: u64, dbs: &[Db]) {
    let mut nodes = Vec::new();
    for (which, db) in dbs.iter().enumerate() {
        nodes.push(world.node(which, db, 0).await);
    }
    let mut run = Run {
        world,
        rng: StdRng::seed_from_u64(seed),
        nodes,
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
    drain(&world.clock, &run.nodes).await;
    // Both have everything now, and read it; what they say of that is relayed too.
    for which in 0..2 {
        if let Some(last) = run.list(which).await.last() {
            run.say_read(which, last).await;
        }
        flush(&run.nodes[which].app).await.unwrap();
    }
    drain(&world.clock, &run.nodes).await;
    run.check().await;
    run.check_group().await;
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

/// The databases of the apps in a folder.
fn urls(folder: &Path, size: usize) -> Vec<String> {
    let names = ["a.db", "b.db", "c.db"].into_iter().take(size);
    names.map(|name| format!("sqlite://{}", folder.join(name).display())).collect()
}

async fn open(urls: &[String]) -> Vec<Db> {
    let mut dbs = Vec::new();
    for url in urls {
        dbs.push(Db::open(url).await.unwrap());
    }
    dbs
}

async fn sqlite_share(world: &World, template: &Path, seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let _seed = Seed(seed, Database::Sqlite);
        let folder = folder();
        for entry in std::fs::read_dir(template).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let dbs = open(&urls(folder.path(), world.size())).await;
        run(world, seed, &dbs).await;
        for db in dbs {
            db.close().await;
        }
    }
}

/// Runs on SQLite with two or three apps.
async fn sqlite(size: usize, runs: u64) {
    let template = folder();
    let mut world = World::new(size);
    world.populate(&urls(template.path(), size)).await;
    let (first, runs) = (number("SIM_SEED", rand::random::<u64>() >> 1), number("SIM_RUNS", runs));
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
async fn both_apps_agree_whatever_the_network_does_on_sqlite() {
    sqlite(2, 2000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_apps_agree_whatever_the_network_does_on_sqlite() {
    sqlite(3, 1000).await;
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
        let urls = storages.each_ref().map(|storage| storage.url.clone());
        let mut world = World::new(2);
        world.populate(&urls).await;
        let dbs = open(&urls).await;
        run(&world, seed, &dbs).await;
        for db in dbs {
            db.close().await;
        }
    }
}
