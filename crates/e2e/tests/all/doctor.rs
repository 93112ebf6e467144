//! What the doctor says of a healthy pair, and of one that has been broken in one place.

use std::process::Output;

use e2e::{Database, Disturbance, Instance, Pair, on_both_databases};
use serde_json::Value;

use crate::support::command::{json, run};

on_both_databases!(a_healthy_pair_is_well_and_what_is_broken_is_named_with_its_remedy,);

/// The settings of AppA, as its operator would give them to the doctor.
fn settings(app: &Instance) -> Vec<(&'static str, String)> {
    let (config, peer) = (&app.config, &app.config.peers[0]);
    vec![
        ("FERNET_KEYS", config.fernet_keys.expose().to_owned()),
        ("JWT_SECRET", config.jwt_secret.expose().to_owned()),
        ("RELAY_SECRET", peer.secret.expose().to_owned()),
        ("PEERS", format!("{}={}", peer.name, peer.url)),
        ("BIND_ADDR", config.bind.to_string()),
        ("DATABASE_URL", config.database_url.expose().to_owned()),
        ("DEBUG", "true".to_owned()),
    ]
}

/// The doctor with one setting changed. The apps of the pair must go on meanwhile.
async fn examine(app: &Instance, name: &'static str, value: &str) -> Output {
    let mut settings = settings(app);
    if !name.is_empty() {
        settings.retain(|(known, _)| *known != name);
        settings.push((name, value.to_owned()));
    }
    let examined = tokio::task::spawn_blocking(move || run(&["doctor", "--json"], &settings));
    examined.await.unwrap()
}

/// Fails unless the doctor has found a failure of this area that says this, and a remedy that says that.
#[track_caller]
fn expect_failure(output: &Output, area: &str, says: &str, remedy: &str) {
    let report = json(output);
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    let has = |line: &Value, field: &str, text: &str| {
        line[field].as_str().is_some_and(|said| said.contains(text))
    };
    let mut lines = report["checks"].as_array().unwrap().iter();
    let found = lines.any(|line| {
        line["area"] == area
            && line["state"] == "failure"
            && has(line, "message", says)
            && has(line, "remedy", remedy)
    });
    assert!(found, "{area}, {says}, {remedy}: {report:#}");
}

async fn a_healthy_pair_is_well_and_what_is_broken_is_named_with_its_remedy(database: Database) {
    let mut pair = Pair::start(database).await;
    // Once they serve, they have brought their schemas up to date.
    for app in [&pair.a, &pair.b] {
        app.client().get("/health/ready").await.expect(200);
    }
    let well = examine(&pair.a, "", "").await;
    let report = json(&well);
    // A database for tests may be told to be quick rather than safe, which the doctor does not let pass.
    let is_unsafe = |line: &Value| line["message"].as_str().unwrap().starts_with("fsync is off");
    let checks = report["checks"].as_array().unwrap();
    let (unsafely, others): (Vec<_>, Vec<_>) = checks.iter().partition(|line| is_unsafe(line));
    assert!(unsafely.iter().all(|line| line["state"] == "failure"), "{report:#}");
    assert!(others.iter().all(|line| line["state"] == "ok"), "{report:#}");
    assert_eq!(well.status.code(), Some(i32::from(!unsafely.is_empty())), "{report:#}");
    for area in ["settings", "database", "server", "peer"] {
        assert!(checks.iter().any(|line| line["area"] == area), "{area}: {report:#}");
    }

    let secret = shared::encryption::Keyring::generate_key();
    let wrong = examine(&pair.a, "RELAY_SECRET", &secret).await;
    expect_failure(&wrong, "peer", "401", "the same RELAY_SECRET");
    let other = examine(&pair.a, "FERNET_KEYS", &secret).await;
    expect_failure(&other, "peer", "app-b lacks the key", "FERNET_KEYS of this app");
    expect_failure(&other, "peer", "This app lacks the key", "restart this app");
    let nobody = examine(&pair.a, "PEERS", "app-b=http://nobody.invalid:1").await;
    expect_failure(&nobody, "peer", "nobody.invalid is not found", "DNS");
    let strange = examine(&pair.a, "DATABASE_URL", "sqlite:///dev/null/app.db").await;
    expect_failure(&strange, "disk", "no folder", "DATABASE_URL");
    let absent = examine(&pair.a, "DATABASE_URL", "postgres://a:b@127.0.0.1:1/none").await;
    expect_failure(&absent, "database", "cannot be opened", "DATABASE_URL");
    let redis = examine(&pair.a, "REDIS_URL", "redis://127.0.0.1:1").await;
    expect_failure(&redis, "redis", "does not answer", "REDIS_URL");
    let short = examine(&pair.a, "JWT_SECRET", "short").await;
    expect_failure(&short, "settings", "JWT_SECRET", "CONFIGURATION.md");
    for output in [&wrong, &short] {
        assert!(!String::from_utf8_lossy(&output.stdout).contains(&secret));
    }

    pair.b_to_a.disturb(Disturbance::Down);
    let deaf = examine(&pair.a, "", "").await;
    expect_failure(&deaf, "peer", "does not reach us", "URL of this app");
    pair.b_to_a.disturb(Disturbance::None);
    pair.b.stop().await;
    let down = examine(&pair.a, "", "").await;
    expect_failure(&down, "peer", "not reached", "Start the peer");
    pair.stop().await;
}
