//! PostgreSQL that crashes, stands still or is cut off while people write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::{Client, Database, Disturbance, Postgres, ProcessPair, Reply, Wire, eventually};
use futures::future::join_all;
use http::Method;
use serde_json::json;

use crate::support::history::{check, write};

/// The longest that a request may wait for a database that does not answer: 5 seconds for a connection, 7 for an
/// answer on it, and what a busy machine takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// What people ask for, more than there are connections: reads and writes, as many of each.
async fn ask(client: &Client) -> Vec<(Reply, Duration)> {
    let requests = (0..24).map(async |number| {
        let started = Instant::now();
        let reply = match number % 3 {
            0 => client.get("/api/messages/inbox/").await,
            1 => client.get("/health/ready").await,
            _ => {
                let body = json!({ "recipient": "bob@app-b", "content": "into the void" });
                client.post("/api/messages/send/", &body).await
            }
        };
        (reply, started.elapsed())
    });
    join_all(requests).await
}

/// Checks that all were told soon that it is the database that is away.
fn are_refused(answers: &[(Reply, Duration)]) {
    for (reply, took) in answers {
        assert_eq!(reply.status, 503, "{reply:#?}");
        assert!(matches!(reply.code(), "storage_unavailable" | "not_ready"), "{reply:#?}");
        assert!(reply.headers.contains_key("retry-after"), "{reply:#?}");
        assert!(*took < DEADLINE, "{took:?}: {reply:#?}");
    }
}

/// Waits until the app answers as ever, with all of its connections.
async fn is_back(client: &Client) {
    eventually("the app is back", || async {
        let answers = ask(client).await;
        answers.iter().all(|(reply, _)| reply.status.is_success()).then_some(())
    })
    .await;
}

async fn is_alive(pair: &mut ProcessPair) {
    assert!(pair.a.is_running());
    let started = Instant::now();
    pair.a.client().get("/health/live").await.expect(200);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_crashes_and_stands_still_under_load_loses_nothing() {
    let Some(server) = Postgres::start().await else { return };
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    pair.a.set("DATABASE_URL", &server.database(server.address()).await);
    pair.a.start().await;
    pair.b.start().await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "hello").await;
    let conversation = first["conversation"].as_str().unwrap().to_owned();
    eventually("the conversation is there", || async {
        (bob.read(&conversation).await.len() == 1).then_some(())
    })
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers = [&alice, &bob]
        .map(|client| tokio::spawn(write(client.clone(), conversation.clone(), stop.clone())));
    for _ in 0..3 {
        let pause = rand::random_range(100..800);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        server.crash().await;
        eventually("it answers again", || async {
            (pair.a.client().get("/health/ready").await.status == 200).then_some(())
        })
        .await;
    }
    let frozen = server.freeze().await;
    // Nobody of those who ask now is answered by the database.
    let carol = pair.a.client();
    let started = Instant::now();
    let reply = carol.get("/health/ready").await;
    are_refused(&[(reply, started.elapsed())]);
    is_alive(&mut pair).await;
    frozen.thaw();
    eventually("it answers again", || async {
        (carol.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let [alices, bobs] = writers;
    let (mut alices, bobs) = (alices.await.unwrap(), bobs.await.unwrap());
    alices.acknowledged.insert(0, first["id"].as_str().unwrap().to_owned());
    alices.texts.insert(first["id"].as_str().unwrap().to_owned(), "hello".to_owned());
    assert!(alices.acknowledged.len() > 1 && !bobs.acknowledged.is_empty(), "there was load");
    check(&alice, &bob, &conversation, [&alices, &bobs]).await;
    // No lease is stuck.
    alice.send("bob@app-b", "after all that").await;
    eventually("it arrives", || async {
        let texts = bob.read(&conversation).await;
        (texts.last().is_some_and(|text| text == "after all that")).then_some(())
    })
    .await;
}

/// As when another server takes over, and nobody says so on the connections to the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_postgres_that_never_answer_again_are_given_up() {
    if !Database::Postgres.is_to_be_tested() {
        return;
    }
    let mut pair = ProcessPair::prepare(Database::Postgres).await;
    let url = pair.a.storage.url.clone();
    let (_, rest) = url.split_once('@').expect("a URL with a user");
    let (host, name) = rest.split_once('/').expect("a URL with a database");
    let server = tokio::net::lookup_host(host).await.expect("an address").next().unwrap();
    let wire = Wire::to(server).await;
    let (user, _) = url.split_once('@').unwrap();
    pair.a.set("DATABASE_URL", &format!("{user}@{}/{name}", wire.address));
    pair.a.start().await;
    pair.b.start().await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "hello").await;
    // As many connections as there can be.
    is_back(&alice).await;
    wire.disturb(Disturbance::Stalled);
    are_refused(&ask(&alice).await);
    is_alive(&mut pair).await;
    // Those who ask next wait no longer, although every connection of before is dead.
    are_refused(&ask(&alice).await);
    // Bob's app keeps what this one cannot take now.
    bob.send("alice@app-a", "are you there?").await;
    wire.disturb(Disturbance::None);
    is_back(&alice).await;
    alice.send("bob@app-b", "here again").await;
    let conversation = first["conversation"].as_str().unwrap();
    let has_all = async |client: &Client| {
        let texts = client.read(conversation).await;
        ["are you there?", "here again"].iter().all(|text| texts.iter().any(|t| t == text))
    };
    eventually("both have both", || async {
        (has_all(&alice).await && has_all(&bob).await).then_some(())
    })
    .await;
    let request = pair.a.client().request(Method::GET, "/health/ready");
    pair.a.client().run(request).await.expect(200);
    wire.disturb(Disturbance::Stalled);
    assert!(pair.a.terminate().await, "it ends although the database does not answer");
}
