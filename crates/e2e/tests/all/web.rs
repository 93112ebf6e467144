//! What browsers are served besides the API: the interface, and nothing in its place.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use e2e::{Client, Database, Pair, Reply, on_both_databases};
use http::Method;
use serde_json::json;

use crate::support::problem::IsProblem;

on_both_databases!(
    a_browser_gets_the_page_wherever_it_goes,
    what_is_for_programs_stays_a_problem,
    the_page_lets_only_its_own_files_in,
    files_are_kept_by_browsers_for_as_long_as_they_stay_the_same,
    anybody_may_know_which_app_it_is,
);

const PAGE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

async fn go(client: &Client, path: &str) -> Reply {
    client.run(client.request(Method::GET, path).header("accept", PAGE)).await
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.headers.get(name).map_or("", |value| value.to_str().expect("plain"))
}

async fn a_browser_gets_the_page_wherever_it_goes(database: Database) {
    let pair = Pair::start(database).await;
    for path in ["/", "/login", "/c/0198c5a1-7d3e-7c11-8a55-2f6f9f6f0b11/", "/apis", "/a%2F..%2Fb"]
    {
        let reply = go(&pair.a.client(), path).await.expect(200);
        assert_eq!(header(&reply, "content-type"), "text/html; charset=utf-8", "{path}");
        assert!(reply.text.starts_with("<!doctype html>"), "{path}");
    }
    // The address alone is enough; who wants no page gets none elsewhere.
    pair.a.client().get("/").await.expect(200);
    pair.a.client().get("/login").await.problem(404, "not_found");
    pair.stop().await;
}

async fn what_is_for_programs_stays_a_problem(database: Database) {
    let pair = Pair::start(database).await;
    let client = pair.a.client();
    for path in ["/api", "/api/", "/api/nothing/", "/relay/v2/", "/health", "/health/x"] {
        go(&client, path).await.problem(404, "not_found");
    }
    for path in ["/assets/none.js", "/none.js.map", "/index.html.br", "/../Cargo.toml"] {
        client.get(path).await.problem(404, "not_found");
    }
    let reply = client.post("/", &json!({})).await;
    assert_eq!(header(&reply, "allow"), "GET,HEAD");
    reply.problem(405, "method_not_allowed");
    pair.stop().await;
}

async fn the_page_lets_only_its_own_files_in(database: Database) {
    let pair = Pair::start(database).await;
    let reply = go(&pair.a.client(), "/").await;
    let policy = header(&reply, "content-security-policy");
    for rule in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for inline in ["<style", "style=", "onclick", "javascript:", "<script>"] {
        assert!(!reply.text.contains(inline), "{inline}");
    }
    for (name, value) in [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY")] {
        assert_eq!(header(&reply, name), value);
    }
    pair.stop().await;
}

async fn files_are_kept_by_browsers_for_as_long_as_they_stay_the_same(database: Database) {
    let pair = Pair::start(database).await;
    let client = pair.a.client();
    let page = go(&client, "/").await;
    assert_eq!(header(&page, "cache-control"), "no-cache");
    // Without a build there are no files.
    let Some(script) = page.text.split('"').find(|part| part.starts_with("/assets/")) else {
        return pair.stop().await;
    };
    let tag = header(&page, "etag");
    let again = client.request(Method::GET, "/").header("accept", PAGE);
    let again = client.run(again.header("if-none-match", tag)).await.expect(304);
    assert_eq!((again.text.as_str(), header(&again, "etag")), ("", tag));

    let plain = client.get(script).await.expect(200);
    assert_eq!(header(&plain, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(&plain, "content-encoding"), "");
    for encoding in ["br", "gzip"] {
        let request = client.request(Method::GET, script).header("accept-encoding", encoding);
        let length: usize = {
            let reply = request.send().await.unwrap().error_for_status().unwrap();
            assert_eq!(reply.headers()["content-encoding"], encoding);
            assert_eq!(reply.headers()["vary"], "accept-encoding");
            reply.bytes().await.unwrap().len()
        };
        assert!(length < plain.text.len() / 2, "{encoding}: {length}");
    }
    pair.stop().await;
}

async fn anybody_may_know_which_app_it_is(database: Database) {
    let settings = [("APP_B_DISPLAY_NAME", "The Other"), ("APP_B_ACCENT", "rose")];
    let pair = Pair::start_with(database, &settings).await;
    let a = pair.a.client().get("/api/about/").await.expect(200).json;
    assert_eq!((&a["name"], &a["display_name"]), (&json!("app-a"), &json!("AppA")));
    assert_eq!((&a["peers"], &a["registration_open"]), (&json!(["app-b"]), &json!(true)));
    assert_eq!(
        (&a["limits"]["message_length"], &a["limits"]["password_min"]),
        (&json!(20_000), &json!(8))
    );
    let b = pair.b.client().get("/api/about/").await.expect(200).json;
    assert_eq!((&b["display_name"], &b["accent"]), (&json!("The Other"), &json!("rose")));
    // Without a build there is no manifest.
    let manifest = pair.b.client().get("/app.webmanifest").await;
    assert!(manifest.status == 404 || manifest.str("name") == "The Other", "{manifest:#?}");
    pair.stop().await;
}
