//! SIGHUP: what is read anew, and what is not.

use e2e::{Database, Process, ProcessPair, eventually};

/// Writes the `.env` in the folder of an app, and tells the app.
async fn change(app: &Process, settings: &str, answer: &str) {
    let count = || String::from_utf8_lossy(&app.log()).matches(answer).count();
    let before = count();
    std::fs::write(app.folder().join(".env"), settings).expect("a .env");
    app.signal("HUP");
    eventually(answer, || async { (count() > before).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_logged_changes_at_sighup_and_nothing_else_does() {
    const CHANGED: &str = "what is logged has changed";
    // Each request is answered with a line at `debug`.
    const LINE: &str = "\"path\":\"/health/live\"";
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    let app = &mut pair.a;
    app.unset("RUST_LOG");
    app.start().await;
    let alice = app.client().join("alice").await;
    let mut socket = alice.socket().await;
    let live = || async {
        app.client().get("/health/live").await.expect(200);
    };
    live().await;
    assert!(!app.has_logged(LINE), "it begins at `info`");

    change(app, "RUST_LOG=debug\nREGISTRATION_OPEN=false\n", CHANGED).await;
    live().await;
    eventually("it says more", || async { app.has_logged(LINE).then_some(()) }).await;
    let bob = app.client().join("bob").await;
    bob.send("alice", "what is open stays open").await;
    assert_eq!(
        socket.of_type("message.created").await["data"]["content"],
        "what is open stays open"
    );

    change(app, "RUST_LOG=messenger=nonsense\n", "what is logged stays as it was").await;
    let lines = || String::from_utf8_lossy(&app.log()).matches(LINE).count();
    let before = lines();
    live().await;
    eventually("it still says more", || async { (lines() > before).then_some(()) }).await;
    // Without a line of its own it is what it is at a start.
    change(app, "", CHANGED).await;
    let before = lines();
    live().await;
    live().await;
    change(app, "RUST_LOG=warn\n", CHANGED).await;
    assert_eq!(lines(), before, "it is at `info` again");
    assert!(pair.a.terminate().await, "it stops in peace");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_environment_says_of_the_log_comes_before_a_file() {
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    pair.a.set("RUST_LOG", "warn");
    pair.a.start().await;
    let changed = "what is logged has changed";
    change(&pair.a, "RUST_LOG=trace\n", changed).await;
    pair.a.client().get("/health/live").await.expect(200);
    change(&pair.a, "RUST_LOG=trace\n", changed).await;
    assert!(!pair.a.has_logged("/health/live"));
    assert!(pair.a.has_logged("\"filter\":\"warn\""));
}
