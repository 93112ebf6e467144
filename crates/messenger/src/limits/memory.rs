use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use super::bucket::Bucket;
use super::rate::{Rate, Taken};

/// Buckets remembered, at most; those asked for least are forgotten first, which is as if they were full.
const REMEMBERED: u64 = 100_000;
/// For how long a bucket is remembered that nobody takes from: the longest in which one fills up.
const IDLE: Duration = Duration::from_hours(1);

/// The buckets of one process.
pub struct Memory {
    /// When each will be full, in microseconds since `started`.
    buckets: Cache<(Bucket, u128), Arc<AtomicI64>>,
    started: Instant,
}

impl Memory {
    pub fn new() -> Self {
        let buckets = Cache::builder().max_capacity(REMEMBERED).time_to_idle(IDLE).build();
        // Later than the moment at which a bucket that is not there is full.
        Self { buckets, started: Instant::now() }
    }

    /// Takes one request's worth.
    pub fn take(&self, bucket: Bucket, key: u128, rate: Rate) -> Taken {
        let now = self.now();
        let full = self.buckets.get_with((bucket, key), Arc::default);
        let mut allowed = false;
        let taken = full.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full| {
            let (granted, then) = rate.take(full, now);
            allowed = granted;
            Some(then)
        });
        let before = taken.unwrap_or_else(|same| same);
        let (_, then) = rate.take(before, now);
        Taken { rate, allowed, until_full: (then - now).max(0) }
    }

    /// Gives one request's worth back.
    pub fn give_back(&self, bucket: Bucket, key: u128, rate: Rate) {
        if let Some(full) = self.buckets.get(&(bucket, key)) {
            full.fetch_sub(rate.interval(), Ordering::Relaxed);
        }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_requests_take_the_quota_and_no_more() {
        let memory = Memory::new();
        let rate = Rate::new(100, Duration::from_hours(1)).unwrap();
        let granted = AtomicI64::new(0);
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    for _ in 0..50 {
                        let taken = memory.take(Bucket::Send, 7, rate);
                        granted.fetch_add(taken.allowed.into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(granted.into_inner(), 100);
        assert!(memory.take(Bucket::Send, 8, rate).allowed, "another's bucket is its own");
        assert!(memory.take(Bucket::Lookup, 7, rate).allowed, "as is another bucket");
        memory.give_back(Bucket::Send, 7, rate);
        assert!(memory.take(Bucket::Send, 7, rate).allowed);
        assert!(!memory.take(Bucket::Send, 7, rate).allowed);
    }
}
