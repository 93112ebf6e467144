//! Lists by cursor: nothing shifts when messages arrive, and a cursor is good for its own list alone.

use e2e::{Client, Database, Pair, Reply, eventually, on_both_databases};
use serde_json::json;

on_both_databases!(
    a_walk_gives_each_message_once_whatever_arrives_between_pages,
    conversations_do_not_shift_when_messages_arrive,
    a_cursor_is_good_for_its_own_list_alone,
    a_cursor_outlives_a_restart,
);

/// A page of a list by its path or by a URL that a page has given.
async fn page(client: &Client, url: &str) -> Reply {
    let path = url.strip_prefix(client.base.as_str()).unwrap_or(url);
    let reply = client.get(path).await.expect(200);
    assert!(reply.json.get("count").is_none(), "{reply:#?}");
    reply
}

fn texts(reply: &Reply) -> Vec<String> {
    reply.results().iter().map(|m| m["content"].as_str().unwrap().to_owned()).collect()
}

fn link(reply: &Reply, key: &str) -> Option<String> {
    reply.json[key].as_str().map(str::to_owned)
}

async fn a_walk_gives_each_message_once_whatever_arrives_between_pages(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "0").await;
    let id = first["conversation"].as_str().unwrap().to_owned();
    for number in 1..9 {
        alice.send("bob@app-b", &number.to_string()).await;
    }
    eventually("they arrive", || async { (bob.read(&id).await.len() == 9).then_some(()) }).await;
    for (client, list) in [
        (&alice, format!("/api/chats/conversations/{id}/messages/?")),
        (&alice, "/api/chats/messages/?user=alice&".to_owned()),
        (&alice, "/api/chats/messages/?ordering=created_at&".to_owned()),
        (&bob, "/api/messages/inbox/?".to_owned()),
    ] {
        let all = client.get(&format!("{list}page_size=100")).await.expect(200);
        let start = texts(&all);
        let mut at = page(client, &format!("{list}page_size=4&cursor=")).await;
        assert_eq!(link(&at, "previous"), None);
        let (mut seen, mut pages) = (texts(&at), 1);
        while let Some(next) = link(&at, "next") {
            alice.send("bob@app-b", &format!("between {}", uuid::Uuid::new_v4())).await;
            at = page(client, &next).await;
            seen.extend(texts(&at));
            pages += 1;
        }
        assert!(pages >= 3, "{list}");
        let old: Vec<_> = seen.iter().filter(|text| start.contains(text)).collect();
        assert!(old.into_iter().eq(start.iter()), "{list}: {seen:?} is not {start:?}");
        let last = texts(&at);
        at = page(client, &link(&at, "previous").unwrap()).await;
        assert!(!texts(&at).contains(&last[0]));
        at = page(client, &link(&at, "next").unwrap()).await;
        assert_eq!(texts(&at)[0], last[0], "{list}: back and forth");
    }
    pair.stop().await;
}

async fn conversations_do_not_shift_when_messages_arrive(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let mut names = Vec::new();
    for number in 0..5 {
        let name = format!("friend{number}");
        pair.a.client().join(&name).await;
        alice.send(&name, "hello").await;
        names.push(name);
    }
    let path = "/api/chats/conversations/?page_size=2&cursor=";
    let mut at = page(&alice, path).await;
    let mut seen: Vec<String> = Vec::new();
    loop {
        seen.extend(at.results().iter().map(|c| c["id"].as_str().unwrap().to_owned()));
        let Some(next) = link(&at, "next") else { break };
        // The oldest conversation becomes the newest.
        alice.send("friend0", "again").await;
        at = page(&alice, &next).await;
    }
    assert_eq!(seen.len(), 5);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 5, "each once");
    let now = alice.get("/api/chats/conversations/?page_size=2").await.expect(200);
    assert_eq!(now.json["count"], 5);
    assert_eq!(now.results()[0]["last_message"]["content"], "again");
    let last = page(&alice, &link(&at, "previous").unwrap()).await;
    assert_eq!(last.results().len(), 2);
    pair.stop().await;
}

async fn a_cursor_is_good_for_its_own_list_alone(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let carol = pair.a.client().join("carol").await;
    for text in ["one", "two", "three"] {
        alice.send("carol", text).await;
    }
    let list = "/api/chats/messages/?page_size=1";
    let at = page(&alice, &format!("{list}&cursor=")).await;
    let next = link(&at, "next").unwrap();
    let (_, cursor) = next.split_once("cursor=").unwrap();
    // Another size is the same list; so is the path without its slash.
    let two = page(&alice, &format!("/api/chats/messages?cursor={cursor}&page_size=2")).await;
    assert_eq!(texts(&two), ["two", "one"]);
    let mut tampered = cursor.to_owned();
    let other = if tampered.pop() == Some('A') { 'B' } else { 'A' };
    tampered.push(other);
    for (client, path) in [
        (&alice, format!("{list}&cursor={tampered}")),
        (&alice, format!("{list}&cursor=x")),
        (&alice, format!("{list}&ordering=created_at&cursor={cursor}")),
        (&alice, format!("{list}&user=alice&cursor={cursor}")),
        (&alice, format!("/api/messages/inbox/?cursor={cursor}")),
        (&alice, format!("/api/chats/conversations/?cursor={cursor}")),
        (&carol, format!("{list}&cursor={cursor}")),
    ] {
        let reply = client.get(&path).await.expect(400);
        assert_eq!(reply.code(), "invalid_cursor", "{path}");
    }
    for path in [format!("{list}&page=1&cursor={cursor}"), format!("{list}&page=1&cursor=")] {
        let reply = alice.get(&path).await.expect(400);
        assert!(reply.json["errors"]["cursor"].is_array(), "{reply:#?}");
    }
    alice.get("/api/chats/messages/?page=999999").await.expect(404);
    let devices = page(&alice, "/api/auth/sessions/?cursor=").await;
    assert_eq!(devices.results().len(), 1);
    pair.stop().await;
}

async fn a_cursor_outlives_a_restart(database: Database) {
    let mut pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    pair.a.client().join("carol").await;
    for text in ["one", "two"] {
        alice.send("carol", text).await;
    }
    let at = page(&alice, "/api/chats/messages/?page_size=1&cursor=").await;
    pair.a.stop().await;
    pair.a.start().await;
    let at = page(&alice, &link(&at, "next").unwrap()).await;
    assert_eq!(texts(&at), ["one"]);
    assert_eq!(at.json["next"], json!(null));
    pair.stop().await;
}
