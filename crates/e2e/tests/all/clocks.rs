//! Two apps whose clocks differ.

use e2e::{Client, Database, ProcessPair, eventually};

use crate::support::faketime::library;

/// Both apps, of which AppA believes what a file says of the time.
async fn start(offset: &str) -> Option<(ProcessPair, tempfile::NamedTempFile)> {
    let library = library()?;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), offset).unwrap();
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    for (name, value) in [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_TIMESTAMP_FILE", file.path().to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("RUST_LOG", "info"),
    ] {
        pair.a.set(name, value);
    }
    pair.a.start().await;
    pair.b.start().await;
    Some((pair, file))
}

async fn arrives(client: &Client, conversation: &str, text: &str) {
    eventually(text, || async {
        let texts = client.read(conversation).await;
        texts.iter().any(|found| found == text).then_some(())
    })
    .await;
}

async fn becomes(client: &Client, message: &serde_json::Value, status: &str) {
    let path = format!("/api/chats/messages/{}/", message["id"].as_str().unwrap());
    eventually(status, || async {
        (client.get(&path).await.expect(200).str("status") == status).then_some(())
    })
    .await;
}

/// Both ways: messages, edits, deletions, and how far they have come.
async fn converse(alice: &Client, bob: &Client, round: &str) {
    for (from, to) in [(alice, bob), (bob, alice)] {
        let text = format!("{round}, from {}", from.name);
        let sent = from.send(&to.address(), &text).await;
        let conversation = sent["conversation"].as_str().unwrap();
        arrives(to, conversation, &text).await;
        let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
        let edited = format!("{text}, edited");
        from.patch(&path, &serde_json::json!({ "content": edited })).await.expect(200);
        arrives(to, conversation, &edited).await;
        let read = format!("/api/chats/conversations/{conversation}/read/");
        to.post(&read, &serde_json::json!({ "message": sent["id"] })).await.expect(200);
        becomes(from, &sent, "read").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_whose_clocks_differ_by_five_minutes_go_on_and_say_so() {
    for offset in ["+5m", "-5m"] {
        let Some((pair, file)) = start(offset).await else { return };
        let mut alice = pair.a.client().join("alice").await;
        let bob = pair.b.client().join("bob").await;
        converse(&alice, &bob, offset).await;
        let ahead = if offset == "+5m" { "ahead\":-" } else { "ahead\":" };
        assert!(pair.a.has_logged("set the clocks"), "AppA is told of it");
        assert!(pair.a.has_logged(ahead));
        assert!(pair.b.has_logged("set the clocks"), "and so is AppB");
        // Somebody sets the clock. Access tokens of a moment that is still to come do not count any more.
        std::fs::write(file.path(), "+0").unwrap();
        alice.log_in().await;
        converse(&alice, &bob, "set").await;
        assert!(pair.a.has_logged("agree again"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_by_an_hour_and_back_loses_nothing() {
    let Some((mut pair, file)) = start("+0").await else { return };
    let (mut alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    converse(&alice, &bob, "before").await;
    let first = alice.send("bob@app-b", "right").await;
    becomes(&alice, &first, "relayed").await;
    let conversation = first["conversation"].as_str().unwrap();
    std::fs::write(file.path(), "-1h").unwrap();
    // Access tokens of a moment that is still to come do not count.
    alice.log_in().await;
    let slow = alice.send("bob@app-b", "an hour slow").await;
    eventually("it says why nothing goes through", || async {
        pair.a.has_logged("differ by more than ten minutes").then_some(())
    })
    .await;
    assert_eq!(slow["status"], "queued");
    assert!(pair.a.is_running());
    std::fs::write(file.path(), "+0").unwrap();
    // Bob's app is refused as well meanwhile, and tries again by itself.
    bob.send("alice@app-a", "here").await;
    arrives(&bob, conversation, "an hour slow").await;
    arrives(&alice, conversation, "here").await;
    let texts = bob.read(conversation).await;
    let place = |text: &str| texts.iter().position(|found| found == text);
    // The clock never gives an earlier moment after a later one.
    assert!(place("right") < place("an hour slow"), "{texts:?}");
    converse(&alice, &bob, "after").await;
}
