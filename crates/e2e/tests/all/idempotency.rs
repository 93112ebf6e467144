//! Requests that are sent again: with the same key and body they have one effect and one answer.

use e2e::{Client, Database, Pair, Reply, eventually, on_both_databases};
use http::Method;
use serde_json::{Value, json};

on_both_databases!(
    a_repeated_send_gives_the_first_answer_and_one_message,
    a_key_is_good_for_one_request_of_one_user,
    requests_with_one_key_at_once_make_one_message,
    a_repeated_creation_gives_the_same_conversation,
    a_key_outlives_the_process_and_holds_no_text,
);

const SEND: &str = "/api/messages/send/";

async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Reply {
    client.run(client.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

async fn a_repeated_send_gives_the_first_answer_and_one_message(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let body = json!({ "recipient": "bob@app-b", "content": "only once" });
    let first = post(&alice, SEND, "key-1", &body).await.expect(201);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let path = format!("/api/chats/messages/{}/", first.str("id"));
    alice.patch(&path, &json!({ "content": "edited since" })).await.expect(200);
    for _ in 0..3 {
        let again = post(&alice, SEND, "key-1", &body).await.expect(201);
        assert_eq!(again.headers["idempotent-replayed"], "true");
        assert_eq!(again.json, first.json, "the first answer, as it was");
    }
    // The path without its slash is the same path.
    let again = post(&alice, SEND.trim_end_matches('/'), "key-1", &body).await.expect(201);
    assert_eq!(again.json["id"], first.json["id"]);
    eventually("the message arrives", || async {
        (bob.read(&first.str("conversation")).await == ["edited since"]).then_some(())
    })
    .await;
    assert_eq!(alice.get("/api/chats/messages/").await.expect(200).json["count"], 1);
    pair.stop().await;
}

async fn a_key_is_good_for_one_request_of_one_user(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let carol = pair.a.client().join("carol").await;
    let body = json!({ "recipient": "bob@app-b", "content": "one" });
    post(&alice, SEND, "key", &body).await.expect(201);
    for other in [
        json!({ "recipient": "bob@app-b", "content": "two" }),
        json!({ "recipient": "carol", "content": "one" }),
    ] {
        let reply = post(&alice, SEND, "key", &other).await.expect(422);
        assert_eq!(reply.code(), "idempotency_key_reused");
    }
    let hers = post(&carol, SEND, "key", &body).await.expect(201);
    assert!(!hers.headers.contains_key("idempotent-replayed"), "keys belong to their users");
    for bad in ["", &"k".repeat(256)] {
        let reply = post(&alice, SEND, bad, &body).await.expect(400);
        assert!(reply.json["errors"]["Idempotency-Key"].is_array(), "{reply:#?}");
    }
    let raw = alice.request(Method::POST, SEND).json(&body);
    let raw = raw.header("Idempotency-Key", http::HeaderValue::from_bytes(b"caf\xe9").unwrap());
    alice.run(raw).await.expect(400);
    // A request that failed has made nothing, so its key is free.
    let unknown = json!({ "recipient": "nobody", "content": "x" });
    post(&alice, SEND, "other", &unknown).await.expect(404);
    post(&alice, SEND, "other", &body).await.expect(201);
    pair.stop().await;
}

async fn requests_with_one_key_at_once_make_one_message(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let body = json!({ "recipient": "bob@app-b", "content": "at once" });
    let all = (0..20).map(|_| post(&alice, SEND, "key", &body));
    let replies = futures::future::join_all(all).await;
    let mut ids = Vec::new();
    for reply in replies {
        if reply.status == 409 {
            assert!(reply.headers.contains_key("retry-after"), "{reply:#?}");
        } else {
            ids.push(reply.expect(201).str("id"));
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(alice.get("/api/chats/messages/").await.expect(200).json["count"], 1);
    pair.stop().await;
}

async fn a_repeated_creation_gives_the_same_conversation(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let path = "/api/chats/conversations/";
    let group = json!({ "participants": ["bob@app-b"], "title": "A group" });
    let first = post(&alice, path, "key", &group).await.expect(201);
    let again = post(&alice, path, "key", &group).await.expect(201);
    assert_eq!(first.json, again.json);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let direct = json!({ "participants": ["bob@app-b"] });
    post(&alice, path, "direct", &direct).await.expect(201);
    post(&alice, path, "direct", &direct).await.expect(201);
    post(&alice, path, "direct again", &direct).await.expect(200);
    assert_eq!(alice.get(path).await.expect(200).json["count"], 2);
    pair.stop().await;
}

async fn a_key_outlives_the_process_and_holds_no_text(database: Database) {
    let mut pair = Pair::start(database).await;
    let (mut alice, _) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let body = json!({ "recipient": "bob@app-b", "content": "canary of a repeated request" });
    let first = post(&alice, SEND, "key", &body).await.expect(201);
    pair.a.stop().await;
    let held = String::from_utf8_lossy(&pair.a.storage.dump().await).into_owned();
    assert!(held.contains("$sealed") && !held.contains("canary"));
    pair.a.start().await;
    alice.log_in().await;
    let again = post(&alice, SEND, "key", &body).await.expect(201);
    assert_eq!(again.json, first.json);
    pair.stop().await;
}
