//! What attackers try: forged and stolen tokens, other people's ids, moved and broken ciphertext, floods.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use e2e::{Client, Database, Pair, Reply, eventually, on_both_databases};
use futures::future::join_all;
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use shared::encryption::{Field, FieldCipher, Keyring};

use crate::support::problem::IsProblem;
use crate::support::seal::Token;
use crate::support::sql::Sql;

on_both_databases!(
    a_forged_access_token_is_refused,
    only_an_access_token_of_this_app_is_a_bearer_token,
    the_authorization_header_holds_one_bearer_token,
    a_token_ends_with_its_account_and_its_session,
    a_stolen_refresh_token_ends_its_own_session_alone,
    parallel_refreshes_get_one_successor,
    a_refresh_token_ends_with_its_session,
    a_login_does_not_say_whether_the_user_exists,
    nobody_reaches_what_is_not_theirs,
    a_flood_of_logins_leaves_the_rest_responsive,
    a_moved_token_does_not_open_as_another_message,
    a_changed_token_breaks_its_own_message_alone,
    a_token_of_any_other_key_does_not_open,
);

const PASSWORD: &str = "correct horse battery staple";
const UNKNOWN: &str = "0190a5d0-ac96-774b-8cce-b302099a8057";

/// The middle part of a JWT.
fn claims(token: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

fn header() -> Header {
    Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::HS256) }
}

fn sign(header: &Header, claims: &Value, secret: &str) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// A token that this header and these claims would make, with this signature.
fn spelt(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

/// Asks who the bearer of a token is.
async fn me(client: &Client, token: &str) -> Reply {
    let mut client = client.clone();
    client.token = Some(token.to_owned());
    client.get("/api/auth/me/").await
}

async fn a_forged_access_token_is_refused(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let token = alice.token.as_deref().unwrap();
    let (secret, good) = (pair.a.config.jwt_secret.expose(), claims(token));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    // The test signs as the app does; what follows differs from this in one thing each.
    me(&alice, &sign(&header(), &good, secret)).await.expect(200);
    let mut forged: Vec<(String, String)> = Vec::new();
    for alg in ["none", "None", "nOnE", "NONE", ""] {
        let header = json!({ "alg": alg, "typ": "at+jwt" });
        forged.push((format!("alg {alg}"), spelt(&header, &good, "")));
        forged.push((format!("alg {alg}, signed"), spelt(&header, &good, signature)));
    }
    forged.push(("no signature".into(), format!("{signed}.")));
    forged.push(("no dot".into(), signed.to_owned()));
    forged.push(("four parts".into(), format!("{token}.x")));
    forged.push(("half a signature".into(), format!("{signed}.{}", &signature[..20])));
    forged.push(("a padded signature".into(), format!("{token}=")));
    for (what, secret) in [
        ("another", "s".repeat(44)),
        ("an empty", String::new()),
        ("the relay's", pair.relay_secret.clone()),
    ] {
        forged.push((format!("{what} secret"), sign(&header(), &good, &secret)));
    }
    for alg in [Algorithm::HS384, Algorithm::HS512] {
        let header = Header { alg, ..header() };
        forged.push((format!("{alg:?}"), sign(&header, &good, secret)));
    }
    // Headers that would have the verifier fetch or choose a key.
    for key in [
        json!({ "kid": "../../../../dev/null" }),
        json!({ "kid": "' UNION SELECT 'x" }),
        json!({ "kid": "http://127.0.0.1:1/key" }),
        json!({ "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/x" }),
        json!({ "jwk": { "kty": "oct", "k": URL_SAFE_NO_PAD.encode("s".repeat(44)) } }),
    ] {
        let mut header = json!({ "alg": "HS256", "typ": "at+jwt" });
        header.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
        forged.push((key.to_string(), spelt(&header, &good, signature)));
    }
    for (what, typ) in [("no", None), ("JWT", Some("JWT")), ("relay", Some("relay+jwt"))] {
        let header = Header { typ: typ.map(str::to_owned), ..header() };
        forged.push((format!("type {what}"), sign(&header, &good, secret)));
    }
    let now = good["iat"].as_i64().unwrap();
    for (claim, value) in [
        ("exp", json!(now - 3600)),
        ("exp", json!("never")),
        ("exp", json!((now + 3600).to_string())),
        ("exp", json!([now + 3600])),
        ("exp", json!(null)),
        ("exp", json!(1e300)),
        ("exp", json!(now + 10 * 365 * 86_400)),
        ("nbf", json!(now + 3600)),
        ("nbf", json!("now")),
        ("iss", json!("app-b")),
        ("iss", json!(["app-a", "app-b"])),
        ("aud", json!("app-b")),
        ("aud", json!("")),
        ("sub", json!(UNKNOWN)),
        ("sub", json!("alice")),
        ("user_id", json!(UNKNOWN)),
        ("sid", json!(UNKNOWN)),
        ("sid", json!(null)),
        ("role", json!("superuser")),
    ] {
        let mut claims = good.clone();
        claims[claim] = value.clone();
        forged.push((format!("{claim} {value}"), sign(&header(), &claims, secret)));
    }
    for claim in good.as_object().unwrap().keys() {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        forged.push((format!("no {claim}"), sign(&header(), &claims, secret)));
    }
    let before = pair.a_to_b.recorded().len();
    for (what, token) in forged {
        let reply = me(&alice, &token).await;
        assert_eq!(reply.status, 401, "{what}: {reply:#?}");
        reply.problem(401, "invalid_token");
    }
    assert_eq!(pair.a_to_b.recorded().len(), before, "nothing was asked of anybody");
    // A role that a token claims and the account has not counts for nothing.
    let mut admin = good.clone();
    admin["role"] = json!("admin");
    let seen = me(&alice, &sign(&header(), &admin, secret)).await;
    assert!(seen.status == 401 || seen.json["role"] == "user", "{seen:#?}");
    pair.stop().await;
}

async fn only_an_access_token_of_this_app_is_a_bearer_token(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let twin = pair.b.client().join("alice").await;
    for token in [&bob.token, &twin.token, &alice.refresh, &bob.refresh] {
        me(&alice, token.as_deref().unwrap()).await.problem(401, "invalid_token");
    }
    let nobody = pair.a.client();
    for token in [&alice.token, &bob.refresh] {
        let body = json!({ "refresh_token": token });
        nobody.post("/api/auth/refresh/", &body).await.problem(401, "invalid_token");
        nobody.post("/api/auth/logout/", &body).await.problem(401, "invalid_token");
    }
    me(&alice, alice.token.as_deref().unwrap()).await.expect(200);
    me(&bob, bob.token.as_deref().unwrap()).await.expect(200);
    pair.stop().await;
}

async fn the_authorization_header_holds_one_bearer_token(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let token = alice.token.clone().unwrap();
    let nobody = pair.a.client();
    let ask = |values: Vec<String>| {
        let request = nobody.request(Method::GET, "/api/auth/me/");
        let add = |request: reqwest::RequestBuilder, value| request.header("authorization", value);
        let request = values.into_iter().fold(request, add);
        let nobody = nobody.clone();
        async move { nobody.run(request).await }
    };
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        ask(vec![format!("{scheme} {token}")]).await.expect(200);
    }
    ask(Vec::new()).await.problem(401, "not_authenticated");
    for odd in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        format!("Token {token}"),
        format!("JWT {token}"),
        format!("Basic {token}"),
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!("Bearer:{token}"),
        format!("Bearer {token} x"),
        format!("Bearer {token},Bearer {token}"),
        format!("Bearer \"{token}\""),
        format!("xBearer {token}"),
        "Bearer null".to_owned(),
        "Bearer undefined".to_owned(),
        format!("Bearer {}", "x".repeat(20_000)),
    ] {
        ask(vec![odd]).await.problem(401, "invalid_token");
    }
    let bearer = format!("Bearer {token}");
    ask(vec![bearer.clone(), bearer.clone()]).await.problem(401, "invalid_token");
    ask(vec![bearer.clone(), "Bearer x".to_owned()]).await.problem(401, "invalid_token");
    // Nowhere else is a token looked for.
    for path in ["?access_token=", "?token=", "?jwt="] {
        let reply = nobody.get(&format!("/api/auth/me/{path}{token}")).await;
        assert!(!reply.problem(401, "not_authenticated").text.contains(&token));
    }
    let request = nobody.request(Method::GET, "/api/auth/me/");
    let request = request.header("cookie", format!("Authentication={token}; access_token={token}"));
    nobody.run(request).await.problem(401, "not_authenticated");
    pair.stop().await;
}

async fn a_token_ends_with_its_account_and_its_session(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, mut bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let id = |token: &Option<String>, claim: &str| {
        claims(token.as_deref().unwrap())[claim].as_str().unwrap().to_owned()
    };
    let mut sql = Sql::open(&pair.a.storage).await;
    // The account is deactivated.
    let user = sql.id(&id(&alice.token, "sub"));
    sql.change(&format!("UPDATE users SET is_active = FALSE WHERE id = {user}")).await;
    eventually("the token of the account ends", || async {
        (alice.get("/api/auth/me/").await.status == 401).then_some(())
    })
    .await;
    alice.get("/api/messages/inbox/").await.problem(401, "invalid_token");
    let nobody = pair.a.client();
    let body = json!({ "refresh_token": alice.refresh });
    nobody.post("/api/auth/refresh/", &body).await.problem(401, "invalid_token");
    let body = json!({ "username": "alice", "password": PASSWORD });
    nobody.post("/api/auth/login/", &body).await.problem(401, "invalid_credentials");
    // A session runs out, and the other one of the same user goes on.
    let ended = bob.clone();
    bob.log_in().await;
    let session = sql.id(&id(&ended.token, "sid"));
    sql.change(&format!("UPDATE sessions SET expires_at = 1 WHERE id = {session}")).await;
    eventually("the token of the session ends", || async {
        (ended.get("/api/auth/me/").await.status == 401).then_some(())
    })
    .await;
    bob.get("/api/auth/me/").await.expect(200);
    // Logging out counts at once.
    bob.post("/api/auth/logout/", &json!({})).await.expect(200);
    bob.get("/api/auth/me/").await.problem(401, "invalid_token");
    pair.stop().await;
}

async fn a_stolen_refresh_token_ends_its_own_session_alone(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = pair.a.client().join("alice").await;
    let first = alice.refresh.clone().unwrap();
    let elsewhere = {
        alice.log_in().await;
        alice.clone()
    };
    let bob = pair.a.client().join("bob").await;
    let nobody = pair.a.client();
    let refresh = |token: &str| {
        let (nobody, body) = (nobody.clone(), json!({ "refresh_token": token }));
        async move { nobody.post("/api/auth/refresh/", &body).await }
    };
    let second = refresh(&first).await.expect(200);
    // Longer ago than two tabs of one browser are apart.
    let mut sql = Sql::open(&pair.a.storage).await;
    let aged =
        "UPDATE refresh_tokens SET spent_at = spent_at - 11000000 WHERE spent_at IS NOT NULL";
    sql.change(aged).await;
    refresh(&first).await.problem(401, "invalid_token");
    // The whole family is gone, whoever holds the rest of it; other sessions and other users stay.
    refresh(&second.str("refresh_token")).await.problem(401, "invalid_token");
    refresh(&first).await.problem(401, "invalid_token");
    me(&nobody, &second.str("access_token")).await.problem(401, "invalid_token");
    for other in [&elsewhere, &bob] {
        other.get("/api/auth/me/").await.expect(200);
        refresh(other.refresh.as_deref().unwrap()).await.expect(200);
    }
    pair.stop().await;
}

async fn parallel_refreshes_get_one_successor(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let nobody = pair.a.client();
    let mut token = alice.refresh.clone().unwrap();
    for _ in 0..3 {
        let body = json!({ "refresh_token": token });
        let replies = join_all((0..20).map(|_| nobody.post("/api/auth/refresh/", &body))).await;
        let mut successors: Vec<_> =
            replies.into_iter().map(|reply| reply.expect(200).str("refresh_token")).collect();
        successors.sort();
        successors.dedup();
        assert_eq!(successors.len(), 1, "one successor for all");
        assert_ne!(successors[0], token);
        token = successors.remove(0);
    }
    alice.get("/api/auth/me/").await.expect(200);
    pair.stop().await;
}

async fn a_refresh_token_ends_with_its_session(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = pair.a.client().join("alice").await;
    let nobody = pair.a.client();
    let refresh = |token: &Option<String>| {
        let (nobody, body) = (nobody.clone(), json!({ "refresh_token": token }));
        async move { nobody.post("/api/auth/refresh/", &body).await }
    };
    let session = claims(alice.token.as_deref().unwrap())["sid"].as_str().unwrap().to_owned();
    let mut sql = Sql::open(&pair.a.storage).await;
    let session = sql.id(&session);
    sql.change(&format!("UPDATE sessions SET expires_at = 1 WHERE id = {session}")).await;
    refresh(&alice.refresh).await.problem(401, "invalid_token");
    alice.log_in().await;
    let next = refresh(&alice.refresh).await.expect(200);
    alice.post("/api/auth/logout/", &json!({})).await.expect(200);
    for token in [alice.refresh.clone(), Some(next.str("refresh_token"))] {
        refresh(&token).await.problem(401, "invalid_token");
    }
    me(&alice, &next.str("access_token")).await.problem(401, "invalid_token");
    pair.stop().await;
}

async fn a_login_does_not_say_whether_the_user_exists(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let nobody = pair.a.client();
    let dormant = pair.a.client().join("dormant").await;
    let id = dormant.get("/api/auth/me/").await.expect(200).str("id");
    let mut sql = Sql::open(&pair.a.storage).await;
    let id = sql.id(&id);
    sql.change(&format!("UPDATE users SET is_active = FALSE WHERE id = {id}")).await;
    let mut seen = Vec::new();
    for body in [
        json!({ "username": "alice", "password": "not her password" }),
        json!({ "username": "nobody", "password": "not her password" }),
        json!({ "username": "no name at all", "password": "not her password" }),
        json!({ "email": "alice@example.org", "password": "not her password" }),
        json!({ "email": "nobody@example.org", "password": "not her password" }),
        json!({ "username": "dormant", "password": "not her password" }),
        json!({ "username": "dormant", "password": PASSWORD }),
    ] {
        let request = nobody.request(Method::POST, "/api/auth/login/").json(&body);
        let reply = nobody.run(request.header("x-request-id", "same")).await;
        let mut reply = reply.problem(401, "invalid_credentials");
        reply.headers.remove("date");
        seen.push((reply.text, reply.headers));
    }
    for other in &seen {
        assert_eq!(*other, seen[0]);
    }
    alice.get("/api/auth/me/").await.expect(200);
    pair.stop().await;
}

/// Somebody, and the status that they get where they may not go.
struct Caller {
    name: &'static str,
    client: Client,
    outside: u16,
}

async fn nobody_reaches_what_is_not_theirs(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let (eve, left) = (pair.a.client().join("eve").await, pair.a.client().join("left").await);
    let foreign = pair.b.client().join("eve").await;
    let body = json!({ "participants": ["bob", "left"], "title": "A group" });
    let group = alice.post("/api/chats/conversations/", &body).await.expect(201).str("id");
    let send = |text: &str| {
        let (alice, body) = (alice.clone(), json!({ "conversation": group, "content": text }));
        async move { alice.post("/api/chats/messages/", &body).await.expect(201).str("id") }
    };
    let early = send("while everybody was there").await;
    left.delete(&format!("/api/chats/conversations/{group}/participants/left/")).await.expect(204);
    let late = send("after one has left").await;
    let outside = |name, client: Client, outside| Caller { name, client, outside };
    let mut stolen = pair.a.client();
    stolen.token = foreign.token.clone();
    let callers = [
        outside("a stranger", eve, 404),
        outside("one with a token of the other app", stolen, 401),
        outside("nobody", pair.a.client(), 401),
        outside("one who has left", left.clone(), 404),
    ];
    let conversation = format!("/api/chats/conversations/{group}/");
    let participants = format!("{conversation}participants/");
    let message = |id: &str| format!("/api/chats/messages/{id}/");
    for Caller { name, client, outside } in &callers {
        let text = json!({ "content": "not yours" });
        let read = json!({ "message": late });
        let answer = json!({ "conversation": group, "content": "x" });
        let mut replies = vec![
            client.get(&message(&late)).await,
            client.patch(&message(&late), &text).await,
            client.run(client.request(Method::PUT, &message(&late)).json(&text)).await,
            client.delete(&message(&late)).await,
            client.post(&format!("{conversation}read/"), &read).await,
            client.post("/api/chats/messages/", &answer).await,
            client.post("/api/messages/send/", &answer).await,
        ];
        if *name != "one who has left" {
            replies.extend([
                client.get(&conversation).await,
                client.patch(&conversation, &json!({ "title": "x" })).await,
                client.patch(&conversation, &json!({ "title": "" })).await,
                client.delete(&conversation).await,
                client.post(&participants, &json!({ "participants": ["eve"] })).await,
                client.post(&participants, &json!({ "participants": ["nobody"] })).await,
                client.patch(&format!("{participants}bob/"), &json!({ "role": "admin" })).await,
                client.patch(&format!("{participants}nobody/"), &json!({ "role": "admin" })).await,
                client.delete(&format!("{participants}bob/")).await,
                client.delete(&format!("{participants}eve/")).await,
                client.get(&format!("{conversation}messages/")).await,
                client.get(&message(&early)).await,
                client.patch(&message(&early), &text).await,
                client.delete(&message(&early)).await,
            ]);
        }
        for reply in replies {
            assert_eq!(reply.status, *outside, "{name}: {reply:#?}");
            let code = reply.code().to_owned();
            assert!(!reply.problem(*outside, &code).text.contains("while everybody"));
        }
        for list in [
            "/api/chats/messages/".to_owned(),
            format!("/api/chats/messages/?conversation={group}"),
            "/api/messages/inbox/".to_owned(),
            "/api/chats/conversations/".to_owned(),
        ] {
            let reply = client.get(&list).await;
            if *outside == 401 {
                reply.expect(401);
            } else {
                let seen = reply.expect(200).text;
                assert!(!seen.contains("after one has left"), "{name} {list} {seen}");
                assert!(*name == "one who has left" || !seen.contains(&group), "{name} {list}");
            }
        }
    }
    // Who has left sees what was there until then, and nothing of what came later.
    assert_eq!(left.read(&group).await, ["while everybody was there"]);
    left.get(&message(&early)).await.expect(200);
    let seen = left.get(&conversation).await.expect(200);
    assert_eq!(seen.json["last_message"]["id"], early);
    // Participants see all, and change what is theirs.
    for (who, own) in [(&alice, true), (&bob, false)] {
        who.get(&conversation).await.expect(200);
        assert_eq!(who.read(&group).await.len(), 2);
        who.get(&message(&late)).await.expect(200);
        who.post(&format!("{conversation}read/"), &json!({ "message": late })).await.expect(200);
        let status = if own { 200 } else { 403 };
        who.patch(&message(&early), &json!({ "content": "edited" })).await.expect(status);
        who.delete(&message(&early)).await.expect(if own { 204 } else { 403 });
    }
    pair.stop().await;
}

async fn a_flood_of_logins_leaves_the_rest_responsive(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let nobody = pair.a.client();
    let body = json!({ "username": "alice", "password": "not her password" });
    let flood = join_all((0..500).map(|_| nobody.post("/api/auth/login/", &body)));
    let over = std::sync::atomic::AtomicBool::new(false);
    let meanwhile = async {
        let (mut slowest, mut served) = (Duration::ZERO, 0);
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            let started = Instant::now();
            alice.get("/health/ready").await.expect(200);
            alice.send("bob", "meanwhile").await;
            alice.get("/api/messages/inbox/").await.expect(200);
            slowest = slowest.max(started.elapsed());
            served += 1;
        }
        (slowest, served)
    };
    let flooded = async {
        let replies = flood.await;
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        replies
    };
    let (replies, (slowest, served)) = tokio::join!(flooded, meanwhile);
    assert!(served > 0 && slowest < Duration::from_secs(10), "{served} served, {slowest:?}");
    let mut refused = 0;
    for reply in replies {
        if reply.status == 503 {
            refused += 1;
            assert!(reply.headers.contains_key("retry-after"), "{reply:#?}");
            reply.problem(503, "busy");
        } else {
            reply.problem(401, "invalid_credentials");
        }
    }
    assert!(refused < 500, "some were served");
    let body = json!({ "username": "alice", "password": PASSWORD });
    nobody.post("/api/auth/login/", &body).await.expect(200);
    pair.stop().await;
}

/// A page of what a reader sees, by id: the text, or the code of why there is none.
async fn page(reader: &Client, conversation: &str) -> Vec<(String, String)> {
    let path = format!("/api/chats/conversations/{conversation}/messages/");
    let reply = reader.get(&path).await.expect(200);
    let seen = |message: &Value| {
        let text = match message["content"].as_str() {
            Some(text) => text.to_owned(),
            None => format!("({})", message["content_error"]["code"].as_str().unwrap()),
        };
        (message["id"].as_str().unwrap().to_owned(), text)
    };
    reply.results().iter().rev().map(seen).collect()
}

async fn a_moved_token_does_not_open_as_another_message(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let (first, second) = (alice.send("bob", "first").await, alice.send("bob", "second").await);
    let answer = bob.send("alice", "an answer").await;
    let elsewhere = pair.a.client().join("carol").await.send("alice", "elsewhere").await;
    let conversation = first["conversation"].as_str().unwrap();
    let mut sql = Sql::open(&pair.a.storage).await;
    let id = |sql: &Sql, message: &Value| sql.id(message["id"].as_str().unwrap());
    let content = format!("SELECT content FROM messages WHERE id = {}", id(&sql, &second));
    let original = sql.text(&content).await;
    // From another message of the same sender, of another sender, and of another conversation.
    for from in [&first, &answer, &elsewhere] {
        let (from, to) = (id(&sql, from), id(&sql, &second));
        let transplant = format!(
            "UPDATE messages SET content = (SELECT content FROM messages WHERE id = {from}) WHERE id = {to}"
        );
        sql.change(&transplant).await;
        for reader in [&alice, &bob] {
            let texts: Vec<_> =
                page(reader, conversation).await.into_iter().map(|(_, text)| text).collect();
            assert_eq!(texts, ["first", "(moved)", "an answer"]);
        }
        let path = format!("/api/chats/messages/{}/", second["id"].as_str().unwrap());
        let alone = bob.get(&path).await.expect(200);
        assert_eq!(alone.json["content"], Value::Null);
        assert_eq!(alone.json["content_error"]["code"], "moved");
    }
    // From its own history: an old revision does not open as the new one.
    sql.change(&format!(
        "UPDATE messages SET content = '{original}' WHERE id = {}",
        id(&sql, &second)
    ))
    .await;
    assert_eq!(page(&bob, conversation).await[1].1, "second");
    let path = format!("/api/chats/messages/{}/", second["id"].as_str().unwrap());
    alice.patch(&path, &json!({ "content": "edited" })).await.expect(200);
    assert_eq!(page(&bob, conversation).await[1].1, "edited");
    sql.change(&format!(
        "UPDATE messages SET content = '{original}' WHERE id = {}",
        id(&sql, &second)
    ))
    .await;
    assert_eq!(page(&bob, conversation).await[1].1, "(moved)");
    // The same where a message is shown as the last of its conversation.
    let (from, to) = (id(&sql, &first), id(&sql, &answer));
    sql.change(&format!(
        "UPDATE messages SET content = (SELECT content FROM messages WHERE id = {from}) WHERE id = {to}"
    ))
    .await;
    let list = bob.get("/api/chats/conversations/").await.expect(200);
    assert_eq!(list.results()[0]["last_message"]["content_error"]["code"], "moved");
    let inbox = alice.get("/api/messages/inbox/").await.expect(200);
    assert_eq!(inbox.results().len(), 2);
    pair.stop().await;
}

async fn a_changed_token_breaks_its_own_message_alone(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let sent = alice.send("bob", "whole").await;
    alice.send("bob", "beside").await;
    let conversation = sent["conversation"].as_str().unwrap();
    let mut sql = Sql::open(&pair.a.storage).await;
    let id = sql.id(sent["id"].as_str().unwrap());
    let token = sql.text(&format!("SELECT content FROM messages WHERE id = {id}")).await;
    let bytes = URL_SAFE.decode(&token).unwrap();
    let flip = |index: usize, bit: u8| {
        let mut flipped = bytes.clone();
        flipped[index] ^= 1 << bit;
        URL_SAFE.encode(flipped)
    };
    let mut broken: Vec<_> =
        (0..bytes.len()).zip((0..8).cycle()).map(|(index, bit)| flip(index, bit)).collect();
    broken.extend([
        String::new(),
        "x".to_owned(),
        token[..token.len() - 4].to_owned(),
        format!("{token}AAAA"),
        token.to_lowercase(),
        format!("{token}\n"),
        format!("{token}\",\"x\":\"y"),
        "{\"$sealed\":\"x\"}".to_owned(),
        "whole".to_owned(),
    ]);
    for changed in broken {
        let changed = changed.replace('\'', "''");
        sql.change(&format!("UPDATE messages SET content = '{changed}' WHERE id = {id}")).await;
        let texts: Vec<_> =
            page(&bob, conversation).await.into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["(tampered)", "beside"], "{changed}");
    }
    // A wrong note of the key costs an attempt, not the message.
    sql.change(&format!("UPDATE messages SET content = '{token}', key_id = 7 WHERE id = {id}"))
        .await;
    assert_eq!(page(&bob, conversation).await[0].1, "whole");
    pair.stop().await;
}

async fn a_token_of_any_other_key_does_not_open(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let whole = alice.send("bob", "whole").await;
    alice.send("bob", "beside").await;
    let conversation = whole["conversation"].as_str().unwrap();
    let (message, author) =
        (whole["id"].as_str().unwrap(), whole["sender"]["id"].as_str().unwrap());
    let keys = pair.a.config.fernet_keys.expose();
    let mut sql = Sql::open(&pair.a.storage).await;
    let id = sql.id(message);
    let mut put = async |key: i64, token: &str| {
        let set = format!("content = '{token}', key_id = {key}");
        sql.change(&format!("UPDATE messages SET {set} WHERE id = {id}")).await;
        let seen = page(&bob, conversation).await;
        assert_eq!(seen[1].1, "beside");
        seen[0].1.clone()
    };
    // The document says enough to make a token; with the right key, and only with it, it opens.
    let own = Token::seal(keys, message, author, 0, "made by hand");
    assert_eq!(put(own.key, &own.token).await, "made by hand");
    let retired = Keyring::generate_key();
    let jwt_secret = pair.a.config.jwt_secret.expose();
    for other in [retired.as_str(), jwt_secret, &pair.relay_secret] {
        let foreign = Token::seal(other, message, author, 0, "forged");
        assert_eq!(put(foreign.key, &foreign.token).await, "(unknown_key)");
        assert_eq!(
            put(own.key, &foreign.token).await,
            "(tampered)",
            "under the name of the right key"
        );
    }
    // The keys that seal what an account keeps are other keys, though they are made from the same and bear their names.
    let fields = FieldCipher::parse(keys).unwrap();
    let field = fields.seal(Field::Email, message.parse().unwrap(), "forged");
    assert_eq!(field.key().number(), own.key);
    assert_eq!(put(own.key, field.token()).await, "(tampered)");
    pair.stop().await;
}
