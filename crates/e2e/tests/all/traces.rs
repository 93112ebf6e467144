//! What the apps tell a collector of traces.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use e2e::{Client, Database, Disturbance, Process, ProcessPair, Wire, eventually};
use http::Method;
use serde_json::{Value, json};

use crate::support::collector::Collector;

/// The span of the caller.
const CALLER: &str = "00f067aa0ba902b7";

/// Both apps, telling a collector.
async fn pair(collector: SocketAddr) -> ProcessPair {
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    for app in [&mut pair.a, &mut pair.b] {
        app.set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{collector}"));
        app.set("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20let-me-in");
        app.start().await;
    }
    pair
}

/// Sends a message in a trace.
async fn send(client: &Client, recipient: &str, text: &str, trace: &str) -> Value {
    let body = json!({ "recipient": recipient, "content": text });
    let request = client.request(Method::POST, "/api/messages/send/").json(&body);
    let request = request.header("traceparent", format!("00-{trace}-{CALLER}-01"));
    client.run(request).await.expect(201).json
}

async fn arrives(client: &Client, text: &str) {
    eventually("the message arrives", || async {
        let inbox = client.get("/api/messages/inbox/").await.expect(200);
        inbox.results().iter().any(|message| message["content"] == text).then_some(())
    })
    .await;
}

async fn logs(app: &Process, what: &str) {
    eventually(what, || async { app.has_logged(what).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_is_one_trace_across_both_apps_and_nothing_in_it_is_in_the_clear() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let collector = Collector::start().await;
    let mut pair = pair(collector.address).await;
    let alice = pair.a.client().join("alice-of-wonderland").await;
    let bob = pair.b.client().join("bob-the-builder").await;
    let sent = send(&alice, &bob.address(), "canary-one sings", TRACE).await;
    arrives(&bob, "canary-one sings").await;

    let request = collector.span(TRACE, "app-a", "POST /api/messages/send").await;
    assert_eq!((request.parent(), request.json["kind"].as_u64()), (Some(CALLER), Some(2)));
    assert_eq!(request.attribute("http.route").as_deref(), Some("/api/messages/send"));
    assert_eq!(request.attribute("http.response.status_code").as_deref(), Some("201"));
    let batch = collector.span(TRACE, "app-a", "relay send").await;
    assert_eq!((batch.parent(), batch.attribute("peer.service")), (None, Some("app-b".into())));
    let attempt = collector.span(TRACE, "app-a", "POST /relay/v1/events/").await;
    assert_eq!(attempt.parent(), Some(batch.id()));
    let answer = collector.span(TRACE, "app-b", "POST /relay/v1/events").await;
    assert_eq!(answer.parent(), Some(attempt.id()));
    let receipt = collector.span(TRACE, "app-b", "relay receive").await;
    assert_eq!(receipt.parent(), Some(answer.id()));
    let nanos = |span: &Value, field: &str| span[field].as_str().unwrap().parse::<u64>().unwrap();
    let (begun, done) =
        (nanos(&batch.json, "startTimeUnixNano"), nanos(&batch.json, "endTimeUnixNano"));
    assert!(begun < done && done - begun < 30_000_000_000, "{batch:?}");

    // What somebody looks for, makes up or may not see is not told either.
    let id = sent["id"].as_str().unwrap();
    bob.get(&format!("/api/chats/messages/{id}/?page_size=canary-two")).await;
    bob.get("/api/users/?search=canary-three").await;
    bob.get("/canary-four/").await;
    bob.run(bob.request(Method::from_bytes(b"CANARY").unwrap(), "/api/users/")).await;
    bob.get("/api/messages/inbox/?search=canary-five").await;
    let last = "0af7651916cd43dd8448eb211c80319c";
    send(&bob, &alice.address(), "canary-six", last).await;
    collector.span(last, "app-a", "relay receive").await;
    let ids = [alice.me().await, bob.me().await].map(|me| me["id"].as_str().unwrap().to_owned());
    assert!(pair.a.terminate().await && pair.b.terminate().await);

    let requests = collector.requests();
    let mut told = String::new();
    for (headers, body) in &requests {
        assert_eq!(headers["authorization"], "Bearer let-me-in");
        assert_eq!(headers["content-type"], "application/json");
        told.push_str(std::str::from_utf8(body).unwrap());
    }
    assert!(told.contains("GET /api/chats/messages/{id}") && told.contains("_OTHER"), "{told}");
    let conversation = sent["conversation"].as_str().unwrap();
    let mut secret = vec!["canary", "CANARY", "alice-of", "bob-the", "gAAAA", id, conversation];
    secret.extend(ids.iter().map(String::as_str));
    for client in [&alice, &bob] {
        secret.extend([client.token.as_deref().unwrap(), client.refresh.as_deref().unwrap()]);
    }
    for secret in secret {
        let without_hyphens = secret.replace('-', "");
        assert!(!told.contains(secret) && !told.contains(&without_hyphens), "{secret}");
    }
    for log in [pair.a.log(), pair.b.log()] {
        assert!(!String::from_utf8_lossy(&log).contains("let-me-in"), "the header is logged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_of_a_batch_is_followed_in_its_own_trace() {
    let collector = Collector::start().await;
    let pair = pair(collector.address).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    alice.send(&bob.address(), "first").await;
    arrives(&bob, "first").await;
    pair.a_to_b.disturb(Disturbance::Down);
    let traces: Vec<String> = (1..4).map(|number| format!("{number:032x}")).collect();
    for trace in &traces {
        send(&alice, &bob.address(), trace, trace).await;
    }
    pair.a_to_b.disturb(Disturbance::None);
    arrives(&bob, &traces[2]).await;
    let mut linked = 0;
    for trace in &traces {
        collector.span(trace, "app-a", "relay send").await;
        let receipt = collector.span(trace, "app-b", "relay receive").await;
        // It belongs to a request of its own trace, or says in which other one the request was.
        let links = receipt.json["links"].as_array().unwrap();
        assert_eq!(links.is_empty(), receipt.parent().is_some(), "{receipt:?}");
        linked += links.len();
    }
    assert!(linked > 0, "they came in one batch");
    // Attempts that have failed say why.
    let failures = traces.iter().flat_map(|trace| collector.trace(trace));
    let mut failures = failures.filter(|span| span.json["status"]["code"] == 2);
    assert!(failures.any(|span| span.attribute("error.type").as_deref() == Some("unreachable")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_or_silent_holds_nothing_up() {
    let collector = Collector::start().await;
    let wire = Wire::to(collector.address).await;
    wire.disturb(Disturbance::Down);
    let mut pair = pair(wire.address).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let traces: Vec<String> = (1..4).map(|number| format!("{number:032x}")).collect();
    send(&alice, &bob.address(), "one", &traces[0]).await;
    arrives(&bob, "one").await;
    logs(&pair.a, "the collector of traces is away").await;
    assert!(collector.requests().is_empty());
    // What has waited is told when it is back.
    wire.disturb(Disturbance::None);
    collector.span(&traces[0], "app-a", "POST /api/messages/send").await;
    logs(&pair.a, "the collector of traces is back").await;

    // One that takes connections and does not answer holds up the end of an app for seconds alone.
    wire.disturb(Disturbance::Stalled);
    send(&alice, &bob.address(), "two", &traces[1]).await;
    arrives(&bob, "two").await;
    let started = Instant::now();
    assert!(pair.a.terminate().await);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(pair.a.has_logged("some spans were not sent before the app has stopped"));

    // One that is there is told all before the end.
    wire.disturb(Disturbance::None);
    pair.a.start().await;
    send(&alice, &bob.address(), "three", &traces[2]).await;
    assert!(pair.a.terminate().await);
    let spans = collector.trace(&traces[2]);
    let named = |span: &str| spans.iter().any(|known| known.json["name"] == span);
    assert!(named("POST /api/messages/send"), "{spans:#?}");
}
