//! Two replicas of AppA on one PostgreSQL and one Redis, and one AppB.

use e2e::{Client, Database, Process, ProcessPair, Redis, Socket, Wire};
use serde_json::Value;

/// Two replicas of AppA and one AppB.
pub struct Cluster {
    /// AppB, and the first replica.
    pub pair: ProcessPair,
    /// The other replica.
    pub second: Process,
    pub redis: Redis,
    /// What the other replica reaches Redis by.
    pub to_redis: Wire,
}

impl Cluster {
    /// `None` where PostgreSQL or Redis cannot be had.
    pub async fn start() -> Option<Self> {
        Self::start_with(|_| {}).await
    }

    /// The same, with other settings of the second replica.
    pub async fn start_with(change: impl FnOnce(&mut Process)) -> Option<Self> {
        if !Database::Postgres.is_to_be_tested() {
            return None;
        }
        let redis = Redis::start().await?;
        let to_redis = Wire::to(redis.address()).await;
        let mut pair = ProcessPair::prepare(Database::Postgres).await;
        pair.a.set("REDIS_URL", &redis.url());
        pair.a.start().await;
        pair.b.start().await;
        let mut second = pair.a.beside();
        second.set("REDIS_URL", &format!("redis://{}", to_redis.address));
        change(&mut second);
        second.start().await;
        Some(Self { pair, second, redis, to_redis })
    }

    /// The same user at the second replica.
    pub fn there(&self, client: &Client) -> Client {
        let mut there = client.clone();
        there.base = self.second.client().base;
        there
    }
}

/// Waits until a frame tells of a message with this text.
pub async fn told(socket: &mut Socket, text: &str) -> Value {
    loop {
        let frame = socket.frame().await;
        if frame["data"]["content"] == text && frame["type"] != "message.status" {
            return frame;
        }
    }
}
