//! The life of the keys: added, promoted, everything sealed anew, retired, while both apps are used.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{Client, Database, Pair, Process, ProcessPair, eventually, on_both_databases};
use http::Method;
use messenger::app::{App, StartError};
use messenger::config::Secret;
use messenger::db::Db;
use serde_json::{Value, json};
use shared::encryption::Keyring;
use shared::time::Clock;

on_both_databases!(
    keys_rotate_under_load_with_app_a_first,
    keys_rotate_under_load_with_app_b_first,
    a_key_that_would_be_missed_is_neither_promoted_nor_retired,
    an_app_does_not_start_without_a_key_that_it_has_held_and_needs,
    what_a_peer_names_keeps_nothing_from_starting,
);

async fn keys_rotate_under_load_with_app_a_first(database: Database) {
    let mut pair = ProcessPair::start(database).await;
    let ProcessPair { a, b, .. } = &mut pair;
    rotate(a, b).await;
}

async fn keys_rotate_under_load_with_app_b_first(database: Database) {
    let mut pair = ProcessPair::start(database).await;
    let ProcessPair { a, b, .. } = &mut pair;
    rotate(b, a).await;
}

/// Adds a key on both, promotes it on both, seals everything anew and retires the old one, each on `one` first.
async fn rotate(one: &mut Process, other: &mut Process) {
    let (one_file, other_file) = (one.keep_keys_in_a_file(), other.keep_keys_in_a_file());
    let old = id_of(&std::fs::read_to_string(&one_file).unwrap());
    let (alice, bob) = (one.client().join("alice*").await, other.client().join("bob*").await);
    let first = json!({ "recipient": bob.address(), "content": "the first of all" });
    let the_first = |client: &Client| {
        let send = client.request(Method::POST, "/api/messages/send/").json(&first);
        send.header("Idempotency-Key", "the-first")
    };
    let begun = alice.run(the_first(&alice)).await.expect(201);
    let conversation = begun.str("conversation");
    let here = |client: Client, conversation: String| async move {
        let path = format!("/api/chats/conversations/{conversation}/messages/");
        let reply = client.get(&path).await;
        (reply.status == 200 && !reply.results().is_empty()).then_some(())
    };
    eventually("bob has it", || here(bob.clone(), conversation.clone())).await;
    let load = Load::begin(&alice, &bob, &conversation);

    let key = Keyring::generate_key();
    let new = id_of(&key);
    let file = one_file.with_file_name("fresh");
    std::fs::write(&file, &key).unwrap();
    let file = file.to_str().unwrap();
    for app in [&mut *one, &mut *other] {
        app.succeed(&["keys", "add", "--key-file", file]);
        restart(app).await;
    }
    for app in [&mut *one, &mut *other] {
        app.succeed(&["keys", "promote", &new]);
        restart(app).await;
    }
    for app in [&mut *one, &mut *other] {
        reseal(app);
    }
    for app in [&mut *one, &mut *other] {
        // What was on its way has arrived sealed with the old key meanwhile.
        eventually("the old key can be retired", || async {
            let done = app.run(&["keys", "retire", &old]).status.success();
            if !done {
                reseal(app);
            }
            done.then_some(())
        })
        .await;
        restart(app).await;
    }

    let texts = load.end().await;
    let expected = texts.len() + 1;
    for client in [&alice, &bob] {
        let found = eventually("everything is here", || async {
            let found = all(client, &conversation).await;
            let settled = texts.iter().all(|(id, text)| found.get(id) == Some(text));
            (settled && found.len() == expected).then_some(found)
        });
        assert!(found.await.values().all(|text| !text.is_empty()));
    }
    for (app, file) in [(&*one, &one_file), (&*other, &other_file)] {
        assert_eq!(id_of(&std::fs::read_to_string(file).unwrap()), new, "the only key");
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        let keys: Value = serde_json::from_str(&app.succeed(&["keys", "list", "--json"])).unwrap();
        let keys = keys.as_array().unwrap();
        assert_eq!(keys.len(), 1, "nothing bears the name of another key: {keys:?}");
        assert_eq!((&keys[0]["key"], &keys[0]["in_use"]), (&json!(new), &json!(true)));
        assert_eq!(keys[0]["peers"].as_object().unwrap().values().next(), Some(&json!(true)));
    }
    // An answer that was kept is sealed anew too, and a search finds what was written under the old key.
    let again = alice.run(the_first(&alice)).await.expect(201);
    assert_eq!(again.json["content"], "the first of all");
    assert_eq!(again.json["id"], begun.json["id"]);
    for client in [&alice, &bob] {
        let path = format!("/api/chats/conversations/{conversation}/messages/?search=FIRST");
        assert_eq!(client.get(&path).await.expect(200).results().len(), 1);
    }
    assert_eq!(alice.me().await["email"], format!("{}@example.org", alice.name));
}

async fn restart(app: &mut Process) {
    assert!(app.terminate().await, "a clean end");
    app.start().await;
}

fn reseal(app: &Process) {
    let said = app.succeed(&["keys", "reseal", "--json"]);
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&last["finished"], &last["unreadable"]), (&json!(true), &json!(0)), "{said}");
}

/// The name of the only key of a list.
fn id_of(keys: &str) -> String {
    let ids = Keyring::parse(keys).unwrap().key_ids();
    assert_eq!(ids.len(), 1);
    ids[0].to_string()
}

/// Id and text of every message of a conversation.
async fn all(client: &Client, conversation: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut path = format!("/api/chats/conversations/{conversation}/messages/?page_size=100");
    loop {
        let reply = client.get(&path).await.expect(200);
        for message in reply.results() {
            assert_eq!(message["content_error"], Value::Null, "{message}");
            let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
            assert!(found.insert(text("id"), text("content")).is_none(), "twice: {message}");
        }
        match reply.json["next"].as_str() {
            Some(next) => path = next.strip_prefix(&client.base).unwrap().to_owned(),
            None => return found,
        }
    }
}

/// People who write, edit and read on both apps.
struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<tokio::task::JoinHandle<HashMap<String, String>>>,
    readers: Vec<tokio::task::JoinHandle<()>>,
    unreadable: Arc<Mutex<Vec<String>>>,
}

impl Load {
    fn begin(alice: &Client, bob: &Client, conversation: &str) -> Self {
        let (stop, unreadable) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (mut writers, mut readers) = (Vec::new(), Vec::new());
        for client in [alice, bob] {
            let conversation = conversation.to_owned();
            writers.push(tokio::spawn(write(client.clone(), conversation.clone(), stop.clone())));
            let reading = read(client.clone(), conversation, stop.clone(), unreadable.clone());
            readers.push(tokio::spawn(reading));
        }
        Self { stop, writers, readers, unreadable }
    }

    /// Ends it, and gives the last text of each message.
    async fn end(self) -> HashMap<String, String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut texts = HashMap::new();
        for writer in self.writers {
            texts.extend(writer.await.unwrap());
        }
        for reader in self.readers {
            reader.await.unwrap();
        }
        let unreadable = self.unreadable.lock().unwrap();
        assert!(unreadable.is_empty(), "unreadable at some moment: {unreadable:?}");
        texts
    }
}

async fn write(
    client: Client,
    conversation: String,
    stop: Arc<AtomicBool>,
) -> HashMap<String, String> {
    let mut texts = HashMap::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("{} {number}", client.name);
        let body = json!({ "conversation": conversation, "content": text });
        let key = format!("{:032x}", rand::random::<u128>());
        let request = || client.request(Method::POST, "/api/chats/messages/").json(&body);
        let sent = until_answered(&client, || request().header("Idempotency-Key", &key)).await;
        let id = sent["id"].as_str().unwrap().to_owned();
        texts.insert(id.clone(), text);
        if number % 4 == 3 {
            let text = format!("{} edited {number}", client.name);
            let path = format!("/api/chats/messages/{id}/");
            let body = json!({ "content": text });
            let edit = || client.request(Method::PATCH, &path).json(&body);
            until_answered(&client, edit).await;
            texts.insert(id, text);
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    texts
}

/// Repeats a request while the app is away.
async fn until_answered(client: &Client, request: impl Fn() -> reqwest::RequestBuilder) -> Value {
    loop {
        match client.try_run(request()).await {
            Ok(reply) if reply.status.is_success() => return reply.json,
            Ok(reply) => assert!(reply.status.is_server_error(), "{reply:#?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn read(
    client: Client,
    conversation: String,
    stop: Arc<AtomicBool>,
    unreadable: Arc<Mutex<Vec<String>>>,
) {
    let path = format!("/api/chats/conversations/{conversation}/messages/?page_size=50");
    while !stop.load(Ordering::Relaxed) {
        if let Ok(reply) = client.try_run(client.request(Method::GET, &path)).await
            && reply.status == 200
        {
            let bad = reply.results().iter().filter(|message| message["content"].is_null());
            unreadable.lock().unwrap().extend(bad.map(Value::to_string));
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn a_key_that_would_be_missed_is_neither_promoted_nor_retired(database: Database) {
    let mut pair = ProcessPair::start(database).await;
    let file = pair.a.keep_keys_in_a_file();
    let keys = || std::fs::read_to_string(&file).unwrap();
    let old = id_of(&keys());
    let (alice, bob) = (pair.a.client().join("alice*").await, pair.b.client().join("bob*").await);
    let first = json!({ "recipient": bob.address(), "content": "under the old key" });
    alice.post("/api/messages/send/", &first).await.expect(201);

    let said = pair.a.succeed(&["keys", "add", "--json"]);
    let added: Value = serde_json::from_str(&said).unwrap();
    let new = added["key"].as_str().unwrap().to_owned();
    assert_eq!(added["ring"], json!([old, new]), "at the end");
    let before = keys();
    // No process of this app holds it yet, then no process of the peer does, and then the peer is away.
    let why = pair.a.fail(&["keys", "promote", &new]);
    assert!(why.contains("restart"), "{why}");
    restart(&mut pair.a).await;
    let why = pair.a.fail(&["keys", "promote", &new]);
    assert!(why.contains("app-b does not hold") && why.contains(&new), "{why}");
    let why = pair.a.fail(&["keys", "retire", &old]);
    assert!(why.contains("promote another"), "{why}");
    let why = pair.a.fail(&["keys", "promote", "00000000"]);
    assert!(why.contains("no key 00000000"), "{why}");
    pair.b.kill();
    let why = pair.a.fail(&["keys", "promote", &new]);
    assert!(why.contains("--force"), "{why}");
    assert_eq!(keys(), before, "nothing was changed");
    assert_eq!(pair.a.run(&["keys", "promote", "nonsense"]).status.code(), Some(2));

    let printed = pair.a.succeed(&["keys", "promote", "--force", "--print", &new]);
    assert!(printed.starts_with("FERNET_KEYS=") && keys() == before, "it only prints");
    pair.a.succeed(&["keys", "promote", "--force", &new]);
    let ids = Keyring::parse(&keys()).unwrap().key_ids();
    assert_eq!([ids[0].to_string(), ids[1].to_string()], [new.clone(), old.clone()]);
    // The peer has got it by now, but the old one is still in use.
    let path = file.with_file_name("for-the-peer");
    std::fs::write(&path, keys().split(',').next().unwrap()).unwrap();
    pair.b.keep_keys_in_a_file();
    pair.b.succeed(&["keys", "add", "--key-file", path.to_str().unwrap()]);
    pair.b.start().await;
    restart(&mut pair.a).await;
    let why = pair.a.fail(&["keys", "retire", &old]);
    assert!(why.contains("1 messages") && why.contains("fields"), "{why}");
    reseal(&pair.a);
    let why = pair.a.fail(&["keys", "retire", &old]);
    assert!(why.contains("app-b still seals with"), "{why}");
    pair.b.succeed(&["keys", "promote", &new]);
    restart(&mut pair.b).await;
    eventually("app-b has the message", || async {
        let inbox = bob.get("/api/messages/inbox/").await;
        (inbox.status == 200 && inbox.results().len() == 1).then_some(())
    })
    .await;
    let why = pair.a.run(&["keys", "retire", &old]);
    let why = String::from_utf8_lossy(&why.stderr).into_owned();
    // Whether the message went to the peer before it was sealed anew here is a matter of luck.
    if why.contains("app-b still has messages") {
        reseal(&pair.b);
        pair.a.succeed(&["keys", "retire", &old]);
    }
    assert_eq!(id_of(&keys()), new);
    assert!(!Path::new(&format!("{}.tmp", file.display())).exists());
}

async fn an_app_does_not_start_without_a_key_that_it_has_held_and_needs(database: Database) {
    let mut pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice*").await, pair.b.client().join("bob*").await);
    let old = pair.a.config.fernet_keys.expose().to_owned();
    let new = Keyring::generate_key();
    // Both hold both, and only AppA seals with the new one.
    for (instance, ring) in
        [(&mut pair.b, format!("{old},{new}")), (&mut pair.a, format!("{new},{old}"))]
    {
        instance.stop().await;
        instance.config.fernet_keys = Secret::new(ring);
        instance.start().await;
    }
    let first = json!({ "recipient": bob.address(), "content": "under the new key" });
    alice.post("/api/messages/send/", &first).await.expect(201);
    eventually("bob has it", || async {
        let inbox = bob.get("/api/messages/inbox/").await.expect(200);
        (inbox.results().first()?["content"] == "under the new key").then_some(())
    })
    .await;
    pair.b.stop().await;
    let db = Db::open(pair.b.config.database_url.expose()).await.unwrap();
    let mut start = async |ring: &str| {
        pair.b.config.fernet_keys = Secret::new(ring.to_owned());
        App::new(&pair.b.config, db.clone(), Clock::system()).await.map(|_| ())
    };
    let needed = Keyring::parse(&new).unwrap().key_ids()[0];
    match start(&old).await {
        Err(error @ StartError::MissingKey(key)) => {
            assert_eq!(key, needed);
            assert!(error.to_string().contains(&needed.to_string()), "{error}");
        }
        other => panic!("it must not start: {other:?}"),
    }
    // The other way around it is the fields of accounts and the index key that are missed.
    let used = Keyring::parse(&old).unwrap().key_ids()[0];
    assert!(matches!(start(&new).await, Err(StartError::MissingKey(key)) if key == used));
    assert!(start(&format!("{new},{old}")).await.is_ok());
    // A key that was held and never used is not missed.
    let unused = Keyring::generate_key();
    assert!(start(&format!("{new},{old},{unused}")).await.is_ok());
    assert!(start(&format!("{new},{old}")).await.is_ok());
    db.close().await;
    pair.a.stop().await;
}

async fn what_a_peer_names_keeps_nothing_from_starting(database: Database) {
    let mut pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice*").await, pair.b.client().join("bob*").await);
    // AppB seals with a key that AppA has never held.
    pair.b.stop().await;
    let old = pair.b.config.fernet_keys.expose().to_owned();
    let ring = format!("{},{old}", Keyring::generate_key());
    pair.b.config.fernet_keys = Secret::new(ring);
    pair.b.start().await;
    let first = json!({ "recipient": alice.address(), "content": "nobody there can read it" });
    bob.post("/api/messages/send/", &first).await.expect(201);
    let shown = eventually("alice has something", || async {
        let inbox = alice.get("/api/messages/inbox/").await.expect(200);
        inbox.results().first().cloned()
    });
    assert_eq!(shown.await["content_error"]["code"], "unknown_key");
    pair.a.stop().await;
    pair.a.start().await;
    alice.get("/health/ready").await.expect(200);
    pair.stop().await;
}
