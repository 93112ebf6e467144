//! A disk that is full: what was acknowledged stays, what was not leaves nothing behind, and both apps go on by
//! themselves once there is room.

use std::process::Command;

use e2e::{Client, Database, ProcessPair, eventually};
use http::Method;
use serde_json::json;

/// Where the small disk is, which only the app itself sees.
const FOLDER: &str = "/mnt";
const SIZE: usize = 16 * 1024 * 1024;

/// What a process is wrapped in to have a small disk of its own.
const ON_A_SMALL_DISK: [&str; 6] = [
    "unshare",
    "--mount",
    "--map-root-user",
    "sh",
    "-c",
    "mount -t tmpfs -o size=16m tmpfs /mnt && exec \"$0\" \"$@\"",
];

/// Whether this machine lets us mount something; if not, that is said, and in CI it is a failure.
fn can_mount() -> bool {
    let mut command = Command::new(ON_A_SMALL_DISK[0]);
    let can = command.args(&ON_A_SMALL_DISK[1..]).arg("true").output();
    if can.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "a small disk cannot be mounted here");
    eprintln!(
        "!!! A small disk cannot be mounted here (unshare, mount): a full disk is NOT TESTED."
    );
    false
}

/// Sends a text, and gives whether it was taken; else the app must have said that it cannot store anything.
async fn try_send(client: &Client, to: &str, text: &str) -> bool {
    let body = json!({ "recipient": to, "content": text });
    let request = client.request(Method::POST, "/api/messages/send/").json(&body);
    let reply = client.run(request).await;
    if reply.status == 201 {
        return true;
    }
    assert_eq!((reply.status.as_u16(), reply.code()), (503, "storage_unavailable"), "{reply:#?}");
    assert!(reply.headers.contains_key("retry-after"));
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_answered_503_and_leaves_nothing_half_done() {
    if !can_mount() {
        return;
    }
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    pair.a.set("DATABASE_URL", &format!("sqlite://{FOLDER}/app.db"));
    pair.a.set("RUST_LOG", "info");
    pair.a.wrap(&ON_A_SMALL_DISK);
    pair.a.start().await;
    pair.b.start().await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "0").await;
    let conversation = sent["conversation"].as_str().unwrap();
    eventually("it arrives", || async { (bob.read(conversation).await == ["0"]).then_some(()) })
        .await;
    // Something else fills the disk to the last byte.
    let filler = format!("/proc/{}/root{FOLDER}/filler", pair.a.id());
    assert!(std::fs::write(&filler, vec![0; SIZE]).is_err(), "there is room for that much");
    let mut taken = vec!["0".to_owned()];
    let (mut number, mut refused) = (0, 0);
    // There may be room in files that are there already, but not for long.
    while refused < 20 {
        number += 1;
        assert!(number < 2000, "the disk does not get full");
        let text = format!("{number} {}", "long ".repeat(200));
        // Several at once share their fate with a neighbour that is not the first.
        let other = format!("{text} too");
        let (one, two) = tokio::join!(
            try_send(&alice, "bob@app-b", &text),
            try_send(&alice, "bob@app-b", &other)
        );
        refused += usize::from(!one) + usize::from(!two);
        taken.extend([(one, text), (two, other)].into_iter().filter(|(ok, _)| *ok).map(|t| t.1));
    }
    assert!(pair.a.is_running());
    let ready = pair.a.client().get("/health/ready").await.expect(503);
    assert_eq!((ready.code(), ready.str("detail").contains("full")), ("not_ready", true));
    pair.a.client().get("/health/live").await.expect(200);
    // It can still be read, and what the peer sends waits there.
    let texts = alice.read(conversation).await;
    assert_eq!(texts.len(), taken.len());
    bob.send("alice@app-a", "from bob").await;
    std::fs::remove_file(filler).unwrap();
    eventually("it goes on by itself", || async {
        try_send(&alice, "bob@app-b", "room again").await.then_some(())
    })
    .await;
    pair.a.client().get("/health/ready").await.expect(200);
    taken.extend(["from bob".to_owned(), "room again".to_owned()]);
    taken.sort();
    for client in [&alice, &bob] {
        eventually("all is there, and nothing else", || async {
            let mut texts = client.read(conversation).await;
            texts.sort();
            (texts == taken).then_some(())
        })
        .await;
    }
    eventually("nothing is left to send", || async {
        let list = alice.get("/api/chats/messages/?page_size=100").await.expect(200);
        list.results().iter().all(|message| message["status"] != "queued").then_some(())
    })
    .await;
}
