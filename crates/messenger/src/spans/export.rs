use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use metrics::Counter;
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Spans;
use super::document::Resource;
use super::queue::Span;
use crate::config::{Collector, Config};
use crate::relay::causes;
use crate::tls::{self, TlsError};

/// Spans in one request, at most.
const BATCH: usize = 512;
/// How long the first span of a request waits for others.
const GATHERING: Duration = Duration::from_secs(1);
/// How long the collector may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first wait where it does not take what it is sent; it doubles from one to the next.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest one.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long what is left may take when the app stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// Sends what is in the queue to the collector.
struct Exporter {
    queue: Receiver<Span>,
    /// What is to be sent next.
    batch: Vec<Span>,
    http: Client,
    collector: Collector,
    resource: Resource,
    is_away: bool,
    exported: Counter,
    dropped: Counter,
}

/// Why the collector has not taken something.
enum Failure {
    /// It may take it later.
    Away(String),
    /// It never will.
    Refused(StatusCode),
}

/// What counts the spans that the collector has taken.
pub(super) fn exported() -> Counter {
    metrics::counter!("messaging_spans_exported_total")
}

/// What counts those that are lost.
pub(super) fn dropped() -> Counter {
    metrics::counter!("messaging_spans_dropped_total")
}

/// Starts the task that sends spans until `stopping` is cancelled, and then what is left; `None` without a collector.
pub fn start(
    config: &Config,
    spans: &Spans,
    stopping: CancellationToken,
) -> Result<Option<JoinHandle<()>>, TlsError> {
    let (Some(collector), Some(queue)) = (&config.collector, spans.take()) else { return Ok(None) };
    let http = Client::builder()
        .tls_backend_preconfigured(tls::to_others(collector.url.scheme() == "https")?)
        .redirect(Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .user_agent(concat!("messenger/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| TlsError::Refused(format!("an HTTP client cannot be made: {error}")))?;
    let exporter = Exporter {
        queue,
        batch: Vec::with_capacity(BATCH),
        http,
        collector: collector.clone(),
        resource: Resource::new(&config.app),
        is_away: false,
        exported: exported(),
        dropped: dropped(),
    };
    Ok(Some(tokio::spawn(exporter.work(stopping))))
}

impl Exporter {
    async fn work(mut self, stopping: CancellationToken) {
        while stopping.run_until_cancelled(self.gather()).await.is_some() {
            if stopping.run_until_cancelled(self.send()).await.is_none() {
                break;
            }
        }
        if timeout(FAREWELL, self.send_rest()).await.is_err() {
            let lost = self.batch.len() + self.queue.len();
            self.lose(lost, "some spans were not sent before the app has stopped");
        }
    }

    /// Waits for a batch: a whole one, or what comes within a while after the first span.
    async fn gather(&mut self) {
        self.queue.recv_many(&mut self.batch, BATCH).await;
        let mut end = pin!(sleep(GATHERING));
        while self.batch.len() < BATCH {
            let room = BATCH - self.batch.len();
            tokio::select! {
                _ = self.queue.recv_many(&mut self.batch, room) => {}
                () = end.as_mut() => return,
            }
        }
    }

    /// Sends the batch, again and again while the collector is away. What comes meanwhile waits in the queue.
    async fn send(&mut self) {
        let body = Bytes::from(self.resource.tell(&self.batch));
        let mut wait = FIRST_WAIT;
        loop {
            match self.post(body.clone()).await {
                Ok(()) => return self.sent(),
                Err(Failure::Refused(status)) => return self.refused(status),
                Err(Failure::Away(why)) => {
                    if !self.is_away {
                        tracing::warn!(why, "the collector of traces is away; spans wait for it");
                        self.is_away = true;
                    }
                    sleep(wait.mul_f64(rand::random_range(0.5..1.0))).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Sends all that is there, once.
    async fn send_rest(&mut self) {
        loop {
            while self.batch.len() < BATCH
                && let Ok(span) = self.queue.try_recv()
            {
                self.batch.push(span);
            }
            if self.batch.is_empty() {
                return;
            }
            let body = Bytes::from(self.resource.tell(&self.batch));
            match self.post(body).await {
                Ok(()) => self.sent(),
                Err(Failure::Refused(status)) => self.refused(status),
                Err(Failure::Away(_)) => {
                    let lost = self.batch.len() + self.queue.len();
                    return self.lose(lost, "the collector of traces is away; spans are lost");
                }
            }
        }
    }

    async fn post(&self, body: Bytes) -> Result<(), Failure> {
        let request = self
            .http
            .post(self.collector.url.clone())
            .headers(self.collector.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        // Neither its address nor what it says is for the log: both may hold a token.
        let response = request.send().await;
        let response = response.map_err(|error| Failure::Away(causes(&error.without_url())))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            // Those that OTLP says to try again.
            status if matches!(status.as_u16(), 429 | 502 | 503 | 504) => {
                Err(Failure::Away(format!("it answered {status}")))
            }
            status => Err(Failure::Refused(status)),
        }
    }

    fn sent(&mut self) {
        if self.is_away {
            tracing::info!("the collector of traces is back");
            self.is_away = false;
        }
        self.exported.increment(count(self.batch.len()));
        self.batch.clear();
    }

    fn refused(&mut self, status: StatusCode) {
        tracing::warn!(status = status.as_u16(), "the collector of traces refuses spans");
        self.dropped.increment(count(self.batch.len()));
        self.batch.clear();
    }

    fn lose(&self, spans: usize, what: &str) {
        tracing::warn!(spans, "{what}");
        self.dropped.increment(count(spans));
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
