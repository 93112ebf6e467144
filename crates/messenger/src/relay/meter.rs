use std::time::Duration;

use metrics::{Counter, Histogram};
use shared::address::AppName;

use super::{Cause, Delivery};

/// What is counted of the way to one peer.
pub struct Meter {
    ok: Counter,
    failures: [Counter; Cause::ALL.len()],
    duration: Histogram,
    sent: Counter,
    refused: Counter,
    expired: Counter,
}

impl Meter {
    /// That of a peer.
    pub fn of(peer: &AppName) -> Self {
        let attempts = |outcome: &'static str| {
            let peer = peer.to_string();
            metrics::counter!("messaging_relay_attempts_total", "peer" => peer, "outcome" => outcome)
        };
        let failed = |reason: &'static str| {
            let peer = peer.to_string();
            metrics::counter!("messaging_messages_failed_total", "peer" => peer, "reason" => reason)
        };
        let name = || peer.to_string();
        Self {
            ok: attempts("ok"),
            failures: Cause::ALL.map(|cause| attempts(cause.code())),
            duration: metrics::histogram!("messaging_relay_attempt_duration_seconds", "peer" => name()),
            sent: metrics::counter!("messaging_relay_events_sent_total", "peer" => name()),
            refused: failed("refused"),
            expired: failed("expired"),
        }
    }

    /// A batch has been sent, or has not.
    pub fn attempt<T>(&self, answer: &Result<T, Delivery>, took: Duration) {
        self.duration.record(took);
        match answer {
            Ok(_) => self.ok.increment(1),
            Err(failure) => self.failures[failure.cause as usize].increment(1),
        }
    }

    /// The peer has settled events, and refused some of the messages among them.
    pub fn settled(&self, events: usize, refused: usize) {
        self.sent.increment(u64::try_from(events).unwrap_or(0));
        self.refused.increment(u64::try_from(refused).unwrap_or(0));
    }

    /// Messages were given up.
    pub fn expired(&self, messages: usize) {
        self.expired.increment(u64::try_from(messages).unwrap_or(0));
    }
}
