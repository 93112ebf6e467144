use std::sync::Arc;

use ::redis::Script;

use super::bucket::Bucket;
use super::rate::{Rate, Taken};
use crate::redis::{Away, Redis};

/// Takes from a bucket, or gives back if the cost is -1, in one step and by the clock of Redis, so that replicas whose
/// clocks differ count alike. A bucket that is full has no key.
///
/// KEYS: the bucket. ARGV: microseconds of one request, the quota, the cost. Gives whether it was there, and the
/// microseconds until the bucket is full.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, quota, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local after = full + interval * cost
if cost > 0 and after - now > interval * quota then
  return {0, full - now}
end
if after > now then
  redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
else
  redis.call('DEL', KEYS[1])
end
return {1, math.max(after - now, 0)}
";

/// The buckets that the replicas of an app share.
pub struct Replicated {
    redis: Arc<Redis>,
    script: Script,
}

impl Replicated {
    pub fn new(redis: Arc<Redis>) -> Self {
        Self { redis, script: Script::new(TAKE) }
    }

    /// Takes one request's worth.
    pub async fn take(&self, bucket: Bucket, key: u128, rate: Rate) -> Result<Taken, Away> {
        let (allowed, until_full) = self.run(bucket, key, rate, 1).await?;
        Ok(Taken { rate, allowed: allowed == 1, until_full })
    }

    /// Gives one request's worth back.
    pub async fn give_back(&self, bucket: Bucket, key: u128, rate: Rate) -> Result<(), Away> {
        self.run(bucket, key, rate, -1).await.map(|_| ())
    }

    async fn run(
        &self,
        bucket: Bucket,
        key: u128,
        rate: Rate,
        cost: i64,
    ) -> Result<(i64, i64), Away> {
        let name = self.redis.name(&format!("limit:{}:{key:032x}", bucket.name()));
        let mut call = self.script.key(name);
        call.arg(rate.interval()).arg(rate.quota()).arg(cost);
        self.redis.run(async |mut connection| call.invoke_async(&mut connection).await).await
    }
}
