//! Writers that know what was acknowledged to them, whatever happens to the apps meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::{Client, eventually};
use http::Method;
use serde_json::json;

/// What one writer knows of its messages.
#[derive(Default)]
pub struct History {
    /// Acknowledged ids, in order.
    pub acknowledged: Vec<String>,
    /// The text of the last acknowledged write or edit of each.
    pub texts: HashMap<String, String>,
    /// Texts of edits, and of sends at the very end, without an answer: they may or may not have happened.
    pub unknown: HashSet<String>,
    /// Messages with an edit without an answer.
    pub blurred: HashSet<String>,
}

/// Writes and edits until told to stop, as fast as the answers come.
pub async fn write(client: Client, conversation: String, stop: Arc<AtomicBool>) -> History {
    let mut history = History::default();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let text = format!("{} {number}", client.name);
        let body = json!({ "conversation": conversation, "content": text });
        // Sent again with its key until there is an answer, whatever happens in between.
        let key = format!("{:032x}", rand::random::<u128>());
        loop {
            let send = client.request(Method::POST, "/api/chats/messages/").json(&body);
            match client.try_run(send.header("Idempotency-Key", &key)).await {
                Ok(reply) if reply.status == 201 => {
                    let id = reply.str("id");
                    history.texts.insert(id.clone(), text);
                    history.acknowledged.push(id);
                    break;
                }
                Ok(reply) => assert!(reply.status.is_server_error(), "{reply:#?}"),
                Err(_) if stop.load(Ordering::Relaxed) => {
                    history.unknown.insert(text);
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        if number % 5 == 0 && !history.acknowledged.is_empty() {
            let id = history.acknowledged[number % history.acknowledged.len()].clone();
            let text = format!("{} edited {number}", client.name);
            let path = format!("/api/chats/messages/{id}/");
            let edit = client.request(Method::PATCH, &path).json(&json!({ "content": text }));
            match client.try_run(edit).await {
                Ok(reply) if reply.status == 200 => {
                    history.blurred.remove(&id);
                    history.texts.insert(id, text);
                }
                Ok(reply) => assert!(reply.status.is_server_error(), "{reply:#?}"),
                Err(_) => {
                    history.unknown.insert(text);
                    history.blurred.insert(id);
                }
            }
        }
    }
    history
}

/// Id, sender and text of every message of a conversation, the oldest first.
pub async fn all(client: &Client, conversation: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut path = format!("/api/chats/conversations/{conversation}/messages/?page_size=100");
    loop {
        let reply = client.get(&path).await.expect(200);
        found.extend(reply.results().iter().map(|message| {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            (text(&message["id"]), text(&message["sender"]["username"]), text(&message["content"]))
        }));
        match reply.json["next"].as_str() {
            Some(next) => {
                path = next.strip_prefix(&client.base).expect("a URL of the app").to_owned();
            }
            None => break,
        }
    }
    found.reverse();
    found
}

/// Checks what both apps hold against what the writers know.
pub async fn check(alice: &Client, bob: &Client, conversation: &str, histories: [&History; 2]) {
    let (left, right) = eventually("both apps show the same, all of it", || async {
        let (left, right) = (all(alice, conversation).await, all(bob, conversation).await);
        let written: usize = histories.iter().map(|history| history.acknowledged.len()).sum();
        (left == right && left.len() >= written).then_some((left, right))
    })
    .await;
    assert_eq!(left, right);
    let ids: HashSet<_> = left.iter().map(|(id, ..)| id).collect();
    assert_eq!(ids.len(), left.len(), "no message stands twice");
    let texts: HashSet<_> = left.iter().map(|(.., text)| text).collect();
    assert_eq!(texts.len(), left.len(), "no text stands twice");
    for (client, history) in [alice, bob].into_iter().zip(histories) {
        let own: Vec<_> = left.iter().filter(|(_, sender, _)| *sender == client.name).collect();
        let acknowledged =
            own.iter().filter(|(id, ..)| history.texts.contains_key(id)).map(|(id, ..)| id);
        assert!(acknowledged.eq(history.acknowledged.iter()), "all of {}'s, in order", client.name);
        for (id, _, text) in own {
            match history.texts.get(id) {
                Some(_) if history.blurred.contains(id) => {}
                Some(known) => assert_eq!(text, known, "the last edit"),
                None => assert!(history.unknown.contains(text), "{text} was never written"),
            }
        }
    }
}
