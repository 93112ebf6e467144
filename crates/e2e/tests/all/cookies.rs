//! Sessions of browsers: tokens in cookies alone, and no page acts for its visitor that may not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Database, Pair, ProcessPair, Reply, on_both_databases};
use http::Method;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::browser::{Browser, PASSWORD};
use crate::support::problem::IsProblem;
use crate::support::sql::Sql;

on_both_databases!(
    every_cookie_has_exactly_its_flags,
    a_session_lives_in_cookies_from_log_in_to_log_out,
    everything_works_by_cookie,
    an_authorization_header_makes_cookies_count_for_nothing,
    a_cookie_counts_by_its_own_name_and_alone,
    an_unsafe_request_needs_the_csrf_token_of_its_session,
    an_unsafe_request_needs_a_page_that_may_send_it,
    a_foreign_page_logs_nobody_in,
    a_foreign_form_changes_nothing,
    log_in_makes_everything_anew,
    tokens_are_in_cookies_and_nowhere_else,
    a_session_ends_however_often_it_is_refreshed,
);

const HOST: &str = "__Host-";
const LOGIN: &str = "/api/auth/login/";
const REFRESH: &str = "/api/auth/refresh/";
const LOGOUT: &str = "/api/auth/logout/";
const CSRF: &str = "/api/auth/csrf/";
const ME: &str = "/api/auth/me/";
const SEND: &str = "/api/messages/send/";

/// The cookies that a reply sets, without their values.
fn set_cookies(reply: &Reply) -> Vec<String> {
    let without_value = |value: &http::HeaderValue| {
        let (name, rest) = value.to_str().unwrap().split_once('=').unwrap();
        format!("{name}; {}", rest.split_once("; ").unwrap().1)
    };
    let mut cookies: Vec<_> =
        reply.headers.get_all("set-cookie").iter().map(without_value).collect();
    for cookie in &mut cookies {
        let mut parts: Vec<_> = cookie.split("; ").collect();
        parts[1..].sort_unstable();
        *cookie = parts.join("; ");
    }
    cookies
}

async fn every_cookie_has_exactly_its_flags(database: Database) {
    for (settings, host, refresh, flags, domain) in [
        (&[][..], HOST, "__Secure-", "; Secure", ""),
        (&[("DEBUG", "true"), ("RUST_LOG", "off")], "", "", "", ""),
        (&[("COOKIE_PREFIXES", "false")], "", "", "; Secure", ""),
        (
            &[("COOKIE_DOMAIN", "example.org")],
            "__Secure-",
            "__Secure-",
            "; Secure",
            "Domain=example.org; ",
        ),
    ] {
        let pair = Pair::start_with(database, settings).await;
        let cookie = |name: &str, http_only: &str, age: &str, path: &str| {
            let expires = if age == "0" { "Expires=Thu, 01 Jan 1970 00:00:00 GMT; " } else { "" };
            format!(
                "{name}; {domain}{expires}{http_only}Max-Age={age}; Path={path}; SameSite=Lax{flags}"
            )
        };
        let all = |access: &str, session: &str| {
            vec![
                cookie(&format!("{host}Authentication"), "HttpOnly; ", access, "/"),
                cookie(&format!("{refresh}Refresh"), "HttpOnly; ", session, "/api/auth/"),
                cookie(&format!("{host}csrftoken"), "", session, "/"),
            ]
        };
        let mut alice = Browser::join(&pair.a.client(), "alice", host).await;
        let (fresh, gone) = (all("3600", "2592000"), all("0", "0"));
        assert_eq!(set_cookies(&alice.log_in().await), fresh);
        assert_eq!(set_cookies(&alice.post(REFRESH, &json!({})).await.expect(200)), fresh);
        assert_eq!(set_cookies(&alice.get(CSRF).await.expect(200)), fresh[2..]);
        assert_eq!(set_cookies(&alice.get(ME).await.expect(200)), [""; 0]);
        assert_eq!(set_cookies(&alice.post(LOGOUT, &json!({})).await.expect(200)), gone);
        assert!(alice.jar.is_empty());
        alice.log_in().await.expect(200);
        let everywhere = alice.post("/api/auth/logout/all/", &json!({})).await.expect(200);
        assert_eq!(set_cookies(&everywhere), gone);
        // Who keeps tokens by themselves gets no cookies.
        let mut bearer = pair.a.client().join("bob").await;
        bearer.log_in().await;
        let bearer = bearer.post(LOGOUT, &json!({})).await.expect(200);
        assert_eq!(set_cookies(&bearer), [""; 0]);
        pair.stop().await;
    }
}

async fn a_session_lives_in_cookies_from_log_in_to_log_out(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = Browser::join(&pair.a.client(), "alice", HOST).await;
    let welcome = alice.log_in().await.expect(200);
    assert_eq!(welcome.json["message"], "Login successful");
    let keys: Vec<_> = welcome.json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["message", "user"]);
    assert_eq!(welcome.json["user"]["username"], "alice");
    assert_eq!(alice.get(ME).await.expect(200).str("username"), "alice");
    let before = alice.clone();
    let refreshed = alice.post(REFRESH, &json!({})).await.expect(200);
    let keys: Vec<_> = refreshed.json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["message", "user"]);
    for name in ["Authentication", "Refresh"] {
        assert_ne!(alice.cookie(name), before.cookie(name));
    }
    // Another tab may be about to send the CSRF token, or to refresh.
    assert_eq!(alice.cookie("csrftoken"), before.cookie("csrftoken"));
    let mut tab = before.clone();
    tab.post(REFRESH, &json!({})).await.expect(200);
    assert_eq!(tab.cookie("Refresh"), alice.cookie("Refresh"));
    // The access token may have expired; what it needs is the refresh token, with or without a body.
    alice.jar.retain(|name, _| !name.ends_with("Authentication"));
    alice.get(ME).await.problem(401, "not_authenticated");
    let request = alice.page_request(Method::POST, REFRESH);
    alice.run(request).await.expect(200);
    alice.get(ME).await.expect(200);
    // The browser keeps the refresh token from the alias, which therefore wants it in the body.
    alice.post("/api/refresh/", &json!({})).await.problem(400, "invalid");
    let mut ended = alice.clone();
    let done = alice.post("/api/logout/", &json!({})).await.expect(200);
    assert_eq!(done.json, json!({ "success": "User logged out." }));
    assert!(alice.jar.is_empty());
    ended.get(ME).await.problem(401, "invalid_token");
    ended.post(REFRESH, &json!({})).await.problem(401, "invalid_token");
    alice.post(LOGOUT, &json!({})).await.problem(401, "not_authenticated");
    // Once the access token has gone, the refresh token still says whose session is to end.
    let body = json!({ "username": "alice", "password": PASSWORD, "session": "cookie" });
    let request = alice.request(Method::POST, "/api/login/").json(&body);
    alice.run(request).await.expect(200);
    let mut ended = alice.clone();
    alice.jar.retain(|name, _| !name.ends_with("Authentication"));
    alice.post(LOGOUT, &json!({})).await.expect(200);
    ended.get(ME).await.problem(401, "invalid_token");
    pair.stop().await;
}

async fn everything_works_by_cookie(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = Browser::join(&pair.a.client(), "alice", HOST).await;
    let mut bob = Browser::join(&pair.a.client(), "bob", HOST).await;
    let body = json!({ "recipient": "bob", "content": "hello" });
    let sent = alice.post(SEND, &body).await.expect(201);
    let path = format!("/api/chats/messages/{}/", sent.str("id"));
    let request = alice.page_request(Method::PATCH, &path).json(&json!({ "content": "hi" }));
    assert_eq!(alice.run(request).await.expect(200).str("content"), "hi");
    assert_eq!(bob.get("/api/messages/inbox/").await.expect(200).results()[0]["content"], "hi");
    let request = alice.page_request(Method::DELETE, &path);
    assert!(alice.run(request).await.status.is_success());
    let group = json!({ "participants": ["alice"], "title": "Us" });
    bob.post("/api/chats/conversations/", &group).await.expect(201);
    // A new password ends the session of the other browser.
    let mut other = Browser { jar: std::collections::BTreeMap::new(), ..alice.clone() };
    other.log_in().await.expect(200);
    let list = other.get("/api/auth/sessions/").await.expect(200);
    assert!(list.results().iter().any(|device| device["current"] == true));
    let body = json!({ "current_password": PASSWORD, "new_password": "a whole new secret" });
    alice.post("/api/auth/password/change/", &body).await.expect(200);
    other.get(ME).await.problem(401, "invalid_token");
    alice.get(ME).await.expect(200);
    alice.post("/api/auth/logout/all/", &json!({})).await.expect(200);
    alice.get(ME).await.problem(401, "not_authenticated");
    pair.stop().await;
}

async fn an_authorization_header_makes_cookies_count_for_nothing(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = Browser::join(&pair.a.client(), "alice", HOST).await;
    let bob = pair.a.client().join("bob").await;
    for bad in ["Bearer x", "Basic YWxpY2U6eA==", "Bearer", ""] {
        for path in [ME, CSRF, "/api/chats/messages/"] {
            let request = alice.request(Method::GET, path).header("authorization", bad);
            alice.run(request).await.problem(401, "invalid_token");
        }
        for path in [SEND, LOGOUT, REFRESH] {
            let request = alice.page_request(Method::POST, path).header("authorization", bad);
            alice.run(request.json(&json!({}))).await.problem(401, "invalid_token");
        }
    }
    let token = bob.token.clone().unwrap();
    let request = alice.request(Method::GET, ME).bearer_auth(&token);
    assert_eq!(alice.run(request).await.expect(200).str("username"), "bob");
    // With one, neither a CSRF token nor the origin matters.
    let body = json!({ "recipient": "alice", "content": "hello" });
    let request = alice.request(Method::POST, SEND).bearer_auth(&token).json(&body);
    alice.run(request.header("origin", "https://evil.example")).await.expect(201);
    let request = alice.page_request(Method::POST, REFRESH).bearer_auth(&token).json(&json!({}));
    alice.run(request).await.problem(400, "invalid");
    let request = alice.page_request(Method::POST, LOGOUT).bearer_auth(&token).json(&json!({}));
    alice.run(request).await.expect(200);
    bob.get(ME).await.problem(401, "invalid_token");
    assert_eq!(alice.get(ME).await.expect(200).str("username"), "alice");
    pair.stop().await;
}

async fn a_cookie_counts_by_its_own_name_and_alone(database: Database) {
    let pair = Pair::start(database).await;
    let alice = Browser::join(&pair.a.client(), "alice", HOST).await;
    let bob = Browser::join(&pair.a.client(), "bob", HOST).await;
    let (token, other) = (alice.cookie("Authentication"), bob.cookie("Authentication"));
    let ask = async |cookies: String| {
        alice.client.run(alice.client.request(Method::GET, ME).header("cookie", cookies)).await
    };
    ask(format!("x=y; __Host-Authentication={token}; z=")).await.expect(200);
    for cookies in [
        // Without the prefix, another host of the domain could have set it.
        format!("Authentication={token}"),
        format!("__Secure-Authentication={token}"),
        format!("__host-authentication={token}"),
        format!("__Host-Refresh={token}; __Secure-Refresh={token}"),
        format!("__Host-Authentication={token}; __Host-Authentication={other}"),
        format!("__Host-Authentication={token}; __Host-Authentication={token}"),
        "__Host-Authentication=".to_owned(),
        String::new(),
    ] {
        ask(cookies).await.problem(401, "not_authenticated");
    }
    let refresh = alice.cookie("Refresh");
    for cookies in [
        format!("__Host-Authentication={refresh}"),
        format!("__Host-Authentication=\"{token}\""),
        "__Host-Authentication=undefined".to_owned(),
    ] {
        ask(cookies).await.problem(401, "invalid_token");
    }
    pair.stop().await;
}

/// Every kind of unsafe request that cookies can authenticate.
fn unsafe_requests(message: &Value) -> Vec<(Method, String, Value)> {
    let id = message["id"].as_str().unwrap();
    let conversation = message["conversation"].as_str().unwrap();
    vec![
        (Method::POST, SEND.into(), json!({ "recipient": "bob", "content": "forged" })),
        (
            Method::POST,
            "/api/chats/messages/".into(),
            json!({ "conversation": conversation, "content": "forged" }),
        ),
        (Method::PATCH, format!("/api/chats/messages/{id}/"), json!({ "content": "forged" })),
        (Method::PUT, format!("/api/chats/messages/{id}/"), json!({ "content": "forged" })),
        (Method::DELETE, format!("/api/chats/messages/{id}/"), json!({})),
        (
            Method::POST,
            "/api/chats/conversations/".into(),
            json!({ "participants": ["bob"], "title": "forged" }),
        ),
        (
            Method::POST,
            format!("/api/chats/conversations/{conversation}/read/"),
            json!({ "message": id }),
        ),
        (
            Method::POST,
            "/api/auth/password/change/".into(),
            json!({ "current_password": PASSWORD, "new_password": "a forged password" }),
        ),
        (Method::POST, "/api/auth/logout/all/".into(), json!({})),
        (Method::DELETE, format!("/api/auth/sessions/{id}/"), json!({})),
        (Method::POST, REFRESH.into(), json!({})),
        (Method::POST, LOGOUT.into(), json!({})),
        (Method::POST, "/api/logout/".into(), json!({})),
    ]
}

async fn an_unsafe_request_needs_the_csrf_token_of_its_session(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = Browser::join(&pair.a.client(), "alice", HOST).await;
    let bob = Browser::join(&pair.a.client(), "bob", HOST).await;
    let mut elsewhere = Browser { jar: std::collections::BTreeMap::new(), ..alice.clone() };
    let nobodys = elsewhere.get(CSRF).await.expect(200).str("csrf_token");
    elsewhere.log_in().await.expect(200);
    let body = json!({ "recipient": "bob", "content": "hello" });
    let message = alice.post(SEND, &body).await.expect(201).json;
    let own = alice.cookie("csrftoken");
    let fresh = alice.get(CSRF).await.expect(200).str("csrf_token");
    assert_eq!(alice.cookie("csrftoken"), fresh);
    let (another, others) = (elsewhere.cookie("csrftoken"), bob.cookie("csrftoken"));
    let changed = format!("{}{}", if own.starts_with('A') { 'B' } else { 'A' }, &own[1..]);
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let cases: Vec<(Option<&str>, Option<&str>)> = vec![
        (None, None),
        (Some(&own), None),
        (None, Some(&own)),
        (Some(""), Some("")),
        (Some(&own), Some("")),
        (Some(""), Some(&own)),
        (Some(&own), Some(&fresh)),
        (Some(&another), Some(&another)),
        (Some(&others), Some(&others)),
        (Some(&nobodys), Some(&nobodys)),
        (Some(&changed), Some(&changed)),
        (Some("x"), Some("x")),
    ];
    let name = "__Host-csrftoken";
    for (method, path, body) in unsafe_requests(&message) {
        for (cookie, header) in &cases {
            let mut forger = alice.clone();
            forger.jar.remove(name);
            if let Some(cookie) = cookie {
                forger.jar.insert(name.to_owned(), ((*cookie).to_owned(), "/".to_owned()));
            }
            let request = forger.request(method.clone(), &path).json(&body);
            let request = request.header("origin", &forger.client.base);
            let request = match header {
                Some(header) => request.header("x-csrftoken", *header),
                None => request,
            };
            let reply = forger.run(request).await;
            assert_eq!(reply.status, 403, "{method} {path} {cookie:?} {header:?}: {reply:#?}");
            reply.problem(403, "csrf_failed");
        }
        let twice = alice.page_request(method.clone(), &path).header("x-csrftoken", &fresh);
        alice.client.run(twice.json(&body)).await.problem(403, "csrf_failed");
    }
    assert_eq!(sql.size().await, before);
    // An older token of the session is as good as its newest.
    alice.jar.insert(name.to_owned(), (own, "/".to_owned()));
    for (method, path, body) in unsafe_requests(&message).into_iter().take(5) {
        let request = alice.page_request(method, &path).json(&body);
        assert!(alice.run(request).await.status.is_success(), "{path}");
    }
    pair.stop().await;
}

async fn an_unsafe_request_needs_a_page_that_may_send_it(database: Database) {
    const LISTED: &str = "https://chat.example.org";
    let pair = Pair::start_with(database, &[("CORS_ALLOWED_ORIGINS", LISTED)]).await;
    let mut alice = Browser::join(&pair.a.client(), "alice", HOST).await;
    let bob = Browser::join(&pair.a.client(), "bob", HOST).await;
    let body = json!({ "recipient": "bob", "content": "hello" });
    let message = alice.post(SEND, &body).await.expect(201).json;
    let (csrf, own) = (alice.cookie("csrftoken"), alice.client.base.clone());
    let port = own.rsplit(':').next().unwrap();
    let (lookalike, sibling) = (format!("{own}.evil.example"), format!("http://localhost:{port}"));
    let foreign: Vec<[(&str, &str); 1]> = vec![
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("origin", "")],
        [("origin", lookalike.as_str())],
        [("origin", sibling.as_str())],
        [("origin", &bob.client.base[..bob.client.base.len() - 1])],
        [("origin", "http://chat.example.org")],
        [("origin", "https://chat.example.org.evil.example")],
        [("origin", "https://chat.example.org, https://evil.example")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "")],
    ];
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let with = |request: RequestBuilder, headers: &[(&str, &str)]| {
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    for (method, path, body) in unsafe_requests(&message) {
        for headers in &foreign {
            let request = alice.request(method.clone(), &path).header("x-csrftoken", &csrf);
            let reply = alice.client.run(with(request.json(&body), headers)).await;
            assert_eq!(reply.status, 403, "{method} {path} {headers:?}: {reply:#?}");
            reply.problem(403, "csrf_failed");
        }
    }
    assert_eq!(sql.size().await, before);
    let allowed: Vec<Vec<(&str, &str)>> = vec![
        vec![("origin", own.as_str())],
        vec![("origin", LISTED)],
        vec![("origin", LISTED), ("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-origin")],
        vec![("sec-fetch-site", "none")],
        vec![],
    ];
    for headers in &allowed {
        let request = alice.request(Method::POST, SEND).header("x-csrftoken", &csrf);
        alice.client.run(with(request.json(&body), headers)).await.expect(201);
        // Without the token, none of that is enough.
        let request = alice.request(Method::POST, SEND).json(&body);
        alice.client.run(with(request, headers)).await.problem(403, "csrf_failed");
    }
    // Reading needs neither.
    let request = alice.request(Method::GET, ME);
    alice.client.run(with(request, &[("origin", "https://evil.example")])).await.expect(200);
    pair.stop().await;
}

async fn a_foreign_page_logs_nobody_in(database: Database) {
    const LISTED: &str = "https://chat.example.org";
    let pair = Pair::start_with(database, &[("CORS_ALLOWED_ORIGINS", LISTED)]).await;
    let alice = pair.a.client().join("alice").await;
    let nobody = pair.a.client();
    let body = json!({ "username": "alice", "password": PASSWORD, "session": "cookie" });
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    for path in [LOGIN, "/api/login/"] {
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let request = nobody.request(Method::POST, path).header(name, value).json(&body);
            let reply = nobody.run(request).await.problem(403, "csrf_failed");
            assert!(!reply.headers.contains_key("set-cookie"));
        }
    }
    assert_eq!(sql.size().await, before);
    for (name, value) in [
        ("origin", LISTED),
        ("origin", alice.base.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
        ("x-nothing", "x"),
    ] {
        let request = nobody.request(Method::POST, LOGIN).header(name, value).json(&body);
        nobody.run(request).await.expect(200);
    }
    // Tokens in the body log no browser in.
    for session in [json!("bearer"), Value::Null] {
        let body = json!({ "username": "alice", "password": PASSWORD, "session": session });
        let request = nobody.request(Method::POST, LOGIN).header("origin", "https://evil.example");
        let reply = nobody.run(request.json(&body)).await.expect(200);
        assert!(
            !reply.headers.contains_key("set-cookie") && reply.json["access_token"].is_string()
        );
    }
    for odd in [json!("Cookie"), json!(0), json!(true), json!(["cookie"])] {
        let body = json!({ "username": "alice", "password": PASSWORD, "session": odd });
        let reply = nobody.post(LOGIN, &body).await.problem(400, "invalid");
        assert!(reply.json["errors"]["session"].is_array(), "{odd}: {reply:#?}");
    }
    pair.stop().await;
}

async fn a_foreign_form_changes_nothing(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = Browser::join(&pair.a.client(), "alice", HOST).await;
    Browser::join(&pair.a.client(), "bob", HOST).await;
    let body = json!({ "recipient": "bob", "content": "hello" });
    let message = alice.post(SEND, &body).await.expect(201).json;
    let mut sql = Sql::open(&pair.a.storage).await;
    let before = sql.size().await;
    let forms = [
        ("application/x-www-form-urlencoded", "recipient=bob&content=forged".to_owned()),
        ("text/plain", body.to_string()),
        ("text/plain;charset=UTF-8", format!("{body}=")),
        ("multipart/form-data; boundary=x", "--x\r\n\r\n".to_owned()),
    ];
    let paths = unsafe_requests(&message).into_iter().filter(|(method, ..)| method == Method::POST);
    for (method, path, _) in paths.chain([(Method::POST, LOGIN.to_owned(), json!({}))]) {
        for (media_type, form) in &forms {
            let request = alice.request(method.clone(), &path).header("content-type", *media_type);
            let request = request.header("origin", "https://evil.example").body(form.clone());
            let reply = alice.client.run(request.header("sec-fetch-site", "cross-site")).await;
            assert!(matches!(reply.status.as_u16(), 403 | 415), "{path} {media_type}: {reply:#?}");
        }
    }
    // What an image or a link can ask for changes nothing either.
    for path in [LOGOUT, "/api/auth/logout/all/", SEND, REFRESH] {
        alice.get(path).await.problem(405, "method_not_allowed");
    }
    assert_eq!(sql.size().await, before);
    alice.get(ME).await.expect(200);
    pair.stop().await;
}

async fn log_in_makes_everything_anew(database: Database) {
    let pair = Pair::start(database).await;
    let mallory = Browser::join(&pair.a.client(), "mallory", HOST).await;
    let mut alice = Browser::join(&pair.a.client(), "alice", HOST).await;
    // Cookies that somebody else has planted.
    alice.jar = mallory.jar.clone();
    alice.log_in().await.expect(200);
    for (name, (value, _)) in &alice.jar {
        assert_ne!(value, &mallory.jar[name].0, "{name}");
    }
    assert_eq!(alice.get(ME).await.expect(200).str("username"), "alice");
    // The session that the browser had before has ended, and its CSRF token with it.
    mallory.clone().get(ME).await.problem(401, "invalid_token");
    let mut before = alice.clone();
    alice.log_in().await.expect(200);
    before.get(ME).await.problem(401, "invalid_token");
    let old = before.jar["__Host-csrftoken"].clone();
    let mut mixed = alice.clone();
    mixed.jar.insert("__Host-csrftoken".to_owned(), old);
    let body = json!({ "recipient": "mallory", "content": "hello" });
    mixed.post(SEND, &body).await.problem(403, "csrf_failed");
    alice.post(SEND, &body).await.expect(201);
    // Somebody who fails to log in stays who they were.
    let body = json!({ "username": "alice", "password": "wrong wrong", "session": "cookie" });
    let request = alice.request(Method::POST, LOGIN).json(&body);
    alice.run(request).await.problem(401, "invalid_credentials");
    alice.get(ME).await.expect(200);
    pair.stop().await;
}

async fn tokens_are_in_cookies_and_nowhere_else(database: Database) {
    let pair = ProcessPair::start(database).await;
    let mut alice = Browser::join(&pair.a.client(), "alice", HOST).await;
    let bob = pair.b.client().join("bob").await;
    let mut secrets: Vec<String> = Vec::new();
    let mut seen = String::new();
    let requests = [
        (Method::GET, ME),
        (Method::GET, "/api/auth/sessions/"),
        (Method::POST, REFRESH),
        (Method::GET, "/api/chats/conversations/"),
        (Method::GET, "/api/nothing/"),
        (Method::POST, LOGIN),
        (Method::POST, SEND),
        (Method::POST, LOGOUT),
    ];
    for (method, path) in requests {
        for name in ["Authentication", "Refresh"] {
            secrets.push(alice.cookie(name));
        }
        let body = match path {
            LOGIN => json!({ "username": "alice", "password": PASSWORD, "session": "cookie" }),
            SEND => json!({ "recipient": bob.address(), "content": "hello" }),
            _ => json!({}),
        };
        let request = alice.page_request(method, path);
        let request = if body == json!({}) { request } else { request.json(&body) };
        let reply = alice.run(request).await;
        seen.push_str(&reply.text);
        for (name, value) in reply.headers.iter().filter(|(name, _)| *name != "set-cookie") {
            seen.extend([name.as_str(), value.to_str().unwrap_or_default(), "\n"]);
        }
    }
    secrets.sort();
    secrets.dedup();
    assert!(secrets.len() >= 6, "{}", secrets.len());
    let dump = pair.a.storage.dump().await;
    let places = [seen.into_bytes(), pair.a.log(), dump];
    for secret in &secrets {
        for place in &places {
            let found = place.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a token is not only in its cookie");
        }
    }
}

async fn a_session_ends_however_often_it_is_refreshed(database: Database) {
    const HOUR: [(&str, &str); 1] = [("SESSION_MAX_SECONDS", "3600")];
    let lifetime = |reply: &Reply| {
        let time = |key: &str| {
            let text = reply.results()[0][key].as_str().unwrap().to_owned();
            text.parse::<shared::time::Timestamp>().unwrap().micros()
        };
        (time("expires_at") - time("created_at")) / 1_000_000
    };
    for (settings, seconds) in [(&HOUR[..], 3600), (&[], 90 * 24 * 3600)] {
        let pair = Pair::start_with(database, settings).await;
        let mut alice = Browser::join(&pair.a.client(), "alice", HOST).await;
        let list = "/api/auth/sessions/";
        // The session with the tokens of the body, which came first, is of no interest.
        let other = alice.get(list).await.expect(200);
        let other = other.results().iter().find(|device| device["current"] == false).unwrap();
        let path = format!("{list}{}/", other["id"].as_str().unwrap());
        let request = alice.page_request(Method::DELETE, &path);
        alice.run(request).await.expect(204);
        let month = 30 * 24 * 3600;
        assert_eq!(lifetime(&alice.get(list).await.expect(200)), month.min(seconds));
        // It began 80 days ago, or an hour.
        let mut sql = Sql::open(&pair.a.storage).await;
        let earlier = (seconds - seconds / 9) * 1_000_000;
        let living = "ended_at IS NULL";
        sql.change(&format!(
            "UPDATE sessions SET created_at = created_at - {earlier} WHERE {living}"
        ))
        .await;
        for _ in 0..3 {
            alice.post(REFRESH, &json!({})).await.expect(200);
        }
        let seen = alice.get(list).await.expect(200);
        assert_eq!(lifetime(&seen), seconds);
        let used = seen.results()[0]["last_used_at"].as_str().unwrap();
        assert!(used > seen.results()[0]["created_at"].as_str().unwrap());
        pair.stop().await;
    }
}
