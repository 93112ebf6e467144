//! Rate limits: named buckets, per user for those who are known, per client address for the others, per app between
//! the apps. How much each holds is a runtime setting.
//!
//! | | File |
//! |---|---|
//! | which route takes from which bucket | `bucket.rs` |
//! | the arithmetic | `rate.rs` |
//! | counting, in one process and among replicas | `memory.rs`, `replicated.rs` |
//! | the layer, with the headers of the answer | `layer.rs` |
//!
//! Replicas count together in Redis. While it is away each counts by itself, so a client gets its quota from each.

mod bucket;
mod layer;
mod memory;
mod rate;
mod replicated;

use std::sync::Arc;

use http::StatusCode;
use shared::problem::Problem;

use crate::redis::Redis;
use crate::settings::Settings;

pub use bucket::{Bucket, Whose};
pub use layer::limit;
use memory::Memory;
pub use rate::{Rate, Taken};
use replicated::Replicated;

/// The buckets of an app.
pub struct Limits {
    settings: Arc<Settings>,
    memory: Memory,
    replicated: Option<Replicated>,
}

impl Limits {
    /// Full buckets, as large as the settings say at each moment; counted in Redis if there is one.
    pub fn new(settings: &Arc<Settings>, redis: Option<&Arc<Redis>>) -> Self {
        let replicated = redis.cloned().map(Replicated::new);
        Self { settings: settings.clone(), memory: Memory::new(), replicated }
    }

    /// Takes one request's worth from the bucket of whom `key` stands for; `None` if there is no limit.
    pub async fn take(&self, bucket: Bucket, key: u128) -> Option<Taken> {
        let rate = bucket.rate(&self.settings)?;
        let taken = match &self.replicated {
            Some(replicated) => Box::pin(replicated.take(bucket, key, rate)).await.ok(),
            None => None,
        };
        let taken = taken.unwrap_or_else(|| self.memory.take(bucket, key, rate));
        if !taken.allowed {
            metrics::counter!("messaging_rate_limited_total", "bucket" => bucket.name())
                .increment(1);
        }
        Some(taken)
    }

    /// As [`Limits::take`], with a problem if there is nothing left: 429 `rate_limited`.
    pub async fn check(&self, bucket: Bucket, key: u128) -> Result<(), Problem> {
        match self.take(bucket, key).await {
            Some(taken) if !taken.allowed => Err(refusal(taken)),
            _ => Ok(()),
        }
    }

    /// Gives back what a request has taken that turned out not to count.
    pub async fn give_back(&self, bucket: Bucket, key: u128) {
        let Some(rate) = bucket.rate(&self.settings) else { return };
        if let Some(replicated) = &self.replicated
            && Box::pin(replicated.give_back(bucket, key, rate)).await.is_ok()
        {
            return;
        }
        self.memory.give_back(bucket, key, rate);
    }
}

/// 429: come back later.
fn refusal(taken: Taken) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        "There have been too many requests; try again later.",
    )
    .retry_after(taken.retry_after())
}
