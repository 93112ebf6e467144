//! The commands `peers` and `outbox`, run beside the apps, as an operator does.

use e2e::{Client, Database, Disturbance, Process, ProcessPair, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::impostor::Impostor;

on_both_databases!(
    what_waits_is_counted_listed_given_up_and_sent_again,
    a_retry_from_the_command_line_ends_the_wait_of_the_app,
);

/// What a command has said with `--json`.
fn read(app: &Process, arguments: &[&str]) -> Value {
    let said = app.succeed(&[arguments, &["--json"]].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"))
}

fn path(message: &Value) -> String {
    format!("/api/chats/messages/{}/", message["id"].as_str().unwrap())
}

async fn becomes(client: &Client, message: &Value, is: impl Fn(&Value) -> bool) -> Value {
    eventually("the message has come so far", || async {
        let message = client.get(&path(message)).await.expect(200).json;
        is(&message).then_some(message)
    })
    .await
}

fn has_arrived(message: &Value) -> bool {
    !matches!(message["status"].as_str(), Some("queued" | "failed"))
}

/// The one peer, once `peers` says so of it.
async fn peer(app: &Process, is: impl Fn(&Value) -> bool) -> Value {
    eventually("the peer is so", || async {
        let peers = read(app, &["peers"]);
        assert_eq!(peers.as_array().map(Vec::len), Some(1), "{peers:#}");
        is(&peers[0]).then(|| peers[0].clone())
    })
    .await
}

async fn what_waits_is_counted_listed_given_up_and_sent_again(database: Database) {
    let pair = ProcessPair::start(database).await;
    let (app, wire) = (&pair.a, &pair.a_to_b);
    let (alice, bob) = (app.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "canary 0").await;
    becomes(&alice, &first, has_arrived).await;
    eventually("nothing waits", || async {
        (read(app, &["outbox", "stats"]) == json!([])).then_some(())
    })
    .await;
    let none = app.succeed(&["outbox", "stats"]);
    assert_eq!(none, "nothing waits, and nothing has failed\n");
    let up = peer(app, |peer| peer["up"] == true).await;
    assert_eq!((&up["name"], &up["waiting"]), (&json!("app-b"), &json!(0)), "{up:#}");
    let said = app.succeed(&["peers"]);
    let expected = format!("app-b  up  http://{}\n  last reached at 2", wire.address);
    assert!(said.starts_with(&expected) && said.contains("\n  0 wait\n"), "{said}");

    wire.disturb(Disturbance::Down);
    let mut sent = Vec::new();
    for number in 1..=3 {
        sent.push(alice.send("bob@app-b", &format!("canary {number}")).await);
    }
    let down = peer(app, |peer| peer["up"] == false && peer["waiting"] == 3).await;
    assert_eq!(down["last_error"]["code"], "unreachable", "{down:#}");
    let said = app.succeed(&["peers"]);
    for text in
        ["app-b  not reached  ", "\n  3 wait, the oldest of 2", ": unreachable. There is no"]
    {
        assert!(said.contains(text), "{text}: {said}");
    }
    let stats = read(app, &["outbox", "stats"]);
    assert_eq!(
        (&stats[0]["peer"], &stats[0]["waiting"]),
        (&json!("app-b"), &json!(3)),
        "{stats:#}"
    );
    assert_eq!((&stats[0]["failed"], stats.as_array().unwrap().len()), (&json!(0), 1), "{stats:#}");
    assert!(app.succeed(&["outbox", "stats"]).starts_with("app-b: 3 wait, the oldest of 2"));

    let list = read(app, &["outbox", "list"]);
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|entry| &entry["message"]).collect();
    assert_eq!(ids, sent.iter().map(|message| &message["id"]).collect::<Vec<_>>());
    assert_eq!(read(app, &["outbox", "list", "--limit", "2"]).as_array().unwrap().len(), 2);
    assert_eq!(read(app, &["outbox", "list", "--failed"]), json!([]));
    assert_eq!(read(app, &["outbox", "list", "--peer", "app-c"]), json!([]));
    let said = app.succeed(&["outbox", "list", "--peer", "app-b"]);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(
        said.lines().all(|line| line.starts_with("app-b:") && line.ends_with("message  waiting"))
    );

    // Without a word of its own, nothing is given up.
    let drop = ["outbox", "drop", "--peer", "app-b"];
    assert_eq!(read(app, &drop), json!({ "waiting": 3, "dropped": 0 }));
    assert_eq!(app.succeed(&drop), "3 wait for app-b; --yes gives them up\n");
    assert_eq!(read(app, &["outbox", "drop", "--peer", "app-c", "--yes"]), json!({ "dropped": 0 }));
    assert_eq!(app.run(&["outbox", "drop", "--yes"]).status.code(), Some(2), "of which peer?");
    assert_eq!(app.run(&["outbox", "retry", "--message", "no-id"]).status.code(), Some(2));
    assert_eq!(alice.get(&path(&sent[0])).await.expect(200).str("status"), "queued");
    assert_eq!(app.succeed(&[&drop[..], &["--yes"]].concat()), "3 were given up\n");
    for message in &sent {
        let failed = becomes(&alice, message, |message| message["status"] == "failed").await;
        assert_eq!(failed["status_reason"], "dropped");
    }
    let said = app.succeed(&["outbox", "list", "--failed"]);
    assert_eq!(said.matches("message  failed (dropped)\n").count(), 3, "{said}");
    assert!(app.succeed(&["peers"]).contains("\n  3 have failed\n"));

    // One of them is sent again, then the others.
    let one = sent[1]["id"].as_str().unwrap();
    let retried = read(app, &["outbox", "retry", "--message", one]);
    assert_eq!((&retried["retried"], &retried["left"]), (&json!(1), &json!(0)), "{retried:#}");
    assert_eq!(read(app, &["outbox", "retry", "--message", one])["retried"], 0);
    let queued = becomes(&alice, &sent[1], |message| message["status"] == "queued").await;
    assert_eq!(queued["status_reason"], Value::Null);
    let said = app.succeed(&["outbox", "retry", "--peer", "app-b"]);
    assert_eq!(said, "2 messages are queued again\n");
    wire.disturb(Disturbance::None);
    app.succeed(&["outbox", "retry"]);
    for message in &sent {
        becomes(&alice, message, has_arrived).await;
    }
    let conversation = first["conversation"].as_str().unwrap();
    let expected = ["canary 0", "canary 2", "canary 1", "canary 3"];
    assert_eq!(
        bob.read(conversation).await,
        expected,
        "in the order in which they were sent again"
    );
    for arguments in [&["outbox", "list"][..], &["outbox", "list", "--failed"], &["peers"]] {
        assert!(!app.succeed(arguments).contains("canary"), "no texts are in it");
    }
}

async fn a_retry_from_the_command_line_ends_the_wait_of_the_app(database: Database) {
    let pair = ProcessPair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "0").await;
    becomes(&alice, &first, has_arrived).await;
    let impostor = Impostor::start().await;
    impostor.say(503, &[("retry-after", "300")], Vec::new());
    // It does not hear the peer meanwhile.
    pair.b_to_a.disturb(Disturbance::Down);
    pair.a_to_b.lead_to(impostor.address);
    let waiting = alice.send("bob@app-b", "1").await;
    peer(&pair.a, |peer| peer["last_error"]["code"] == "busy" && peer["retry_at"].is_string())
        .await;
    pair.a_to_b.lead_to(pair.b.bind);
    assert_eq!(read(&pair.a, &["outbox", "retry"])["peers"], json!(["app-b"]));
    becomes(&alice, &waiting, has_arrived).await;
    assert_eq!(bob.read(first["conversation"].as_str().unwrap()).await, ["0", "1"]);
}
