//! Lists of messages: filters, order, and pages of them.

use e2e::{Client, Database, Pair, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::sql::Sql;

on_both_databases!(
    filters_combine_and_leave_what_they_say,
    dates_are_days_or_moments,
    a_filter_that_cannot_be_understood_is_refused,
    the_count_is_of_all_that_the_caller_may_see,
);

fn texts(reply: &e2e::Reply) -> Vec<String> {
    reply.results().iter().map(|m| m["content"].as_str().unwrap().to_owned()).collect()
}

async fn list(client: &Client, query: &str) -> Vec<String> {
    let reply = client.get(&format!("/api/chats/messages/?{query}")).await.expect(200);
    assert_eq!(reply.json["count"], reply.results().len());
    texts(&reply)
}

async fn filters_combine_and_leave_what_they_say(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let carol = pair.a.client().join("carol").await;
    let first = alice.send("bob@app-b", "a to b").await;
    let with_bob = first["conversation"].as_str().unwrap();
    let second = carol.send("alice", "c to a").await;
    let with_carol = second["conversation"].as_str().unwrap();
    eventually("the first arrives", || async {
        (bob.read(with_bob).await.len() == 1).then_some(())
    })
    .await;
    let answer = json!({ "conversation": with_bob, "content": "b to a", "parent": first["id"] });
    bob.post("/api/chats/messages/", &answer).await.expect(201);
    eventually("the answer arrives", || async {
        (alice.read(with_bob).await.len() == 2).then_some(())
    })
    .await;

    assert_eq!(list(&alice, "").await, ["b to a", "c to a", "a to b"]);
    assert_eq!(list(&alice, "ordering=created_at").await, ["a to b", "c to a", "b to a"]);
    assert_eq!(list(&alice, "user=bob@app-b").await, ["b to a"]);
    assert_eq!(list(&alice, "user=Carol").await, ["c to a"]);
    let id = first["sender"]["id"].as_str().unwrap();
    assert_eq!(list(&alice, &format!("user={id}")).await, ["a to b"]);
    assert_eq!(list(&alice, &format!("conversation={with_bob}")).await, ["b to a", "a to b"]);
    assert_eq!(list(&alice, &format!("conversation={with_bob}&user=alice")).await, ["a to b"]);
    assert_eq!(list(&alice, &format!("conversation={with_carol}&user=bob@app-b")).await, [""; 0]);
    assert_eq!(
        list(&alice, &format!("parent={}", first["id"].as_str().unwrap())).await,
        ["b to a"]
    );
    // What the caller may not know of looks like what there is not.
    assert_eq!(list(&bob, &format!("conversation={with_carol}")).await, [""; 0]);
    for unknown in ["user=nobody", "user=nobody@app-b", "user=x@nowhere", "user=%25", "user="] {
        assert_eq!(list(&alice, unknown).await, [""; 0], "{unknown}");
    }
    let inbox = alice.get("/api/messages/inbox/?user=bob@app-b").await.expect(200);
    assert_eq!(texts(&inbox), ["b to a"]);
    let inbox = alice.get("/api/messages/inbox/?ordering=created_at").await.expect(200);
    assert_eq!(texts(&inbox), ["c to a", "b to a"]);
    let path = format!(
        "/api/chats/conversations/{with_bob}/messages/?ordering=created_at&page_size=1&page=2"
    );
    assert_eq!(texts(&alice.get(&path).await.expect(200)), ["b to a"]);
    // The conversation of the path counts, whatever the query says.
    let path = format!("/api/chats/conversations/{with_bob}/messages/?conversation={with_carol}");
    assert_eq!(texts(&alice.get(&path).await.expect(200)), ["b to a", "a to b"]);
    pair.stop().await;
}

async fn dates_are_days_or_moments(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    pair.a.client().join("carol").await;
    let (one, two) = (alice.send("carol", "one").await, alice.send("carol", "two").await);
    let at = |message: &Value| message["created_at"].as_str().unwrap().to_owned();
    let day = at(&one)[..10].to_owned();
    assert_eq!(list(&alice, &format!("start_date={}", at(&two))).await, ["two"]);
    assert_eq!(list(&alice, &format!("end_date={}", at(&one))).await, ["one"]);
    let both = format!("start_date={}&end_date={}", at(&one), at(&two));
    assert_eq!(list(&alice, &both).await, ["two", "one"]);
    assert_eq!(list(&alice, &format!("start_date={day}")).await, ["two", "one"]);
    assert_eq!(list(&alice, "start_date=2000-01-01&end_date=2000-12-31").await, [""; 0]);
    assert_eq!(list(&alice, "end_date=9998-12-31").await, ["two", "one"]);
    pair.stop().await;
}

async fn a_filter_that_cannot_be_understood_is_refused(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    for (query, field) in [
        ("conversation=x", "conversation"),
        ("parent=x", "parent"),
        ("start_date=yesterday", "start_date"),
        ("start_date=2025-02-30", "start_date"),
        ("end_date=2025-01-01T10:00:00", "end_date"),
        ("start_date=2025-01-01T10:00:00+01:00", "start_date"),
        ("start_date=2026-01-02&end_date=2026-01-01", "end_date"),
        ("ordering=password", "ordering"),
        ("ordering=--created_at", "ordering"),
    ] {
        for path in ["/api/chats/messages/", "/api/messages/inbox/"] {
            let reply = alice.get(&format!("{path}?{query}")).await.expect(400);
            assert!(reply.json["errors"][field].is_array(), "{query}: {reply:#?}");
        }
    }
    let reply = alice.get("/api/chats/messages/?ordering=x").await;
    assert!(reply.text.contains("-created_at"), "the allowed ones are named");
    pair.stop().await;
}

/// Whether they are looked up or counted one by one.
async fn the_count_is_of_all_that_the_caller_may_see(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let carol = pair.a.client().join("carol").await;
    alice.send("carol", "to carol").await;
    let group = json!({ "participants": ["carol", "bob@app-b"], "title": "All" });
    let group = alice.post("/api/chats/conversations/", &group).await.expect(201).str("id");
    let say = async |client: &Client, text: &str| {
        let body = json!({ "conversation": group, "content": text });
        client.post("/api/chats/messages/", &body).await.expect(201).json
    };
    for text in ["one", "two", "three"] {
        say(&alice, text).await;
    }
    let edited = say(&carol, "four").await;
    let path = format!("/api/chats/messages/{}/", edited["id"].as_str().unwrap());
    carol.patch(&path, &json!({ "content": "four, edited" })).await.expect(200);
    let deleted = say(&carol, "five").await;
    let path = format!("/api/chats/messages/{}/", deleted["id"].as_str().unwrap());
    carol.delete(&path).await.expect(204);
    eventually("bob has them", || async { (bob.read(&group).await.len() >= 5).then_some(()) })
        .await;
    say(&bob, "six").await;
    eventually("alice has it", || async { (alice.read(&group).await.len() >= 6).then_some(()) })
        .await;
    let id = carol.get("/api/auth/me/").await.expect(200).str("id");
    let seat = format!("/api/chats/conversations/{group}/participants/{id}/");
    carol.delete(&seat).await.expect(204);
    say(&alice, "after carol").await;
    eventually("bob has it", || async { (bob.read(&group).await.len() >= 7).then_some(()) }).await;

    for (client, [all, inbox]) in [(&alice, [8, 3]), (&bob, [7, 6]), (&carol, [7, 5])] {
        let in_group = format!("/api/chats/conversations/{group}/messages/");
        for path in ["/api/chats/messages/", "/api/messages/inbox/", &in_group] {
            for query in ["", "&unread=true", "&start_date=2020-01-01", "&user=alice@app-a"] {
                let one = client.get(&format!("{path}?page_size=1{query}")).await.expect(200);
                let whole = client.get(&format!("{path}?page_size=100{query}")).await.expect(200);
                assert_eq!(one.json["count"], whole.results().len(), "{path} {query}");
            }
        }
        let count = async |path: &str| client.get(path).await.expect(200).json["count"].clone();
        assert_eq!(count("/api/chats/messages/?page_size=1").await, all);
        assert_eq!(count("/api/messages/inbox/?page_size=1").await, inbox);
    }
    for app in [&pair.a, &pair.b] {
        let mut sql = Sql::open(&app.storage).await;
        assert_eq!(wrong_tallies(&mut sql).await, "0");
        sql.run("DELETE FROM messages WHERE deleted_at IS NOT NULL").await;
        assert_eq!(wrong_tallies(&mut sql).await, "0");
    }
    assert_eq!(alice.get("/api/chats/messages/?page_size=1").await.expect(200).json["count"], 7);
    pair.stop().await;
}

/// How many tallies are not what there is.
async fn wrong_tallies(sql: &mut Sql) -> String {
    sql.text(
        "SELECT CAST(count(*) AS TEXT) FROM tallies t WHERE t.messages <> (SELECT count(*)
            FROM messages m WHERE m.conversation_id = t.conversation_id AND m.sender_id = t.sender_id)",
    )
    .await
}
