//! Whatever happens to a socket, its client hears everything once and in order.

use std::time::Duration;

use e2e::{Client, Database, Heard, Pair, Socket, eventually, on_both_databases};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tokio_tungstenite::tungstenite::Message;

on_both_databases!(
    whatever_ends_a_socket_every_event_comes_once_and_in_order,
    a_cursor_that_is_none_gets_a_resync,
    a_reader_that_is_too_slow_is_closed_and_misses_nothing,
    a_socket_that_vanishes_without_a_word_misses_nothing,
    many_sockets_come_back_at_once,
);

/// A direct conversation of two people of AppA.
async fn neighbours(pair: &Pair) -> (Client, Client, String) {
    let alice = pair.a.client().join("alice").await;
    let anna = pair.a.client().join("anna").await;
    let sent = alice.send("anna", "hello").await;
    (alice, anna, sent["conversation"].as_str().unwrap().to_owned())
}

/// What an event comes to in these tests: its type, and the text of its message.
fn brief(frame: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&frame["type"]), text(&frame["data"]["id"]))
}

async fn whatever_ends_a_socket_every_event_comes_once_and_in_order(database: Database) {
    let seed: u64 =
        std::env::var("RESUME_SEED").ok().map_or_else(rand::random, |s| s.parse().unwrap());
    println!("RESUME_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let pair = Pair::start(database).await;
    let (alice, anna, conversation) = neighbours(&pair).await;
    let mut socket = anna.socket().await;
    socket.settle().await;
    let mut cursor = socket.cursor.clone().unwrap();
    let writer = tokio::spawn({
        let alice = alice.clone();
        let mut rng = StdRng::seed_from_u64(seed ^ 1);
        async move {
            let mut expected = Vec::new();
            for number in 0..120 {
                let body = json!({ "conversation": conversation, "content": number.to_string() });
                let sent = alice.post("/api/chats/messages/", &body).await.expect(201);
                expected.push(("message.created".to_owned(), sent.str("id")));
                let path = format!("/api/chats/messages/{}/", sent.str("id"));
                match rng.random_range(0..8) {
                    0 => {
                        alice.patch(&path, &json!({ "content": "edited" })).await.expect(200);
                        expected.push(("message.updated".to_owned(), sent.str("id")));
                    }
                    1 => {
                        alice.delete(&path).await.expect(204);
                        expected.push(("message.deleted".to_owned(), sent.str("id")));
                    }
                    _ => {}
                }
            }
            let body = json!({ "conversation": conversation, "content": "the end" });
            let sent = alice.post("/api/chats/messages/", &body).await.expect(201);
            expected.push(("message.created".to_owned(), sent.str("id")));
            expected
        }
    });
    let mut heard = Vec::new();
    let (mut ended, mut forgotten) = (false, 0);
    while !ended {
        for _ in 0..rng.random_range(0..12) {
            let frame = socket.event().await;
            frame["cursor"].as_str().unwrap().clone_into(&mut cursor);
            heard.push(brief(&frame));
            ended = frame["data"]["content"] == "the end";
            if ended {
                break;
            }
        }
        // However it ends: without a word, with one, or not at all as far as the app knows.
        match rng.random_range(0..3) {
            0 => socket.send(Message::Close(None)).await,
            1 if forgotten < 10 => {
                forgotten += 1;
                std::mem::forget(socket);
            }
            _ => drop(socket),
        }
        socket = anna.socket_since(&cursor).await;
    }
    let expected = writer.await.unwrap();
    assert!(socket.settle().await.is_empty(), "nothing comes after the end");
    assert_eq!(heard, expected);
    pair.stop().await;
}

async fn a_cursor_that_is_none_gets_a_resync(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, anna, _) = neighbours(&pair).await;
    let mut socket = anna.socket().await;
    socket.settle().await;
    let good = socket.cursor.clone().unwrap();
    let mut other = good.clone().into_bytes();
    other[9] = if other[9] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    for cursor in ["", "rubbish", "AAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(5000), "%00%ff", &other] {
        let mut socket = anna.socket_since(cursor).await;
        let frame = socket.event().await;
        assert_eq!(frame["type"], "resync", "{cursor}: {frame}");
        assert_eq!(frame["data"]["reason"], "unknown_cursor");
        // From there it goes on as any other.
        alice.send("anna", cursor.get(..5).unwrap_or("short")).await;
        let next = socket.event().await;
        assert_eq!(next["type"], "message.created", "{next}");
    }
    let mut resumed = anna.socket_since(&good).await;
    for _ in 0..6 {
        assert_eq!(resumed.event().await["type"], "message.created");
    }
    pair.stop().await;
}

async fn a_reader_that_is_too_slow_is_closed_and_misses_nothing(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, anna, conversation) = neighbours(&pair).await;
    let (mut slow, mut quick) = (anna.narrow_socket().await, anna.socket().await);
    slow.settle().await;
    let sending = async {
        let mut expected = Vec::new();
        for number in 0..150 {
            let text = format!("{number} {}", "😀".repeat(19_000));
            let body = json!({ "conversation": conversation, "content": text });
            let sent = alice.post("/api/chats/messages/", &body).await.expect(201);
            expected.push(("message.created".to_owned(), sent.str("id")));
        }
        expected
    };
    let hearing = async {
        let mut heard = Vec::new();
        while heard.len() < 150 {
            heard.push(brief(&quick.event().await));
        }
        heard
    };
    let (expected, heard) = tokio::join!(sending, hearing);
    assert_eq!(heard, expected, "nobody else is held up");
    let mut heard = Vec::new();
    loop {
        match slow.hear().await {
            Heard::Frame(frame) if frame["type"] == "message.created" => heard.push(brief(&frame)),
            Heard::Frame(_) => {}
            Heard::Closed(code, _) => {
                assert_eq!(code, 4408);
                break;
            }
            Heard::Gone => break,
        }
    }
    assert!(heard.len() < 150, "it was closed");
    let mut resumed = anna.socket_since(slow.cursor.as_ref().unwrap()).await;
    while heard.len() < 150 {
        heard.push(brief(&resumed.event().await));
    }
    assert_eq!(heard, expected);
    pair.stop().await;
}

async fn a_socket_that_vanishes_without_a_word_misses_nothing(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, anna, conversation) = neighbours(&pair).await;
    let mut socket = anna.socket().await;
    let mut expected = Vec::new();
    let mut heard = Vec::new();
    let mut cursor = String::new();
    let mut vanished: Option<Socket> = None;
    for number in 0..200 {
        let body = json!({ "conversation": conversation, "content": number.to_string() });
        let sent = alice.post("/api/chats/messages/", &body).await.expect(201);
        expected.push(("message.created".to_owned(), sent.str("id")));
        if number < 90 {
            let frame = socket.event().await;
            frame["cursor"].as_str().unwrap().clone_into(&mut cursor);
            heard.push(brief(&frame));
        } else if number == 90 {
            // The connection stays open, and nobody reads it or answers.
            vanished = Some(std::mem::replace(&mut socket, anna.socket_since(&cursor).await));
        }
    }
    while heard.len() < 200 {
        heard.push(brief(&socket.event().await));
    }
    assert_eq!(heard, expected);
    assert_eq!(socket.settle().await, Vec::<Value>::new());
    drop(vanished);
    pair.stop().await;
}

async fn many_sockets_come_back_at_once(database: Database) {
    const SOCKETS: usize = 10;
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let mut people = Vec::new();
    for number in 0..10 {
        people.push(pair.a.client().join(&format!("person-{number}")).await);
    }
    let names: Vec<_> = people.iter().map(|person| person.name.clone()).collect();
    let group = json!({ "participants": names, "title": "All" });
    let group = alice.post("/api/chats/conversations/", &group).await.expect(201).str("id");
    let mut cursors = Vec::new();
    for person in &people {
        let mut socket = person.socket().await;
        socket.settle().await;
        cursors.push(socket.cursor.clone().unwrap());
    }
    let mut expected = Vec::new();
    for number in 0..40 {
        let body = json!({ "conversation": group, "content": number.to_string() });
        let sent = alice.post("/api/chats/messages/", &body).await.expect(201);
        expected.push(("message.created".to_owned(), sent.str("id")));
    }
    let back = people.iter().zip(&cursors).flat_map(|pair| [pair; SOCKETS]);
    let back = back.map(|(person, cursor)| async {
        let mut socket = person.socket_since(cursor).await;
        let mut heard = Vec::new();
        while heard.len() < 40 {
            heard.push(brief(&socket.event().await));
        }
        assert_eq!(heard, expected);
    });
    join_all(back).await;
    pair.stop().await;
}

/// What a transaction writes gets its number before others that commit earlier.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_is_not_skipped() {
    if !Database::Postgres.is_to_be_tested() {
        return;
    }
    let pair = Pair::start(Database::Postgres).await;
    let (alice, anna, conversation) = neighbours(&pair).await;
    let first = alice.send("anna", "first").await;
    let mut socket = anna.socket().await;
    socket.settle().await;
    let before = socket.cursor.clone().unwrap();
    let mut late = PgConnection::connect(&pair.a.storage.url).await.unwrap();
    late.execute("BEGIN").await.unwrap();
    let insert = "INSERT INTO event_log (kind, conversation_id, subject, created_at)
        SELECT 2, conversation_id, id, created_at FROM messages
        WHERE id = $1 RETURNING seq";
    let id: uuid::Uuid = first["id"].as_str().unwrap().parse().unwrap();
    let seq: i64 =
        sqlx::query_scalar(insert).bind(id).fetch_one(&mut late).await.expect("a number");
    alice.send("anna", "second").await;
    let mut newer = PgConnection::connect(&pair.a.storage.url).await.unwrap();
    let newest: i64 =
        sqlx::query_scalar("SELECT max(seq) FROM event_log").fetch_one(&mut newer).await.unwrap();
    assert!(newest > seq, "the later number is there before the earlier one");
    assert!(socket.is_silent(Duration::from_millis(1500)).await, "it waits for the earlier one");
    // Neither does a client that comes now skip it.
    let mut other = anna.socket_since(&before).await;
    assert!(other.is_silent(Duration::from_millis(500)).await);
    late.execute("COMMIT").await.unwrap();
    for socket in [&mut socket, &mut other] {
        let frames = [socket.event().await, socket.event().await];
        assert_eq!(frames[0]["type"], "message.updated", "{frames:?}");
        assert_eq!(frames[0]["data"]["content"], "first");
        assert_eq!(frames[1]["data"]["content"], "second");
        assert!(socket.settle().await.is_empty());
    }
    // One that is undone holds nothing up for longer than it takes.
    late.execute("BEGIN").await.unwrap();
    sqlx::query(insert).bind(id).execute(&mut late).await.unwrap();
    alice.send("anna", "third").await;
    late.execute("ROLLBACK").await.unwrap();
    assert_eq!(socket.event().await["data"]["content"], "third");
    let _ = conversation;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_transaction_that_is_none_of_the_logs_business_holds_nothing_up() {
    if !Database::Postgres.is_to_be_tested() {
        return;
    }
    let pair = Pair::start(Database::Postgres).await;
    let (alice, anna, _) = neighbours(&pair).await;
    let mut long = PgConnection::connect(&pair.a.storage.url).await.unwrap();
    long.execute("BEGIN; CREATE TABLE unrelated (x BIGINT)").await.unwrap();
    let mut socket = anna.socket().await;
    alice.send("anna", "meanwhile").await;
    assert_eq!(socket.event().await["data"]["content"], "meanwhile");
    long.execute("ROLLBACK").await.unwrap();
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_whose_row_has_been_pruned_gets_a_resync() {
    let pair = Pair::start(Database::Sqlite).await;
    let (alice, anna, _) = neighbours(&pair).await;
    let mut socket = anna.socket().await;
    socket.settle().await;
    let old = socket.cursor.clone().unwrap();
    alice.send("anna", "later").await;
    let db = messenger::db::Db::open(&pair.a.storage.url).await.unwrap();
    let prune = db.write(|conn| {
        Box::pin(async move {
            let sql = "DELETE FROM event_log WHERE seq < (SELECT max(seq) FROM event_log)";
            conn.sql(sql).execute().await
        })
    });
    prune.await.unwrap();
    db.close().await;
    let mut resumed = anna.socket_since(&old).await;
    assert_eq!(resumed.event().await["type"], "resync");
    eventually("the lists are what they were", || async {
        (anna.get("/api/messages/inbox/").await.expect(200).json["count"] == 2).then_some(())
    })
    .await;
    pair.stop().await;
}
