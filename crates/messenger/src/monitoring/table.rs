/// What a metric does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts how long something took.
    Histogram,
}

impl Kind {
    /// What Prometheus calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with its unit at the end; that of a counter ends in `_total`.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// One sentence without its full stop.
    pub about: &'static str,
}

const fn metric(
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric { name, kind, labels, about }
}

use Kind::{Counter, Gauge, Histogram};

/// All of them, as `docs/OPERATIONS.md` lists them.
pub const METRICS: &[Metric] = &[
    metric(Gauge, "messaging_build_info", &["app", "version"], "Always 1"),
    metric(
        Histogram,
        "messaging_http_request_duration_seconds",
        &["method", "route", "status"],
        "Requests by the template of their path and the class of their answer; paths of no route, those of the web interface among them, are `unmatched`",
    ),
    metric(Gauge, "messaging_http_requests_in_flight", &[], "Requests under way"),
    metric(
        Counter,
        "messaging_rate_limited_total",
        &["bucket"],
        "Requests that were answered 429, by bucket",
    ),
    metric(Gauge, "messaging_outbox_events", &["peer"], "Events that wait for a peer"),
    metric(
        Gauge,
        "messaging_outbox_oldest_age_seconds",
        &["peer"],
        "How long the oldest of them has waited; 0 if there is none",
    ),
    metric(
        Gauge,
        "messaging_outbox_failed_messages",
        &["peer"],
        "Messages that have failed for a peer and may be sent again",
    ),
    metric(
        Gauge,
        "messaging_peer_up",
        &["peer"],
        "Whether the last attempt to reach a peer has succeeded, within 90 seconds",
    ),
    metric(
        Counter,
        "messaging_relay_attempts_total",
        &["peer", "outcome"],
        "Batches sent to a peer; `ok`, or the code of the failure",
    ),
    metric(
        Histogram,
        "messaging_relay_attempt_duration_seconds",
        &["peer"],
        "How long they took, whatever their outcome",
    ),
    metric(
        Counter,
        "messaging_relay_events_sent_total",
        &["peer"],
        "Events that a peer has settled",
    ),
    metric(
        Counter,
        "messaging_relay_events_received_total",
        &["peer"],
        "Events of a peer that were settled here",
    ),
    metric(
        Counter,
        "messaging_relay_events_refused_total",
        &["peer"],
        "Those of them that were refused",
    ),
    metric(
        Counter,
        "messaging_messages_failed_total",
        &["peer", "reason"],
        "Messages that have failed: `refused` by the peer, or `expired`",
    ),
    metric(
        Counter,
        "messaging_unreadable_total",
        &["code"],
        "Stored contents that did not open when they were to be shown, by the code of the failure",
    ),
    metric(Gauge, "messaging_sockets", &[], "Open sockets"),
    metric(Counter, "messaging_socket_events_total", &["type"], "Events that sockets were told"),
    metric(
        Counter,
        "messaging_sockets_closed_total",
        &["reason"],
        "Sockets that have ended; `too_slow` and `failed` are worth a look",
    ),
    metric(
        Counter,
        "messaging_replica_words_lost_total",
        &[],
        "What could not be said to other replicas through Redis",
    ),
    metric(Gauge, "messaging_redis_up", &[], "Whether Redis answers; absent without `REDIS_URL`"),
    metric(Counter, "messaging_redis_outages_total", &[], "How often Redis has gone away"),
    metric(
        Counter,
        "messaging_spans_exported_total",
        &[],
        "Spans that the collector of traces has taken",
    ),
    metric(
        Counter,
        "messaging_spans_dropped_total",
        &[],
        "Spans that it has not taken in time, or not at all",
    ),
    metric(Gauge, "messaging_database_up", &[], "Whether the database has answered just now"),
    metric(
        Gauge,
        "messaging_database_connections",
        &["state"],
        "Connections that are `used` or `idle`",
    ),
    metric(
        Gauge,
        "messaging_queue_items",
        &["queue"],
        "What waits: messages for the batching writer (`send`), transactions for the one connection that writes to SQLite (`write`), password hashes (`password`), pictures (`picture`)",
    ),
    metric(
        Gauge,
        "messaging_queue_limit_items",
        &["queue"],
        "How much may wait before requests are answered 503",
    ),
    metric(
        Gauge,
        "messaging_certificate_expires_timestamp_seconds",
        &["certificate"],
        "When a certificate of the app ends, in seconds since 1970: what it shows to those who connect (`server`) or to its peers (`client`); absent without one",
    ),
    metric(
        Gauge,
        "messaging_peer_certificate_expires_timestamp_seconds",
        &["peer"],
        "When the certificate ends that a peer has shown; absent for one that is reached without TLS",
    ),
    metric(Gauge, "messaging_tasks", &[], "Tasks of the runtime"),
    metric(Counter, "process_cpu_seconds_total", &[], "Processor time, on Linux"),
    metric(Gauge, "process_resident_memory_bytes", &[], "Memory, on Linux"),
    metric(Gauge, "process_open_fds", &[], "Open file descriptors, on Linux"),
    metric(Gauge, "process_max_fds", &[], "How many there may be, on Linux"),
    metric(Gauge, "process_threads", &[], "Threads, on Linux"),
    metric(
        Gauge,
        "process_start_time_seconds",
        &[],
        "When the process began, in seconds since 1970",
    ),
];

/// Tells the recorder what each of them is.
pub fn describe() {
    for &Metric { name, kind, about, .. } in METRICS {
        match kind {
            Counter => metrics::describe_counter!(name, about),
            Gauge => metrics::describe_gauge!(name, about),
            Histogram => metrics::describe_histogram!(name, about),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_one_scheme_and_no_label_could_name_a_person() {
        let mut names = BTreeSet::new();
        for Metric { name, kind, labels, about } in METRICS {
            assert!(names.insert(name), "{name} stands twice");
            assert!(name.starts_with("messaging_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Counter, "{name}");
            assert!(*kind != Histogram || name.ends_with("_seconds"), "{name}");
            assert!(!about.ends_with('.'), "{name}");
            for label in *labels {
                let known = [
                    "app",
                    "version",
                    "method",
                    "route",
                    "status",
                    "bucket",
                    "peer",
                    "outcome",
                    "reason",
                    "code",
                    "type",
                    "state",
                    "queue",
                    "certificate",
                ];
                assert!(known.contains(label), "{name}: {label}");
            }
        }
    }

    #[test]
    fn the_documentation_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATIONS.md");
        let text = std::fs::read_to_string(path).unwrap();
        let listed: Vec<&str> = text.lines().filter(|line| is_row(line)).collect();
        let expected: Vec<String> = METRICS
            .iter()
            .map(|Metric { name, kind, labels, about }| {
                let labels = if labels.is_empty() {
                    String::new()
                } else {
                    format!("{{{}}}", labels.join(", "))
                };
                format!("| `{name}{labels}` | {} | {about} |", kind.name())
            })
            .collect();
        assert_eq!(listed, expected, "docs/OPERATIONS.md, Metrics:\n{}", expected.join("\n"));
    }

    fn is_row(line: &str) -> bool {
        line.starts_with("| `messaging_") || line.starts_with("| `process_")
    }
}
