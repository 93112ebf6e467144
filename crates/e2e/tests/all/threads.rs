//! Answers to messages.

use e2e::{Database, Pair, eventually, on_both_databases};
use serde_json::json;

on_both_databases!(
    a_message_tells_how_many_answers_it_has,
    an_answer_is_to_a_message_of_its_conversation,
);

async fn a_message_tells_how_many_answers_it_has(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let root = alice.send("bob@app-b", "root").await;
    assert_eq!(root["reply_count"], 0);
    let (id, conversation) = (root["id"].as_str().unwrap(), root["conversation"].as_str().unwrap());
    eventually("it arrives", || async { (bob.read(conversation).await.len() == 1).then_some(()) })
        .await;
    let answer = json!({ "conversation": conversation, "content": "yes", "parent": id });
    bob.post("/api/chats/messages/", &answer).await.expect(201);
    alice.post("/api/chats/messages/", &answer).await.expect(201);
    let path = format!("/api/chats/messages/{id}/");
    for client in [&alice, &bob] {
        eventually("both answers are counted", || async {
            (client.get(&path).await.expect(200).json["reply_count"] == 2).then_some(())
        })
        .await;
        let list = client.get(&format!("/api/chats/messages/?parent={id}")).await.expect(200);
        assert_eq!(list.json["count"], 2);
        let list = format!("/api/chats/conversations/{conversation}/messages/");
        let list = client.get(&list).await.expect(200);
        let counts: Vec<_> = list.results().iter().map(|m| m["reply_count"].clone()).collect();
        assert_eq!(counts, [0, 0, 2]);
    }
    let edited = alice.patch(&path, &json!({ "content": "edited" })).await.expect(200);
    assert_eq!(edited.json["reply_count"], 2);
    pair.stop().await;
}

async fn an_answer_is_to_a_message_of_its_conversation(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let carol = pair.a.client().join("carol").await;
    pair.a.client().join("dave").await;
    let here = alice.send("carol", "here").await;
    let elsewhere = alice.send("dave", "elsewhere").await;
    let hidden = carol.send("dave", "not for alice").await;
    let gone = alice.send("carol", "gone").await;
    alice.delete(&format!("/api/chats/messages/{}/", gone["id"].as_str().unwrap())).await;
    let nobody = json!("0190a5d0-ac96-774b-8cce-b302099a8057");
    for parent in [&elsewhere["id"], &hidden["id"], &gone["id"], &nobody, &json!("x")] {
        let body =
            json!({ "conversation": here["conversation"], "content": "?", "parent": parent });
        let reply = alice.post("/api/chats/messages/", &body).await.expect(400);
        assert!(reply.json["errors"]["parent"].is_array(), "{reply:#?}");
    }
    pair.stop().await;
}
