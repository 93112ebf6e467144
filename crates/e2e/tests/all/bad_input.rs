//! What the apps do with input that is wrong: a clear problem, nothing stored, nothing repeated that may be a secret.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use e2e::{Client, Database, Pair, Reply, on_both_databases};
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use shared::encryption::MAX_REQUEST;

use crate::support::problem::IsProblem;
use crate::support::raw::raw;
use crate::support::sql::Sql;

on_both_databases!(
    a_body_that_is_no_json_object_is_refused_everywhere,
    other_media_types_and_encodings_are_refused,
    a_body_over_the_limit_is_refused_with_and_without_its_length,
    a_field_of_the_wrong_type_is_named_and_never_quoted,
    unknown_fields_are_never_applied,
    registration_refuses_what_cannot_be_an_account,
    a_name_or_address_that_is_taken_is_a_conflict,
    a_password_counts_byte_for_byte,
    a_login_that_is_not_one_is_refused,
    a_refresh_token_that_is_none_is_refused,
    logging_out_ends_only_the_session_of_the_tokens,
    a_lookup_takes_names_literally,
    a_conversation_with_bad_participants_is_not_begun,
    ids_that_name_nothing_are_answered_alike,
    a_message_has_between_one_and_20000_characters,
    odd_texts_are_kept_byte_for_byte,
    a_message_needs_one_place_and_a_parent_in_it,
    only_what_is_there_and_ones_own_is_changed,
    page_parameters_out_of_range_are_refused,
    filters_of_the_unknown_find_nothing,
    the_read_position_takes_only_messages_of_its_conversation,
    unknown_paths_and_methods_are_problems,
    too_many_or_too_long_headers_are_refused,
    the_slash_at_the_end_is_optional_and_json_is_all_there_is,
);

/// Stands for a secret in bodies that are refused; no answer may repeat it.
const CANARY: &str = "c4n4ry-5ecret";
const UNKNOWN: &str = "0190a5d0-ac96-774b-8cce-b302099a8057";

/// Sends bytes as JSON.
async fn send(client: &Client, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Reply {
    let request = client.request(method.parse().unwrap(), path);
    client.run(request.header("content-type", "application/json").body(body.into())).await
}

/// The problem's messages about a field; panics if there are none.
#[track_caller]
fn fault(reply: &Reply, field: &str) -> String {
    let messages = reply.json["errors"][field].as_array();
    let messages = messages.unwrap_or_else(|| panic!("nothing about {field} in {reply:#?}"));
    messages[0].as_str().expect("a sentence").to_owned()
}

/// Every route that takes a body, for a caller with a message and its conversation.
fn routes(message: &Value) -> Vec<(&'static str, String)> {
    let (id, conversation) = (message["id"].as_str().unwrap(), &message["conversation"]);
    vec![
        ("POST", "/api/auth/register/".into()),
        ("POST", "/api/auth/login/".into()),
        ("POST", "/api/auth/refresh/".into()),
        ("POST", "/api/auth/logout/".into()),
        ("POST", "/api/chats/conversations/".into()),
        ("POST", format!("/api/chats/conversations/{}/read/", conversation.as_str().unwrap())),
        ("POST", "/api/chats/messages/".into()),
        ("POST", "/api/messages/send/".into()),
        ("PUT", format!("/api/chats/messages/{id}/")),
        ("PATCH", format!("/api/chats/messages/{id}/")),
    ]
}

async fn a_body_that_is_no_json_object_is_refused_everywhere(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let message = alice.send("bob", "hello").await;
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let bodies: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        format!("{{\"content\":\"{CANARY}\"").into(),
        format!("{{\"content\":\"{CANARY}\",}}").into(),
        format!("{{\"content\":\"{CANARY}\",\"x\":NaN}}").into(),
        format!("{{\"content\":\"{CANARY}\"}} {{}}").into(),
        format!("\u{feff}{{\"content\":\"{CANARY}\"}}").into(),
        format!("{{'content':'{CANARY}'}}").into(),
        b"{\"content\":\"\\ud800\"}".to_vec(),
        b"{\"content\":\"\xff\xfe\"}".to_vec(),
        b"{\"content\":\"line\nbreak\"}".to_vec(),
        b"[".repeat(100_000),
        [b"{\"content\":".to_vec(), b"[".repeat(100_000)].concat(),
        deep,
        format!("\"{CANARY}\"").into(),
        format!("[\"{CANARY}\"]").into(),
        format!("[null, \"bob\", \"{CANARY}\", null]").into(),
        b"null".to_vec(),
        b"7".to_vec(),
        b"1e400".to_vec(),
        b"true".to_vec(),
    ];
    for (method, path) in routes(&message) {
        for body in &bodies {
            // What stands in a field that is not known does not matter.
            if path.ends_with("/logout/") && body.ends_with(b"ud800\"}") {
                continue;
            }
            let reply = send(&alice, method, &path, body.clone()).await;
            let code = reply.code().to_owned();
            // Where the text itself is at fault, the answer may name it as the field.
            assert!(matches!(code.as_str(), "malformed" | "invalid"), "{method} {path} {reply:#?}");
            let reply = reply.problem(400, &code);
            assert!(!reply.text.contains(CANARY), "{method} {path} {reply:#?}");
        }
        // What these need may be in a cookie.
        if !path.ends_with("/logout/") && !path.ends_with("/refresh/") {
            send(&alice, method, &path, "").await.problem(400, "malformed");
        }
    }
    assert_eq!(sql.size().await, before);
    assert_eq!(alice.get("/api/auth/me/").await.expect(200).str("username"), "alice");
    pair.stop().await;
}

async fn other_media_types_and_encodings_are_refused(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let message = alice.send("bob", "hello").await;
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let body = json!({
        "email": "x@example.org", "username": "xavier", "password": CANARY,
        "refresh_token": CANARY, "participants": ["bob"], "recipient": "bob",
        "content": CANARY, "message": message["id"],
    });
    for (method, path) in routes(&message) {
        for wrong in [
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/jsonp"),
            Some("application/problem+json"),
            Some(""),
            None,
        ] {
            let request = alice.request(method.parse().unwrap(), &path).body(body.to_string());
            let request = match wrong {
                Some(media_type) => request.header("content-type", media_type),
                None => request,
            };
            let reply = alice.run(request).await.problem(415, "unsupported_media_type");
            assert!(!reply.text.contains(CANARY), "{method} {path} {wrong:?}");
        }
        for encoding in ["gzip", "br", "deflate", "identity", "gzip, gzip"] {
            let request = alice.request(method.parse().unwrap(), &path).json(&body);
            let reply = alice.run(request.header("content-encoding", encoding)).await;
            reply.problem(415, "unsupported_media_type");
        }
    }
    assert_eq!(sql.size().await, before);
    // Parameters of the media type do not matter, nor does its case.
    let body = json!({ "recipient": "bob", "content": "hello" }).to_string();
    let request = alice.request(Method::POST, "/api/messages/send/").body(body);
    let request = request.header("content-type", "Application/JSON; charset=utf-8");
    alice.run(request).await.expect(201);
    pair.stop().await;
}

async fn a_body_over_the_limit_is_refused_with_and_without_its_length(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let message = alice.send("bob", "hello").await;
    let padded = |length: usize| {
        let body = json!({ "recipient": "bob", "content": "hello" }).to_string();
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    send(&alice, "POST", "/api/messages/send/", padded(MAX_REQUEST)).await.expect(201);
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let json = "Content-Type: application/json\r\n";
    let token = format!("Authorization: Bearer {}\r\n", alice.token.as_deref().unwrap());
    let body = padded(MAX_REQUEST + 1);
    for (method, path) in routes(&message) {
        let line = format!("{method} {path} HTTP/1.1");
        let length = format!("{json}{token}Content-Length: {}\r\n", body.len());
        let reply = raw(&alice, &line, &length, body.as_bytes()).await;
        reply.unwrap_or_else(|| panic!("an answer to {line}")).problem(413, "too_large");
        let chunked = format!("{json}{token}Transfer-Encoding: chunked\r\n");
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let reply = raw(&alice, &line, &chunked, chunks.as_bytes()).await;
        reply.unwrap_or_else(|| panic!("an answer to {line}")).problem(413, "too_large");
        if path.starts_with("/api/auth/") {
            continue;
        }
        // The layers go by what a request says of its length, before they read it.
        let announced = format!("{json}{token}Content-Length: 99999999999\r\n");
        let reply = raw(&alice, &line, &announced, b"{").await;
        reply.unwrap_or_else(|| panic!("an answer to {line}")).problem(413, "too_large");
    }
    assert_eq!(sql.size().await, before);
    pair.stop().await;
}

async fn a_field_of_the_wrong_type_is_named_and_never_quoted(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let sent = alice.send("bob", "hello").await;
    let id = sent["id"].as_str().unwrap();
    let conversation = sent["conversation"].as_str().unwrap();
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let register = "/api/auth/register/";
    let login = "/api/auth/login/";
    let conversations = "/api/chats/conversations/";
    let messages = "/api/chats/messages/";
    let edit = &format!("{messages}{id}/");
    let read = &format!("{conversations}{conversation}/read/");
    let secret = json!([CANARY]);
    let sneaky = format!("x, expected {CANARY}");
    let account = |field: &str, value: Value| {
        let mut body = json!({ "email": "x@example.org", "username": "xavier", "password": "horse battery 9" });
        body[field] = value;
        body
    };
    let cases: Vec<(&str, &str, Value, &str)> = vec![
        ("POST", register, account("email", secret.clone()), "email"),
        ("POST", register, account("password", secret.clone()), "password"),
        ("POST", register, account("password", json!(12_345_678)), "password"),
        ("POST", register, account("username", json!({ "$ne": CANARY })), "username"),
        ("POST", register, account("first_name", json!(7)), "first_name"),
        ("POST", login, json!({ "username": "alice", "password": { "$ne": CANARY } }), "password"),
        ("POST", login, json!({ "username": { "$gt": "" }, "password": CANARY }), "username"),
        ("POST", login, json!({ "username": "alice", "password": null }), "password"),
        ("POST", login, json!({ "username": "alice" }), "password"),
        ("POST", "/api/auth/refresh/", json!({ "refresh_token": 7 }), "refresh_token"),
        ("POST", "/api/auth/refresh/", json!({}), "refresh_token"),
        ("POST", "/api/auth/logout/", json!({ "refresh_token": [CANARY] }), "refresh_token"),
        ("POST", conversations, json!({ "participants": CANARY }), "participants"),
        ("POST", conversations, json!({ "participants": { "0": CANARY } }), "participants"),
        ("POST", conversations, json!({ "participants": ["bob", 7] }), "participants[1]"),
        ("POST", conversations, json!({ "title": "x" }), "participants"),
        ("POST", conversations, json!({ "participants": ["bob"], "title": [CANARY] }), "title"),
        ("POST", conversations, json!({ "participants": ["bob"], "kind": sneaky }), "kind"),
        ("POST", conversations, json!({ "participants": ["bob"], "kind": 0 }), "kind"),
        ("POST", conversations, json!({ "participants": ["bob"], "kind": [CANARY] }), "kind"),
        (
            "POST",
            login,
            json!({ "username": "alice", "password": "x", "session": true }),
            "session",
        ),
        ("POST", messages, json!({ "conversation": sneaky, "content": "x" }), "conversation"),
        ("POST", messages, json!({ "conversation": 1e300, "content": "x" }), "conversation"),
        ("POST", messages, json!({ "conversation": i64::MAX, "content": "x" }), "conversation"),
        ("POST", messages, json!({ "conversation": conversation }), "content"),
        ("POST", messages, json!({ "conversation": conversation, "content": null }), "content"),
        ("POST", messages, json!({ "conversation": conversation, "content": secret }), "content"),
        ("POST", messages, json!({ "conversation": conversation, "content": 7 }), "content"),
        ("POST", messages, json!({ "recipient": secret, "content": "x" }), "recipient"),
        (
            "POST",
            messages,
            json!({ "conversation": conversation, "content": "x", "parent": CANARY }),
            "parent",
        ),
        ("PATCH", edit, json!({}), "content"),
        ("PATCH", edit, json!({ "content": { "text": CANARY } }), "content"),
        ("PUT", edit, json!({ "content": false }), "content"),
        ("POST", read, json!({}), "message"),
        ("POST", read, json!({ "message": CANARY }), "message"),
        ("POST", read, json!({ "message": -0.0 }), "message"),
    ];
    for (method, path, body, field) in cases {
        let reply = send(&alice, method, path, body.to_string()).await.problem(400, "invalid");
        fault(&reply, field);
        assert!(!reply.text.contains(CANARY), "{method} {path} {body} {reply:#?}");
    }
    // A key that stands twice is refused, as two readers might take different ones.
    for (path, body) in [
        (login, format!(r#"{{"username":"alice","password":"{CANARY}","password":"x"}}"#)),
        (conversations, r#"{"participants":["bob"],"participants":["carol"]}"#.to_owned()),
        (messages, format!(r#"{{"recipient":"bob","content":"{CANARY}","content":"x"}}"#)),
        (messages, format!(r#"{{"recipient":"bob","content":"x","con\u0074ent":"{CANARY}"}}"#)),
        (messages, r#"{"recipient":"bob","recipient":"alice","content":"x"}"#.to_owned()),
    ] {
        let reply = send(&alice, "POST", path, body).await.expect(400);
        let code = reply.code().to_owned();
        assert!(!reply.problem(400, &code).text.contains(CANARY));
    }
    assert_eq!(sql.size().await, before);
    pair.stop().await;
}

async fn unknown_fields_are_never_applied(database: Database) {
    let pair = Pair::start(database).await;
    let bob = pair.a.client().join("bob").await;
    let nobody = pair.a.client();
    let wish = json!({
        "id": UNKNOWN, "role": "admin", "is_staff": true, "is_superuser": true, "is_active": false,
        "added_by": UNKNOWN, "app": "app-b", "sender": UNKNOWN, "origin": "app-b",
        "status": "read", "created_at": "2001-01-01T00:00:00Z", "edited_at": "2001-01-01T00:00:00Z",
        "deleted_at": "2001-01-01T00:00:00Z", "created_by": UNKNOWN, "revision": 99,
        "unread_count": 99, "$sealed": "x",
    });
    let plus = |own: Value| {
        let mut body = wish.clone();
        body.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        body
    };
    let secret = "correct horse battery staple";
    let body = json!({ "email": "al@example.org", "username": "alice", "password": secret });
    let user = nobody.post("/api/auth/register/", &plus(body)).await.expect(201);
    let untouched = |json: &Value| {
        for (key, value) in wish.as_object().unwrap() {
            assert_ne!(&json[key], value, "{key} in {json:#}");
        }
    };
    untouched(&user.json);
    assert_eq!((user.str("role"), user.str("app")), ("user".to_owned(), "app-a".to_owned()));
    assert!(user.json.get("password").is_none());
    let mut alice = pair.a.client();
    let body = json!({ "username": "alice", "password": secret });
    let login = nobody.post("/api/auth/login/", &plus(body)).await.expect(200);
    alice.token = Some(login.str("access_token"));
    untouched(&alice.get("/api/auth/me/").await.expect(200).json);

    let body = json!({ "participants": ["bob"], "title": "Two of us" });
    let group = alice.post("/api/chats/conversations/", &plus(body)).await.expect(201);
    untouched(&group.json);
    assert_eq!(group.json["created_by"]["username"], "alice");
    let body = json!({ "recipient": "bob", "content": "hello" });
    let sent = alice.post("/api/messages/send/", &plus(body)).await.expect(201);
    untouched(&sent.json);
    let path = format!("/api/chats/messages/{}/", sent.str("id"));
    let edited = alice.patch(&path, &plus(json!({ "content": "later" }))).await.expect(200);
    assert_eq!(edited.json["sender"]["username"], "alice");
    assert_eq!(edited.str("id"), sent.str("id"));
    let seen = bob.get(&path).await.expect(200);
    for key in ["id", "sender", "origin", "created_at", "conversation", "deleted_at"] {
        assert_eq!(seen.json[key], sent.json[key], "{key}");
    }
    pair.stop().await;
}

#[expect(clippy::too_many_lines, reason = "most of it is a table")]
async fn registration_refuses_what_cannot_be_an_account(database: Database) {
    let pair = Pair::start(database).await;
    let nobody = pair.a.client();
    nobody.get("/health/ready").await.expect(200);
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let long_name = "x".repeat(151);
    let long_email = format!("{}@example.org", "x".repeat(250));
    let long_password = "x9!k".repeat(33);
    let cases: &[(&str, &[&str])] = &[
        (
            "username",
            &[
                "",
                " ",
                "a",
                "ab",
                &long_name,
                "two words",
                "a/b",
                "a@b",
                "a:bc",
                "al\u{0}ice",
                "al\nice",
                "alice.",
                ".alice",
                "日本語",
                "admin",
                "ADMIN",
                "system",
                "api",
                "me.",
                "app-a",
                "app-b",
                "ａｄｍｉｎ",
                "../../etc",
                "<b>bob</b>",
                "' OR 1=1--",
            ],
        ),
        (
            "email",
            &[
                "",
                " ",
                "a",
                "a@b",
                "a b@c.de",
                "\"a b\"@c.de",
                "a@@c.de",
                "a@c.de\r\nBcc: x@y.z",
                "a@[127.0.0.1]",
                "@example.org",
                "Al <a@b.de>",
                "a\u{0}@c.de",
                &long_email,
            ],
        ),
        (
            "password",
            &[
                "",
                "short",
                "1234567",
                "password",
                "password123",
                "qwertyuiop",
                "xavier.x",
                "a long one with\u{0}NUL in it",
                &long_password,
            ],
        ),
    ];
    for (field, values) in cases {
        for value in *values {
            let mut body = json!({
                "email": "x@example.org", "username": "xavier.x", "password": "staple battery 77",
            });
            body[*field] = json!(value);
            let reply = nobody.post("/api/auth/register/", &body).await.problem(400, "invalid");
            fault(&reply, field);
            if *field == "password" && value.len() > 8 {
                assert!(!reply.text.contains(value), "{reply:#?}");
            }
        }
    }
    for field in ["first_name", "last_name"] {
        for value in ["x".repeat(151), "a\nb".to_owned(), "a\u{0}".to_owned()] {
            let mut body = json!({ "email": "x@example.org", "username": "xavier.x" });
            body["password"] = json!("staple battery 77");
            body[field] = json!(value);
            fault(&nobody.post("/api/auth/register/", &body).await.problem(400, "invalid"), field);
        }
    }
    // Everything that is wrong is said at once.
    let body = json!({ "email": "x", "username": "y", "password": "z" });
    let reply = nobody.post("/api/auth/register/", &body).await.problem(400, "invalid");
    for field in ["email", "username", "password"] {
        fault(&reply, field);
    }
    assert_eq!(sql.size().await, before);
    pair.stop().await;
}

async fn a_name_or_address_that_is_taken_is_a_conflict(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let nobody = pair.a.client();
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let register = |username: &str, email: &str| {
        let body = json!({ "username": username, "email": email, "password": "staple battery 77" });
        let nobody = nobody.clone();
        async move { nobody.post("/api/auth/register/", &body).await }
    };
    for name in ["alice", "ALICE", "Alice", "ａｌｉｃｅ"] {
        let reply = register(name, "new@example.org").await.problem(409, "username_taken");
        fault(&reply, "username");
    }
    for email in ["alice@example.org", "ALICE@Example.ORG", " alice@example.org "] {
        let reply = register("newcomer", email).await.problem(409, "email_taken");
        fault(&reply, "email");
    }
    assert_eq!(sql.size().await, before);
    // Whoever comes at once: one gets it, and the others are told so.
    for (same_name, code) in [(true, "username_taken"), (false, "email_taken")] {
        let replies = join_all((0..8).map(|n| {
            let register = &register;
            async move {
                let (name, email) = if same_name {
                    ("racer".to_owned(), format!("racer{n}@example.org"))
                } else {
                    (format!("runner{n}"), "runner@example.org".to_owned())
                };
                register(&name, &email).await
            }
        }))
        .await;
        let created = replies.iter().filter(|reply| reply.status == 201).count();
        assert_eq!(created, 1, "{replies:#?}");
        for reply in replies.into_iter().filter(|reply| reply.status != 201) {
            reply.problem(409, code);
        }
    }
    alice.get("/api/users/get_by_username/?username=racer").await.expect(200);
    pair.stop().await;
}

async fn a_password_counts_byte_for_byte(database: Database) {
    let pair = Pair::start(database).await;
    let nobody = pair.a.client();
    for (n, password) in
        ["  spaces kept  ", "🦀🦀 ferris 🦀🦀", "пароль-дня-7", "tab\tand\r\nline ends"]
            .iter()
            .enumerate()
    {
        let name = format!("user{n}");
        let email = format!("{name}@example.org");
        let body = json!({ "username": name, "email": email, "password": password });
        nobody.post("/api/auth/register/", &body).await.expect(201);
        let login = |field: &str, value: &str, password: &str| {
            let body = json!({ field: value, "password": password });
            let nobody = nobody.clone();
            async move { nobody.post("/api/auth/login/", &body).await }
        };
        login("username", &name, password).await.expect(200);
        login("username", &name.to_uppercase(), password).await.expect(200);
        login("email", &email, password).await.expect(200);
        for wrong in [password.trim(), &format!("{password} "), &password.to_uppercase()] {
            if wrong != *password {
                login("username", &name, wrong).await.problem(401, "invalid_credentials");
            }
        }
    }
    pair.stop().await;
}

async fn a_login_that_is_not_one_is_refused(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let nobody = pair.a.client();
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    for (body, field) in [
        (json!({ "password": CANARY }), "username"),
        (json!({ "username": "", "password": CANARY }), "username"),
        (json!({ "username": "  ", "password": CANARY }), "username"),
        (json!({ "username": "alice", "password": "" }), "password"),
        (json!({ "username": "alice", "email": "alice@example.org", "password": CANARY }), "email"),
    ] {
        let reply = nobody.post("/api/auth/login/", &body).await.problem(400, "invalid");
        fault(&reply, field);
        assert!(!reply.text.contains(CANARY));
    }
    let long = "x".repeat(10_000);
    for name in ["' OR 1=1--", "alice'--", "alice\u{0}", "%", "*", "nobody", "alice@app-a", &long] {
        for field in ["username", "email"] {
            let body = json!({ field: name, "password": CANARY });
            let reply = nobody.post("/api/auth/login/", &body).await;
            let reply = reply.problem(401, "invalid_credentials");
            assert!(!reply.text.contains(CANARY) && reply.json.get("errors").is_none());
        }
    }
    for password in ["wrong", "' OR '1'='1", &long, "correct horse battery staple\u{0}"] {
        let body = json!({ "username": "alice", "password": password });
        nobody.post("/api/auth/login/", &body).await.problem(401, "invalid_credentials");
    }
    assert_eq!(sql.size().await, before);
    alice.get("/api/auth/me/").await.expect(200);
    pair.stop().await;
}

async fn a_refresh_token_that_is_none_is_refused(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let nobody = pair.a.client();
    let refresh = alice.refresh.clone().unwrap();
    let (long, padded, spaced) = ("x".repeat(10_000), format!("{refresh}="), format!(" {refresh}"));
    let mut other = refresh.clone().into_bytes();
    other[5] = if other[5] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    for token in
        ["", "x", &long, &padded, &spaced, &other, alice.token.as_deref().unwrap(), "\u{0}"]
    {
        let body = json!({ "refresh_token": token });
        let reply = nobody.post("/api/auth/refresh/", &body).await.problem(401, "invalid_token");
        assert!(token.len() < 8 || !reply.text.contains(token));
    }
    nobody.post("/api/auth/refresh/", &json!({ "refresh_token": refresh })).await.expect(200);
    pair.stop().await;
}

async fn logging_out_ends_only_the_session_of_the_tokens(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let nobody = pair.a.client();
    let logout = "/api/auth/logout/";
    nobody.post(logout, &json!({})).await.problem(401, "not_authenticated");
    let body = json!({ "refresh_token": "x" });
    nobody.post(logout, &body).await.problem(401, "invalid_token");
    // Another's refresh token beside one's own access token ends neither session.
    let body = json!({ "refresh_token": bob.refresh });
    alice.post(logout, &body).await.problem(401, "invalid_token");
    for user in [&alice, &bob] {
        user.get("/api/auth/me/").await.expect(200);
    }
    let body = json!({ "refresh_token": alice.refresh });
    alice.post(logout, &body).await.expect(200);
    alice.post(logout, &body).await.expect(200);
    nobody.post(logout, &body).await.expect(200);
    alice.get("/api/auth/me/").await.problem(401, "invalid_token");
    bob.get("/api/auth/me/").await.expect(200);
    // Without a body, and without its media type, the access token is enough.
    bob.run(bob.request(Method::POST, logout)).await.expect(200);
    bob.get("/api/auth/me/").await.problem(401, "invalid_token");
    pair.stop().await;
}

async fn a_lookup_takes_names_literally(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let path = "/api/users/get_by_username/";
    pair.a.client().get(&format!("{path}?username=alice")).await.problem(401, "not_authenticated");
    for query in ["", "?", "?username=", "?user=alice", &format!("?username={}", "x".repeat(1024))]
    {
        let reply = alice.get(&format!("{path}{query}")).await.problem(400, "invalid");
        fault(&reply, "username");
    }
    for name in [
        "%25",
        "_____",
        "*",
        "a%25",
        "al_ce",
        "alice%00",
        "%00",
        "%ff",
        "alice%27--",
        "bob",
        "bob@app-c",
        "bob@app-b@x",
        "@app-b",
        "bob@",
        "@",
        "bob@APP-B",
        "bob@app-b/",
        "b%25b@app-b",
        "..%2f..%2fevents@app-b",
        "bob%26x%3Dy@app-b",
        "bob@http%3A%2F%2Flocalhost",
    ] {
        alice.get(&format!("{path}?username={name}")).await.problem(404, "not_found");
    }
    assert_eq!(
        alice.get(&format!("{path}?username=bob@app-b")).await.expect(200).str("app"),
        "app-b"
    );
    pair.stop().await;
}

async fn a_conversation_with_bad_participants_is_not_begun(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let path = "/api/chats/conversations/";
    let many: Vec<_> = (0..1001).map(|n| format!("user{n}")).collect();
    let id = bob.get("/api/auth/me/").await.expect(200).str("id");
    for participants in [
        json!([]),
        json!(["alice"]),
        json!(["alice", "ALICE@app-a"]),
        json!(["bob", "bob"]),
        json!(["bob", "BOB@app-a"]),
        json!(["bob", id]),
        json!(["bob", ""]),
        json!(["bob", "carol"]),
        json!(["bob", "carol@app-b"]),
        json!(["bob", "dave@app-z"]),
        json!(["bob", UNKNOWN]),
        json!(["bob", "x".repeat(600)]),
        json!(["bob", "\u{0}"]),
        json!(many),
    ] {
        let body = json!({ "participants": participants });
        fault(&alice.post(path, &body).await.problem(400, "invalid"), "participants");
    }
    let body = json!({ "participants": ["bob", "carol", "x@app-b"] });
    let reply = alice.post(path, &body).await.problem(400, "invalid");
    assert_eq!(reply.json["errors"]["participants"].as_array().unwrap().len(), 2, "{reply:#?}");
    for title in ["", "  ", "a\nb", "\u{0}", &"x".repeat(201)] {
        let body = json!({ "participants": ["bob"], "title": title });
        fault(&alice.post(path, &body).await.problem(400, "invalid"), "title");
    }
    let body = json!({ "participants": ["bob"], "title": "x", "kind": "direct" });
    fault(&alice.post(path, &body).await.problem(400, "invalid"), "title");
    assert_eq!(sql.size().await, before);
    // The same pair is one direct conversation, however it is named and whoever names it.
    let first = alice.post(path, &json!({ "participants": ["bob"] })).await.expect(201).str("id");
    for (who, other) in [(&alice, "BOB"), (&alice, id.as_str()), (&bob, "alice@app-a")] {
        let again = who.post(path, &json!({ "participants": [other] })).await.expect(200);
        assert_eq!(again.str("id"), first);
    }
    pair.stop().await;
}

async fn ids_that_name_nothing_are_answered_alike(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let eve = pair.a.client().join("eve").await;
    let sent = alice.send("bob", "hello").await;
    let message = sent["id"].as_str().unwrap();
    let conversation = sent["conversation"].as_str().unwrap();
    let mut bodies = Vec::new();
    let odd = ["not-a-uuid", UNKNOWN, "0", "%00", "%ff", "..%2f..%2fetc", "%30", "{}", "'--"];
    for id in odd.iter().chain([&message, &conversation]) {
        for (method, path, body) in [
            ("GET", format!("/api/chats/conversations/{id}/"), ""),
            ("GET", format!("/api/chats/conversations/{id}/messages/"), ""),
            (
                "POST",
                format!("/api/chats/conversations/{id}/read/"),
                r#"{"message":"0190a5d0-ac96-774b-8cce-b302099a8057"}"#,
            ),
            ("GET", format!("/api/chats/messages/{id}/"), ""),
            ("PATCH", format!("/api/chats/messages/{id}/"), r#"{"content":"x"}"#),
            ("PUT", format!("/api/chats/messages/{id}/"), r#"{"content":"x"}"#),
            ("DELETE", format!("/api/chats/messages/{id}/"), ""),
        ] {
            let headers = format!(
                "Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
                eve.token.as_deref().unwrap(),
                body.len()
            );
            let line = format!("{method} {path} HTTP/1.1");
            let reply = raw(&eve, &line, &headers, body.as_bytes()).await;
            let Some(reply) = reply else { panic!("no answer to {line}") };
            if reply.status == 400 && reply.text.is_empty() {
                continue; // `{}` may not stand in a request line.
            }
            let mut json = reply.problem(404, "not_found").json;
            json["instance"].take();
            json["request_id"].take();
            bodies.push(json);
        }
    }
    assert!(bodies.len() > 60);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    let body = json!({ "conversation": UNKNOWN, "content": "x" });
    alice.post("/api/chats/messages/", &body).await.problem(404, "not_found");
    // One's own message by another spelling of its id is the message, or nothing; never a fault of the app.
    let spelt = format!("%{:02x}{}", message.as_bytes()[0], &message[1..]);
    for other in [spelt, message.to_uppercase(), message.replace('-', "")] {
        let path = format!("/api/chats/messages/{other}/");
        for reply in [alice.get(&path).await, alice.patch(&path, &json!({ "content": "y" })).await]
        {
            assert!(matches!(reply.status.as_u16(), 200 | 404), "{reply:#?}");
        }
    }
    pair.stop().await;
}

async fn a_message_has_between_one_and_20000_characters(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let first = alice.send("bob@app-b", "x").await;
    let path = format!("/api/chats/messages/{}/", first["id"].as_str().unwrap());
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    for blank in
        ["", " ", "\n\t\r", "\u{200b}", "\u{200d}\u{feff}", "\u{3164}", "\u{0}", "\u{2800}"]
    {
        let body = json!({ "recipient": "bob@app-b", "content": blank });
        let reply = alice.post("/api/messages/send/", &body).await.problem(400, "invalid");
        fault(&reply, "content");
        let reply = alice.patch(&path, &json!({ "content": blank })).await.problem(400, "invalid");
        fault(&reply, "content");
    }
    let mut longest = Vec::new();
    for unit in ["x", "é", "日", "🦀", "\"", "\\", "\u{1}x"] {
        let text = unit.repeat(20_000 / unit.chars().count());
        longest.push(text.clone());
        let body = json!({ "recipient": "bob@app-b", "content": format!("{text}x") });
        let reply = alice.post("/api/messages/send/", &body).await.problem(400, "invalid");
        fault(&reply, "content");
        assert!(reply.text.len() < 2000, "the text is not repeated");
    }
    assert_eq!(sql.size().await, before);
    for text in &longest {
        let sent = alice.send("bob@app-b", text).await;
        assert_eq!(sent["content"], *text);
        let body = json!({ "content": format!("{text}x") });
        alice.patch(&path, &body).await.problem(400, "invalid");
    }
    let conversation = first["conversation"].as_str().unwrap();
    let seen = e2e::eventually("the longest messages arrive", || async {
        let seen = bob.read(conversation).await;
        (seen.len() > longest.len()).then_some(seen)
    });
    assert_eq!(seen.await[1..], longest);
    pair.stop().await;
}

async fn odd_texts_are_kept_byte_for_byte(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let line = "x".repeat(15_000);
    let marks = format!("a{}", "\u{301}".repeat(10_000));
    let texts = [
        "a\u{0}b",
        "lone\rCR",
        "\u{202e}right to left",
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
        "' OR 1=1; DROP TABLE messages;--",
        "${jndi:ldap://x}",
        "{\"$sealed\":\"x\"}",
        "\",\"content\":\"x",
        "{\"$sealed\":",
        "\u{e000}\u{10ffff}\u{fffd}\u{fffe}",
        " leading and trailing ",
        "\\u0041\\n",
        &line,
        &marks,
        "gAAAAABmtokenlike",
        "00c0ffee:gAAAAA==",
    ];
    let mut conversation = String::new();
    for text in texts {
        let sent = alice.send("bob@app-b", text).await;
        assert_eq!(sent["content"], text);
        sent["conversation"].as_str().unwrap().clone_into(&mut conversation);
    }
    assert_eq!(alice.read(&conversation).await, texts);
    let seen = e2e::eventually("the texts arrive", || async {
        let seen = bob.read(&conversation).await;
        (seen.len() == texts.len()).then_some(seen)
    });
    assert_eq!(seen.await, texts);
    pair.stop().await;
}

async fn a_message_needs_one_place_and_a_parent_in_it(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let carol = pair.a.client().join("carol").await;
    let here = alice.send("bob", "here").await;
    let there = carol.send("bob", "there").await;
    let gone = alice.send("bob", "gone").await;
    alice
        .delete(&format!("/api/chats/messages/{}/", gone["id"].as_str().unwrap()))
        .await
        .expect(204);
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let (id, conversation) = (&here["id"], &here["conversation"]);
    for (body, status, code, field) in [
        (json!({}), 400, "invalid", "conversation"),
        (json!({ "conversation": conversation, "recipient": "bob" }), 400, "invalid", "recipient"),
        (json!({ "recipient": "alice" }), 400, "invalid", "recipient"),
        (json!({ "recipient": "nobody" }), 404, "unknown_recipient", ""),
        (json!({ "recipient": "" }), 404, "unknown_recipient", ""),
        (json!({ "recipient": "a\u{0}b" }), 404, "unknown_recipient", ""),
        (json!({ "recipient": "bob@app-z" }), 404, "unknown_recipient", ""),
        (json!({ "recipient": "nobody@app-b" }), 404, "unknown_recipient", ""),
        (json!({ "recipient": "x".repeat(10_000) }), 404, "unknown_recipient", ""),
        (json!({ "conversation": UNKNOWN }), 404, "not_found", ""),
        (json!({ "conversation": there["conversation"] }), 404, "not_found", ""),
        (json!({ "conversation": id }), 404, "not_found", ""),
        (json!({ "conversation": conversation, "parent": UNKNOWN }), 400, "invalid", "parent"),
        (json!({ "conversation": conversation, "parent": there["id"] }), 400, "invalid", "parent"),
        (json!({ "conversation": conversation, "parent": gone["id"] }), 400, "invalid", "parent"),
        (json!({ "conversation": conversation, "parent": conversation }), 400, "invalid", "parent"),
    ] {
        for path in ["/api/chats/messages/", "/api/messages/send/"] {
            let mut body = body.clone();
            body["content"] = json!(CANARY);
            let mut reply = alice.post(path, &body).await;
            if body.as_object().unwrap().len() == 1 && reply.json["errors"]["recipient"].is_array()
            {
                reply.json["errors"]["conversation"] = reply.json["errors"]["recipient"].take();
            }
            let reply = reply.problem(status, code);
            if !field.is_empty() {
                fault(&reply, field);
            }
            assert!(!reply.text.contains(CANARY), "{reply:#?}");
        }
    }
    assert_eq!(sql.size().await, before);
    pair.stop().await;
}

async fn only_what_is_there_and_ones_own_is_changed(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let sent = alice.send("bob", "mine").await;
    let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
    bob.patch(&path, &json!({ "content": CANARY })).await.problem(403, "not_the_sender");
    bob.delete(&path).await.problem(403, "not_the_sender");
    assert_eq!(bob.get(&path).await.expect(200).str("content"), "mine");
    alice.delete(&path).await.expect(204);
    alice.delete(&path).await.expect(204);
    let reply = alice.patch(&path, &json!({ "content": CANARY })).await;
    reply.problem(409, "message_deleted");
    assert_eq!(bob.get(&path).await.expect(200).json["content"], Value::Null);
    // Edits at once: each is taken or told that another came between; the last one taken is what is read.
    let sent = alice.send("bob", "0").await;
    let path = &format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
    let edits = join_all((1..=12).map(|n| {
        let alice = alice.clone();
        async move { alice.patch(path, &json!({ "content": n.to_string() })).await }
    }));
    let mut last: Option<(String, String)> = None;
    for reply in edits.await {
        if reply.status == 200 {
            let taken = (reply.str("edited_at"), reply.str("content"));
            last = last.max(Some(taken));
        } else {
            reply.problem(409, "edit_conflict");
        }
    }
    let seen = bob.get(path).await.expect(200);
    assert_eq!(last, Some((seen.str("edited_at"), seen.str("content"))));
    pair.stop().await;
}

async fn page_parameters_out_of_range_are_refused(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let sent = alice.send("bob", "hello").await;
    let conversation = sent["conversation"].as_str().unwrap();
    for path in [
        "/api/chats/conversations/".to_owned(),
        "/api/chats/messages/".to_owned(),
        format!("/api/chats/messages/?conversation={conversation}"),
        format!("/api/chats/conversations/{conversation}/messages/"),
        "/api/messages/inbox/".to_owned(),
    ] {
        let and = if path.contains('?') { '&' } else { '?' };
        for (query, field) in [
            ("page=0", "page"),
            ("page=-1", "page"),
            ("page=abc", "page"),
            ("page=", "page"),
            ("page=1.5", "page"),
            ("page=%00", "page"),
            ("page=99999999999999999999", "page"),
            ("page_size=0", "page_size"),
            ("page_size=-1", "page_size"),
            ("page_size=101", "page_size"),
            ("page_size=abc", "page_size"),
            ("page_size=1e1", "page_size"),
            ("page_size=%ff", "page_size"),
        ] {
            let reply = bob.get(&format!("{path}{and}{query}")).await.problem(400, "invalid");
            fault(&reply, field);
        }
        for query in ["page=2", "page=999999", "page=9223372036854775807&page_size=100"] {
            bob.get(&format!("{path}{and}{query}")).await.problem(404, "not_found");
        }
        // Unknown parameters change nothing, however many; of two of a name the first counts.
        let many = (0..50).map(|n| format!("filter{n}=x&")).collect::<Vec<_>>().concat();
        let reply = bob.get(&format!("{path}{and}{many}page=1&page=0")).await.expect(200);
        assert_eq!(reply.json["count"], 1, "{path}");
    }
    pair.stop().await;
}

async fn filters_of_the_unknown_find_nothing(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let eve = pair.a.client().join("eve").await;
    let sent = alice.send("bob", "hello").await;
    let conversation = sent["conversation"].as_str().unwrap();
    for id in [UNKNOWN, conversation] {
        let reply = eve.get(&format!("/api/chats/messages/?conversation={id}")).await.expect(200);
        assert_eq!((&reply.json["count"], reply.results().len()), (&json!(0), 0));
    }
    for bad in ["conversation=x", "conversation=", "conversation=%00"] {
        let reply = bob.get(&format!("/api/chats/messages/?{bad}")).await.problem(400, "invalid");
        fault(&reply, "conversation");
    }
    for bad in ["unread=perhaps", "unread=", "unread=1"] {
        let reply = bob.get(&format!("/api/messages/inbox/?{bad}")).await.problem(400, "invalid");
        fault(&reply, "unread");
    }
    pair.stop().await;
}

async fn the_read_position_takes_only_messages_of_its_conversation(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let carol = pair.a.client().join("carol").await;
    let sent = alice.send("bob", "one").await;
    alice.send("bob", "two").await;
    let elsewhere = carol.send("bob", "elsewhere").await;
    let foreign = alice.send("carol", "foreign").await;
    let path = format!("/api/chats/conversations/{}/", sent["conversation"].as_str().unwrap());
    for id in [&elsewhere["id"], &foreign["id"], &json!(UNKNOWN)] {
        let reply = bob.post(&format!("{path}read/"), &json!({ "message": id })).await;
        reply.problem(404, "not_found");
    }
    let reply = carol.post(&format!("{path}read/"), &json!({ "message": sent["id"] })).await;
    reply.problem(404, "not_found");
    assert_eq!(bob.get(&path).await.expect(200).json["unread_count"], 2);
    pair.stop().await;
}

async fn unknown_paths_and_methods_are_problems(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let sent = alice.send("bob", "hello").await;
    let token = format!("Authorization: Bearer {}\r\n", alice.token.as_deref().unwrap());
    for path in [
        "/api",
        "/api/",
        "/api/nothing/",
        "/api/auth/",
        "/api/auth/login/x/",
        "/api/chats/",
        "/api//auth/me/",
        "/api/./auth/me/",
        "/api/x/../auth/me/",
        "/api/auth/me/%00/",
        "/static/..%2f..%2fetc/passwd",
        "/..%2f..%2fetc/passwd",
        "/api/auth%2fme/",
        "/api/auth/ME/",
        "/api/auth/me%20/",
        "/relay/v2/events/",
        "/relay/v1/",
        "/metrics",
        "/.env",
        "/.git/config",
        "/api/chats/messages/x/y/",
        "/%",
    ] {
        let reply = raw(&alice, &format!("GET {path} HTTP/1.1"), &token, b"").await;
        let reply = reply.unwrap_or_else(|| panic!("no answer to {path}"));
        assert_eq!(reply.problem(404, "not_found").json["instance"], path);
    }
    let messages = "/api/chats/messages/";
    let message = format!("{messages}{}/", sent["id"].as_str().unwrap());
    for (path, allowed, refused) in [
        ("/api/auth/login/", "POST", &["GET", "PUT", "DELETE", "OPTIONS", "TRACE", "HACK"][..]),
        ("/api/auth/me/", "GET,HEAD,PUT,PATCH", &["POST", "DELETE", "TRACE", "OPTIONS"]),
        ("/api/users/get_by_username/", "GET,HEAD", &["POST", "PATCH", "TRACE"]),
        ("/api/chats/conversations/", "GET,HEAD,POST", &["PUT", "PATCH", "DELETE", "TRACE"]),
        (messages, "GET,HEAD,POST", &["PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "HACK"]),
        (&message, "GET,HEAD,PUT,PATCH,DELETE", &["POST", "TRACE", "OPTIONS", "HACK"]),
        ("/api/messages/send/", "POST", &["GET", "PUT", "DELETE", "TRACE"]),
        ("/api/messages/inbox/", "GET,HEAD", &["POST", "PUT", "DELETE", "TRACE"]),
        ("/relay/v1/events/", "POST", &["GET", "PUT", "TRACE"]),
        ("/health/ready", "GET,HEAD", &["POST", "TRACE"]),
    ] {
        for method in refused {
            let line = format!("{method} {path} HTTP/1.1");
            let reply = raw(&alice, &line, &token, b"").await;
            let reply = reply.unwrap_or_else(|| panic!("no answer to {line}"));
            let reply = reply.problem(405, "method_not_allowed");
            let header = reply.headers["allow"].to_str().unwrap();
            let mut methods: Vec<_> = header.split(',').map(str::trim).collect();
            let mut expected: Vec<_> = allowed.split(',').collect();
            methods.sort_unstable();
            expected.sort_unstable();
            assert_eq!(methods, expected, "{line}");
        }
    }
    // TRACE does not send back what it was sent.
    let reply = raw(&alice, "TRACE /api/auth/me/ HTTP/1.1", &token, b"").await.unwrap();
    assert!(!reply.text.contains(alice.token.as_deref().unwrap()));
    pair.stop().await;
}

async fn too_many_or_too_long_headers_are_refused(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let long = format!("X-Long: {}\r\n", "x".repeat(64 * 1024));
    let many = (0..300).map(|n| format!("X-{n}: x\r\n")).collect::<Vec<_>>().concat();
    let target = format!("GET /api/auth/me/?{} HTTP/1.1", "x".repeat(80 * 1024));
    for (line, headers) in [
        ("GET /api/auth/me/ HTTP/1.1", long.as_str()),
        ("GET /api/auth/me/ HTTP/1.1", &many),
        (&target, ""),
    ] {
        // The server may close the connection before it has read everything, and the answer with it.
        if let Some(reply) = raw(&alice, line, headers, b"").await {
            assert!(matches!(reply.status.as_u16(), 414 | 431), "{reply:#?}");
        }
    }
    for line in ["GET", "GET /", "GET / HTTP/9.9", "\u{0}", "GET  /  HTTP/1.1"] {
        if let Some(reply) = raw(&alice, line, "", b"").await {
            assert!(reply.status.is_client_error(), "{reply:#?}");
        }
    }
    alice.get("/api/auth/me/").await.expect(200);
    pair.stop().await;
}

async fn the_slash_at_the_end_is_optional_and_json_is_all_there_is(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let body = json!({ "recipient": "bob", "content": "hello" });
    let sent = alice.post("/api/messages/send", &body).await.expect(201);
    let (id, conversation) = (sent.str("id"), sent.str("conversation"));
    for path in [
        "/api/auth/me".to_owned(),
        "/api/users/get_by_username".to_owned(),
        "/api/chats/conversations".to_owned(),
        format!("/api/chats/conversations/{conversation}"),
        format!("/api/chats/conversations/{conversation}/messages"),
        "/api/chats/messages".to_owned(),
        format!("/api/chats/messages/{id}"),
        "/api/messages/inbox".to_owned(),
    ] {
        let query = if path.contains("username") { "?username=alice" } else { "" };
        let without = bob.get(&format!("{path}{query}")).await.expect(200);
        let with = bob.get(&format!("{path}/{query}")).await.expect(200);
        assert_eq!(without.json, with.json, "{path}");
        let request = bob.request(Method::GET, &format!("{path}/{query}"));
        let xml = bob.run(request.header("accept", "application/xml")).await.expect(200);
        assert_eq!(xml.headers["content-type"], "application/json", "{path}");
        for header in ["x-request-id", "x-frame-options", "x-content-type-options"] {
            assert!(xml.headers.contains_key(header), "{path} {header}");
        }
        assert!(!xml.headers.contains_key("server"), "{path}");
    }
    let patched =
        alice.patch(&format!("/api/chats/messages/{id}"), &json!({ "content": "y" })).await;
    assert_eq!(patched.expect(200).str("content"), "y");
    // The caller's own request id is kept if it is plain, and replaced if it is not.
    let ask = async |id: &str| {
        let request = bob.request(Method::GET, "/api/nothing/").header("x-request-id", id);
        bob.run(request).await.problem(404, "not_found").str("request_id")
    };
    assert_eq!(ask("my-own.id_1").await, "my-own.id_1");
    let long = "x".repeat(65);
    for odd in ["two words", "<script>", "", &long, "a;b"] {
        assert_ne!(ask(odd).await, odd);
    }
    pair.stop().await;
}
