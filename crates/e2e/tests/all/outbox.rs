//! What an operator sees of the peers and the outbox, and what becomes of messages that are sent again.

use std::time::Duration;

use e2e::{Client, Database, Disturbance, Pair, eventually, on_both_databases};
use messenger::db::Db;
use serde_json::{Value, json};

on_both_databases!(
    a_message_that_has_expired_reaches_its_reader_unread_when_it_is_sent_again,
    what_has_changed_is_told_though_messages_have_expired,
    a_first_message_that_has_expired_brings_its_conversation_along,
    what_the_peer_has_refused_is_sent_again_by_reason_and_stays_in_its_group,
    what_waits_is_listed_by_peer_and_state_in_pages_and_tried_at_once,
);

const OUTBOX: &str = "/api/admin/outbox/";

/// How far a message has come, for its sender, once `is` says so.
async fn status(client: &Client, message: &Value, is: impl Fn(&str) -> bool) -> Value {
    let path = format!("/api/chats/messages/{}/", message["id"].as_str().unwrap());
    eventually("the message has come so far", || async {
        let json = client.get(&path).await.expect(200).json;
        is(json["status"].as_str().unwrap()).then_some(json)
    })
    .await
}

async fn has_failed(client: &Client, message: &Value) -> String {
    let message = status(client, message, |status| status == "failed").await;
    message["status_reason"].as_str().unwrap().to_owned()
}

async fn has_arrived(client: &Client, message: &Value) -> Value {
    status(client, message, |status| !matches!(status, "queued" | "failed")).await
}

/// `AppA` with another patience, and its way to `AppB` so.
async fn restart(pair: &mut Pair, patience: Duration, wire: Disturbance) {
    pair.a.stop().await;
    pair.a.config.give_up_after = patience;
    pair.a_to_b.disturb(wire);
    pair.a.start().await;
    pair.a.client().get("/health/ready").await.expect(200);
}

/// The one peer, once it is seen so.
async fn peer(admin: &Client, is: impl Fn(&Value) -> bool) -> Value {
    eventually("the peer is seen so", || async {
        let page = admin.get("/api/admin/peers/").await.expect(200);
        assert_eq!((page.results().len(), page.json["count"].as_i64()), (1, Some(1)));
        is(&page.results()[0]).then(|| page.results()[0].clone())
    })
    .await
}

async fn failed(admin: &Client) -> Vec<Value> {
    admin.get(&format!("{OUTBOX}?state=failed")).await.expect(200).results().clone()
}

const WEEK: Duration = Duration::from_hours(168);
const SECOND: Duration = Duration::from_secs(1);

async fn a_message_that_has_expired_reaches_its_reader_unread_when_it_is_sent_again(
    database: Database,
) {
    let mut pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let admin = pair.a.admin("root").await;
    let first = alice.send("bob@app-b", "in time").await;
    has_arrived(&alice, &first).await;
    let seen = peer(&admin, |peer| peer["up"] == true).await;
    assert_eq!((&seen["name"], &seen["retry_at"]), (&json!("app-b"), &Value::Null), "{seen}");
    assert_eq!(seen["url"], format!("http://{}", pair.a_to_b.address));

    restart(&mut pair, SECOND, Disturbance::Down).await;
    let late = alice.send("bob@app-b", "too late").await;
    assert_eq!(has_failed(&alice, &late).await, "expired");
    let seen = peer(&admin, |peer| peer["up"] == false && peer["failed"] == 1).await;
    assert_eq!(seen["last_error"]["code"], "unreachable", "{seen}");
    assert!(seen["last_error"]["detail"].as_str().unwrap().ends_with('?'), "{seen}");
    assert!(seen["retry_at"].is_string() && seen["last_seen_at"].is_string(), "{seen}");
    let entries = failed(&admin).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let id = format!("app-b:{}", late["id"].as_str().unwrap());
    assert_eq!(entries[0]["id"], id);
    assert_eq!((&entries[0]["message"], &entries[0]["kind"]), (&late["id"], &json!("message")));
    assert_eq!(entries[0]["conversation"], late["conversation"]);
    assert_eq!((&entries[0]["reason"], &entries[0]["user"]), (&json!("expired"), &Value::Null));
    assert!(entries[0]["failed_at"].as_str() > entries[0]["created_at"].as_str(), "{entries:?}");

    restart(&mut pair, WEEK, Disturbance::None).await;
    let after = alice.send("bob@app-b", "after").await;
    has_arrived(&alice, &after).await;
    let conversation = first["conversation"].as_str().unwrap();
    assert_eq!(bob.read(conversation).await, ["in time", "after"]);
    let read = format!("/api/chats/conversations/{conversation}/read/");
    bob.post(&read, &json!({ "message": after["id"] })).await.expect(200);

    // What is told of a reader concerns what they have read past, too.
    status(&alice, &after, |status| status == "read").await;
    let mut socket = alice.socket().await;
    let retry = format!("{OUTBOX}{id}/retry/");
    let retried = admin.post(&retry, &json!({})).await.expect(200).json;
    assert_eq!(retried, json!({ "retried": 1, "left": 0, "peers": ["app-b"] }));
    admin.post(&retry, &json!({})).await.expect(404);
    loop {
        let told = socket.of_type("message.status").await;
        let status = told["data"]["status"].as_str().unwrap().to_owned();
        if told["data"]["id"] == late["id"] {
            assert_ne!(status, "failed");
            assert_eq!(told["data"]["status_reason"], Value::Null);
        }
        if told["data"]["id"] == late["id"] && status != "queued" {
            break;
        }
    }
    let unread = bob.get("/api/messages/inbox/?unread=true").await.expect(200);
    let unread: Vec<_> = unread.results().iter().map(|m| m["content"].clone()).collect();
    assert_eq!(unread, ["too late"], "what its reader has read beyond is not taken for read");
    for client in [&alice, &bob] {
        assert_eq!(client.read(conversation).await, ["in time", "after", "too late"]);
    }
    bob.post(&read, &json!({ "message": late["id"] })).await.expect(200);
    status(&alice, &late, |status| status == "read").await;
    assert!(failed(&admin).await.is_empty());
    let audit = admin.get("/api/admin/audit/?action=outbox.retried").await.expect(200);
    assert_eq!(audit.results().len(), 1);
    assert_eq!(audit.results()[0]["actor"]["username"], "root");
    assert_eq!(audit.results()[0]["subject"], "app-b");
    let details = json!({ "messages": 1, "message": late["id"] });
    assert_eq!(audit.results()[0]["details"], details);
    pair.stop().await;
}

async fn what_has_changed_is_told_though_messages_have_expired(database: Database) {
    let mut pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "in time").await;
    let second = alice.send("bob@app-b", "deleted").await;
    has_arrived(&alice, &second).await;
    restart(&mut pair, SECOND, Disturbance::Down).await;
    let path =
        |message: &Value| format!("/api/chats/messages/{}/", message["id"].as_str().unwrap());
    alice.patch(&path(&first), &json!({ "content": "edited" })).await.expect(200);
    alice.delete(&path(&second)).await.expect(204);
    let body = json!({ "participants": ["bob@app-b"], "title": "A group" });
    let group = alice.post("/api/chats/conversations/", &body).await.expect(201).str("id");
    let body = json!({ "conversation": group, "content": "too late" });
    let late = alice.post("/api/chats/messages/", &body).await.expect(201).json;
    alice.patch(&path(&late), &json!({ "content": "too late, and edited" })).await.expect(200);
    assert_eq!(has_failed(&alice, &late).await, "expired");
    restart(&mut pair, WEEK, Disturbance::None).await;
    let body = json!({ "conversation": group, "content": "after" });
    let after = alice.post("/api/chats/messages/", &body).await.expect(201).json;
    assert_eq!(has_arrived(&alice, &after).await["status_reason"], Value::Null);
    assert_eq!(bob.read(first["conversation"].as_str().unwrap()).await, ["edited", "(none)"]);
    assert_eq!(bob.read(&group).await, ["after"], "an edit does not bring what has failed");
    assert_eq!(has_failed(&alice, &late).await, "expired");
    pair.stop().await;
}

async fn a_first_message_that_has_expired_brings_its_conversation_along(database: Database) {
    let mut pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let admin = pair.a.admin("root").await;
    // Whoever has been looked up once can be written to while the peer is away.
    alice.get("/api/users/get_by_username/?username=bob@app-b").await.expect(200);
    restart(&mut pair, SECOND, Disturbance::Down).await;
    let first = alice.send("bob@app-b", "the first").await;
    assert_eq!(has_failed(&alice, &first).await, "expired");
    restart(&mut pair, WEEK, Disturbance::None).await;
    let retried = admin.post(&format!("{OUTBOX}retry/"), &json!({})).await.expect(200);
    assert_eq!(retried.json["retried"], 1);
    has_arrived(&alice, &first).await;
    assert_eq!(bob.read(first["conversation"].as_str().unwrap()).await, ["the first"]);
    pair.stop().await;
}

/// What `AppB` thinks of whether a user takes part.
async fn let_go(pair: &Pair, name: &'static str, left_at: &'static str) {
    let db = Db::open(&pair.b.storage.url).await.unwrap();
    let changed = db.write(move |conn| {
        Box::pin(async move {
            let update = format!(
                "UPDATE participants SET left_at = {left_at} WHERE user_id IN
                    (SELECT id FROM users WHERE username = '{name}')"
            );
            conn.sql_built(update).execute().await
        })
    });
    assert_eq!(changed.await.unwrap(), 1);
    db.close().await;
}

async fn what_the_peer_has_refused_is_sent_again_by_reason_and_stays_in_its_group(
    database: Database,
) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let carol = pair.a.client().join("carol").await;
    let admin = pair.a.admin("root").await;
    let body = json!({ "participants": ["bob@app-b", "carol"], "title": "A group" });
    let group = alice.post("/api/chats/conversations/", &body).await.expect(201).str("id");
    let send = async |text: &str| {
        let body = json!({ "conversation": group, "content": text });
        alice.post("/api/chats/messages/", &body).await.expect(201).json
    };
    has_arrived(&alice, &send("one").await).await;
    let_go(&pair, "alice", "1").await;
    // The peer believes for a second what it knew of the membership.
    let refused = eventually("the peer refuses one", || async {
        let message = send("two").await;
        let settled = status(&alice, &message, |status| status != "queued").await;
        (settled["status"] == "failed").then_some(settled)
    })
    .await;
    assert_eq!(refused["status_reason"], "not_a_participant");
    let retry = format!("{OUTBOX}retry/");
    for (body, status) in [
        (json!({ "peer": "app-c" }), 400),
        (json!({ "peer": 7 }), 400),
        (json!({ "reason": "\u{0}" }), 400),
        (json!({ "reason": "expired" }), 200),
    ] {
        let reply = admin.post(&retry, &body).await.expect(status);
        assert!(status == 400 || reply.json["retried"] == 0, "{reply:#?}");
    }
    let receipts = format!("/api/chats/messages/{}/receipts/", refused["id"].as_str().unwrap());
    let of_bob = async || {
        let list = alice.get(&receipts).await.expect(200);
        let bobs = list.results().iter().find(|receipt| receipt["user"]["username"] == "bob");
        bobs.expect("a receipt")["status"].clone()
    };
    assert_eq!(of_bob().await, "failed");
    let_go(&pair, "alice", "NULL").await;
    let body = json!({ "peer": "app-b", "reason": "not_a_participant" });
    let arrived = eventually("the peer takes it", || async {
        admin.post(&retry, &body).await.expect(200);
        let settled = status(&alice, &refused, |status| status != "queued").await;
        (settled["status"] != "failed").then_some(settled)
    })
    .await;
    assert_eq!(arrived["created_at"], refused["created_at"], "others have it where it stands");
    assert_ne!(of_bob().await, "failed");
    let texts = bob.read(&group).await;
    assert_eq!(texts, alice.read(&group).await);
    assert_eq!(texts, carol.read(&group).await);
    pair.stop().await;
}

async fn what_waits_is_listed_by_peer_and_state_in_pages_and_tried_at_once(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let admin = pair.a.admin("root").await;
    let first = alice.send("bob@app-b", "0").await;
    has_arrived(&alice, &first).await;
    pair.a_to_b.disturb(Disturbance::Down);
    let mut sent = Vec::new();
    for number in 1..=5 {
        sent.push(alice.send("bob@app-b", &number.to_string()).await);
    }
    let path = format!("/api/chats/messages/{}/", first["id"].as_str().unwrap());
    alice.patch(&path, &json!({ "content": "zero" })).await.expect(200);
    let body = json!({ "participants": ["bob@app-b"], "title": "A group" });
    let group = alice.post("/api/chats/conversations/", &body).await.expect(201).str("id");
    alice.patch("/api/auth/me/", &json!({ "first_name": "Alice" })).await.expect(200);
    let seen = peer(&admin, |peer| peer["up"] == false).await;
    assert_eq!((&seen["waiting"], &seen["failed"]), (&json!(8), &json!(0)), "{seen}");

    let list = admin.get(OUTBOX).await.expect(200);
    assert_eq!(list.json["count"], 8, "{list:#?}");
    assert_eq!(list.results()[0]["created_at"], seen["oldest_waiting_at"]);
    let kinds: Vec<_> = list.results().iter().map(|entry| entry["kind"].clone()).collect();
    let messages = ["message"; 5].into_iter();
    let expected: Vec<_> = messages.chain(["message_change", "conversation", "user"]).collect();
    assert_eq!(kinds, expected);
    for (entry, message) in list.results().iter().zip(&sent) {
        assert_eq!((&entry["message"], &entry["state"]), (&message["id"], &json!("waiting")));
        assert_eq!(entry["conversation"], message["conversation"]);
    }
    assert_eq!(list.results()[5]["message"], first["id"]);
    assert_eq!(list.results()[6]["conversation"], group);
    assert_eq!(list.results()[7]["user"], alice.me().await["id"]);
    assert!(!list.text.contains("gAAAA"), "no texts are in it");

    // The same in pages, from either end.
    for (order, reversed) in [("created_at", false), ("-created_at", true)] {
        let mut path = format!("{OUTBOX}?cursor=&page_size=3&ordering={order}");
        let mut walked = Vec::new();
        loop {
            let page = admin.get(&path).await.expect(200);
            walked.extend(page.results().iter().map(|entry| entry["id"].clone()));
            let Some(next) = page.json["next"].as_str() else { break };
            next.strip_prefix(&admin.base).expect("a URL of the app").clone_into(&mut path);
        }
        let mut all: Vec<_> = list.results().iter().map(|entry| entry["id"].clone()).collect();
        if reversed {
            all.reverse();
        }
        assert_eq!(walked, all, "{order}");
    }
    for (query, count) in [
        ("peer=app-b&state=waiting", 8),
        ("peer=app-c", 0),
        ("state=failed", 0),
        ("page_size=3&page=3", 8),
    ] {
        let page = admin.get(&format!("{OUTBOX}?{query}")).await.expect(200);
        assert_eq!(page.json["count"], count, "{query}");
    }
    for (query, field) in
        [("peer=No!", "peer"), ("state=x", "state"), ("ordering=peer", "ordering")]
    {
        let refused = admin.get(&format!("{OUTBOX}?{query}")).await.expect(400);
        assert!(refused.json["errors"][field].is_array(), "{refused:#?}");
    }

    // Whatever wait the failures have led to, it is over when an operator says so.
    pair.a_to_b.disturb(Disturbance::None);
    let id = list.results()[0]["id"].as_str().unwrap();
    let reply = admin.post(&format!("{OUTBOX}{id}/retry/"), &json!({})).await;
    // The app may have been faster by itself.
    assert!(matches!(reply.status.as_u16(), 200 | 404), "{reply:#?}");
    eventually("all is sent", || async {
        let list = admin.get(OUTBOX).await.expect(200);
        list.results().is_empty().then_some(())
    })
    .await;
    peer(&admin, |peer| peer["up"] == true && peer["retry_at"].is_null()).await;
    assert_eq!(
        bob.read(first["conversation"].as_str().unwrap()).await,
        ["zero", "1", "2", "3", "4", "5"]
    );
    for id in ["app-b:1", "app-c:1", "nothing", "app-b:0190a5d0-ac96-774b-8cce-b302099a8057"] {
        admin.post(&format!("{OUTBOX}{id}/retry/"), &json!({})).await.expect(404);
    }
    pair.stop().await;
}
