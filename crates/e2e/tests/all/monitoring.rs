//! What Prometheus is told: every name that the table, the dashboard and the alerts have, and no person's.

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Database, Disturbance, Process, ProcessPair, Redis, eventually, on_both_databases};
use http::Method;
use messenger::monitoring::METRICS;
use serde_json::Value;

use crate::support::metrics::Metrics;

on_both_databases!(
    every_name_of_the_table_the_dashboard_and_the_alerts_is_exported,
    what_waits_for_a_peer_that_is_away_is_measured,
);

/// What is exported where there are certificates.
pub const CERTIFICATES: [&str; 2] = [
    "messaging_certificate_expires_timestamp_seconds",
    "messaging_peer_certificate_expires_timestamp_seconds",
];

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");

async fn metrics(process: &Process) -> Metrics {
    Metrics::parse(&process.metrics().await)
}

/// The names of metrics in an expression of Prometheus, without what a histogram adds to its own.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| word.starts_with("messaging_") || word.starts_with("process_"));
    ours.map(|name| {
        let parts = ["_bucket", "_count", "_sum"];
        parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
    })
}

/// Every `expr` of the dashboard.
fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str));
            fields.values().for_each(|value| expressions(value, found));
        }
        _ => {}
    }
}

async fn every_name_of_the_table_the_dashboard_and_the_alerts_is_exported(database: Database) {
    // Where there can be none, its state is not measured.
    let redis = Redis::start().await;
    let mut pair = ProcessPair::start(database).await;
    if let Some(redis) = &redis {
        assert!(pair.a.terminate().await);
        pair.a.set("REDIS_URL", &redis.url());
        pair.a.start().await;
    }
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "hello").await;
    let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
    alice.get(&path).await.expect(200);
    alice.get("/api/nothing/of/alices/").await.expect(404);
    bob.get("/api/chats/messages/").await.expect(200);
    alice.run(alice.request(Method::from_bytes(b"BREW").unwrap(), "/api/users/")).await.expect(405);

    let metrics = metrics(&pair.a).await;
    let table: BTreeMap<_, _> = METRICS.iter().map(|metric| (metric.name, metric)).collect();
    let mut exported: BTreeSet<&str> = metrics.names();
    assert_eq!(exported.contains("messaging_redis_up"), redis.is_some());
    exported.insert("messaging_redis_up");
    // What there is with TLS alone; `tls.rs` looks at it.
    for name in CERTIFICATES {
        assert!(exported.insert(name), "{name} is exported without TLS");
    }
    assert_eq!(exported, table.keys().copied().collect(), "the table has what is exported");
    for sample in &metrics.samples {
        let metric = table[sample.family.as_str()];
        assert_eq!(metrics.kinds[&sample.family], metric.kind.name(), "{sample:?}");
        let labels = sample.labels.keys().map(String::as_str).filter(|label| *label != "le");
        let expected: BTreeSet<_> = metric.labels.iter().copied().collect();
        assert_eq!(labels.collect::<BTreeSet<_>>(), expected, "{sample:?}");
        for value in sample.labels.values() {
            assert!(!value.contains("alice") && !value.contains("bob"), "{sample:?}");
            assert!(!value.contains(sent["id"].as_str().unwrap()), "{sample:?}");
        }
    }
    // Requests are counted under the templates of their paths.
    let count = |method: &str, route: &str, status: &str| {
        let labels = [("method", method), ("route", route), ("status", status)];
        metrics.value("messaging_http_request_duration_seconds_count", &labels)
    };
    assert_eq!(count("GET", "/api/chats/messages/{id}", "2xx"), Some(1.0));
    assert_eq!(count("POST", "/api/messages/send", "2xx"), Some(1.0));
    assert_eq!(count("GET", "unmatched", "4xx"), Some(1.0));
    assert_eq!(count("other", "/api/users", "4xx"), Some(1.0));
    assert!(metrics.value("process_resident_memory_bytes", &[]) > Some(1e6));
    assert!(metrics.value("process_open_fds", &[]) > Some(3.0));
    assert_eq!(metrics.value("messaging_redis_up", &[]), Some(1.0));
    assert_eq!(metrics.value("messaging_database_up", &[]), Some(1.0));
    assert_eq!(metrics.value("messaging_http_requests_in_flight", &[]), Some(0.0));

    // What people are to look at and be woken by is there.
    let dashboard = std::fs::read_to_string(format!("{DEPLOY}/grafana/messaging.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    let shown: BTreeSet<&str> = found.into_iter().flat_map(names).collect();
    assert!(shown.len() > 20, "{shown:?}");
    let alerts = std::fs::read_to_string(format!("{DEPLOY}/prometheus/alerts.yml")).unwrap();
    let woken: BTreeSet<&str> = names(&alerts).collect();
    assert!(woken.len() > 8, "{woken:?}");
    for name in shown.iter().chain(&woken) {
        assert!(exported.contains(name), "{name} is not exported");
    }

    // They have an address of their own, where there is nothing else.
    let elsewhere = pair.a.client().get("/metrics").await;
    assert!(!elsewhere.text.contains("messaging_"), "{elsewhere:#?}");
    let mut at = pair.a.client();
    at.base = format!("http://{}", pair.a.metrics_address());
    at.get("/health/live").await.expect(404);
    at.run(at.request(Method::POST, "/metrics")).await.expect(405);
}

async fn what_waits_for_a_peer_that_is_away_is_measured(database: Database) {
    let pair = ProcessPair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    alice.send("bob@app-b", "one").await;
    let peer = ("peer", "app-b");
    eventually("the peer is up and nothing waits", || async {
        let metrics = metrics(&pair.a).await;
        let ok = metrics.value("messaging_relay_attempts_total", &[peer, ("outcome", "ok")]);
        let sent = metrics.value("messaging_relay_events_sent_total", &[peer]);
        let is = metrics.value("messaging_peer_up", &[peer]) == Some(1.0)
            && metrics.value("messaging_outbox_events", &[peer]) == Some(0.0)
            && metrics.value("messaging_outbox_oldest_age_seconds", &[peer]) == Some(0.0);
        (is && ok >= Some(1.0) && sent >= Some(2.0)).then_some(())
    })
    .await;
    let received = metrics(&pair.b).await;
    let peer_of_b = [("peer", "app-a")];
    assert!(received.value("messaging_relay_events_received_total", &peer_of_b) >= Some(2.0));
    assert_eq!(received.value("messaging_relay_events_refused_total", &peer_of_b), Some(0.0));
    pair.a_to_b.disturb(Disturbance::Down);
    alice.send("bob@app-b", "two").await;
    eventually("what waits is measured", || async {
        let metrics = metrics(&pair.a).await;
        let failed = [peer, ("outcome", "unreachable")];
        let is = metrics.value("messaging_peer_up", &[peer]) == Some(0.0)
            && metrics.value("messaging_outbox_events", &[peer]) == Some(1.0)
            && metrics.value("messaging_outbox_oldest_age_seconds", &[peer]) > Some(0.0)
            && metrics.value("messaging_relay_attempts_total", &failed) >= Some(1.0);
        is.then_some(())
    })
    .await;
    pair.a_to_b.disturb(Disturbance::None);
    // Hearing the peer ends the wait.
    bob.send("alice@app-a", "three").await;
    eventually("all is well again", || async {
        let metrics = metrics(&pair.a).await;
        let is = metrics.value("messaging_peer_up", &[peer]) == Some(1.0)
            && metrics.value("messaging_outbox_events", &[peer]) == Some(0.0);
        is.then_some(())
    })
    .await;
}
