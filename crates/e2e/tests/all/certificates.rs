//! Certificates that are about to end: the doctor, the log and the metrics tell of it in time.

use std::sync::Arc;

use e2e::{Authority, Database, Process, ProcessPair, eventually};
use serde_json::Value;
use shared::time::Clock;

use crate::monitoring::CERTIFICATES;
use crate::support::metrics::Metrics;

const HERE: &str = "127.0.0.1";
const DAY: f64 = 86400.0;

/// What the doctor of an app has found in an area that speaks of something: how it is, what it says, and what to do.
fn doctor(app: &Process, area: &str, of: &str) -> (String, String, String) {
    let output = app.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let lines = report["checks"].as_array().unwrap();
    let found =
        lines.iter().find(|line| line["area"] == area && text(line, "message").contains(of));
    let line = found.unwrap_or_else(|| panic!("{area}, {of}: {report:#}"));
    (text(line, "state"), text(line, "message"), text(line, "remedy"))
}

/// In how many days a certificate ends, as the metrics of an app have it.
async fn days(app: &Process, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let metrics = Metrics::parse(&app.metrics().await);
    let now = Clock::system().wall().seconds();
    #[expect(clippy::cast_precision_loss, reason = "it is not 2^53 yet")]
    metrics.value(metric, labels).map(|at| ((at - now as f64) / DAY).round())
}

async fn says(app: &Process, what: &str) {
    eventually(what, || async { app.has_logged(what).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_about_to_end_is_told_of_before() {
    let mut pair = ProcessPair::prepare_over("https", Database::Sqlite).await;
    let authority = Arc::new(Authority::new());
    pair.a.show(&authority, &authority.issue_for_days(HERE, 100));
    pair.b.show(&authority, &authority.issue_for_days(HERE, 12));
    let shown = authority.issue_for_days("app-a", 10);
    pair.a.keep("PEER_CLIENT_CERT_FILE", &shown.certificate);
    pair.a.keep("PEER_CLIENT_KEY_FILE", &shown.key);
    for app in [&mut pair.a, &mut pair.b] {
        app.keep("PEER_CA_FILE", &authority.pem);
        app.start().await;
    }

    let [own, of_peer] = CERTIFICATES;
    let (server, client) = ([("certificate", "server")], [("certificate", "client")]);
    eventually("all three are among the metrics", || async {
        let found = [
            days(&pair.a, own, &server).await?,
            days(&pair.a, own, &client).await?,
            days(&pair.a, of_peer, &[("peer", "app-b")]).await?,
        ];
        let mut expected = found.iter().zip([100.0, 10.0, 12.0]);
        expected.all(|(days, expected)| (days - expected).abs() < 0.5).then_some(())
    })
    .await;
    assert_eq!(days(&pair.b, own, &client).await, None, "AppB shows none to its peers");
    says(&pair.a, "a certificate is good").await;
    says(&pair.a, "a certificate ends soon; it should be renewed").await;

    let (state, message, _) = doctor(&pair.a, "tls", "TLS_CERT_FILE");
    assert!(state == "ok" && message.contains(" 100 days"), "{state}: {message}");
    let (state, message, remedy) = doctor(&pair.a, "tls", "PEER_CLIENT_CERT_FILE");
    assert!(state == "warning" && message.contains(" 10 days"), "{state}: {message}");
    assert!(remedy.contains("Renew it"), "{remedy}");
    let (state, message, remedy) = doctor(&pair.a, "peer", "certificate");
    assert!(state == "warning" && message.contains(" 12 days"), "{state}: {message}");
    assert!(remedy.contains("operator of the peer"), "{remedy}");

    // A renewed one is seen without a restart, and one that has expired is a failure.
    pair.a.replace(&authority.issue_for_days(HERE, 200));
    eventually("the metric follows", || async {
        (days(&pair.a, own, &server).await == Some(200.0)).then_some(())
    })
    .await;
    let expired = authority.issue_until(HERE, 2020);
    for app in [&pair.a, &pair.b] {
        app.replace(&expired);
        app.signal("HUP");
        says(app, "a certificate has expired; it is not taken any more").await;
    }
    let (state, message, remedy) = doctor(&pair.a, "tls", "TLS_CERT_FILE");
    assert!(state == "failure" && message.contains("2020-01-01"), "{state}: {message}");
    assert!(remedy.contains("Renew it"), "{remedy}");
    let (state, message, remedy) = doctor(&pair.a, "peer", "certificate expired");
    assert!(state == "failure" && message.contains("app-b"), "{state}: {message}");
    assert!(remedy.contains("renew its certificate"), "{remedy}");
}
