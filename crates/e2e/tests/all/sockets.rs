//! Sockets: who gets one, what they are told, and how they end.

use std::time::{Duration, Instant};

use e2e::{Client, Database, Pair, Socket, eventually, on_both_databases};
use http::Method;
use serde_json::{Value, json};

use crate::support::browser::Browser;

on_both_databases!(
    a_message_is_pushed_to_both_sides_with_its_text,
    edits_and_deletions_are_pushed,
    a_sender_hears_how_far_a_message_has_come,
    a_new_conversation_is_pushed_before_its_first_message,
    a_read_on_one_device_is_pushed_to_the_others,
    nobody_hears_of_conversations_of_others,
    a_frame_names_what_it_does_not_understand_and_the_socket_stays,
    a_ticket_opens_one_socket_once,
    a_socket_wants_credentials_before_it_is_one,
    a_cookie_opens_a_socket_for_pages_of_the_app_alone,
    sockets_close_at_once_when_their_session_ends,
    a_user_has_so_many_sockets_and_no_more,
    a_stopping_app_says_goodbye_and_when_to_come_back,
    typing_reaches_the_others_here,
    a_token_that_stands_in_the_wrong_place_is_not_opened_in_a_frame_either,
);

/// Waits until a frame tells of a message with this text.
async fn told(socket: &mut Socket, text: &str) -> Value {
    loop {
        let frame = socket.frame().await;
        if frame["data"]["content"] == text && frame["type"] != "message.status" {
            return frame;
        }
    }
}

async fn acquainted(pair: &Pair) -> (Client, Client, String) {
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "hello").await;
    let conversation = sent["conversation"].as_str().unwrap().to_owned();
    eventually("the first message arrives", || async {
        (bob.read(&conversation).await.len() == 1).then_some(())
    })
    .await;
    (alice, bob, conversation)
}

async fn a_message_is_pushed_to_both_sides_with_its_text(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob, _) = acquainted(&pair).await;
    let (mut here, mut there) = (alice.socket().await, bob.socket().await);
    let sent = alice.send("bob@app-b", "Dinner at eight?").await;
    for socket in [&mut here, &mut there] {
        let frame = told(socket, "Dinner at eight?").await;
        assert_eq!(frame["type"], "message.created");
        assert!(frame["cursor"].as_str().is_some_and(|cursor| !cursor.is_empty()), "{frame}");
        assert_eq!(frame["data"]["id"], sent["id"]);
        assert_eq!(frame["data"]["sender"]["address"], "alice@app-a");
    }
    // The data is what a GET answers.
    let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
    let answer = bob.send("alice@app-a", "Gladly.").await;
    let frame = told(&mut there, "Gladly.").await;
    let mut keys: Vec<_> = frame["data"].as_object().unwrap().keys().collect();
    let get = alice.get(&path).await.expect(200).json;
    let mut expected: Vec<_> = get.as_object().unwrap().keys().collect();
    keys.sort();
    expected.sort();
    assert_eq!(keys, expected);
    assert_eq!(told(&mut here, "Gladly.").await["data"]["id"], answer["id"]);
    pair.stop().await;
}

async fn edits_and_deletions_are_pushed(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob, conversation) = acquainted(&pair).await;
    let sent = alice.send("bob@app-b", "first").await;
    eventually("it arrives before it is edited", || async {
        (bob.read(&conversation).await.len() == 2).then_some(())
    })
    .await;
    let (mut here, mut there) = (alice.socket().await, bob.socket().await);
    let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
    alice.patch(&path, &json!({ "content": "second" })).await.expect(200);
    for socket in [&mut here, &mut there] {
        assert_eq!(told(socket, "second").await["type"], "message.updated");
    }
    alice.delete(&path).await.expect(204);
    for socket in [&mut here, &mut there] {
        let frame = socket.of_type("message.deleted").await;
        assert_eq!(frame["data"]["id"], sent["id"]);
        assert_eq!(frame["data"]["content"], Value::Null);
    }
    pair.stop().await;
}

async fn a_sender_hears_how_far_a_message_has_come(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob, conversation) = acquainted(&pair).await;
    let mut here = alice.socket().await;
    let sent = alice.send("bob@app-b", "first").await;
    let mut seen = Vec::new();
    let until = async |status: &str, here: &mut e2e::Socket, seen: &mut Vec<String>| loop {
        let frame = here.of_type("message.status").await;
        if frame["data"]["id"] == sent["id"] {
            assert_eq!(frame["data"]["content"], "first");
            seen.push(frame["data"]["status"].as_str().unwrap().to_owned());
            if frame["data"]["status"] == status {
                return;
            }
        }
    };
    until("relayed", &mut here, &mut seen).await;
    bob.read(&conversation).await;
    until("delivered", &mut here, &mut seen).await;
    let path = format!("/api/chats/conversations/{conversation}/read/");
    bob.post(&path, &json!({ "message": sent["id"] })).await.expect(200);
    until("read", &mut here, &mut seen).await;
    seen.dedup();
    assert_eq!(seen, ["relayed", "delivered", "read"], "it only goes forward");
    pair.stop().await;
}

async fn a_new_conversation_is_pushed_before_its_first_message(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let (mut here, mut there) = (alice.socket().await, bob.socket().await);
    let sent = alice.send("bob@app-b", "out of the blue").await;
    for socket in [&mut here, &mut there] {
        let first = socket.event().await;
        assert_eq!(first["type"], "conversation.created", "{first}");
        assert_eq!(first["data"]["id"], sent["conversation"]);
        assert_eq!(first["data"]["participants"].as_array().unwrap().len(), 2);
        let second = socket.event().await;
        assert_eq!(second["type"], "message.created", "{second}");
        assert_eq!(second["data"]["content"], "out of the blue");
    }
    pair.stop().await;
}

async fn a_read_on_one_device_is_pushed_to_the_others(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob, conversation) = acquainted(&pair).await;
    let sent = alice.send("bob@app-b", "unread").await;
    eventually("it arrives", || async { (bob.read(&conversation).await.len() == 2).then_some(()) })
        .await;
    let (mut phone, mut laptop) = (bob.socket().await, bob.socket().await);
    let read = json!({ "type": "read", "conversation": conversation, "message": sent["id"] });
    phone.say(&read).await;
    for socket in [&mut phone, &mut laptop] {
        let frame = socket.of_type("conversation.updated").await;
        assert_eq!(frame["data"]["id"], conversation.as_str());
        assert_eq!(frame["data"]["unread_count"], 0);
        assert_eq!(frame["data"]["last_message"]["content"], "unread");
    }
    pair.stop().await;
}

async fn nobody_hears_of_conversations_of_others(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob, _) = acquainted(&pair).await;
    let eve = pair.b.client().join("eve").await;
    let (mut theirs, mut eves) = (bob.socket().await, eve.socket().await);
    alice.send("bob@app-b", "not for eve").await;
    told(&mut theirs, "not for eve").await;
    assert_eq!(eves.settle().await, Vec::<Value>::new());
    pair.stop().await;
}

async fn a_frame_names_what_it_does_not_understand_and_the_socket_stays(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let mut socket = alice.socket().await;
    let stranger = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (frame, code) in [
        (json!({ "type": "subscribe" }), "unknown_type"),
        (json!({ "no": "type" }), "malformed"),
        (json!(["ping"]), "malformed"),
        (json!({ "type": "typing" }), "invalid"),
        (json!({ "type": "typing", "conversation": stranger, "active": true }), "not_found"),
        (json!({ "type": "read", "conversation": stranger, "message": stranger }), "not_found"),
    ] {
        socket.say(&frame).await;
        let answer = socket.frame().await;
        assert_eq!((&answer["type"], &answer["data"]["code"]), (&json!("error"), &json!(code)));
    }
    assert!(socket.settle().await.is_empty());
    pair.stop().await;
}

async fn a_ticket_opens_one_socket_once(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob, _) = acquainted(&pair).await;
    let nobody = pair.a.client();
    nobody.post("/api/ws/ticket/", &json!({})).await.expect(401);
    let reply = alice.post("/api/ws/ticket/", &json!({})).await.expect(201);
    assert_eq!(reply.json["expires_in"], 30);
    let path = format!("/api/ws/?ticket={}", reply.str("ticket"));
    // What is no socket spends no ticket.
    nobody.get(&path).await.expect(426);
    let mut socket = nobody.socket_at(&path).await.expect("a socket");
    bob.send("alice@app-a", "to the holder of the ticket").await;
    told(&mut socket, "to the holder of the ticket").await;
    let again = nobody.socket_at(&path).await.err().expect("a refusal");
    assert_eq!(again.0, 401, "{again:?}");
    assert!(again.1.contains("invalid_ticket"), "{again:?}");
    // A ticket belongs to its session and ends with it.
    let reply = alice.post("/api/ws/ticket/", &json!({})).await.expect(201);
    alice.post("/api/auth/logout/", &json!({})).await.expect(200);
    let path = format!("/api/ws/?ticket={}", reply.str("ticket"));
    assert_eq!(nobody.socket_at(&path).await.err().expect("a refusal").0, 401);
    pair.stop().await;
}

async fn a_socket_wants_credentials_before_it_is_one(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let bearer = format!("Bearer {}", alice.token.as_ref().unwrap());
    let refused = async |path: &str, headers: &[(&'static str, &str)]| {
        let (status, body) = alice.socket_with(path, headers).await.err().expect("a refusal");
        (status.as_u16(), serde_json::from_str::<Value>(&body).unwrap()["code"].clone())
    };
    let none = refused("/api/ws/", &[]).await;
    assert_eq!(none, (401, json!("not_authenticated")));
    let bad = refused("/api/ws/", &[("authorization", "Bearer rubbish")]).await;
    assert_eq!(bad, (401, json!("invalid_token")));
    // A token does not belong in a URL, and counts for nothing there.
    let token = alice.token.as_ref().unwrap();
    let in_url = refused(&format!("/api/ws/?access_token={token}"), &[]).await;
    assert_eq!(in_url, (401, json!("not_authenticated")));
    assert_eq!(refused(&format!("/api/ws/?ticket={token}"), &[]).await.0, 401);
    for origin in ["https://evil.example", "null", "", "http://127.0.0.1:1"] {
        let headers = [("authorization", bearer.as_str()), ("origin", origin)];
        assert_eq!(refused("/api/ws/", &headers).await.0, 403, "{origin}");
    }
    let own = [("authorization", bearer.as_str()), ("origin", alice.base.as_str())];
    alice.socket_with("/api/ws/", &own).await.expect("a socket").settle().await;
    let plain = alice.get("/api/ws/").await.expect(426);
    assert_eq!(plain.code(), "upgrade_required");
    pair.a.client().get("/api/ws/").await.expect(401);
    pair.stop().await;
}

async fn a_cookie_opens_a_socket_for_pages_of_the_app_alone(database: Database) {
    let pair = Pair::start(database).await;
    let alice = Browser::join(&pair.a.client(), "alice", "__Host-").await;
    let cookies = alice.cookies("/api/ws/");
    let open = async |origin: Option<&str>| {
        let mut headers = vec![("cookie", cookies.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let opened = alice.client.socket_with("/api/ws/", &headers).await;
        opened.map_err(|(status, _)| status.as_u16())
    };
    for foreign in [Some("https://evil.example"), Some("null"), None] {
        assert_eq!(open(foreign).await.err(), Some(403), "{foreign:?}");
    }
    open(Some(&alice.client.base)).await.expect("a socket").settle().await;
    // A bad header is not made good by a cookie.
    let origin = alice.client.base.as_str();
    let both = [("cookie", cookies.as_str()), ("origin", origin), ("authorization", "Bearer x")];
    assert_eq!(alice.client.socket_with("/api/ws/", &both).await.err().unwrap().0, 401);
    pair.stop().await;
}

async fn sockets_close_at_once_when_their_session_ends(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = pair.a.client().join("alice").await;
    let phone = alice.clone();
    alice.log_in().await;
    let (mut lost, mut kept) = (phone.socket().await, alice.socket().await);
    let started = Instant::now();
    phone.post("/api/auth/logout/", &json!({})).await.expect(200);
    assert_eq!(lost.close_code().await, 4401);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(kept.settle().await.is_empty());
    // As it would be on another replica, or by hand.
    let db = messenger::db::Db::open(&pair.a.storage.url).await.unwrap();
    let started = Instant::now();
    let deactivate = db.write(|conn| {
        Box::pin(async move {
            let now = "UPDATE sessions SET ended_at = expires_at - 2592000000000 + 1000";
            conn.sql(now).execute().await
        })
    });
    deactivate.await.unwrap();
    db.close().await;
    assert_eq!(kept.close_code().await, 4401);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(phone.socket_at("/api/ws/").await.err().expect("a refusal").0, 401);
    pair.stop().await;
}

async fn a_user_has_so_many_sockets_and_no_more(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let mut sockets = Vec::new();
    for _ in 0..16 {
        sockets.push(alice.socket().await);
    }
    let (status, body) = alice.socket_at("/api/ws/").await.err().expect("a refusal");
    assert_eq!(status, 429, "{body}");
    assert!(body.contains("too_many_sockets"), "{body}");
    sockets.pop().unwrap().drop_connection();
    eventually("there is room again", || async { alice.socket_at("/api/ws/").await.ok() }).await;
    pair.stop().await;
}

async fn a_stopping_app_says_goodbye_and_when_to_come_back(database: Database) {
    let mut pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let mut socket = alice.socket().await;
    socket.settle().await;
    let (stopped, heard) = tokio::join!(pair.a.stop(), socket.hear());
    let () = stopped;
    let e2e::Heard::Closed(code, reason) = heard else { panic!("{heard:?}") };
    assert_eq!(code, 1001);
    assert!(reason.contains("reconnect after"), "{reason}");
    pair.stop().await;
}

async fn typing_reaches_the_others_here(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let anna = pair.a.client().join("anna").await;
    let sent = alice.send("anna", "hello").await;
    let (mut hers, mut own) = (anna.socket().await, alice.socket().await);
    let conversation = &sent["conversation"];
    let typing =
        |active: bool| json!({ "type": "typing", "conversation": conversation, "active": active });
    own.say(&typing(true)).await;
    let frame = hers.of_type("typing").await;
    assert_eq!(frame["data"]["conversation"], *conversation);
    assert_eq!(frame["data"]["user"], sent["sender"]["id"]);
    assert_eq!(frame["data"]["active"], true);
    own.say(&typing(false)).await;
    assert_eq!(hers.of_type("typing").await["data"]["active"], false);
    assert!(own.settle().await.iter().all(|frame| frame["type"] != "typing"));
    pair.stop().await;
}

async fn a_token_that_stands_in_the_wrong_place_is_not_opened_in_a_frame_either(
    database: Database,
) {
    let pair = Pair::start(database).await;
    let (alice, bob, _) = acquainted(&pair).await;
    let mut socket = bob.socket().await;
    let one = alice.send("bob@app-b", "one").await;
    let two = alice.send("bob@app-b", "two").await;
    told(&mut socket, "two").await;
    let cursor = socket.cursor.clone().unwrap();
    // An operator of the database moves the text of one message under another.
    let db = messenger::db::Db::open(&pair.b.storage.url).await.unwrap();
    let id = |message: &Value| message["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap();
    let (from, to) = (id(&one), id(&two));
    let moved = db.write(move |conn| {
        Box::pin(async move {
            let sql = "UPDATE messages SET content = (SELECT content FROM messages WHERE id = $1) WHERE id = $2";
            conn.sql(sql).bind(from).bind(to).execute().await
        })
    });
    moved.await.unwrap();
    let touch = db.write(move |conn| {
        Box::pin(async move {
            let sql = "INSERT INTO event_log (kind, conversation_id, subject, created_at)
                SELECT 2, conversation_id, id, created_at FROM messages WHERE id = $1";
            conn.sql(sql).bind(to).execute().await
        })
    });
    touch.await.unwrap();
    db.close().await;
    let mut resumed = bob.socket_since(&cursor).await;
    let frame = resumed.of_type("message.updated").await;
    assert_eq!(frame["data"]["content"], Value::Null);
    assert_eq!(frame["data"]["content_error"]["code"], "moved");
    let answer = bob.request(Method::GET, &format!("/api/chats/messages/{to}/"));
    assert_eq!(bob.run(answer).await.expect(200).json["content_error"]["code"], "moved");
    pair.stop().await;
}
