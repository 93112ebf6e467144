//! What browsers are told: whose pages may read the answers, and what they may do with them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Instant;

use e2e::{Client, Database, Pair, Reply, on_both_databases};
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::problem::IsProblem;
use crate::support::raw::raw;
use crate::support::sql::Sql;

on_both_databases!(
    a_preflight_is_answered_for_listed_origins_alone,
    pages_of_listed_origins_read_every_answer_and_others_none,
    without_a_list_no_origin_is_allowed,
    every_answer_has_the_security_headers,
    what_cannot_be_parsed_is_a_problem_too,
    a_client_that_dawdles_is_cut_off_and_the_others_do_not_wait,
);

const LISTED: [&str; 2] = ["https://chat.example.org", "http://app-a.localhost:5173"];
const LIST: [(&str, &str); 1] =
    [("CORS_ALLOWED_ORIGINS", "https://chat.example.org, http://app-a.localhost:5173")];
const UNLISTED: [&str; 9] = [
    "https://evil.example",
    "http://chat.example.org",
    "https://chat.example.org:8443",
    "https://chat.example.org.evil.example",
    "https://evilchat.example.org",
    "https://CHAT.example.org",
    "null",
    "*",
    "",
];
const ME: &str = "/api/auth/me/";

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.headers.get(name).map_or("", |value| value.to_str().expect("plain"))
}

/// The lower-case items of a header that is a list.
fn items(reply: &Reply, name: &str) -> Vec<String> {
    header(reply, name).split(',').map(|item| item.trim().to_lowercase()).collect()
}

async fn preflight(client: &Client, path: &str, origin: &str, method: &str) -> Reply {
    let request = client.request(Method::OPTIONS, path).header("origin", origin);
    let request = request.header("access-control-request-method", method);
    client.run(request.header("access-control-request-headers", "x-csrftoken, x-evil")).await
}

#[track_caller]
fn is_not_shared(reply: &Reply) {
    for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
        assert!(!reply.headers.contains_key(name), "{reply:#?}");
    }
}

#[track_caller]
fn is_secured(reply: &Reply) {
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("vary", "Origin"),
    ] {
        assert_eq!(header(reply, name), value, "{name}: {reply:#?}");
    }
    for directive in ["default-src", "object-src", "base-uri", "frame-ancestors", "form-action"] {
        let policy = header(reply, "content-security-policy");
        assert!(policy.contains(&format!("{directive} 'none'")), "{directive}: {reply:#?}");
    }
    assert!(!header(reply, "x-request-id").is_empty(), "{reply:#?}");
}

async fn a_preflight_is_answered_for_listed_origins_alone(database: Database) {
    let pair = Pair::start_with(database, &LIST).await;
    let nobody = pair.a.client();
    for path in ["/api/messages/send/", "/api/chats/messages/x/", "/api/nothing/"] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let reply = preflight(&nobody, path, LISTED[0], method).await.expect(204);
            assert_eq!(header(&reply, "access-control-allow-origin"), LISTED[0]);
            assert_eq!(header(&reply, "access-control-allow-credentials"), "true");
            let methods = items(&reply, "access-control-allow-methods");
            assert!(methods.contains(&method.to_lowercase()), "{reply:#?}");
            let allowed = items(&reply, "access-control-allow-headers");
            for name in ["authorization", "content-type", "x-csrftoken", "idempotency-key"] {
                assert!(allowed.contains(&name.to_owned()), "{name}: {reply:#?}");
            }
            assert!(!allowed.contains(&"x-evil".to_owned()) && !allowed.contains(&"*".to_owned()));
            assert_eq!(header(&reply, "access-control-max-age"), "600");
            is_secured(&reply);
        }
        let reply = preflight(&nobody, path, LISTED[1], "POST").await.expect(204);
        assert_eq!(header(&reply, "access-control-allow-origin"), LISTED[1]);
        for origin in UNLISTED {
            let reply = preflight(&nobody, path, origin, "POST").await;
            is_not_shared(&reply);
            is_secured(&reply);
        }
    }
    // What is no preflight is answered by the route.
    let request = nobody.request(Method::OPTIONS, ME).header("origin", LISTED[0]);
    nobody.run(request).await.problem(405, "method_not_allowed");
    pair.stop().await;
}

async fn pages_of_listed_origins_read_every_answer_and_others_none(database: Database) {
    let pair = Pair::start_with(database, &LIST).await;
    let alice = pair.a.client().join("alice").await;
    let nobody = pair.a.client();
    let ask = async |client: &Client, method: Method, path: &str, origin: &str| {
        client.run(client.request(method, path).header("origin", origin)).await
    };
    for (client, method, path, status) in [
        (&alice, Method::GET, ME, 200),
        (&nobody, Method::GET, ME, 401),
        (&alice, Method::GET, "/api/nothing/", 404),
        (&alice, Method::PUT, "/api/auth/login/", 405),
        (&alice, Method::POST, "/api/messages/send/", 415),
        (&nobody, Method::GET, "/health/ready", 200),
    ] {
        for origin in LISTED {
            let reply = ask(client, method.clone(), path, origin).await.expect(status);
            assert_eq!(header(&reply, "access-control-allow-origin"), origin);
            assert_eq!(header(&reply, "access-control-allow-credentials"), "true");
            let exposed = items(&reply, "access-control-expose-headers");
            for name in [
                "x-request-id",
                "retry-after",
                "ratelimit",
                "ratelimit-policy",
                "idempotent-replayed",
            ] {
                assert!(exposed.contains(&name.to_owned()), "{name}: {reply:#?}");
            }
            is_secured(&reply);
        }
        for origin in UNLISTED {
            let reply = ask(client, method.clone(), path, origin).await.expect(status);
            is_not_shared(&reply);
            is_secured(&reply);
        }
    }
    pair.stop().await;
}

async fn without_a_list_no_origin_is_allowed(database: Database) {
    let pair = Pair::start(database).await;
    let nobody = pair.a.client();
    for origin in LISTED.into_iter().chain(UNLISTED).chain([nobody.base.as_str()]) {
        is_not_shared(&preflight(&nobody, ME, origin, "GET").await);
        let request = nobody.request(Method::GET, "/health/ready").header("origin", origin);
        is_not_shared(&nobody.run(request).await.expect(200));
    }
    pair.stop().await;
}

async fn every_answer_has_the_security_headers(database: Database) {
    let tls = [("PUBLIC_URL", "https://a.example.org"), LIST[0]];
    for (settings, hsts) in [(&[][..], ""), (&tls, "max-age=63072000; includeSubDomains")] {
        let mut pair = Pair::start_with(database, settings).await;
        let alice = pair.a.client().join("alice").await;
        pair.b.client().join("bob").await;
        pair.b.stop().await;
        let nobody = pair.a.client();
        let get = |path: &'static str| alice.request(Method::GET, path);
        let post = |path: &'static str| alice.request(Method::POST, path);
        let login = json!({ "username": "alice", "password": "wrong wrong" });
        let cookie = json!({ "username": "alice", "password": "wrong wrong", "session": "cookie" });
        let foreign = "https://evil.example";
        let nowhere = "/api/users/get_by_username/?username=bob@app-b";
        for (request, status) in [
            (get(ME), 200),
            (get("/health/live"), 200),
            (post("/api/auth/login/").json(&json!({})), 400),
            (nobody.request(Method::GET, ME), 401),
            (post("/api/auth/login/").json(&login), 401),
            (post("/api/auth/login/").header("origin", foreign).json(&cookie), 403),
            (get("/nothing"), 404),
            (get("/api/nothing/"), 404),
            (get("/static/nothing.js"), 404),
            (post(ME), 405),
            (post("/api/auth/login/").body("x"), 415),
            (get(nowhere), 503),
            (nobody.request(Method::POST, "/relay/v1/events/"), 401),
            (alice.request(Method::HEAD, ME), 200),
        ] {
            let reply = alice.run(request).await.expect(status);
            is_secured(&reply);
            assert_eq!(header(&reply, "strict-transport-security"), hsts);
        }
        let announced = "Content-Type: application/json\r\nContent-Length: 99999999\r\n";
        let large = raw(&alice, "POST /api/auth/login/ HTTP/1.1", announced, b"{").await;
        is_secured(&large.expect("an answer").problem(413, "too_large"));
        // What is stored can no longer be read: our fault.
        let mut sql = Sql::open(&pair.a.storage).await;
        sql.change("UPDATE accounts SET email = 'broken'").await;
        let reply = alice.get(ME).await.problem(500, "internal");
        is_secured(&reply);
        let done = alice.post("/api/auth/logout/", &json!({})).await.expect(200);
        is_secured(&done);
        pair.stop().await;
    }
}

async fn what_cannot_be_parsed_is_a_problem_too(database: Database) {
    let pair = Pair::start(database).await;
    let nobody = pair.a.client();
    let long = format!("X-Long: {}\r\n", "x".repeat(64 * 1024));
    let many = (0..300).map(|n| format!("X-{n}: x\r\n")).collect::<Vec<_>>().concat();
    for (line, headers, statuses) in [
        ("GET", "", &[400][..]),
        ("GET / HTTP/9.9", "", &[400]),
        ("GET / HTTP/1.1", "no colon\r\n", &[400]),
        ("GET / HTTP/1.1", "Content-Length: -1\r\n", &[400]),
        ("GET / HTTP/1.1", &many, &[431]),
        ("GET / HTTP/1.1", &long, &[431]),
    ] {
        // The server may close the connection before it has read everything, and the answer with it.
        let Some(reply) = raw(&nobody, line, headers, b"").await else { continue };
        assert!(statuses.contains(&reply.status.as_u16()), "{line}: {reply:#?}");
        assert_eq!(header(&reply, "content-type"), "application/problem+json", "{line}");
        assert_eq!(reply.json["status"], reply.status.as_u16(), "{line}: {reply:#?}");
        for name in ["x-frame-options", "x-content-type-options", "content-security-policy"] {
            assert!(reply.headers.contains_key(name), "{line}: {reply:#?}");
        }
    }
    pair.stop().await;
}

async fn a_client_that_dawdles_is_cut_off_and_the_others_do_not_wait(database: Database) {
    let pair = Pair::start_with(database, &[("HEADER_TIMEOUT_SECONDS", "2")]).await;
    let alice = pair.a.client().join("alice").await;
    let address = alice.base.strip_prefix("http://").unwrap().to_owned();
    let dawdle = |address: String| async move {
        let started = Instant::now();
        let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
        let writing = tokio::spawn(async move {
            for byte in
                b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ".iter().chain(&[b'x'; 600])
            {
                if to.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        });
        let mut answer = Vec::new();
        let _ = from.read_to_end(&mut answer).await;
        writing.abort();
        (started.elapsed(), String::from_utf8_lossy(&answer).into_owned())
    };
    let slow: Vec<_> = (0..20).map(|_| tokio::spawn(dawdle(address.clone()))).collect();
    // Each on a connection of its own: one that is kept open and waits is cut off just so.
    let token = format!("Authorization: Bearer {}\r\n", alice.token.as_deref().unwrap());
    for _ in 0..20 {
        raw(&alice, "GET /api/auth/me/ HTTP/1.1", &token, b"").await.unwrap().expect(200);
    }
    for connection in slow {
        let (lasted, answer) = connection.await.unwrap();
        assert!(lasted < e2e::PATIENCE, "{lasted:?}");
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    pair.stop().await;
}
