//! What people do, on both databases: write to each other across the apps, in pairs and in groups.

use e2e::{Client, Database, Disturbance, Pair, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    a_message_crosses_both_ways_and_its_status_comes_back,
    a_group_spans_both_apps_and_its_order_is_the_same_everywhere,
    edits_and_deletes_reach_the_other_app,
    two_sides_that_begin_a_direct_conversation_at_once_get_one,
    a_conversation_begun_on_both_sides_while_apart_becomes_one,
    strangers_learn_nothing_of_a_conversation,
    lists_have_pages_that_link_to_each_other,
    a_session_is_refreshed_and_ended,
    a_peer_that_is_away_makes_nothing_slow_and_gets_everything_later,
    a_user_of_the_peer_is_found_and_an_unknown_one_is_not,
    threads_and_the_read_position_work,
);

async fn arrives(client: &Client, conversation: &str, count: usize) -> Vec<String> {
    eventually("the messages arrive", || async {
        let texts = client.read(conversation).await;
        (texts.len() >= count).then_some(texts)
    })
    .await
}

async fn a_message_crosses_both_ways_and_its_status_comes_back(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("Bob").await);
    let text = "Héllo \"Bob\" \\ \u{0} 👩‍👩‍👧 مرحبا\r\n\tline";
    let sent = alice.send("bob@app-b", text).await;
    assert_eq!(sent["content"], text);
    assert_eq!(sent["origin"], "app-a");
    assert_eq!(sent["sender"]["address"], "alice@app-a");
    assert_eq!(sent["status"], "queued");
    let conversation = sent["conversation"].as_str().unwrap();
    assert_eq!(arrives(&bob, conversation, 1).await, [text]);

    let inbox = bob.get("/api/messages/inbox/").await.expect(200);
    assert_eq!(inbox.json["count"], 1);
    assert_eq!(inbox.results()[0]["id"], sent["id"]);
    assert_eq!(inbox.results()[0]["created_at"], sent["created_at"]);
    assert_eq!(inbox.results()[0]["read"], false);
    let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
    eventually("the message is known to be delivered", || async {
        (alice.get(&path).await.expect(200).json["status"] == "delivered").then_some(())
    })
    .await;

    let answer = bob.send("ALICE@app-a", "and back").await;
    assert_eq!(answer["conversation"], sent["conversation"]);
    assert_eq!(arrives(&alice, conversation, 2).await, [text, "and back"]);
    let mine = alice.get("/api/messages/inbox/").await.expect(200);
    assert_eq!(mine.json["count"], 1, "one's own messages are not in the inbox");
    pair.stop().await;
}

async fn a_group_spans_both_apps_and_its_order_is_the_same_everywhere(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let carol = pair.a.client().join("carol").await;
    let bob = pair.b.client().join("bob").await;
    let body = json!({ "participants": ["bob@app-b", "carol"], "title": "Three of us" });
    let group = alice.post("/api/chats/conversations/", &body).await.expect(201);
    assert_eq!(group.json["kind"], "group");
    assert_eq!(group.json["participants"].as_array().unwrap().len(), 3);
    let id = group.str("id");
    let seen = eventually("the group appears at the peer", || async {
        let reply = bob.get(&format!("/api/chats/conversations/{id}/")).await;
        reply.status.is_success().then_some(reply)
    })
    .await;
    assert_eq!(seen.json["title"], "Three of us");
    assert_eq!(seen.json["participants"], group.json["participants"]);
    assert_eq!(seen.json["created_by"], group.json["created_by"]);
    assert_eq!(seen.json["created_at"], group.json["created_at"]);

    let mut expected = Vec::new();
    for round in 0..10 {
        for (who, name) in [(&alice, "alice"), (&carol, "carol"), (&bob, "bob")] {
            let text = format!("{name} {round}");
            let body = json!({ "conversation": id, "content": text });
            who.post("/api/chats/messages/", &body).await.expect(201);
            expected.push(text);
        }
    }
    for who in [&alice, &carol, &bob] {
        let mut texts = arrives(who, &id, 30).await;
        for name in ["alice", "carol", "bob"] {
            let of = |texts: &[String]| {
                texts.iter().filter(|t| t.starts_with(name)).cloned().collect::<Vec<_>>()
            };
            assert_eq!(of(&texts), of(&expected), "the order of {name} as {} sees it", who.name);
        }
        texts.sort();
        let mut all = expected.clone();
        all.sort();
        assert_eq!(texts, all);
    }
    assert_eq!(alice.read(&id).await, bob.read(&id).await, "both apps list the same order");
    pair.stop().await;
}

async fn edits_and_deletes_reach_the_other_app(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "first").await;
    let conversation = sent["conversation"].as_str().unwrap();
    let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
    arrives(&bob, conversation, 1).await;

    bob.patch(&path, &json!({ "content": "not mine" })).await.expect(403);
    bob.delete(&path).await.expect(403);
    let edited = alice.patch(&path, &json!({ "content": "second" })).await.expect(200);
    assert_eq!(edited.json["content"], "second");
    assert!(edited.json["edited_at"].is_string());
    let seen = eventually("the edit arrives", || async {
        let reply = bob.get(&path).await.expect(200);
        (reply.json["content"] == "second").then_some(reply)
    })
    .await;
    assert_eq!(seen.json["edited_at"], edited.json["edited_at"]);

    alice.delete(&path).await.expect(204);
    alice.delete(&path).await.expect(204);
    alice.patch(&path, &json!({ "content": "third" })).await.expect(409);
    let gone = eventually("the delete arrives", || async {
        let reply = bob.get(&path).await.expect(200);
        reply.json["deleted_at"].is_string().then_some(reply)
    })
    .await;
    assert_eq!(gone.json["content"], Value::Null);
    assert_eq!(gone.json, {
        let mut own = alice.get(&path).await.expect(200).json;
        own["status"] = gone.json["status"].clone();
        own
    });
    pair.stop().await;
}

async fn two_sides_that_begin_a_direct_conversation_at_once_get_one(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let many = futures::future::join_all((0..8).map(|n| {
        let (alice, bob) = (alice.clone(), bob.clone());
        async move {
            let (who, other) = if n % 2 == 0 { (alice, "bob@app-b") } else { (bob, "alice@app-a") };
            let body = json!({ "participants": [other] });
            let reply = who.post("/api/chats/conversations/", &body).await;
            assert!(matches!(reply.status.as_u16(), 200 | 201), "{reply:#?}");
            (reply.str("id"), reply.status.as_u16())
        }
    }))
    .await;
    assert!(many.iter().all(|(id, _)| *id == many[0].0), "{many:?}");
    assert!(many.iter().filter(|(_, status)| *status == 201).count() <= 2, "{many:?}");
    let path = format!("/api/chats/conversations/{}/", many[0].0);
    eventually("both apps agree who began it, and when", || async {
        let (a, b) = (alice.get(&path).await.expect(200), bob.get(&path).await.expect(200));
        let facts = |json: &Value| {
            (json["created_by"].clone(), json["created_at"].clone(), json["participants"].clone())
        };
        (facts(&a.json) == facts(&b.json)).then_some(())
    })
    .await;
    for who in [&alice, &bob] {
        assert_eq!(who.get("/api/chats/conversations/").await.expect(200).json["count"], 1);
    }
    pair.stop().await;
}

async fn a_conversation_begun_on_both_sides_while_apart_becomes_one(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    alice.get("/api/users/get_by_username/?username=bob@app-b").await.expect(200);
    bob.get("/api/users/get_by_username/?username=alice@app-a").await.expect(200);
    pair.a_to_b.disturb(Disturbance::Down);
    pair.b_to_a.disturb(Disturbance::Down);
    let sent = alice.send("bob@app-b", "from alice").await;
    let conversation = sent["conversation"].as_str().unwrap();
    let path = format!("/api/chats/conversations/{conversation}/");
    bob.send("alice@app-a", "from bob").await;
    // B hears of A's beginning before it can tell of its own.
    pair.a_to_b.disturb(Disturbance::None);
    arrives(&bob, conversation, 2).await;
    pair.b_to_a.disturb(Disturbance::None);
    let texts = arrives(&alice, conversation, 2).await;
    assert_eq!(texts, bob.read(conversation).await);
    eventually("both apps agree on everything", || async {
        let (a, b) =
            (alice.get(&path).await.expect(200).json, bob.get(&path).await.expect(200).json);
        let same = ["created_by", "created_at", "participants", "updated_at"];
        same.iter().all(|key| a[key] == b[key]).then_some(())
    })
    .await;
    pair.stop().await;
}

async fn strangers_learn_nothing_of_a_conversation(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let eve = pair.a.client().join("eve").await;
    let sent = alice.send("bob@app-b", "between us").await;
    let (id, conversation) = (sent["id"].as_str().unwrap(), sent["conversation"].as_str().unwrap());
    arrives(&bob, conversation, 1).await;
    let unknown = eve.get(&format!("/api/chats/messages/{conversation}/")).await.expect(404);
    for path in [
        format!("/api/chats/messages/{id}/"),
        format!("/api/chats/conversations/{conversation}/"),
        format!("/api/chats/conversations/{conversation}/messages/"),
        "/api/chats/messages/not-a-uuid/".to_owned(),
    ] {
        let reply = eve.get(&path).await.expect(404);
        for key in ["type", "title", "detail", "code"] {
            assert_eq!(reply.json[key], unknown.json[key], "{path}");
        }
    }
    eve.patch(&format!("/api/chats/messages/{id}/"), &json!({ "content": "x" })).await.expect(404);
    eve.delete(&format!("/api/chats/messages/{id}/")).await.expect(404);
    let body = json!({ "conversation": conversation, "content": "let me in" });
    eve.post("/api/chats/messages/", &body).await.expect(404);
    let filtered = format!("/api/chats/messages/?conversation={conversation}");
    assert_eq!(eve.get(&filtered).await.expect(200).json["count"], 0);
    assert_eq!(eve.get("/api/messages/inbox/").await.expect(200).json["count"], 0);
    pair.stop().await;
}

async fn lists_have_pages_that_link_to_each_other(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    for n in 0..25 {
        alice.send("bob@app-b", &format!("message {n}")).await;
    }
    eventually("all have arrived", || async {
        let count = bob.get("/api/messages/inbox/").await.expect(200).json["count"].clone();
        (count == 25).then_some(())
    })
    .await;
    let (mut path, mut seen, mut pages) =
        ("/api/messages/inbox/?page_size=10".to_owned(), Vec::new(), 0);
    loop {
        let reply = bob.get(&path).await.expect(200);
        assert_eq!(reply.json["count"], 25);
        seen.extend(reply.results().iter().map(|m| m["content"].as_str().unwrap().to_owned()));
        assert_eq!(reply.json["previous"].is_null(), pages == 0);
        pages += 1;
        match reply.json["next"].as_str() {
            Some(next) => path = next.strip_prefix(&bob.base).expect("a URL of the app").to_owned(),
            None => break,
        }
    }
    let newest_first: Vec<_> = (0..25).rev().map(|n| format!("message {n}")).collect();
    assert_eq!((pages, seen), (3, newest_first));
    bob.get("/api/messages/inbox/?page=4&page_size=10").await.expect(404);
    for bad in [
        "page=0",
        "page=-1",
        "page=x",
        "page_size=0",
        "page_size=101",
        "page_size=1e2",
        "unread=perhaps",
    ] {
        let reply = bob.get(&format!("/api/messages/inbox/?{bad}")).await.expect(400);
        assert!(reply.json["errors"].is_object(), "{bad}: {reply:#?}");
    }
    // The same list without the slash, and on the other routes.
    assert_eq!(bob.get("/api/chats/messages?page_size=1").await.expect(200).results().len(), 1);
    pair.stop().await;
}

async fn a_session_is_refreshed_and_ended(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = pair.a.client().join("alice").await;
    let me = alice.get("/api/auth/me/").await.expect(200);
    assert_eq!(me.str("email"), "alice@example.org");
    let first = json!({ "refresh_token": alice.refresh });
    let nobody = pair.a.client();
    // Parallel tabs: one successor for all of them.
    let replies =
        futures::future::join_all((0..20).map(|_| nobody.post("/api/auth/refresh/", &first))).await;
    let mut successors: Vec<_> =
        replies.into_iter().map(|r| r.expect(200).str("refresh_token")).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    let second = json!({ "refresh_token": successors[0] });
    let third = nobody.post("/api/auth/refresh/", &second).await.expect(200);
    // The first is no longer the immediate predecessor: somebody has a copy, and the session ends.
    nobody.post("/api/auth/refresh/", &first).await.expect(401);
    let third = json!({ "refresh_token": third.str("refresh_token") });
    nobody.post("/api/auth/refresh/", &third).await.expect(401);
    alice.get("/api/auth/me/").await.expect(401);

    alice.log_in().await;
    let other = alice.clone();
    alice.log_in().await;
    alice.post("/api/auth/logout/", &json!({})).await.expect(200);
    alice.get("/api/auth/me/").await.expect(401);
    let spent = json!({ "refresh_token": alice.refresh });
    nobody.post("/api/auth/refresh/", &spent).await.expect(401);
    other.get("/api/auth/me/").await.expect(200);
    alice.post("/api/auth/logout/", &json!({})).await.expect(200);
    nobody.post("/api/auth/logout/", &json!({})).await.expect(401);
    // A token of the other app does not count here.
    let bob = pair.b.client().join("bob").await;
    let mut borrowed = pair.a.client();
    borrowed.token = bob.token.clone();
    borrowed.get("/api/auth/me/").await.expect(401);
    pair.stop().await;
}

async fn a_peer_that_is_away_makes_nothing_slow_and_gets_everything_later(database: Database) {
    let mut pair = Pair::start(database).await;
    let (alice, mut bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "0").await;
    let conversation = sent["conversation"].as_str().unwrap();
    arrives(&bob, conversation, 1).await;
    pair.b.stop().await;
    for n in 1..40 {
        let sent = alice.send("bob@app-b", &n.to_string()).await;
        assert_eq!(sent["status"], "queued");
    }
    alice.get("/health/ready").await.expect(200);
    // Nobody the app has not met can be looked up, and that is said as it is.
    let lookup = alice.get("/api/users/get_by_username/?username=dave@app-b").await.expect(503);
    assert_eq!(lookup.code(), "peer_unavailable");
    assert!(lookup.headers.contains_key("retry-after"));
    pair.b.start().await;
    bob.log_in().await;
    let expected: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(arrives(&bob, conversation, 40).await, expected);
    pair.stop().await;
}

async fn a_user_of_the_peer_is_found_and_an_unknown_one_is_not(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let found = alice.get("/api/users/get_by_username/?username=BOB@app-b").await.expect(200);
    assert_eq!(found.str("address"), "bob@app-b");
    assert!(found.json.get("email").is_none());
    alice.get("/api/users/get_by_username/?username=Alice").await.expect(200);
    for unknown in ["bob", "carol@app-b", "bob@app-z", "bob@app-b@x", "@app-b", "b%25b", "%25"] {
        alice.get(&format!("/api/users/get_by_username/?username={unknown}")).await.expect(404);
    }
    let body = json!({ "participants": ["carol@app-b", "alice", "bob@app-b"] });
    let reply = alice.post("/api/chats/conversations/", &body).await.expect(400);
    assert_eq!(reply.json["errors"]["participants"], json!(["There is no user carol@app-b."]));
    assert_eq!(alice.get("/api/chats/conversations/").await.expect(200).json["count"], 0);
    pair.stop().await;
}

async fn threads_and_the_read_position_work(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "a question").await;
    let conversation = first["conversation"].as_str().unwrap();
    let body = json!({ "conversation": conversation, "content": "more", "parent": first["id"] });
    let second = alice.post("/api/chats/messages/", &body).await.expect(201).json;
    assert_eq!(second["parent"], first["id"]);
    arrives(&bob, conversation, 2).await;
    let other = pair.b.client().join("carol").await;
    let elsewhere = bob.send("carol", "not there").await;
    let body = json!({ "conversation": conversation, "content": "x", "parent": elsewhere["id"] });
    bob.post("/api/chats/messages/", &body).await.expect(400);

    let path = format!("/api/chats/conversations/{conversation}/");
    assert_eq!(bob.get(&path).await.expect(200).json["unread_count"], 2);
    let read = |id: &Value| json!({ "message": id });
    let reply = bob.post(&format!("{path}read/"), &read(&first["id"])).await.expect(200);
    assert_eq!(reply.json["unread_count"], 1);
    bob.post(&format!("{path}read/"), &read(&second["id"])).await.expect(200);
    let reply = bob.post(&format!("{path}read/"), &read(&first["id"])).await.expect(200);
    assert_eq!(reply.json["unread_count"], 0, "the position does not go back");
    bob.post(&format!("{path}read/"), &read(&elsewhere["id"])).await.expect(404);
    other.post(&format!("{path}read/"), &read(&first["id"])).await.expect(404);
    let unread = bob.get("/api/messages/inbox/?unread=true").await.expect(200);
    assert_eq!(unread.json["count"], 0);
    let all = bob.get("/api/messages/inbox/").await.expect(200);
    assert!(all.results().iter().all(|message| message["read"] == true));
    pair.stop().await;
}
