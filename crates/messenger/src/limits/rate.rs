//! The arithmetic of a bucket: the generic cell rate algorithm (ITU-T I.371), which is a token bucket kept as a single
//! moment, the one at which it will be full again.

use std::time::Duration;

/// How much a bucket holds, and in what time it fills up. All of it may be taken at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    quota: i64,
    window: Duration,
    /// Microseconds in which one request's worth comes in.
    interval: i64,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What the bucket holds and in what time.
    pub rate: Rate,
    /// Whether there was something left for the request.
    pub allowed: bool,
    /// Microseconds until the bucket is full again.
    pub until_full: i64,
}

impl Rate {
    /// `quota` requests in `window`; `None`, no limit, if the quota is not above zero.
    pub fn new(quota: i64, window: Duration) -> Option<Self> {
        let micros = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        (quota > 0).then(|| Self { quota, window, interval: (micros / quota).max(1) })
    }

    /// Requests that a full bucket has room for.
    pub fn quota(self) -> i64 {
        self.quota
    }

    /// Seconds in which an empty bucket fills up.
    pub fn window(self) -> u64 {
        self.window.as_secs()
    }

    /// Microseconds in which one request's worth comes in.
    pub fn interval(self) -> i64 {
        self.interval
    }

    /// Takes one request's worth at `now` from a bucket that is full at `full`, both in microseconds: whether it was
    /// there, and when the bucket is full then.
    pub fn take(self, full: i64, now: i64) -> (bool, i64) {
        let then = full.max(now).saturating_add(self.interval);
        let allowed = then - now <= self.interval.saturating_mul(self.quota);
        (allowed, if allowed { then } else { full })
    }
}

impl Taken {
    /// Requests that the bucket has left.
    pub fn remaining(self) -> i64 {
        let all = self.rate.interval.saturating_mul(self.rate.quota);
        ((all - self.until_full) / self.rate.interval).clamp(0, self.rate.quota)
    }

    /// Seconds until the bucket is full again.
    pub fn reset(self) -> i64 {
        seconds(self.until_full)
    }

    /// Seconds until there is room for one request, for one that has been refused.
    pub fn retry_after(self) -> u32 {
        let room = self.rate.interval.saturating_mul(self.rate.quota - 1);
        u32::try_from(seconds(self.until_full - room)).unwrap_or(u32::MAX).max(1)
    }
}

/// Whole seconds, rounded up.
fn seconds(micros: i64) -> i64 {
    micros.max(0).saturating_add(999_999) / 1_000_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(rate: Rate, full: i64, now: i64) -> (Taken, i64) {
        let (allowed, full) = rate.take(full, now);
        (Taken { rate, allowed, until_full: (full - now).max(0) }, full)
    }

    #[test]
    fn a_full_bucket_gives_its_quota_at_once_and_then_one_after_the_other() {
        let rate = Rate::new(5, Duration::from_secs(10)).unwrap();
        let mut full = 0;
        for left in (0..5).rev() {
            let (one, then) = taken(rate, full, 1_000_000);
            assert!(one.allowed);
            assert_eq!(one.remaining(), left);
            full = then;
        }
        let (none, same) = taken(rate, full, 1_000_000);
        assert!(!none.allowed);
        assert_eq!((none.remaining(), none.retry_after(), none.reset(), same), (0, 2, 10, full));
        assert!(!taken(rate, full, 2_999_999).0.allowed);
        assert!(taken(rate, full, 3_000_000).0.allowed);
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(Rate::new(0, Duration::from_secs(1)), None);
    }

    proptest! {
        /// Whatever the requests, no stretch of time lets through more than a full bucket and what flows in meanwhile.
        #[test]
        fn never_more_than_the_quota_and_the_inflow(
            quota in 1_i64..1_000_000,
            window in 1_u64..4000,
            gaps in prop::collection::vec(0_i64..3_000_000, 1..300),
        ) {
            let rate = Rate::new(quota, Duration::from_secs(window)).unwrap();
            let (mut now, mut full, mut through) = (1_i64 << 40, 0, Vec::new());
            for gap in gaps {
                now += gap;
                let (one, then) = taken(rate, full, now);
                full = then;
                prop_assert!((0..=quota).contains(&one.remaining()));
                prop_assert!(one.reset() <= i64::try_from(window).unwrap());
                if one.allowed {
                    through.push(now);
                } else {
                    // Whoever waits as long as they are told is let in.
                    let later = now + i64::from(one.retry_after()) * 1_000_000;
                    prop_assert!(taken(rate, full, later).0.allowed);
                }
            }
            for (index, first) in through.iter().enumerate() {
                let span = now - first;
                let count = i64::try_from(through.len() - index).unwrap();
                prop_assert!(count <= quota + span / rate.interval() + 1);
            }
        }
    }
}
