//! How far a message has come: relayed, delivered, read, or failed; with each recipient, and with the last of them.

use std::time::Duration;

use e2e::{Client, Database, Disturbance, Pair, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::sql::Sql;

on_both_databases!(
    a_message_is_relayed_then_delivered_then_read,
    what_arrives_late_is_unread_although_later_messages_were_read,
    a_message_to_a_group_is_as_far_as_its_last_recipient,
    a_position_moves_forward_only,
    who_does_not_show_what_they_read_is_seen_to_have_received_it,
    what_was_read_while_the_peer_was_away_is_told_later,
    failures_are_told_for_each_app,
    receipts_are_given_in_pages,
);

fn path(message: &Value) -> String {
    format!("/api/chats/messages/{}/", message["id"].as_str().unwrap())
}

async fn reaches(client: &Client, message: &Value, status: &str) {
    let path = path(message);
    eventually(&format!("{} is {status}", message["content"]), || async {
        (client.get(&path).await.expect(200).json["status"] == status).then_some(())
    })
    .await;
}

/// The receipts of a message, by username.
async fn receipts(client: &Client, message: &Value) -> Vec<(String, Value)> {
    let reply = client.get(&format!("{}receipts/", path(message))).await.expect(200);
    let name = |receipt: &Value| receipt["user"]["username"].as_str().unwrap().to_owned();
    let mut receipts: Vec<_> =
        reply.results().iter().map(|receipt| (name(receipt), receipt.clone())).collect();
    receipts.sort_by(|a, b| a.0.cmp(&b.0));
    receipts
}

async fn statuses(client: &Client, message: &Value) -> Vec<(String, String)> {
    let status = |receipt: Value| receipt["status"].as_str().unwrap().to_owned();
    receipts(client, message).await.into_iter().map(|(name, r)| (name, status(r))).collect()
}

fn expected<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(name, status)| (name.to_owned(), status.to_owned())).to_vec()
}

/// Waits for a message to arrive without looking at it, which would deliver it.
async fn arrives(client: &Client, message: &Value) {
    let path = format!("/api/chats/conversations/{}/", message["conversation"].as_str().unwrap());
    eventually("it arrives", || async {
        let reply = client.get(&path).await;
        (reply.json["last_message"]["id"] == message["id"]).then_some(())
    })
    .await;
}

async fn read(client: &Client, message: &Value) -> i64 {
    let conversation = message["conversation"].as_str().unwrap();
    let path = format!("/api/chats/conversations/{conversation}/read/");
    let reply = client.post(&path, &json!({ "message": message["id"] })).await.expect(200);
    reply.json["unread_count"].as_i64().unwrap()
}

async fn unread(client: &Client, conversation: &Value) -> i64 {
    let path = format!("/api/chats/conversations/{}/", conversation.as_str().unwrap());
    client.get(&path).await.expect(200).json["unread_count"].as_i64().unwrap()
}

async fn group(founder: &Client, others: &[&str]) -> Value {
    let body = json!({ "participants": others, "title": "All" });
    founder.post("/api/chats/conversations/", &body).await.expect(201).json["id"].clone()
}

async fn write(client: &Client, conversation: &Value, text: &str) -> Value {
    let body = json!({ "conversation": conversation, "content": text });
    client.post("/api/chats/messages/", &body).await.expect(201).json
}

async fn a_message_is_relayed_then_delivered_then_read(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "hello").await;
    assert_eq!(sent["status"], "queued");
    reaches(&alice, &sent, "relayed").await;
    assert_eq!(statuses(&alice, &sent).await, expected([("bob", "relayed")]));

    let inbox = bob.get("/api/messages/inbox/").await.expect(200);
    assert_eq!(inbox.results()[0]["status"], "delivered");
    assert_eq!(inbox.results()[0]["read"], false);
    reaches(&alice, &sent, "delivered").await;
    let (_, receipt) = receipts(&alice, &sent).await.remove(0);
    assert_eq!(receipt["status"], "delivered");
    assert!(receipt["delivered_at"].as_str() > sent["created_at"].as_str(), "{receipt}");
    assert!(receipt.get("read_at").is_none(), "{receipt}");

    assert_eq!(read(&bob, &sent).await, 0);
    reaches(&alice, &sent, "read").await;
    let (_, receipt) = receipts(&alice, &sent).await.remove(0);
    assert!(receipt["read_at"].as_str() > receipt["delivered_at"].as_str(), "{receipt}");
    reaches(&bob, &sent, "read").await;
    let list = alice.get("/api/chats/messages/").await.expect(200);
    assert_eq!(list.results()[0]["status"], "read");

    // Later messages do not move it, and it knows its own moments no better than the register does.
    let next = alice.send("bob@app-b", "and then").await;
    reaches(&alice, &next, "relayed").await;
    assert_eq!(statuses(&alice, &sent).await, expected([("bob", "read")]));
    let reply = bob.get(&format!("{}receipts/", path(&sent))).await.expect(403);
    assert_eq!(reply.code(), "not_the_sender");
    pair.a.client().join("eve").await.get(&format!("{}receipts/", path(&sent))).await.expect(404);
    pair.stop().await;
}

async fn what_arrives_late_is_unread_although_later_messages_were_read(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let carol = pair.a.client().join("carol").await;
    let conversation = group(&alice, &["carol", "bob@app-b"]).await;
    let first = write(&alice, &conversation, "first").await;
    arrives(&bob, &first).await;
    pair.b_to_a.disturb(Disturbance::Down);
    let late = write(&bob, &conversation, "written first, arrives last").await;
    let early = write(&carol, &conversation, "written last, arrives first").await;
    assert!(late["created_at"].as_str() < early["created_at"].as_str());
    assert_eq!(unread(&alice, &conversation).await, 1);
    assert_eq!(read(&alice, &early).await, 0);
    pair.b_to_a.disturb(Disturbance::None);
    eventually("the late one arrives, and has not been read", || async {
        (unread(&alice, &conversation).await == 1).then_some(())
    })
    .await;
    let inbox = alice.get("/api/messages/inbox/?unread=true").await.expect(200);
    assert_eq!(inbox.json["count"], 1);
    assert_eq!(inbox.results()[0]["id"], late["id"]);
    assert_eq!(inbox.results()[0]["read"], false);
    let inbox = alice.get("/api/messages/inbox/").await.expect(200);
    let flags: Vec<_> = inbox.results().iter().map(|m| m["read"].clone()).collect();
    assert_eq!(flags, [true, false], "the newest first");
    let told = expected([("alice", "delivered"), ("carol", "relayed")]);
    eventually("Bob is told that she has it, not that she has read it", || async {
        (statuses(&bob, &late).await == told).then_some(())
    })
    .await;
    assert_eq!(read(&alice, &late).await, 0);
    assert_eq!(unread(&alice, &conversation).await, 0);
    pair.stop().await;
}

async fn a_message_to_a_group_is_as_far_as_its_last_recipient(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let (carol, dave) = (pair.a.client().join("carol").await, pair.b.client().join("dave").await);
    let conversation = group(&alice, &["carol", "bob@app-b", "dave@app-b"]).await;
    pair.a_to_b.disturb(Disturbance::Down);
    let sent = write(&alice, &conversation, "to all").await;
    let waiting = expected([("bob", "queued"), ("carol", "relayed"), ("dave", "queued")]);
    assert_eq!(statuses(&alice, &sent).await, waiting);
    assert_eq!(read(&carol, &sent).await, 0);
    let waiting = expected([("bob", "queued"), ("carol", "read"), ("dave", "queued")]);
    assert_eq!(statuses(&alice, &sent).await, waiting);
    assert_eq!(alice.get(&path(&sent)).await.expect(200).json["status"], "queued");
    pair.a_to_b.disturb(Disturbance::None);
    reaches(&alice, &sent, "relayed").await;
    arrives(&bob, &sent).await;
    assert_eq!(read(&bob, &sent).await, 0);
    let half = expected([("bob", "read"), ("carol", "read"), ("dave", "relayed")]);
    eventually("Bob's reading is told", || async {
        (statuses(&alice, &sent).await == half).then_some(())
    })
    .await;
    assert_eq!(alice.get(&path(&sent)).await.expect(200).json["status"], "relayed");
    dave.get(&path(&sent)).await.expect(200);
    reaches(&alice, &sent, "delivered").await;
    read(&dave, &sent).await;
    reaches(&alice, &sent, "read").await;
    let last = alice.get("/api/chats/conversations/").await.expect(200);
    assert_eq!(last.results()[0]["last_message"]["status"], "read");
    pair.stop().await;
}

async fn a_position_moves_forward_only(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "first").await;
    let second = alice.send("bob@app-b", "second").await;
    let elsewhere = pair.b.client().join("dave").await.send("bob", "elsewhere").await;
    arrives(&bob, &second).await;
    assert_eq!(read(&bob, &first).await, 1);
    assert_eq!(read(&bob, &second).await, 0);
    assert_eq!(read(&bob, &first).await, 0);
    reaches(&alice, &second, "read").await;
    reaches(&alice, &first, "read").await;
    let list =
        format!("/api/chats/conversations/{}/read/", first["conversation"].as_str().unwrap());
    let unknown = json!("0190a5d0-ac96-774b-8cce-b302099a8057");
    for message in [&elsewhere["id"], &unknown] {
        bob.post(&list, &json!({ "message": message })).await.expect(404);
    }
    assert_eq!(read(&alice, &second).await, 0, "one's own message may be the mark");
    pair.stop().await;
}

async fn who_does_not_show_what_they_read_is_seen_to_have_received_it(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let me = bob.get("/api/auth/me/").await.expect(200);
    assert_eq!(me.json["read_receipts"], true);
    let mut sql = Sql::open(&pair.b.storage).await;
    sql.change("UPDATE accounts SET read_receipts = FALSE").await;
    let sent = alice.send("bob@app-b", "hello").await;
    arrives(&bob, &sent).await;
    assert_eq!(read(&bob, &sent).await, 0, "for himself he has read it");
    reaches(&alice, &sent, "delivered").await;
    reaches(&bob, &sent, "read").await;
    // What was read in silence stays so until he reads something else.
    sql.change("UPDATE accounts SET read_receipts = TRUE").await;
    assert_eq!(statuses(&alice, &sent).await, expected([("bob", "delivered")]));
    let next = alice.send("bob@app-b", "next").await;
    arrives(&bob, &next).await;
    read(&bob, &next).await;
    reaches(&alice, &next, "read").await;
    pair.stop().await;
}

async fn what_was_read_while_the_peer_was_away_is_told_later(database: Database) {
    let mut pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "first").await;
    arrives(&bob, &first).await;
    pair.b_to_a.disturb(Disturbance::Down);
    read(&bob, &first).await;
    let mut last = first.clone();
    for number in 0..5 {
        last = alice.send("bob@app-b", &number.to_string()).await;
        arrives(&bob, &last).await;
        read(&bob, &last).await;
    }
    let mut sql = Sql::open(&pair.b.storage).await;
    let waiting = "SELECT CAST(count(*) AS TEXT) FROM outbox WHERE kind = 5";
    assert_eq!(sql.text(waiting).await, "1", "one event waits for all");
    pair.b.stop().await;
    pair.b_to_a.disturb(Disturbance::None);
    pair.b.start().await;
    reaches(&alice, &last, "read").await;
    reaches(&alice, &first, "read").await;
    eventually("nothing waits", || {
        let url = &pair.b.storage;
        async move { (Sql::open(url).await.text(waiting).await == "0").then_some(()) }
    })
    .await;
    let next = alice.send("bob@app-b", "next").await;
    arrives(&bob, &next).await;
    read(&bob, &next).await;
    reaches(&alice, &next, "read").await;
    pair.stop().await;
}

async fn failures_are_told_for_each_app(database: Database) {
    let mut pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    pair.b.client().join("bob").await;
    let carol = pair.a.client().join("carol").await;
    let conversation = group(&alice, &["carol", "bob@app-b"]).await;
    pair.a_to_b.disturb(Disturbance::Down);
    let sent = write(&alice, &conversation, "too late").await;
    read(&carol, &sent).await;
    pair.a.stop().await;
    pair.a.config.give_up_after = Duration::from_millis(1);
    pair.a.start().await;
    reaches(&alice, &sent, "failed").await;
    let shown = alice.get(&path(&sent)).await.expect(200);
    assert_eq!(shown.json["status_reason"], "expired");
    let receipts = receipts(&alice, &sent).await;
    assert_eq!(receipts[0].1["status"], "failed");
    assert_eq!(receipts[0].1["status_reason"], "expired");
    assert_eq!(receipts[1].1["status"], "read");
    assert!(receipts[1].1.get("status_reason").is_none());
    pair.stop().await;
}

async fn receipts_are_given_in_pages(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let names: Vec<_> = (0..5).map(|number| format!("friend{number}")).collect();
    for name in &names {
        pair.a.client().join(name).await;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let conversation = group(&alice, &names).await;
    let sent = write(&alice, &conversation, "to all").await;
    let list = format!("{}receipts/?page_size=2", path(&sent));
    let page = alice.get(&list).await.expect(200);
    assert_eq!(page.json["count"], 5);
    assert_eq!(alice.get(&format!("{list}&page=3")).await.expect(200).results().len(), 1);
    alice.get(&format!("{list}&page=4")).await.expect(404);
    let (mut seen, mut url) = (Vec::new(), format!("{list}&cursor="));
    loop {
        let page = alice.get(&url).await.expect(200);
        seen.extend(page.results().iter().map(|r| r["user"]["username"].clone()));
        let Some(next) = page.json["next"].as_str() else { break };
        url = next.strip_prefix(alice.base.as_str()).unwrap().to_owned();
    }
    assert_eq!(seen, names);
    pair.stop().await;
}
