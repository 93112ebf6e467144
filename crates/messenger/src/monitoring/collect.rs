//! What is looked up when Prometheus asks, and what is there from the start, though nothing has happened yet.

use std::time::Duration;

use shared::encryption::Unreadable;

use crate::app::App;
use crate::limits::Bucket;
use crate::peers;
use crate::relay::Cause;

use super::process;

/// How long the database may take; the answer goes without what it has to say after that.
const PATIENCE: Duration = Duration::from_secs(5);

/// Registers what can be foreseen, so that it is there as 0 from the start: a rate can be told of nothing else.
pub fn begin(app: &App) {
    let (name, version) = (app.name.to_string(), env!("CARGO_PKG_VERSION"));
    metrics::gauge!("messaging_build_info", "app" => name, "version" => version).set(1.0);
    for peer in app.relay.peers() {
        let outcomes = Cause::ALL.map(Cause::code);
        for outcome in outcomes.into_iter().chain(["ok"]) {
            let peer = peer.to_string();
            let _ = metrics::counter!("messaging_relay_attempts_total", "peer" => peer, "outcome" => outcome);
        }
        for reason in ["refused", "expired"] {
            let peer = peer.to_string();
            let _ = metrics::counter!("messaging_messages_failed_total", "peer" => peer, "reason" => reason);
        }
        let events = [
            "messaging_relay_events_sent_total",
            "messaging_relay_events_received_total",
            "messaging_relay_events_refused_total",
        ];
        for name in events {
            let _ = metrics::counter!(name, "peer" => peer.to_string());
        }
        let _ = metrics::histogram!("messaging_relay_attempt_duration_seconds", "peer" => peer.to_string());
    }
    for bucket in Bucket::ALL {
        let _ = metrics::counter!("messaging_rate_limited_total", "bucket" => bucket.name());
    }
    for code in Unreadable::ALL.map(Unreadable::code) {
        let _ = metrics::counter!("messaging_unreadable_total", "code" => code);
    }
    for kind in ["message.created", "message.updated", "message.deleted", "message.status"] {
        let _ = metrics::counter!("messaging_socket_events_total", "type" => kind);
    }
    for reason in ["too_slow", "failed"] {
        let _ = metrics::counter!("messaging_sockets_closed_total", "reason" => reason);
    }
    metrics::gauge!("messaging_sockets").set(0.0);
    let _ = metrics::counter!("messaging_replica_words_lost_total");
    let _ = metrics::counter!("messaging_redis_outages_total");
    let _ = metrics::counter!("messaging_spans_exported_total");
    let _ = metrics::counter!("messaging_spans_dropped_total");
    if app.redis.is_some() {
        metrics::gauge!("messaging_redis_up").set(1.0);
    }
}

/// Looks up what is measured.
pub async fn collect(app: &App) {
    process::collect();
    let queues = [
        ("send", Some(app.outgoing.waiting())),
        ("write", app.db.waiting()),
        ("password", Some(app.accounts.waiting())),
        ("picture", Some(app.pictures.waiting())),
    ];
    for (queue, found) in queues {
        if let Some((items, limit)) = found {
            metrics::gauge!("messaging_queue_items", "queue" => queue).set(number(items));
            metrics::gauge!("messaging_queue_limit_items", "queue" => queue).set(number(limit));
        }
    }
    let (used, idle) = app.db.connections();
    metrics::gauge!("messaging_database_connections", "state" => "used").set(number(used));
    metrics::gauge!("messaging_database_connections", "state" => "idle").set(number(idle));
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        metrics::gauge!("messaging_tasks").set(number(runtime.metrics().num_alive_tasks()));
    }
    let up = collect_peers(app).await;
    metrics::gauge!("messaging_database_up").set(f64::from(u8::from(up)));
}

/// What waits for the peers and how they are; `false` if the database does not say.
async fn collect_peers(app: &App) -> bool {
    let found = tokio::time::timeout(PATIENCE, peers::views(app)).await;
    let Ok(Ok(views)) = found else { return false };
    let now = app.clock.wall();
    for view in views {
        let peer = || view.name.to_string();
        let age = view.oldest_waiting_at.map_or(0.0, |at| {
            let micros = now.micros().saturating_sub(at.micros()).max(0);
            Duration::from_micros(micros.unsigned_abs()).as_secs_f64()
        });
        metrics::gauge!("messaging_outbox_events", "peer" => peer()).set(count(view.waiting));
        metrics::gauge!("messaging_outbox_oldest_age_seconds", "peer" => peer()).set(age);
        metrics::gauge!("messaging_outbox_failed_messages", "peer" => peer())
            .set(count(view.failed));
        metrics::gauge!("messaging_peer_up", "peer" => peer()).set(f64::from(u8::from(view.up)));
    }
    true
}

#[expect(clippy::cast_precision_loss, reason = "no queue is as long as 2^53")]
fn number(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "no queue is as long as 2^53")]
fn count(number: i64) -> f64 {
    number as f64
}
