//! The connection to Redis: what the replicas of one app share beside their database, for speed alone.
//!
//! Nothing depends on Redis. It is connected to at the first use, may go away and come back at any time, and every
//! use of it has an answer for [`Away`]: counting in memory, or looking at the database. Nothing is kept there that
//! may not be lost.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use ::redis::{Client, RedisResult, TlsCertificates};
use shared::address::AppName;

use crate::config::RedisPlace;
use crate::tls::{self, TlsError};

/// How long an operation may take, connecting included; a request waits for it.
const WITHIN: Duration = Duration::from_millis(250);
/// How long Redis is left alone after it has failed; then a single operation finds out whether it is back.
const PAUSE: Duration = Duration::from_millis(500);

/// The connection of one app to Redis, which it may share with other apps.
pub struct Redis {
    app: AppName,
    client: Client,
    connection: RwLock<ConnectionManager>,
    away: AtomicBool,
    /// When it is to be tried again, in milliseconds since `started`.
    retry_at: AtomicU64,
    started: Instant,
}

/// Redis does not answer, or has not answered a moment ago. It has been logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis is away")]
pub struct Away;

/// Why Redis cannot be connected to, whether it is there or not.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The URL is none; configuration has checked it before.
    #[error("REDIS_URL is not valid")]
    Url(#[from] ::redis::RedisError),
    /// The certificates with which it is to be verified.
    #[error("REDIS_CA_FILE: {0}")]
    Tls(#[from] TlsError),
}

/// What begins connections to the Redis at a place, over TLS where its URL says so.
pub fn client(place: &RedisPlace) -> Result<Client, Unusable> {
    let url = place.url.expose();
    if !place.is_encrypted() {
        return Ok(Client::open(url)?);
    }
    tls::choose_ciphers();
    let root_cert = place.authority.as_deref().map(tls::authority).transpose()?;
    Ok(Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert })?)
}

impl Redis {
    /// The connection to the server at a place, which is not connected to before it is used. Must be called within
    /// the runtime.
    pub fn new(app: &AppName, place: &RedisPlace) -> Result<Self, Unusable> {
        let client = client(place)?;
        let connection = RwLock::new(connect(&client)?);
        Ok(Self {
            app: app.clone(),
            client,
            connection,
            away: AtomicBool::new(false),
            retry_at: AtomicU64::new(0),
            started: Instant::now(),
        })
    }

    /// The name of a key or a channel of this app: `messaging:app-a:` and `rest`.
    pub fn name(&self, rest: &str) -> String {
        format!("messaging:{}:{rest}", self.app)
    }

    /// Runs an operation, which may be a whole pipeline or script, within a quarter of a second. While Redis is
    /// known to be away, it fails at once.
    pub async fn run<T, F: Future<Output = RedisResult<T>>>(
        &self,
        operation: impl FnOnce(ConnectionManager) -> F,
    ) -> Result<T, Away> {
        let trial = self.away.load(Ordering::Relaxed);
        if trial && !self.is_due() {
            return Err(Away);
        }
        let connection = self.connection.read().unwrap_or_else(PoisonError::into_inner).clone();
        let why = match tokio::time::timeout(WITHIN, operation(connection)).await {
            Ok(Ok(value)) => {
                self.found();
                return Ok(value);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        self.lost(trial, &why);
        Err(Away)
    }

    /// A connection of its own to listen on, as the protocol wants it; its stream ends when Redis goes away, and it is
    /// for the caller to ask for another one then, not too often.
    pub async fn listen(&self) -> Result<PubSub, Away> {
        match tokio::time::timeout(WITHIN, self.client.get_async_pubsub()).await {
            Ok(Ok(listening)) => Ok(listening),
            Ok(Err(_)) | Err(_) => Err(Away),
        }
    }

    /// Whether it is this caller who is to find out if Redis is back.
    fn is_due(&self) -> bool {
        let (now, due) = (self.millis(Duration::ZERO), self.retry_at.load(Ordering::Relaxed));
        let next = self.millis(PAUSE);
        let turn =
            || self.retry_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        now >= due && turn().is_ok()
    }

    fn found(&self) {
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            metrics::gauge!("messaging_redis_up").set(1.0);
            tracing::info!("Redis is back");
        }
    }

    fn lost(&self, trial: bool, why: &str) {
        self.retry_at.store(self.millis(PAUSE), Ordering::Relaxed);
        let first = !self.away.swap(true, Ordering::Relaxed);
        if first {
            metrics::gauge!("messaging_redis_up").set(0.0);
            metrics::counter!("messaging_redis_outages_total").increment(1);
            tracing::warn!(why, "Redis is away; this app goes on without it");
        }
        // A connection that has gone silent may never say so.
        if (first || trial)
            && let Ok(fresh) = connect(&self.client)
        {
            *self.connection.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    fn millis(&self, later: Duration) -> u64 {
        u64::try_from((self.started.elapsed() + later).as_millis()).unwrap_or(u64::MAX)
    }
}

fn connect(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(WITHIN))
        .set_response_timeout(Some(WITHIN))
        // It is asked again and again by those who need it.
        .set_number_of_retries(0);
    client.get_connection_manager_lazy(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_away_at_once_and_is_not_asked_each_time() {
        let url = Secret::new("redis://127.0.0.1:1".to_owned());
        let place = RedisPlace { url, authority: None };
        let redis = Redis::new(&"app-a".parse().unwrap(), &place).unwrap();
        let ping = async |mut connection| ::redis::cmd("PING").query_async(&mut connection).await;
        let before = Instant::now();
        assert_eq!(redis.run::<String, _>(ping).await, Err(Away));
        assert!(before.elapsed() < 2 * WITHIN);
        let asked = AtomicBool::new(false);
        let again = redis.run(async |_| {
            asked.store(true, Ordering::Relaxed);
            Ok(())
        });
        assert_eq!(again.await, Err(Away));
        assert!(!asked.load(Ordering::Relaxed));
        assert!(redis.listen().await.is_err());
    }
}
