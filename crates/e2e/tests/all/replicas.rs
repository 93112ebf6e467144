//! Several processes of one app, on one PostgreSQL and one Redis, which may vanish at any time.

use std::time::{Duration, Instant};

use e2e::{Disturbance, Socket, eventually};
use futures::future::join_all;
use serde_json::json;

use crate::support::cluster::{Cluster, told};
use crate::support::impostor::Impostor;
use crate::support::sql::Sql;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_at_one_replica_is_pushed_by_the_other() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let watched = cluster.redis.watched().await;
    let alice = cluster.pair.a.client().join("alice").await;
    let anna = cluster.there(&cluster.pair.a.client().join("anna").await);
    let bob = cluster.pair.b.client().join("bob").await;
    alice.send("anna", "hello").await;
    alice.send("bob@app-b", "hello").await;
    let mut socket = anna.socket().await;
    let mut bobs = bob.socket().await;
    let mut slowest = Duration::ZERO;
    for number in 0..10 {
        let started = Instant::now();
        alice.send("anna", &number.to_string()).await;
        told(&mut socket, &number.to_string()).await;
        slowest = slowest.max(started.elapsed());
    }
    // Woken, not found by polling; and only once.
    assert!(slowest < Duration::from_millis(900), "{slowest:?}");
    assert!(socket.settle().await.iter().all(|frame| frame["type"] == "presence"));
    // A message by way of the replica that does not send to the peer is not held up either.
    let alice_there = cluster.there(&alice);
    for (number, client) in [&alice, &alice_there, &alice, &alice_there].into_iter().enumerate() {
        let text = format!("canary to bob {number}");
        client.send("bob@app-b", &text).await;
        told(&mut bobs, &text).await;
    }
    // A ticket of one replica opens a socket of the other, once.
    let ticket = alice.post("/api/ws/ticket/", &json!({})).await.expect(201).str("ticket");
    let path = format!("/api/ws/?ticket={ticket}");
    let mut hers = cluster.second.client().socket_at(&path).await.expect("a socket");
    let again = cluster.pair.a.client().socket_at(&path).await;
    assert_eq!(again.err().expect("a refusal").0, 401);
    // A session that ends at one replica ends its sockets at the other.
    alice.post("/api/auth/logout/", &json!({})).await.expect(200);
    let started = Instant::now();
    assert_eq!(hers.close_code().await, 4401);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    // Words have passed through Redis, but no text and no token.
    cluster.redis.kill();
    let passed = String::from_utf8_lossy(&watched.await.unwrap()).into_owned();
    assert!(passed.contains("PUBLISH") && passed.contains("committed"), "{passed}");
    for secret in ["canary", "gAAAA", ticket.as_str(), alice.token.as_ref().unwrap()] {
        assert!(!passed.contains(secret), "{secret} in {passed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_and_presence_reach_other_replicas_and_other_apps() {
    let Some(cluster) = Cluster::start().await else { return };
    let alice = cluster.pair.a.client().join("alice").await;
    let anna = cluster.there(&cluster.pair.a.client().join("anna").await);
    let bob = cluster.pair.b.client().join("bob").await;
    let group = json!({ "participants": ["anna", "bob@app-b"], "title": "All" });
    let group = alice.post("/api/chats/conversations/", &group).await.expect(201).str("id");
    eventually("the group is known", || async {
        let path = format!("/api/chats/conversations/{group}/");
        (bob.get(&path).await.status == 200).then_some(())
    })
    .await;
    let (mut annas, mut bobs) = (anna.socket().await, bob.socket().await);
    let mut alices = alice.socket().await;
    let id = alice.get("/api/auth/me/").await.expect(200).json["id"].clone();
    let is_told = async |socket: &mut Socket, list: &str| loop {
        let frame = socket.of_type("presence").await;
        if frame["data"][list].as_array().is_some_and(|users| users.contains(&id)) {
            break;
        }
    };
    is_told(&mut annas, "online").await;
    is_told(&mut bobs, "online").await;
    let typing = json!({ "type": "typing", "conversation": group, "active": true });
    alices.say(&typing).await;
    for socket in [&mut annas, &mut bobs] {
        let frame = socket.of_type("typing").await;
        assert_eq!((&frame["data"]["user"], &frame["data"]["active"]), (&id, &json!(true)));
    }
    alices.drop_connection();
    is_told(&mut annas, "offline").await;
    is_told(&mut bobs, "offline").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nothing_is_lost_only_slower() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let alice = cluster.pair.a.client().join("alice").await;
    let anna = cluster.there(&cluster.pair.a.client().join("anna").await);
    alice.send("anna", "hello").await;
    let mut socket = anna.socket().await;
    let mut expected = Vec::new();
    for round in 0..5 {
        match round {
            1 => cluster.redis.kill(),
            2 => cluster.redis.restart().await,
            3 => drop(cluster.redis.command("FLUSHALL").await),
            4 => drop(cluster.redis.command("CONFIG SET maxmemory 1").await),
            _ => {}
        }
        for number in 0..5 {
            let text = format!("{round}.{number}");
            alice.send("anna", &text).await;
            expected.push(text);
        }
    }
    let mut heard = Vec::new();
    while heard.len() < expected.len() {
        let frame = socket.event().await;
        assert_eq!(frame["type"], "message.created");
        heard.push(frame["data"]["content"].as_str().unwrap().to_owned());
    }
    assert_eq!(heard, expected);
    assert!(socket.settle().await.iter().all(|frame| frame["type"] == "presence"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_takes_nothing_with_it() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let alice = cluster.pair.a.client().join("alice").await;
    let anna = cluster.pair.a.client().join("anna").await;
    let bob = cluster.pair.b.client().join("bob").await;
    let group = json!({ "participants": ["anna", "bob@app-b"], "title": "All" });
    let group = alice.post("/api/chats/conversations/", &group).await.expect(201).str("id");
    eventually("the group is known", || async {
        let path = format!("/api/chats/conversations/{group}/");
        (bob.get(&path).await.status == 200).then_some(())
    })
    .await;
    let (mut socket, mut bobs) = (anna.socket().await, bob.socket().await);
    socket.settle().await;
    bobs.settle().await;
    let there = cluster.there(&alice);
    let mut expected = Vec::new();
    let (mut heard, mut cursor) = (Vec::new(), socket.cursor.clone().unwrap());
    for number in 0..60 {
        // The first replica, which has the sockets and sends to the peer, dies on the way.
        let client = if number < 30 && number % 2 == 0 { &alice } else { &there };
        let body = json!({ "conversation": group, "content": number.to_string() });
        client.post("/api/chats/messages/", &body).await.expect(201);
        expected.push(number.to_string());
        if number < 20 {
            let frame = socket.event().await;
            frame["cursor"].as_str().unwrap().clone_into(&mut cursor);
            heard.push(frame["data"]["content"].as_str().unwrap().to_owned());
        }
        if number == 30 {
            cluster.pair.a.kill();
            socket = cluster.there(&anna).socket_since(&cursor).await;
        }
    }
    for (socket, heard) in [(&mut socket, &mut heard), (&mut bobs, &mut Vec::new())] {
        while heard.len() < expected.len() {
            let frame = socket.event().await;
            assert_eq!(frame["type"], "message.created", "{frame}");
            heard.push(frame["data"]["content"].as_str().unwrap().to_owned());
        }
        assert_eq!(*heard, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_told_to_stop_says_goodbye_under_load() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let alice = cluster.pair.a.client().join("alice").await;
    let anna = cluster.pair.a.client().join("anna").await;
    let sent = alice.send("anna", "hello").await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        let mut socket = anna.socket().await;
        socket.settle().await;
        sockets.push(socket);
    }
    let writers = (0..4).map(|_| {
        let (alice, conversation) = (alice.clone(), sent["conversation"].clone());
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            loop {
                let body = json!({ "conversation": conversation, "content": "load" });
                let request = alice.request(http::Method::POST, "/api/chats/messages/").json(&body);
                match alice.try_run(request).await {
                    Ok(reply) if reply.status == 201 => acknowledged.push(reply.str("id")),
                    Ok(_) | Err(_) => return acknowledged,
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopping = cluster.pair.a.terminate();
    let hearing = join_all(sockets.iter_mut().map(|socket| async {
        let mut heard = Vec::new();
        loop {
            match socket.hear().await {
                e2e::Heard::Frame(frame) if frame["type"] == "message.created" => {
                    heard.push(frame["data"]["id"].as_str().unwrap().to_owned());
                }
                e2e::Heard::Frame(_) => {}
                e2e::Heard::Closed(code, reason) => {
                    assert_eq!(code, 1001);
                    assert!(reason.contains("reconnect"), "{reason}");
                    return heard;
                }
                e2e::Heard::Gone => panic!("it said nothing"),
            }
        }
    }));
    let (clean, heard) = tokio::join!(stopping, hearing);
    assert!(clean, "it ends by itself");
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    // What the sockets have not heard any more, they hear elsewhere; nothing acknowledged is lost.
    for (socket, mut heard) in sockets.iter().zip(heard) {
        let there = cluster.there(&anna);
        let mut resumed = there.socket_since(socket.cursor.as_ref().unwrap()).await;
        while !acknowledged.iter().all(|id| heard.contains(id)) {
            heard.push(resumed.event().await["data"]["id"].as_str().unwrap().to_owned());
        }
        let mut once = heard.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), heard.len(), "nothing came twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_asked_of_one_replica_is_made_at_once_by_the_one_that_sends() {
    let Some(cluster) = Cluster::start().await else { return };
    let (pair, impostor) = (&cluster.pair, Impostor::start().await);
    let alice = pair.a.client().join("alice").await;
    let bob = pair.b.client().join("bob").await;
    let mut admin = cluster.second.client();
    admin.name = "root".to_owned();
    let password = pair.a.folder().join("password");
    std::fs::write(&password, e2e::PASSWORD).unwrap();
    let password = password.display().to_string();
    let made = ["create-admin", "--username", "root", "--email", "root@example.org"];
    pair.a.succeed(&[&made[..], &["--password-file", &password]].concat());
    admin.log_in().await;
    let sent = alice.send("bob@app-b", "0").await;
    let conversation = sent["conversation"].as_str().unwrap();
    let mut expected = vec!["0".to_owned()];
    let arrived = async |expected: &[String]| {
        eventually("it arrives", || async {
            (bob.read(conversation).await == expected).then_some(())
        })
        .await;
    };
    arrived(&expected).await;
    // Whoever sends does not hear the peer meanwhile.
    pair.b_to_a.disturb(Disturbance::Down);
    let mut sql = Sql::open(&pair.a.storage).await;
    let fence = "SELECT CAST(fence AS TEXT) FROM leases WHERE peer = 'app-b'";
    for number in 1..=2 {
        if number == 2 {
            // Then it is found in the database.
            cluster.to_redis.disturb(Disturbance::Down);
        }
        impostor.say(503, &[("retry-after", "300")], Vec::new());
        pair.a_to_b.lead_to(impostor.address);
        let tries = impostor.asked().len();
        alice.send("bob@app-b", &number.to_string()).await;
        expected.push(number.to_string());
        eventually("the peer asks for patience", || async {
            (impostor.asked().len() > tries).then_some(())
        })
        .await;
        eventually("the first replica grants it", || async {
            let peers: serde_json::Value =
                serde_json::from_str(&pair.a.succeed(&["peers", "--json"])).unwrap();
            peers[0]["retry_at"].is_string().then_some(())
        })
        .await;
        // Another replica would take over once a lease is ten seconds old, and the fence would tell.
        let before = sql.text(fence).await;
        pair.a_to_b.lead_to(pair.b.bind);
        admin.post("/api/admin/outbox/retry/", &json!({})).await.expect(200);
        arrived(&expected).await;
        assert_eq!(sql.text(fence).await, before, "the one that sends has sent it");
        eventually("it was told through Redis", || async {
            pair.a.has_logged("another replica has peers tried at once").then_some(())
        })
        .await;
    }
}
