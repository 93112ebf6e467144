//! What an app takes from a peer, and what it refuses: batches that no sound sender would send, signed by the test
//! as AppB, straight to AppA.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{Client, Database, Pair, Reply, eventually, on_both_databases};
use futures::future::join_all;
use http::Method;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use shared::id::StreamId;
use shared::relay::{EVENTS_PATH, MAX_BATCH};
use shared::time::Timestamp;

use crate::support::peer::{OTHER, World, claims, header, outcomes, sign, user};
use crate::support::problem::IsProblem;
use crate::support::raw::raw;
use crate::support::seal::Token;

on_both_databases!(
    only_a_request_that_a_peer_has_signed_is_taken,
    neither_kind_of_token_is_good_at_the_routes_of_the_other,
    a_captured_request_is_good_only_where_and_as_it_was_sent,
    a_batch_delivered_100_times_at_once_is_taken_once,
    events_after_a_gap_are_early_until_it_is_filled,
    states_converge_whatever_their_order,
    a_peer_speaks_for_its_own_users_alone,
    a_peer_begins_only_conversations_that_it_may,
    a_malformed_event_is_refused_alone,
    a_refused_event_is_refused_again,
    what_nothing_depends_on_may_be_malformed,
    a_batch_that_is_none_is_refused_whole,
    a_new_stream_takes_over_and_the_old_one_is_stale,
    a_peer_tells_of_its_own_readers_alone_and_never_too_much,
    an_answer_to_a_message_elsewhere_is_refused,
    a_token_that_does_not_open_is_stored_and_shown_as_unreadable,
    who_is_let_in_by_another_replica_is_not_refused_for_what_is_remembered,
);

async fn only_a_request_that_a_peer_has_signed_is_taken(database: Database) {
    let world = World::new(database).await;
    let body = serde_json::to_vec(
        &world.batch(vec![world.message_event(2, world.message("a forged text"))]),
    )
    .unwrap();
    let secret = &world.pair.relay_secret;
    let good = claims(&body);
    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        sign(&header(), &claims, secret)
    };
    let now = good["iat"].as_i64().unwrap();
    let times = |iat: i64, exp: i64| {
        let mut claims = good.clone();
        (claims["iat"], claims["exp"]) = (json!(iat), json!(exp));
        sign(&header(), &claims, secret)
    };
    let headed = |header: &Header| sign(header, &good, secret);
    let sound = sign(&header(), &good, secret);
    let (signed, signature) = sound.rsplit_once('.').unwrap();
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"relay+jwt","kid":"app-b"}"#),
        signed.split('.').nth(1).unwrap()
    );
    let mut forged = vec![
        ("rubbish", "x.y.z".to_owned()),
        ("no signature", format!("{signed}.")),
        ("half a signature", format!("{signed}.{}", &signature[..20])),
        ("alg none", unsigned),
        ("another secret", sign(&header(), &good, &"s".repeat(44))),
        ("the JWT secret", sign(&header(), &good, world.pair.a.config.jwt_secret.expose())),
        ("another algorithm", headed(&Header { alg: Algorithm::HS512, ..header() })),
        ("no type", headed(&Header { typ: None, ..header() })),
        ("an access token's type", headed(&Header { typ: Some("at+jwt".into()), ..header() })),
        ("no key id", headed(&Header { kid: None, ..header() })),
        ("an unknown peer", headed(&Header { kid: Some("app-c".into()), ..header() })),
        ("the app itself", headed(&Header { kid: Some("app-a".into()), ..header() })),
        ("a path", headed(&Header { kid: Some("../../etc/passwd".into()), ..header() })),
        ("another issuer", with("iss", json!("app-c"))),
        ("another audience", with("aud", json!("app-c"))),
        ("reflected", with("aud", json!("app-b"))),
        ("another method", with("htm", json!("GET"))),
        ("another path", with("htu", json!("/relay/v1/users/"))),
        ("a path with a query", with("htu", json!(format!("{EVENTS_PATH}?x")))),
        ("another body", with("digest", claims(b"another")["digest"].clone())),
        ("no digest", with("digest", Value::Null)),
        ("an empty digest", with("digest", json!(""))),
        ("6 minutes old", times(now - 360, now - 300)),
        ("6 minutes old, for a long time", times(now - 360, now + 60)),
        ("6 minutes ahead", times(now + 360, now + 420)),
        ("for a day", times(now, now + 86_400)),
        ("for ever", with("exp", Value::Null)),
        ("until never", with("exp", json!("never"))),
        ("without a beginning", with("iat", Value::Null)),
    ];
    for claim in ["exp", "iat", "iss", "aud", "htm", "htu", "digest", "jti"] {
        let mut less = good.clone();
        less.as_object_mut().unwrap().remove(claim);
        forged.push((claim, sign(&header(), &less, secret)));
    }
    let mut sql = world.sql().await;
    let before = sql.size().await;
    for (what, token) in forged {
        let reply = world.post_with(&token, body.clone()).await;
        assert_eq!(reply.status, 401, "{what}: {reply:#?}");
        // Who has signed it for another time is told which it is; nobody else is.
        let skewed = matches!(what, "6 minutes old" | "6 minutes ahead");
        assert_eq!(reply.headers.contains_key("relay-time"), skewed, "{what}");
        reply.problem(401, if skewed { "clock_skew" } else { "invalid_service_token" });
    }
    let nobody = world.pair.a.client();
    let post = || nobody.request(Method::POST, EVENTS_PATH).body(body.clone());
    nobody.run(post()).await.problem(401, "invalid_service_token");
    for header in ["Bearer", "Bearer ", "Basic YTpi", &format!("Token {sound}"), &sound] {
        nobody.run(post().header("authorization", header)).await.expect(401);
    }
    let two = post().header("authorization", "Bearer x").bearer_auth(&sound);
    nobody.run(two).await.expect(401);
    let asked = nobody.request(Method::POST, &format!("{EVENTS_PATH}?x=1")).body(body.clone());
    nobody.run(asked.bearer_auth(&sound)).await.problem(401, "invalid_service_token");
    assert_eq!(sql.size().await, before);
    let reply = world.post_with(&sound, body).await.expect(200);
    assert_eq!(outcomes(&reply), ["stored"]);
    assert_eq!(world.seen().await, ["a forged text"]);
    world.pair.stop().await;
}

async fn neither_kind_of_token_is_good_at_the_routes_of_the_other(database: Database) {
    let world = World::new(database).await;
    // A user at the routes of peers.
    let events = world.alice.post(EVENTS_PATH, &world.batch(Vec::new())).await;
    events.problem(401, "invalid_service_token");
    let path = "/relay/v1/users/?username=alice";
    world.alice.get(path).await.problem(401, "invalid_service_token");
    world.pair.a.client().get(path).await.problem(401, "invalid_service_token");
    world.pair.a.client().get("/relay/v1/users/").await.problem(401, "invalid_service_token");
    // A peer at the routes of users.
    let mut peer = world.pair.a.client();
    for (method, path) in [
        (Method::GET, "/api/auth/me/"),
        (Method::GET, "/api/messages/inbox/"),
        (Method::GET, "/api/chats/messages/"),
        (Method::GET, "/api/users/get_by_username/?username=alice"),
        (Method::POST, "/api/chats/conversations/"),
        (Method::POST, "/api/messages/send/"),
        (Method::POST, "/api/auth/logout/"),
    ] {
        let mut claims = claims(b"");
        (claims["htm"], claims["htu"]) = (json!(method.as_str()), json!(path));
        claims["sub"] = world.card["id"].clone();
        peer.token = Some(sign(&header(), &claims, &world.pair.relay_secret));
        peer.run(peer.request(method, path)).await.problem(401, "invalid_token");
    }
    // The lookup itself, signed: everybody's view of a user of this app, and of no other.
    for (name, status) in [("ALICE", 200), ("carol", 404), ("bob", 404), ("%25", 400), ("", 400)] {
        let path = format!("/relay/v1/users/?username={name}");
        let mut claims = claims(b"");
        (claims["htm"], claims["htu"]) = (json!("GET"), json!(path));
        peer.token = Some(sign(&header(), &claims, &world.pair.relay_secret));
        let reply = peer.get(&path).await.expect(status);
        assert!(!reply.text.contains("example.org"), "{reply:#?}");
        assert_eq!(reply.json["username"] == "alice", status == 200);
    }
    world.pair.stop().await;
}

/// The first request to the events route that has passed, its head and its body.
fn captured(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let find = |needle: &[u8], from: usize| {
        let found = bytes[from..].windows(needle.len()).position(|window| window == needle);
        found.map(|index| from + index)
    };
    let mut start = find(b"POST /relay/v1/events/", 0)?;
    loop {
        let end = find(b"\r\n\r\n", start)? + 4;
        let head = String::from_utf8(bytes[start..end].to_vec()).ok()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        })?;
        let body = bytes.get(end..end + length)?.to_vec();
        if body.windows(9).any(|window| window == b"\"message\"") {
            return Some((head, body));
        }
        start = find(b"POST /relay/v1/events/", end)?;
    }
}

async fn a_captured_request_is_good_only_where_and_as_it_was_sent(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "once").await;
    let conversation = sent["conversation"].as_str().unwrap();
    let (head, body) = eventually("the message passes the wire", || async {
        let read = bob.read(conversation).await;
        captured(&pair.a_to_b.recorded()).filter(|_| read.len() == 1)
    })
    .await;
    let token = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    let headers = |length: usize| {
        format!(
            "{}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n",
            token.unwrap()
        )
    };
    let post = async |to: &Client, line: &str, body: &[u8]| {
        raw(to, line, &headers(body.len()), body).await.expect("an answer")
    };
    let line = format!("POST {EVENTS_PATH} HTTP/1.1");
    // Back to its sender.
    post(&pair.a.client(), &line, &body).await.problem(401, "invalid_service_token");
    // To its receiver with another body, to another path, by another method.
    let changed = String::from_utf8(body.clone()).unwrap().replace("app-a", "app-c");
    let b = pair.b.client();
    post(&b, &line, changed.as_bytes()).await.problem(401, "invalid_service_token");
    post(&b, &format!("POST {EVENTS_PATH}?x HTTP/1.1"), &body).await.expect(401);
    post(&b, "GET /relay/v1/users/?username=bob HTTP/1.1", &body).await.expect(401);
    // As it was, it is a repeat, and changes nothing.
    let reply = post(&b, &line, &body).await.expect(200);
    assert!(outcomes(&reply).iter().all(|outcome| outcome == "stored"));
    assert_eq!(bob.read(conversation).await, ["once"]);
    pair.stop().await;
}

/// What an answer says of a batch, but for what was there before it.
fn fate(reply: &Reply) -> Value {
    let mut answer = reply.json.clone();
    assert!(answer["before"].take().is_i64(), "{reply:#?}");
    answer
}

async fn a_batch_delivered_100_times_at_once_is_taken_once(database: Database) {
    let world = World::empty(database).await;
    let texts: Vec<_> = (0..20).map(|n| format!("text {n}")).collect();
    let mut events = vec![world.conversation_event(1, world.direct())];
    for (seq, text) in (2..).zip(&texts) {
        events.push(world.message_event(seq, world.message(text)));
    }
    events.push(world.event(22, &json!({ "type": "nonsense" })));
    let body = serde_json::to_vec(&world.batch(events)).unwrap();
    let token = sign(&header(), &claims(&body), &world.pair.relay_secret);
    let replies = join_all((0..100).map(|_| world.post_with(&token, body.clone()))).await;
    for reply in &replies {
        assert_eq!(reply.status, 200, "{reply:#?}");
        assert_eq!(fate(reply), fate(&replies[0]));
    }
    let first = replies.iter().filter(|reply| reply.json["before"] == 0);
    assert_eq!(first.count(), 1, "the others are told that it was settled before");
    assert_eq!(replies[0].json["position"], 22);
    assert_eq!(outcomes(&replies[0])[20..], ["stored", "malformed"]);
    assert_eq!(world.seen().await, texts);
    assert_eq!(world.alice.get("/api/messages/inbox/").await.expect(200).json["count"], 20);
    world.pair.stop().await;
}

async fn events_after_a_gap_are_early_until_it_is_filled(database: Database) {
    let world = World::new(database).await;
    let event = |seq| world.message_event(seq, world.message(&seq.to_string()));
    let events: Vec<Value> = (0..8).map(event).collect();
    let deliver = async |seqs: std::ops::Range<usize>| {
        let reply = world.deliver(events[seqs].to_vec()).await;
        (reply.json["position"].as_i64().unwrap(), outcomes(&reply))
    };
    // 4, 2, 3: nobody sees 4 before 2 and 3.
    assert_eq!(deliver(4..5).await, (1, vec!["early".to_owned()]));
    assert_eq!(world.seen().await, Vec::<String>::new());
    assert_eq!(deliver(2..3).await.0, 2);
    assert_eq!(deliver(4..6).await, (2, vec!["early".to_owned(); 2]));
    assert_eq!(deliver(3..4).await.0, 3);
    assert_eq!(world.seen().await, ["2", "3"]);
    // Overlapping what is there already, and then all of it again.
    assert_eq!(deliver(2..6).await, (5, vec!["stored".to_owned(); 4]));
    assert_eq!(deliver(5..8).await, (7, vec!["stored".to_owned(); 3]));
    assert_eq!(deliver(2..4).await, (7, vec!["stored".to_owned(); 2]));
    assert_eq!(world.seen().await, ["2", "3", "4", "5", "6", "7"]);
    world.pair.stop().await;
}

async fn states_converge_whatever_their_order(database: Database) {
    let world = World::new(database).await;
    let mut seq = 2;
    let orders: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for together in [true, false] {
        for ends_deleted in [false, true] {
            for order in orders {
                let original = world.message("original");
                let edit = world.edited(&original, 1_800_000_000_000_000, "edited");
                let last = if ends_deleted {
                    world.deleted(&original)
                } else {
                    world.edited(&original, 1_800_000_000_000_001, "edited again")
                };
                let states = [original, edit, last];
                let events: Vec<_> = order
                    .iter()
                    .zip(seq..)
                    .map(|(&index, seq)| world.message_event(seq, states[index].clone()))
                    .collect();
                seq += 3;
                let batches = if together {
                    vec![events]
                } else {
                    events.into_iter().map(|event| vec![event]).collect()
                };
                for batch in batches {
                    let reply = world.deliver(batch).await;
                    assert!(outcomes(&reply).iter().all(|o| o == "stored"), "{reply:#?}");
                }
                let path = format!("/api/chats/messages/{}/", states[0]["id"].as_str().unwrap());
                let seen = world.alice.get(&path).await.expect(200).json;
                let what = format!("{order:?}, together: {together}");
                if ends_deleted {
                    assert_eq!(seen["content"], Value::Null, "{what}");
                    assert_eq!(seen["deleted_at"], states[2]["deleted_at"], "{what}");
                } else {
                    assert_eq!(seen["content"], "edited again", "{what}");
                    assert_eq!(seen["edited_at"], states[2]["edited_at"], "{what}");
                    assert_eq!(seen["deleted_at"], Value::Null, "{what}");
                }
                assert!(seen.get("content_error").is_none(), "{what}");
                assert_eq!(seen["created_at"], states[0]["created_at"], "{what}");
            }
        }
    }
    world.pair.stop().await;
}

#[expect(clippy::too_many_lines, reason = "most of it is a table")]
async fn a_peer_speaks_for_its_own_users_alone(database: Database) {
    let world = World::new(database).await;
    let carol = world.pair.a.client().join("carol").await;
    let private = world.alice.send("carol", "between users of this app").await;
    let answer = json!({ "conversation": world.conversation, "content": "Alice's own" });
    let own = world.alice.post("/api/chats/messages/", &answer).await.expect(201).json;
    let dave = user(&world.clock, "dave", "app-b");
    let group = world.group(&[&world.card, &dave]);
    let first = world.message("before");
    let reply = world
        .deliver(vec![
            world.message_event(2, first.clone()),
            world.conversation_event(3, group.clone()),
        ])
        .await;
    assert_eq!(outcomes(&reply), ["stored", "stored"]);
    let change = |message: &Value, changes: &[(&str, &Value)]| {
        let mut message = message.clone();
        for (key, value) in changes {
            message[*key] = (*value).clone();
        }
        message
    };
    let new = |changes: &[(&str, &Value)]| change(&world.message("forged"), changes);
    let stolen = json!(
        Token::seal(
            world.keys(),
            own["id"].as_str().unwrap(),
            world.bob["id"].as_str().unwrap(),
            1_900_000_000_000_000,
            "forged"
        )
        .wire()
    );
    let later = &json!(1_900_000_000_000_000_i64);
    let far = json!("2999-01-01T00:00:00Z");
    let huge = json!(Token::seal(world.keys(), OTHER, OTHER, 0, &"x".repeat(200_000)).wire());
    let local = &private["conversation"];
    let refused = [
        ("as a user of this app", new(&[("sender", &world.card["id"])]), "not_your_user"),
        ("as nobody", new(&[("sender", &json!(OTHER))]), "not_a_participant"),
        ("as its user who is not in it", new(&[("sender", &dave["id"])]), "not_a_participant"),
        ("nowhere", new(&[("conversation", &json!(OTHER))]), "unknown_conversation"),
        ("where its user is not", new(&[("conversation", local)]), "not_a_participant"),
        (
            "as a user of this app, among users of this app",
            new(&[("conversation", local), ("sender", &world.card["id"])]),
            "not_your_user",
        ),
        (
            "over a message of this app",
            new(&[("id", &own["id"]), ("content", &stolen), ("revision", later)]),
            "message_conflict",
        ),
        (
            "the end of a message of this app",
            change(&world.deleted(&first), &[("id", &own["id"])]),
            "message_conflict",
        ),
        (
            "the end of a message that its user may not even see",
            change(&world.deleted(&first), &[("id", &private["id"])]),
            "message_conflict",
        ),
        (
            "its message elsewhere",
            change(&first, &[("conversation", &group["id"]), ("revision", later)]),
            "message_conflict",
        ),
        (
            "its message by another of its users",
            change(
                &first,
                &[("conversation", &group["id"]), ("sender", &dave["id"]), ("revision", later)],
            ),
            "message_conflict",
        ),
        ("from the future", new(&[("created_at", &far)]), "from_the_future"),
        ("far too long", new(&[("content", &huge)]), "too_large"),
    ];
    let mut events = Vec::new();
    let mut expected = Vec::new();
    for (seq, (_, state, code)) in (4..).step_by(2).zip(refused.iter()) {
        events.push(world.message_event(seq, state.clone()));
        events.push(world.message_event(seq + 1, world.message(&format!("good {seq}"))));
        expected.extend([(*code).to_owned(), "stored".to_owned()]);
    }
    let reply = world.deliver(events).await;
    let seen = outcomes(&reply);
    for (index, (what, ..)) in refused.iter().enumerate() {
        assert_eq!(seen[2 * index..2 * index + 2], expected[2 * index..2 * index + 2], "{what}");
    }
    let last = i64::try_from(refused.len()).unwrap() * 2 + 3;
    assert_eq!(reply.json["position"], last);
    let mut texts = vec!["Alice's own".to_owned(), "before".to_owned()];
    texts.extend((4..last).step_by(2).map(|seq| format!("good {seq}")));
    assert_eq!(world.seen().await, texts);
    let conversation = private["conversation"].as_str().unwrap();
    assert_eq!(carol.read(conversation).await, ["between users of this app"]);
    // Who has left speaks no more.
    let mut without = world.group(&[&world.card, &dave]);
    let leave = json!({ "deed": "remove", "user": dave["id"] });
    without["changes"].as_array_mut().unwrap().push(world.change(&dave, leave));
    let late = json!({ "conversation": without["id"], "sender": dave["id"] });
    let mut message = world.message("too late");
    message.as_object_mut().unwrap().extend(late.as_object().unwrap().clone());
    let events =
        vec![world.conversation_event(last + 1, without), world.message_event(last + 2, message)];
    assert_eq!(outcomes(&world.deliver(events).await), ["stored", "not_a_participant"]);
    world.pair.stop().await;
}

#[expect(clippy::too_many_lines, reason = "most of it is a table")]
async fn a_peer_begins_only_conversations_that_it_may(database: Database) {
    let world = World::new(database).await;
    let carol = world.pair.a.client().join("carol").await;
    let carol = carol.get("/api/auth/me/").await.expect(200).json;
    let body = json!({ "participants": ["carol"], "title": "Ours" });
    let ours = world.alice.post("/api/chats/conversations/", &body).await.expect(201).json;
    let dave = user(&world.clock, "dave", "app-b");
    let erin = user(&world.clock, "erin", "app-c");
    let change = |state: Value, path: &str, value: Value| {
        let mut state = state;
        *state.pointer_mut(path).unwrap() = value;
        state
    };
    let with_alice = || world.group(&[&world.card]);
    let mut impostor = carol.clone();
    impostor["id"] = world.card["id"].clone();
    let ghost = user(&world.clock, "ghost", "app-a");
    let crowd: Vec<_> =
        (0..500).map(|n| user(&world.clock, &format!("user{n}"), "app-b")).collect();
    let mut crowd: Vec<_> = crowd.iter().collect();
    crowd.push(&world.card);
    let bob_twice = user(&world.clock, "bob", "app-b");
    let mut taken = user(&world.clock, "taken", "app-b");
    taken["id"] = world.bob["id"].clone();
    let mut control = dave.clone();
    control["first_name"] = json!("a\u{0}b");
    let mut endless = dave.clone();
    endless["last_name"] = json!("x".repeat(10_000));
    let ages_ago = "2001-01-01T00:00:00Z";
    let far = json!(world.clock.now().after(std::time::Duration::from_hours(48)).to_string());
    let cases = [
        ("by a user of this app", change(with_alice(), "/created_by", world.card["id"].clone())),
        ("by nobody in it", change(with_alice(), "/created_by", json!(OTHER))),
        ("by a user of a third app", {
            let mut state = world.group(&[&world.card, &erin]);
            state["created_by"] = erin["id"].clone();
            state
        }),
        ("of nobody here", world.group(&[&dave])),
        ("that everybody here has left", {
            let mut state = with_alice();
            let remove = json!({ "deed": "remove", "user": world.card["id"] });
            state["changes"].as_array_mut().unwrap().push(world.change(&world.bob, remove));
            state
        }),
        ("of one person", world.group(&[])),
        ("of nobody", change(with_alice(), "/users", json!([]))),
        ("of too many", world.group(&crowd)),
        ("of the same person twice", world.group(&[&world.card, &world.card])),
        ("of a user this app has not", world.group(&[&world.card, &ghost])),
        ("of a user of this app by another's id", world.group(&[&impostor])),
        ("of two of one name", world.group(&[&world.card, &bob_twice])),
        ("of somebody new, and of a known user by another's id", {
            let mut state = world.group(&[&world.card, &dave]);
            state["created_by"] = bob_twice["id"].clone();
            state["users"][0] = bob_twice.clone();
            state["users"].as_array_mut().unwrap().reverse();
            for change in state["changes"].as_array_mut().unwrap() {
                change["actor"] = bob_twice["id"].clone();
            }
            state
        }),
        ("of a known user under another name", {
            let mut state = with_alice();
            state["users"][0] = taken;
            state
        }),
        ("with a NUL in a name", world.group(&[&world.card, &control])),
        ("with an endless name", world.group(&[&world.card, &endless])),
        ("begun in the far future", change(with_alice(), "/created_at", far.clone())),
        ("joined in the far future", change(with_alice(), "/changes/1/at", far.clone())),
        ("named in the far future", change(with_alice(), "/changes/0/at", far)),
        ("changed before it began", change(with_alice(), "/changes/1/at", json!(ages_ago))),
        ("with an empty title", change(with_alice(), "/changes/0/title", json!(""))),
        ("with a NUL in the title", change(with_alice(), "/changes/0/title", json!("a\u{0}b"))),
        ("with a title too long", change(with_alice(), "/changes/0/title", json!("x".repeat(201)))),
        (
            "with a change by who is not named",
            change(with_alice(), "/changes/0/actor", json!(OTHER)),
        ),
        ("with somebody who is not named", change(with_alice(), "/changes/1/user", json!(OTHER))),
        ("named by a user of this app", {
            change(with_alice(), "/changes/0/actor", world.card["id"].clone())
        }),
        ("a direct one under a wrong id", change(world.direct(), "/id", json!(OTHER))),
        ("a direct one with a title", {
            let title = json!({ "deed": "title", "title": "x" });
            change(world.direct(), "/changes", json!([world.change(&world.bob, title)]))
        }),
        ("a direct one of three", {
            let mut state = world.group(&[&world.card, &carol]);
            state["kind"] = json!("direct");
            state["id"] = json!(world.conversation);
            state
        }),
        ("the direct one as a group", {
            let mut state = with_alice();
            state["id"] = json!(world.conversation);
            state
        }),
        ("a group of this app", {
            let mut state = with_alice();
            state["id"] = ours["id"].clone();
            state
        }),
    ];
    let mut sql = world.sql().await;
    let before = sql.size().await;
    let (mut events, mut seq) = (Vec::new(), 2);
    for (_, state) in &cases {
        events.push(world.conversation_event(seq, state.clone()));
        events.push(world.message_event(seq + 1, world.message(&format!("good {seq}"))));
        seq += 2;
    }
    let reply = world.deliver(events).await;
    for (pair, (what, _)) in outcomes(&reply).chunks(2).zip(&cases) {
        let name = what.contains(" name") && pair[0] == "malformed";
        let refused = !matches!(pair[0].as_str(), "stored" | "early" | "malformed");
        assert!(refused || name, "{what}: {pair:?}");
        assert_eq!(pair[1], "stored", "after one {what}");
    }
    // Only the good messages are there: no conversation, no participant, no user.
    let (rows, messages) = before.rsplit_once(' ').unwrap();
    let messages: usize = messages.parse().unwrap();
    assert_eq!(sql.size().await, format!("{rows} {}", messages + cases.len()));
    let path = format!("/api/chats/conversations/{}/", ours["id"].as_str().unwrap());
    let mut now = world.alice.get(&path).await.expect(200).json;
    now["updated_at"] = ours["updated_at"].clone();
    assert_eq!(now, ours);
    world.pair.stop().await;
}

async fn a_malformed_event_is_refused_alone(database: Database) {
    let world = World::new(database).await;
    // Of a length that needs padding.
    let good = world.message("a text of some length");
    let without = |key: &str| {
        let mut message = good.clone();
        message.as_object_mut().unwrap().remove(key);
        json!({ "type": "message", "data": message })
    };
    let with = |key: &str, value: Value| {
        let mut message = good.clone();
        message[key] = value;
        json!({ "type": "message", "data": message })
    };
    let token = good["content"].as_str().unwrap();
    let (key, fernet) = token.split_once(':').unwrap();
    let bodies = [
        json!(null),
        json!(7),
        json!("message"),
        json!([]),
        json!({}),
        json!({ "type": "message" }),
        json!({ "type": "nonsense", "data": {} }),
        json!({ "type": "message", "data": [] }),
        json!({ "type": "conversation", "data": good }),
        json!({ "data": good }),
        without("id"),
        without("conversation"),
        without("sender"),
        without("revision"),
        without("created_at"),
        with("id", json!("x")),
        with("sender", json!(7)),
        with("revision", json!("0")),
        with("revision", json!(1.5)),
        with("revision", json!(u64::MAX)),
        with("created_at", json!("yesterday")),
        with("created_at", json!("2026-02-30T00:00:00Z")),
        with("created_at", json!("99999-01-01T00:00:00Z")),
        // What is no token is not stored, least of all a text in the clear.
        with("content", json!("a text in the clear")),
        with("content", json!(fernet)),
        with("content", json!(format!("{key}:{}", fernet.trim_end_matches('=')))),
        with("content", json!(format!("{key}:{fernet} "))),
        with("content", json!(format!("{}:{fernet}", key.to_uppercase() + "G"))),
        with("content", json!({ "$sealed": token })),
        with("content", json!("")),
        with("content", Value::Null),
        with("deleted_at", json!("2026-01-01T00:00:00Z")),
    ];
    let mut events = Vec::new();
    let mut texts = Vec::new();
    let mut seq = 2;
    for body in &bodies {
        texts.push(format!("good {seq}"));
        events.push(world.event(seq, body));
        events.push(world.message_event(seq + 1, world.message(texts.last().unwrap())));
        seq += 2;
    }
    let reply = world.deliver(events).await;
    for (outcomes, body) in outcomes(&reply).chunks(2).zip(&bodies) {
        assert_eq!(outcomes, ["malformed", "stored"], "{body}");
    }
    assert_eq!(reply.json["position"], seq - 1);
    // An event that is deeper than any parser goes.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let batch = world.batch(vec![
        world.event(seq, &json!("DEEP")),
        world.message_event(seq + 1, world.message("after")),
    ]);
    let reply = world.post(batch.to_string().replace("\"DEEP\"", &deep).into_bytes()).await;
    assert_eq!(outcomes(&reply.expect(200)), ["malformed", "stored"]);
    // A number that only passes by.
    let void = world.event(seq + 2, &json!({ "type": "void" }));
    assert_eq!(outcomes(&world.deliver(vec![void]).await), ["stored"]);
    texts.push("after".to_owned());
    assert_eq!(world.seen().await, texts);
    let dump = world.pair.a.storage.dump().await;
    let clear = b"a text in the clear";
    assert!(!dump.windows(clear.len()).any(|window| window == clear));
    world.pair.stop().await;
}

async fn a_refused_event_is_refused_again(database: Database) {
    let mut world = World::new(database).await;
    let mut forged = world.message("forged");
    forged["sender"] = world.card["id"].clone();
    let events = vec![
        world.message_event(2, world.message("good")),
        world.message_event(3, forged),
        world.event(4, &json!("malformed")),
        world.message_event(5, world.message("good too")),
    ];
    let first = world.deliver(events.clone()).await;
    assert_eq!(outcomes(&first), ["stored", "not_your_user", "malformed", "stored"]);
    assert_eq!(fate(&world.deliver(events.clone()).await), fate(&first));
    world.pair.a.stop().await;
    world.pair.a.start().await;
    assert_eq!(fate(&world.deliver(events.clone()).await), fate(&first));
    // A part of them, and then with something new behind.
    assert_eq!(outcomes(&world.deliver(events[1..3].to_vec()).await), outcomes(&first)[1..3]);
    let mut more = events[2..].to_vec();
    more.push(world.message_event(6, world.message("new")));
    assert_eq!(outcomes(&world.deliver(more).await), ["malformed", "stored", "stored"]);
    world.alice.log_in().await;
    assert_eq!(world.seen().await, ["good", "good too", "new"]);
    world.pair.stop().await;
}

async fn what_nothing_depends_on_may_be_malformed(database: Database) {
    let world = World::new(database).await;
    let mut events = vec![
        world.message_event(2, world.message("one")),
        world.message_event(3, world.message("two")),
    ];
    events[0]["id"] = json!("no id");
    events[0]["trace"] = json!({ "no": "trace" });
    events[1].as_object_mut().unwrap().remove("id");
    assert_eq!(outcomes(&world.deliver(events).await), ["stored", "stored"]);
    assert_eq!(world.seen().await, ["one", "two"]);
    // What a message is found by is canonical, or it is as if it were not there.
    let mut others = Vec::new();
    for (seq, terms) in
        [json!({ "no": "terms" }), json!("AQAAAAE"), json!("AA"), json!(7)].iter().enumerate()
    {
        let mut state = world.message(&format!("other {seq}"));
        state["terms"] = terms.clone();
        others.push(world.message_event(4 + i64::try_from(seq).unwrap(), state));
    }
    assert_eq!(outcomes(&world.deliver(others).await), ["stored"; 4]);
    assert_eq!(world.seen().await.len(), 6);
    let found = world.alice.get("/api/chats/messages/?search=other").await.expect(200);
    assert_eq!(found.json["count"], 0, "until they are made here");
    // A group that a user of a third app has named is taken with all that is said of it.
    let erin = user(&world.clock, "erin", "app-c");
    let mut group = world.group(&[&world.card, &erin]);
    group["changes"][2]["role"] = json!("admin");
    let title = json!({ "deed": "title", "title": "Named from afar" });
    group["changes"].as_array_mut().unwrap().push(world.change(&erin, title));
    let id = group["id"].as_str().unwrap().to_owned();
    assert_eq!(
        outcomes(&world.deliver(vec![world.conversation_event(8, group)]).await),
        ["stored"]
    );
    let seen = world.alice.get(&format!("/api/chats/conversations/{id}/")).await.expect(200);
    assert_eq!(seen.json["participants"].as_array().unwrap().len(), 3);
    assert_eq!(seen.json["title"], "Named from afar");
    world.pair.stop().await;
}

async fn a_batch_that_is_none_is_refused_whole(database: Database) {
    let world = World::new(database).await;
    let mut sql = world.sql().await;
    let before = sql.size().await;
    let message = |seq| world.message_event(seq, world.message("x"));
    let void = |seq: i64| world.event(seq, &json!({ "type": "void" }));
    let most = i64::try_from(MAX_BATCH).unwrap();
    let fault = async |events: Vec<Value>| {
        let body = serde_json::to_vec(&world.batch(events)).unwrap();
        let reply = world.post(body).await.problem(400, "invalid");
        assert!(reply.json["errors"]["events"].is_array(), "{reply:#?}");
    };
    fault((2..most + 3).map(void).collect()).await;
    fault(vec![message(2), message(4)]).await;
    fault(vec![message(3), message(2)]).await;
    fault(vec![message(2), message(2)]).await;
    fault(vec![void(i64::MAX), void(i64::MIN)]).await;
    fault(vec![void(0)]).await;
    fault(vec![void(-1)]).await;
    fault(vec![void(i64::MIN), void(i64::MIN + 1)]).await;
    for body in ["", "{", "[]", "null", "{}", r#"{"origin":"app-b"}"#, "\u{feff}{}", "{} {}"] {
        let reply = world.post(body.as_bytes().to_vec()).await.expect(400);
        let code = reply.code().to_owned();
        reply.problem(400, &code);
    }
    let mut batch = world.batch(vec![message(2)]);
    batch["stream"] = json!("x");
    world.post(batch.to_string().into_bytes()).await.expect(400);
    batch["stream"] = json!(world.stream);
    batch["events"][0]["seq"] = json!("2");
    world.post(batch.to_string().into_bytes()).await.expect(400);
    for origin in ["app-a", "app-c"] {
        let mut batch = world.batch(vec![message(2)]);
        batch["origin"] = json!(origin);
        world.post(batch.to_string().into_bytes()).await.problem(403, "not_your_stream");
    }
    let mut large = world.batch(vec![message(2)]).to_string().into_bytes();
    large.resize(messenger::relay::MAX_BODY + 1, b' ');
    world.post(large.clone()).await.problem(413, "too_large");
    assert_eq!(sql.size().await, before);
    // An empty batch only says that the peer is there.
    assert_eq!(world.deliver(Vec::new()).await.json["results"], json!([]));
    // A batch of the greatest size is taken, and so is one of the greatest number.
    large.pop();
    assert_eq!(outcomes(&world.post(large).await.expect(200)), ["stored"]);
    let reply = world.deliver((3..most + 3).map(void).collect()).await;
    assert_eq!(reply.json["position"], most + 2);
    world.pair.stop().await;
}

async fn a_new_stream_takes_over_and_the_old_one_is_stale(database: Database) {
    let mut world = World::new(database).await;
    let first = world.message("from the first stream");
    world.deliver(vec![world.message_event(2, first.clone())]).await;
    let old = world.stream;
    world.stream = StreamId::mint(world.clock.now());
    // It begins where it says, and what was there already is not there twice.
    let events = vec![
        world.message_event(40, first),
        world.message_event(41, world.message("from the second stream")),
    ];
    let reply = world.deliver(events).await;
    assert_eq!((outcomes(&reply), &reply.json["position"]), (vec!["stored".into(); 2], &json!(41)));
    let new = world.stream;
    world.stream = old;
    let body = world.batch(vec![world.message_event(3, world.message("too late"))]);
    let reply = world.post(body.to_string().into_bytes()).await;
    reply.problem(409, "stale_stream");
    world.stream = new;
    let reply = world.deliver(vec![world.message_event(42, world.message("and on"))]).await;
    assert_eq!(reply.json["position"], 42);
    let texts = ["from the first stream", "from the second stream", "and on"];
    assert_eq!(world.seen().await, texts);
    world.pair.stop().await;
}

/// That a reader has been given, and has read, everything up to a moment.
fn receipt(world: &World, seq: i64, reader: &Value, delivered: &Value, read: &Value) -> Value {
    let zero = json!(Timestamp::from_micros(0));
    let progress = |to: &Value| json!({ "from": zero, "to": to, "at": world.now() });
    let data = json!({
        "conversation": world.conversation, "reader": reader,
        "delivered": progress(delivered), "read": progress(read),
    });
    let mut event = world.event(seq, &json!({ "type": "receipt" }));
    event["body"]["data"] = data;
    event
}

async fn a_peer_tells_of_its_own_readers_alone_and_never_too_much(database: Database) {
    let world = World::new(database).await;
    let far = json!("2100-01-01T00:00:00.000000Z");
    let never = json!(Timestamp::from_micros(0));
    let status = async |message: &Value| {
        let path = format!("/api/chats/messages/{}/", message["id"].as_str().unwrap());
        world.alice.get(&path).await.expect(200).json["status"].clone()
    };
    let body = |text: &str| json!({ "conversation": world.conversation, "content": text });
    // AppB is not what the test plays: it refuses Alice's messages, as it knows of no conversation. So they stay away.
    world.pair.a_to_b.disturb(e2e::Disturbance::Down);
    let first = world.alice.post("/api/chats/messages/", &body("first")).await.expect(201).json;
    assert_eq!(first["status"], "queued");
    let nobody = json!(OTHER);
    let mut backwards = receipt(&world, 4, &world.bob["id"], &never, &never);
    backwards["body"]["data"]["read"]["from"] = far.clone();
    let mut elsewhere = receipt(&world, 5, &world.bob["id"], &far, &far);
    elsewhere["body"]["data"]["conversation"] = nobody.clone();
    let mut ahead = receipt(&world, 6, &world.bob["id"], &far, &far);
    ahead["body"]["data"]["delivered"]["at"] = far.clone();
    let reply = world
        .deliver(vec![
            receipt(&world, 2, &world.card["id"], &far, &far),
            receipt(&world, 3, &nobody, &far, &far),
            backwards,
            elsewhere,
            ahead,
        ])
        .await;
    let codes = [
        "not_your_user",
        "not_a_participant",
        "malformed",
        "unknown_conversation",
        "from_the_future",
    ];
    assert_eq!(outcomes(&reply), codes);
    assert_eq!(status(&first).await, "queued");
    let reply = world.deliver(vec![receipt(&world, 7, &world.bob["id"], &far, &never)]).await;
    assert_eq!(outcomes(&reply), ["stored"]);
    assert_eq!(status(&first).await, "delivered");
    // Not beyond what there was to deliver, however far the peer says it is.
    let second = world.alice.post("/api/chats/messages/", &body("second")).await.expect(201).json;
    assert_eq!(status(&second).await, "queued");
    // Never back, in whatever order events come.
    let reply = world
        .deliver(vec![
            receipt(&world, 8, &world.bob["id"], &far, &second["created_at"]),
            receipt(&world, 9, &world.bob["id"], &never, &first["created_at"]),
        ])
        .await;
    assert_eq!(outcomes(&reply), ["stored", "stored"]);
    let reply = world
        .deliver(vec![receipt(&world, 10, &world.bob["id"], &second["created_at"], &far)])
        .await;
    assert_eq!(outcomes(&reply), ["stored"]);
    assert_eq!([status(&first).await, status(&second).await], ["read", "read"]);
    world.deliver(vec![receipt(&world, 11, &world.bob["id"], &never, &never)]).await;
    assert_eq!([status(&first).await, status(&second).await], ["read", "read"]);
    world.pair.stop().await;
}

async fn an_answer_to_a_message_elsewhere_is_refused(database: Database) {
    let world = World::new(database).await;
    let group = world.group(&[&world.card]);
    let mut elsewhere = world.message("in the group");
    elsewhere["conversation"] = group["id"].clone();
    let answer = |parent: &Value| {
        let mut answer = world.message("an answer");
        answer["parent"] = parent.clone();
        answer
    };
    let mut to_itself = answer(&Value::Null);
    to_itself["parent"] = to_itself["id"].clone();
    let here = world.message("here");
    let reply = world
        .deliver(vec![
            world.conversation_event(2, group),
            world.message_event(3, elsewhere.clone()),
            world.message_event(4, answer(&elsewhere["id"])),
            world.message_event(5, to_itself),
            world.message_event(6, here.clone()),
            world.message_event(7, answer(&here["id"])),
            // It may be on its way from another app.
            world.message_event(8, answer(&json!(OTHER))),
        ])
        .await;
    let expected = ["stored", "stored", "bad_parent", "bad_parent", "stored", "stored", "stored"];
    assert_eq!(outcomes(&reply), expected);
    let reply = world.deliver(vec![world.message_event(9, answer(&elsewhere["id"]))]).await;
    assert_eq!(outcomes(&reply), ["bad_parent"]);
    world.pair.stop().await;
}

async fn a_token_that_does_not_open_is_stored_and_shown_as_unreadable(database: Database) {
    let world = World::new(database).await;
    let (first, sender) = (world.message("readable"), world.bob["id"].as_str().unwrap());
    let mut moved = world.message("x");
    moved["content"] = first["content"].clone();
    let mut foreign = world.message("x");
    let id = foreign["id"].as_str().unwrap();
    let other = shared::encryption::Keyring::generate_key();
    foreign["content"] = json!(Token::seal(&other, id, sender, 0, "x").wire());
    let mut renumbered = world.message("x");
    renumbered["revision"] = json!(5);
    let states = [first, moved, foreign, renumbered];
    let events = (2..).zip(&states).map(|(seq, state)| world.message_event(seq, state.clone()));
    assert_eq!(outcomes(&world.deliver(events.collect()).await), vec!["stored"; 4]);
    let page = world.alice.get("/api/messages/inbox/").await.expect(200);
    let mut codes: Vec<_> = page
        .results()
        .iter()
        .map(|message| match message["content"].as_str() {
            Some(text) => text.to_owned(),
            None => message["content_error"]["code"].as_str().unwrap().to_owned(),
        })
        .collect();
    codes.reverse();
    assert_eq!(codes, ["readable", "moved", "unknown_key", "moved"]);
    world.pair.stop().await;
}

/// The other replica has taken in the event that lets Dave in, and this one the next, within the second for which it
/// believes what it has read.
async fn who_is_let_in_by_another_replica_is_not_refused_for_what_is_remembered(
    database: Database,
) {
    let world = World::new(database).await;
    let dave = user(&world.clock, "dave", "app-b");
    let mut group = world.group(&[&world.card, &dave]);
    let leave = json!({ "deed": "remove", "user": dave["id"] });
    group["changes"].as_array_mut().unwrap().push(world.change(&world.bob, leave));
    let said = |by: &Value| {
        let mut message = world.message("in the group");
        let (id, sender) = (message["id"].as_str().unwrap(), by["id"].as_str().unwrap());
        message["content"] = json!(Token::seal(world.keys(), id, sender, 0, "hello").wire());
        (message["sender"], message["conversation"]) = (by["id"].clone(), group["id"].clone());
        message
    };
    let events =
        vec![world.conversation_event(2, group.clone()), world.message_event(3, said(&world.bob))];
    assert_eq!(outcomes(&world.deliver(events).await), ["stored"; 2]);
    // From here on it is remembered.
    let events = vec![world.message_event(4, said(&world.bob))];
    assert_eq!(outcomes(&world.deliver(events).await), ["stored"]);
    let mut sql = world.sql().await;
    let id = sql.id(dave["id"].as_str().unwrap());
    let events = vec![world.message_event(5, said(&dave))];
    assert_eq!(outcomes(&world.deliver(events).await), ["not_a_participant"]);
    sql.change(&format!("UPDATE participants SET left_at = NULL WHERE user_id = {id}")).await;
    let events = vec![world.message_event(6, said(&dave))];
    assert_eq!(outcomes(&world.deliver(events).await), ["stored"]);
    world.pair.stop().await;
}
