//! Replicas that stand still, that have another time, and that are cut off from what the others share.

use std::time::{Duration, Instant};

use e2e::{Client, Disturbance, PATIENCE, eventually};
use serde_json::json;

use crate::support::cluster::{Cluster, told};

/// Waits until a user has exactly these messages, in this order.
async fn has(client: &Client, conversation: &str, expected: &[String]) {
    let started = Instant::now();
    loop {
        let found = client.read(conversation).await;
        if found == expected {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "found {found:?}, expected {expected:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn status(client: &Client, message: &serde_json::Value) -> String {
    let path = format!("/api/chats/messages/{}/", message["id"].as_str().unwrap());
    client.get(&path).await.expect(200).str("status")
}

/// A cluster whose second replica is five minutes ahead; `None` where that cannot be had.
async fn with_a_fast_second() -> Option<Cluster> {
    let library = crate::support::faketime::library()?;
    let fast = Cluster::start_with(|second| {
        second.set("LD_PRELOAD", &library);
        second.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        second.set("FAKETIME", "+5m");
    });
    fast.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_paused_beyond_its_lease_settles_nothing() {
    let Some(cluster) = Cluster::start().await else { return };
    let (first, wire) = (&cluster.pair.a, &cluster.pair.a_to_b);
    let alice = first.client().join("alice").await;
    let bob = cluster.pair.b.client().join("bob").await;
    let there = cluster.there(&alice);
    let sent = alice.send("bob@app-b", "0").await;
    let conversation = sent["conversation"].as_str().unwrap();
    let mut expected = vec!["0".to_owned()];
    has(&bob, conversation, &expected).await;
    // The first replica, which sends to the peer, is paused between a delivery and the answer to it.
    wire.disturb(Disturbance::AnswersHeld);
    let held = alice.send("bob@app-b", "1").await;
    expected.push("1".to_owned());
    has(&bob, conversation, &expected).await;
    first.pause();
    wire.disturb(Disturbance::None);
    // Locks that it holds at that moment hold the other up for a few seconds at most.
    for number in 2..20 {
        there.send("bob@app-b", &number.to_string()).await;
        expected.push(number.to_string());
    }
    has(&bob, conversation, &expected).await;
    eventually("the other has settled what was in flight", || async {
        let done = status(&there, &held).await;
        (done == "relayed" || done == "delivered").then_some(())
    })
    .await;
    let lost = "the lease has gone to another process";
    assert!(!first.has_logged(lost), "it stands still");
    first.resume();
    eventually("it learns that another sends now", || async {
        first.has_logged(lost).then_some(())
    })
    .await;
    // Each of the two still takes messages, and one of the two sends them.
    for number in 20..30 {
        let client = if number % 2 == 0 { &alice } else { &there };
        client.send("bob@app-b", &number.to_string()).await;
        expected.push(number.to_string());
    }
    has(&bob, conversation, &expected).await;
    has(&alice, conversation, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_with_redis_out_of_reach_is_still_told_and_still_tells() {
    let Some(cluster) = Cluster::start().await else { return };
    let alice = cluster.pair.a.client().join("alice").await;
    let anna = cluster.there(&cluster.pair.a.client().join("anna").await);
    let sent = alice.send("anna", "hello").await;
    let (mut here, mut there) = (alice.socket().await, anna.socket().await);
    here.settle().await;
    there.settle().await;
    let mut number = 0;
    for disturbance in [Disturbance::Down, Disturbance::Stalled, Disturbance::None] {
        cluster.to_redis.disturb(disturbance);
        for _ in 0..3 {
            number += 1;
            let started = Instant::now();
            alice.send("anna", &format!("there {number}")).await;
            told(&mut there, &format!("there {number}")).await;
            anna.send("alice", &format!("here {number}")).await;
            told(&mut here, &format!("here {number}")).await;
            // Each looks once a second.
            assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
        }
    }
    // One that refuses everything, to both of them, as it has lost its own master.
    for command in ["CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"] {
        assert_eq!(cluster.redis.command(command).await.as_deref(), Some("+OK"), "{command}");
    }
    assert!(cluster.redis.command("GET x").await.unwrap().starts_with("-MASTERDOWN"));
    alice.send("anna", "without a master").await;
    told(&mut there, "without a master").await;
    // A session that ends at one replica ends its sockets at the other.
    cluster.there(&alice).post("/api/auth/logout/", &json!({})).await.expect(200);
    assert_eq!(here.close_code().await, 4401);
    let conversation = sent["conversation"].as_str().unwrap();
    assert_eq!(anna.read(conversation).await.len(), 1 + 2 * number + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_a_replica_that_is_five_minutes_ahead_runs_out_all_the_same() {
    let Some(mut cluster) = with_a_fast_second().await else { return };
    let alice = cluster.pair.a.client().join("alice").await;
    let bob = cluster.pair.b.client().join("bob").await;
    let there = cluster.there(&alice);
    let sent = alice.send("bob@app-b", "0").await;
    let conversation = sent["conversation"].as_str().unwrap();
    let mut expected = vec!["0".to_owned()];
    has(&bob, conversation, &expected).await;
    // The fast one takes over, which is not before the other is gone,
    assert!(!cluster.second.has_logged("set the clocks"));
    cluster.pair.a.kill();
    there.send("bob@app-b", "1").await;
    expected.push("1".to_owned());
    has(&bob, conversation, &expected).await;
    assert!(cluster.second.has_logged("set the clocks"), "it signs by the peer's clock");
    // and the other takes over from it, although the lease says that it has five minutes left.
    cluster.pair.a.start().await;
    cluster.second.kill();
    alice.send("bob@app-b", "2").await;
    expected.push("2".to_owned());
    has(&bob, conversation, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_reads_as_it_was_written_though_a_replica_is_five_minutes_ahead() {
    let Some(cluster) = with_a_fast_second().await else { return };
    let here = cluster.pair.a.client().join("alice").await;
    let there = cluster.there(&here);
    cluster.pair.a.client().join("anna").await;
    let bob = cluster.pair.b.client().join("bob").await;
    // With somebody of this app, and with somebody of the other.
    for to in ["anna", "bob@app-b"] {
        let mut expected = Vec::new();
        let mut conversation = String::new();
        for number in 0..20 {
            let client = if number % 2 == 0 { &here } else { &there };
            let sent = client.send(to, &number.to_string()).await;
            conversation = sent["conversation"].as_str().unwrap().to_owned();
            expected.push(number.to_string());
        }
        assert_eq!(here.read(&conversation).await, expected);
        assert_eq!(there.read(&conversation).await, expected);
        if to == "bob@app-b" {
            has(&bob, &conversation, &expected).await;
        }
    }
}
