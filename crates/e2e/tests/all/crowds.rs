//! Many at once: sockets that all come back in the same moment, and a queue that has grown while the peer was away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::{Client, Database, Heard, ProcessPair, Socket, eventually};
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use serde_json::json;

use crate::support::sql::Sql;

/// People, each with as many sockets as a user may have.
const PEOPLE: usize = 125;
const SOCKETS_EACH: usize = 16;
/// Messages that the sockets have missed.
const MISSED: usize = 4;
/// Messages in all: the others are written while the sockets come back.
const WRITTEN: usize = 24;

/// Lets this process have more files open than programs usually may.
fn raise_descriptors(count: usize) {
    let own = std::process::id().to_string();
    let limit = std::process::Command::new("prlimit")
        .args(["--pid", &own, &format!("--nofile={count}:")])
        .status();
    assert!(limit.expect("prlimit, of util-linux").success(), "{count} files cannot be open here");
}

/// The next frame that tells of neither presence nor typing, however long that takes in a crowd.
async fn patiently(socket: &mut Socket) -> serde_json::Value {
    loop {
        match socket.hear().await {
            Heard::Frame(frame) if frame["type"] == "presence" || frame["type"] == "typing" => {}
            Heard::Frame(frame) => return frame,
            other => panic!("{other:?} instead of a frame"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_sockets_that_come_back_at_once_miss_nothing_and_hold_nobody_up() {
    raise_descriptors(4 * PEOPLE * SOCKETS_EACH);
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    pair.a.set("RUST_LOG", "info");
    pair.a.start().await;
    let alice = pair.a.client().join("alice").await;
    let nobody = pair.a.client();
    let joining = (0..PEOPLE).map(|number| {
        let nobody = nobody.clone();
        async move { nobody.join(&format!("person-{number}")).await }
    });
    let people: Vec<Client> = stream::iter(joining).buffer_unordered(8).collect().await;
    let names: Vec<_> = people.iter().map(|person| person.name.clone()).collect();
    let group = json!({ "participants": names, "title": "All" });
    let group = alice.post("/api/chats/conversations/", &group).await.expect(201).str("id");
    let seats: Vec<&Client> = people.iter().flat_map(|person| [person; SOCKETS_EACH]).collect();
    let opening = seats.iter().map(|person| async {
        let mut socket = person.socket().await;
        socket.settle().await;
        socket
    });
    let sockets: Vec<Socket> = stream::iter(opening).buffered(50).collect().await;
    let cursors: Vec<String> =
        sockets.iter().map(|socket| socket.cursor.clone().expect("a cursor")).collect();
    // All of them lose their connection in one moment.
    pair.a.kill();
    drop(sockets);
    pair.a.start().await;
    let say = async |number: usize| {
        let body = json!({ "conversation": group, "content": number.to_string() });
        alice.post("/api/chats/messages/", &body).await.expect(201);
    };
    for number in 0..MISSED {
        say(number).await;
    }
    let expected: Vec<String> = (0..WRITTEN).map(|number| number.to_string()).collect();
    let done = Arc::new(AtomicBool::new(false));
    let asking = async {
        let (mut slowest, mut count) = (Duration::ZERO, 0);
        while !done.load(Ordering::Relaxed) {
            let started = Instant::now();
            alice.get("/api/chats/conversations/").await.expect(200);
            slowest = slowest.max(started.elapsed());
            if MISSED + count < WRITTEN {
                say(MISSED + count).await;
            }
            count += 1;
        }
        (slowest, count)
    };
    let back = async {
        let back = seats.iter().zip(&cursors).map(|(person, cursor)| async {
            let mut socket = person.socket_since(cursor).await;
            let mut heard = Vec::new();
            while heard.len() < expected.len() {
                let frame = tokio::time::timeout(e2e::PATIENCE, patiently(&mut socket)).await;
                let frame = frame
                    .unwrap_or_else(|_| panic!("nothing after {heard:?}, for {}", person.name));
                assert_eq!(frame["type"], "message.created", "{frame}");
                heard.push(frame["data"]["content"].as_str().unwrap().to_owned());
            }
            assert_eq!(heard, expected);
            socket
        });
        let sockets = join_all(back).await;
        done.store(true, Ordering::Relaxed);
        sockets
    };
    let started = Instant::now();
    let (sockets, (slowest, count)) = tokio::join!(back, asking);
    println!("{} sockets were back after {:?}", sockets.len(), started.elapsed());
    println!("{count} requests meanwhile, the slowest took {slowest:?}");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert!(!pair.a.has_logged("cannot be accepted"));
}

/// 20 000 events, as CI has no time for more; `QUEUED_EVENTS=1000000` makes it a million.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_drains_in_order_within_bounded_memory() {
    let count: usize =
        std::env::var("QUEUED_EVENTS").map_or(20_000, |count| count.parse().expect("a number"));
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    pair.a.set("RUST_LOG", "info");
    pair.b.set("RUST_LOG", "info");
    pair.a.start().await;
    pair.b.start().await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    alice.send("bob@app-b", "the first").await;
    eventually("it is settled", || async {
        let list = alice.get("/api/chats/messages/").await.expect(200);
        (list.results()[0]["status"] == "relayed").then_some(())
    })
    .await;
    let _ = bob;
    pair.a.kill();
    // All have the token of the first: nothing between the two edges opens it.
    let mut sql = Sql::open(&pair.a.storage).await;
    sql.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO messages (id, conversation_id, sender_id, content, key_id, revision,
             created_at, status, pending)
         SELECT randomblob(16), m.conversation_id, m.sender_id, m.content, m.key_id, 0,
             m.created_at + i, 0, 1
         FROM n, (SELECT * FROM messages LIMIT 1) m;
         INSERT INTO outbox (peer, seq, kind, subject, created_at)
         SELECT 'app-b', s.last_seq + row_number() OVER (ORDER BY m.created_at), 0, m.id,
             m.created_at
         FROM messages m, streams s WHERE s.peer = 'app-b' AND m.pending = 1;
         UPDATE streams SET last_seq = last_seq + {count} WHERE peer = 'app-b';"
    ))
    .await;
    let started = Instant::now();
    pair.a.start().await;
    let before = [&pair.a, &pair.b].map(e2e::Process::memory);
    let mut last = usize::MAX;
    let mut moved = Instant::now();
    loop {
        let left = "SELECT CAST(count(*) AS TEXT) FROM outbox WHERE kind = 0";
        let left: usize = sql.text(left).await.parse().unwrap();
        if left == 0 {
            break;
        }
        if left < last {
            (last, moved) = (left, Instant::now());
        }
        assert!(moved.elapsed() < e2e::PATIENCE, "it has stopped with {left} to go");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let grown = [&pair.a, &pair.b].map(e2e::Process::peak_memory);
    println!("{count} events in {:?}; MiB: {before:?}, at most {grown:?}", started.elapsed());
    for peak in grown {
        assert!(peak < 150, "{peak} MiB");
    }
    let queued = "SELECT CAST(count(*) AS TEXT) FROM messages WHERE status = 0";
    assert_eq!(sql.text(queued).await, "0");
    let mut theirs = Sql::open(&pair.b.storage).await;
    let stored = "SELECT CAST(count(*) AS TEXT) FROM messages";
    assert_eq!(theirs.text(stored).await, (count + 1).to_string());
    let disordered = "SELECT CAST(count(*) AS TEXT) FROM (
        SELECT m.created_at AS at, lag(m.created_at) OVER (ORDER BY e.seq) AS before
        FROM event_log e JOIN messages m ON m.id = e.subject) WHERE before >= at";
    assert_eq!(theirs.text(disordered).await, "0");
}
