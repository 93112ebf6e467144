//! A peer, or what stands before it, that answers what no sound one would, and events that it cannot store.

use std::time::Duration;

use e2e::{Client, Database, Disturbance, Pair, Process, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::impostor::{Headers, Impostor};
use crate::support::sql::Sql;

on_both_databases!(
    whatever_a_peer_answers_nothing_is_lost_and_nothing_goes_elsewhere,
    a_peer_that_asks_for_patience_gets_it_until_it_is_heard,
    events_that_the_peer_refuses_or_cannot_store_fail_alone,
);

async fn acquainted(pair: &Pair) -> (Client, Client, String) {
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "0").await;
    let conversation = sent["conversation"].as_str().unwrap().to_owned();
    has(&bob, &conversation, &["0".to_owned()]).await;
    (alice, bob, conversation)
}

async fn has(client: &Client, conversation: &str, expected: &[String]) {
    eventually("all is there, once and in order", || async {
        (client.read(conversation).await == expected).then_some(())
    })
    .await;
}

async fn whatever_a_peer_answers_nothing_is_lost_and_nothing_goes_elsewhere(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob, conversation) = acquainted(&pair).await;
    let (impostor, trap) = (Impostor::start().await, Impostor::start().await);
    pair.a_to_b.lead_to(impostor.address);
    let elsewhere = format!("http://{}/relay/v1/events/", trap.address);
    let page = "<!doctype html><title>It works!</title>".repeat(100);
    let other = r#"{"stream":"0190a5d0-ac96-774b-8cce-b302099a8057","position":99,"results":[]}"#;
    let html: Headers = vec![("content-type", "text/html".to_owned())];
    let mut answers: Vec<(u16, Headers, Vec<u8>)> = vec![
        (200, vec![], Vec::new()),
        (200, html.clone(), page.clone().into()),
        (200, vec![], b"{}".to_vec()),
        (200, vec![], b"null".to_vec()),
        (200, vec![], b"\xff\xfe\x00garbage".to_vec()),
        (200, vec![("content-encoding", "gzip".to_owned())], b"not gzip".to_vec()),
        (200, vec![], vec![b' '; 3 * 1024 * 1024]),
        (200, vec![], other.into()),
        (204, vec![], Vec::new()),
        (404, html.clone(), page.clone().into()),
        (413, html.clone(), page.clone().into()),
        (500, vec![], b"{\"code\": \"\\u001b[31m".to_vec()),
        (502, html, page.into()),
    ];
    for status in [301, 302, 303, 307, 308] {
        answers.push((status, vec![("location", elsewhere.clone())], Vec::new()));
    }
    let mut expected = vec!["0".to_owned()];
    for (number, (status, headers, body)) in answers.into_iter().enumerate() {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        impostor.say(status, &headers, body);
        let before = impostor.asked().len();
        let sent = alice.send("bob@app-b", &format!("a {number}")).await;
        expected.push(format!("a {number}"));
        // Whoever hears the peer tries again at once, whatever it has answered.
        bob.send("alice@app-a", &format!("b {number}")).await;
        expected.push(format!("b {number}"));
        has(&alice, &conversation, &expected).await;
        eventually("it tries", || async { (impostor.asked().len() > before).then_some(()) }).await;
        let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
        assert_eq!(alice.get(&path).await.expect(200).str("status"), "queued");
    }
    assert!(!trap.was_asked(), "no redirect is followed");
    pair.a_to_b.lead_to(pair.b.config.bind);
    bob.send("alice@app-a", "the end").await;
    // On Bob's side, Alice's come after his that were there before; each once, and hers in order.
    let hers: Vec<_> = expected.iter().filter(|text| !text.starts_with('b')).cloned().collect();
    eventually("all of Alice's messages are there, in order", || async {
        let mut texts = bob.read(&conversation).await;
        texts.retain(|text| !text.starts_with('b') && text != "the end");
        (texts == hers).then_some(())
    })
    .await;
    pair.stop().await;
}

async fn a_peer_that_asks_for_patience_gets_it_until_it_is_heard(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob, conversation) = acquainted(&pair).await;
    // After that, Bob's app has nothing to say any more.
    eventually("she knows that he has it", || async {
        let list = alice.get("/api/chats/messages/").await.expect(200);
        (list.results()[0]["status"] == "delivered").then_some(())
    })
    .await;
    let impostor = Impostor::start().await;
    // One that asks for none is not overrun: each wait is longer than the one before.
    impostor.say(503, &[("retry-after", "0")], Vec::new());
    pair.a_to_b.lead_to(impostor.address);
    alice.send("bob@app-b", "1").await;
    eventually("it tries some times", || async { (impostor.asked().len() >= 4).then_some(()) })
        .await;
    let asked = impostor.asked();
    let tries = asked.iter().filter(|at| **at < asked[0] + Duration::from_millis(300)).count();
    assert!(tries <= 5, "{tries} tries in 0.3 seconds");
    // One that asks for two seconds gets them, whatever there is to send.
    impostor.say(429, &[("retry-after", "2")], Vec::new());
    let before = impostor.asked().len();
    eventually("it tries", || async { (impostor.asked().len() > before).then_some(()) }).await;
    let told = impostor.asked()[before];
    impostor.say(503, &[("retry-after", "300")], Vec::new());
    alice.send("bob@app-b", "2").await;
    eventually("it tries again", || async { (impostor.asked().len() > before + 1).then_some(()) })
        .await;
    let waited = impostor.asked()[before + 1] - told;
    assert!(waited >= Duration::from_millis(1900), "{waited:?}");
    // One that asks for five minutes is tried at once when it is heard before.
    pair.a_to_b.lead_to(pair.b.config.bind);
    alice.send("bob@app-b", "3").await;
    bob.send("alice@app-a", "4").await;
    eventually("all is there", || async {
        (bob.read(&conversation).await.len() == 5).then_some(())
    })
    .await;
    pair.stop().await;
}

/// Status and reason of a message, once it is no longer queued.
async fn settled(client: &Client, message: &Value) -> (String, String) {
    let path = format!("/api/chats/messages/{}/", message["id"].as_str().unwrap());
    eventually("the message is settled", || async {
        let json = client.get(&path).await.expect(200).json;
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        (json["status"] != "queued").then(|| (text("status"), text("status_reason")))
    })
    .await
}

async fn events_that_the_peer_refuses_or_cannot_store_fail_alone(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob, conversation) = acquainted(&pair).await;
    let carol = pair.a.client().join("carol").await;
    let from_carol = carol.send("bob@app-b", "from carol").await;
    settled(&carol, &from_carol).await;
    pair.a_to_b.disturb(Disturbance::Down);
    let mut sent = Vec::new();
    for number in 1..=6 {
        sent.push(alice.send("bob@app-b", &number.to_string()).await);
    }
    let refused = carol.send("bob@app-b", "refused").await;
    let last = alice.send("bob@app-b", "7").await;
    // The database of the peer does not take the third and the last but one, for no reason that anybody has thought of.
    let mut sql = Sql::open(&pair.b.storage).await;
    for (number, poisonous) in [&sent[2], &sent[5]].into_iter().enumerate() {
        let id = sql.id(poisonous["id"].as_str().unwrap());
        let statements = match &sql {
            Sql::Sqlite(_) => vec![format!(
                "CREATE TRIGGER poison{number} BEFORE INSERT ON messages WHEN NEW.id = {id}
                 BEGIN SELECT RAISE(ABORT, 'poison'); END"
            )],
            Sql::Postgres(_) => vec![
                format!(
                    "CREATE FUNCTION poison{number}() RETURNS trigger LANGUAGE plpgsql AS
                     'BEGIN RAISE EXCEPTION USING ERRCODE = ''check_violation''; END'"
                ),
                format!(
                    "CREATE TRIGGER poison{number} BEFORE INSERT ON messages FOR EACH ROW
                     WHEN (NEW.id = {id}) EXECUTE FUNCTION poison{number}()"
                ),
            ],
        };
        for statement in statements {
            sql.run(&statement).await;
        }
    }
    // And it thinks that Carol has left.
    sql.change(
        "UPDATE participants SET left_at = 1 WHERE user_id IN
         (SELECT id FROM users WHERE username = 'carol')",
    )
    .await;
    pair.b.client().get("/health/ready").await.expect(200);
    tokio::time::sleep(Duration::from_millis(1100)).await; // as long as a membership is believed
    pair.a_to_b.disturb(Disturbance::None);
    bob.send("alice@app-a", "are you there?").await;
    assert_eq!(settled(&alice, &last).await.0, "relayed");
    for (index, message) in sent.iter().enumerate() {
        let (status, reason) = settled(&alice, message).await;
        match index {
            2 | 5 => assert_eq!((status.as_str(), reason.as_str()), ("failed", "unprocessable")),
            _ => assert!(status == "relayed" || status == "delivered", "{index}: {status}"),
        }
    }
    let failed = ("failed".to_owned(), "not_a_participant".to_owned());
    assert_eq!(settled(&carol, &refused).await, failed);
    let mut texts = bob.read(&conversation).await;
    texts.retain(|text| text != "are you there?");
    assert_eq!(texts, ["0", "1", "2", "4", "5", "7"]);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_without_file_descriptors_takes_no_more_connections_and_recovers() {
    let mut pair = e2e::ProcessPair::prepare(Database::Sqlite).await;
    pair.a = pair.a.with("RUST_LOG", "info");
    pair.a.start().await;
    pair.b.start().await;
    let alice = pair.a.client().join("alice").await;
    let bob = pair.b.client().join("bob").await;
    alice.send("bob@app-b", "before").await;
    limit_descriptors(&pair.a, 64);
    let address = pair.a.client().base.strip_prefix("http://").unwrap().to_owned();
    let mut idle = Vec::new();
    for _ in 0..80 {
        idle.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    eventually("it says so", || async {
        pair.a.has_logged("a connection cannot be accepted").then_some(())
    })
    .await;
    assert!(pair.a.is_running());
    drop(idle);
    eventually("it goes on by itself", || async {
        let body = json!({ "recipient": "bob@app-b", "content": "after" });
        (alice.post("/api/messages/send/", &body).await.status == 201).then_some(())
    })
    .await;
    eventually("it arrives", || async {
        let inbox = bob.get("/api/messages/inbox/").await.expect(200);
        inbox.results().iter().any(|message| message["content"] == "after").then_some(())
    })
    .await;
}

/// Lets a process have so many files open and no more.
fn limit_descriptors(process: &Process, count: u32) {
    let limit = std::process::Command::new("prlimit")
        .args(["--pid", &process.id().to_string(), &format!("--nofile={count}:")])
        .status();
    assert!(limit.expect("prlimit, of util-linux").success());
}
