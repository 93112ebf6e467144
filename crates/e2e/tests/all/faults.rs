//! Real processes, killed at any moment, and a wire that loses answers: what was acknowledged is on both apps, once,
//! in order, with its last edit.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::{
    Client, Database, Disturbance, Pair, Process, ProcessPair, eventually, on_both_databases,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::history::{all, check, write};

on_both_databases!(
    a_kill_at_any_moment_loses_doubles_and_reorders_nothing,
    answers_that_are_lost_after_the_commit_double_nothing,
    a_terminated_app_finishes_what_it_has_begun,
    a_killed_app_relays_after_its_restart_what_it_had_acknowledged,
    a_message_is_delivered_at_once_when_nothing_is_wrong,
    what_the_peer_refuses_fails_with_its_reason_and_holds_nothing_up,
    what_cannot_be_delivered_in_time_fails_and_is_not_sent_later,
);

async fn a_kill_at_any_moment_loses_doubles_and_reorders_nothing(database: Database) {
    let seed: u64 =
        std::env::var("KILL_SEED").ok().map_or_else(rand::random, |s| s.parse().unwrap());
    println!("KILL_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut pair = ProcessPair::start(database).await;
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
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..700))).await;
        let victims: &mut [&mut Process] = match rng.random_range(0..5) {
            0 | 1 => &mut [&mut pair.a],
            2 | 3 => &mut [&mut pair.b],
            _ => &mut [&mut pair.a, &mut pair.b],
        };
        for victim in victims.iter_mut() {
            victim.kill();
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..200))).await;
        for victim in victims.iter_mut() {
            victim.start().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let [alices, bobs] = writers;
    let (mut alices, bobs) = (alices.await.unwrap(), bobs.await.unwrap());
    alices.acknowledged.insert(0, first["id"].as_str().unwrap().to_owned());
    alices.texts.insert(first["id"].as_str().unwrap().to_owned(), "hello".to_owned());
    println!("{} and {} were acknowledged", alices.acknowledged.len(), bobs.acknowledged.len());
    check(&alice, &bob, &conversation, [&alices, &bobs]).await;
}

async fn answers_that_are_lost_after_the_commit_double_nothing(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "0").await;
    let conversation = first["conversation"].as_str().unwrap();
    let seen = |count: usize| {
        let bob = bob.clone();
        async move {
            eventually("the messages arrive", || async {
                let texts = bob.read(conversation).await;
                (texts.len() >= count).then_some(texts)
            })
            .await
        }
    };
    seen(1).await;
    pair.a_to_b.disturb(Disturbance::AnswersLost);
    for round in 0..3 {
        let mut paths = Vec::new();
        for number in 1..=5 {
            let sent = alice.send("bob@app-b", &(round * 5 + number).to_string()).await;
            paths.push(format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap()));
        }
        // The peer has them all, and this app cannot know, until it hears that Bob has been given them.
        assert_eq!(seen(1 + (round + 1) * 5).await.len(), 1 + (round + 1) * 5);
        for path in paths {
            let status = alice.get(&path).await.expect(200).json["status"].clone();
            assert!(status == "queued" || status == "delivered", "{status}");
        }
    }
    pair.a_to_b.disturb(Disturbance::None);
    eventually("the sender learns of it", || async {
        let list = alice.get("/api/chats/messages/?page_size=100").await.expect(200);
        list.results().iter().all(|message| message["status"] == "delivered").then_some(())
    })
    .await;
    let expected: Vec<_> = (0..16).map(|number| number.to_string()).collect();
    assert_eq!(bob.read(conversation).await, expected);
    pair.stop().await;
}

async fn a_terminated_app_finishes_what_it_has_begun(database: Database) {
    let mut pair = ProcessPair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "hello").await;
    let conversation = first["conversation"].as_str().unwrap().to_owned();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|_| tokio::spawn(write(alice.clone(), conversation.clone(), stop.clone())))
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(pair.a.terminate().await, "it ends by itself, with success");
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = HashSet::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap().acknowledged);
    }
    assert!(acknowledged.len() > 8, "there was load");
    pair.a.start().await;
    eventually("everything acknowledged is at the peer", || async {
        let there: HashSet<_> =
            all(&bob, &conversation).await.into_iter().map(|(id, ..)| id).collect();
        acknowledged.is_subset(&there).then_some(())
    })
    .await;
}

async fn a_killed_app_relays_after_its_restart_what_it_had_acknowledged(database: Database) {
    let mut pair = ProcessPair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "0").await;
    let conversation = first["conversation"].as_str().unwrap();
    pair.a_to_b.disturb(Disturbance::Down);
    for number in 1..10 {
        alice.send("bob@app-b", &number.to_string()).await;
    }
    pair.a.kill();
    pair.a_to_b.disturb(Disturbance::None);
    pair.a.start().await;
    let expected: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    eventually("the messages arrive, in order", || async {
        (bob.read(conversation).await == expected).then_some(())
    })
    .await;
}

async fn a_message_is_delivered_at_once_when_nothing_is_wrong(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let conversation =
        alice.send("bob@app-b", "0").await["conversation"].as_str().unwrap().to_owned();
    let mut slowest = Duration::ZERO;
    for number in 1..20 {
        alice.send("bob@app-b", &number.to_string()).await;
        let sent = std::time::Instant::now();
        eventually("it arrives", || async {
            (bob.read(&conversation).await.len() == number + 1).then_some(())
        })
        .await;
        slowest = slowest.max(sent.elapsed());
    }
    // Not a measure of speed, but of being woken rather than polled for: polling alone would take up to a second each.
    assert!(slowest < Duration::from_millis(900), "{slowest:?}");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wave_of_log_ins_leaves_no_memory_behind() {
    let pair = ProcessPair::start(Database::Sqlite).await;
    let client = pair.a.client();
    let wave = (0..40).map(|_| client.join("user-*"));
    futures::future::join_all(wave).await;
    // Each hash takes 19 MiB, and as many run at once as there are cores; an allocator that kept them would have
    // hundreds.
    let memory = pair.a.memory();
    assert!(memory < 150, "{memory} MiB");
}

/// The status of a message and its reason, once it is no longer queued.
async fn settled(client: &Client, message: &serde_json::Value) -> (String, String) {
    let path = format!("/api/chats/messages/{}/", message["id"].as_str().unwrap());
    eventually("the message is settled", || async {
        let json = client.get(&path).await.expect(200).json;
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        (json["status"] != "queued").then(|| (text("status"), text("status_reason")))
    })
    .await
}

async fn what_the_peer_refuses_fails_with_its_reason_and_holds_nothing_up(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let carol = pair.a.client().join("carol").await;
    let sent = alice.send("bob@app-b", "taken").await;
    assert_eq!(settled(&alice, &sent).await, ("relayed".to_owned(), String::new()));
    // The peer alone comes to think that Alice has left.
    let db = messenger::db::Db::open(&pair.b.storage.url).await.unwrap();
    let left = db.write(|conn| {
        Box::pin(async move {
            let leave = "UPDATE participants SET left_at = 1 WHERE user_id IN
                (SELECT id FROM users WHERE username = 'alice')";
            conn.sql(leave).execute().await
        })
    });
    assert_eq!(left.await.unwrap(), 1);
    db.close().await;
    tokio::time::sleep(Duration::from_millis(1100)).await; // as long as a membership is believed
    let refused = alice.send("bob@app-b", "refused").await;
    let failed = ("failed".to_owned(), "not_a_participant".to_owned());
    assert_eq!(settled(&alice, &refused).await, failed);
    let sent = carol.send("bob@app-b", "behind it").await;
    assert_eq!(settled(&carol, &sent).await.0, "relayed");
    let inbox = bob.get("/api/messages/inbox/").await.expect(200);
    assert!(inbox.results().iter().all(|message| message["content"] != "refused"));
    pair.stop().await;
}

async fn what_cannot_be_delivered_in_time_fails_and_is_not_sent_later(database: Database) {
    let mut pair = Pair::start(database).await;
    let (mut alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "in time").await;
    settled(&alice, &sent).await;
    pair.a.stop().await;
    pair.a.config.give_up_after = Duration::from_secs(1);
    pair.a_to_b.disturb(Disturbance::Down);
    pair.a.start().await;
    alice.log_in().await;
    let late = alice.send("bob@app-b", "too late").await;
    assert_eq!(settled(&alice, &late).await, ("failed".to_owned(), "expired".to_owned()));
    pair.a_to_b.disturb(Disturbance::None);
    // Hearing the peer ends the wait after the last failure, which may be longer than the message would live.
    let heard = bob.send("alice@app-a", "here again").await;
    settled(&bob, &heard).await;
    let after = alice.send("bob@app-b", "after").await;
    assert_eq!(settled(&alice, &after).await.0, "relayed");
    let conversation = sent["conversation"].as_str().unwrap();
    assert_eq!(bob.read(conversation).await, ["in time", "here again", "after"]);
    pair.stop().await;
}
