use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::StatusCode;

use crate::connection::{Connection, Template};
use crate::error::{Error, Result};
use crate::figures::count;

/// How long a worker waits after a refusal, so that it does not spin.
const AFTER_REFUSAL: Duration = Duration::from_millis(5);

/// One connection and the request that it repeats.
pub struct Worker {
    /// The connection.
    pub connection: Connection,
    /// What is sent again and again.
    pub request: Template,
    /// The only good answer.
    pub expected: StatusCode,
}

/// What one worker has seen.
#[derive(Default)]
pub struct Seen {
    /// From request to whole answer of each good one, in microseconds.
    pub latencies: Vec<u32>,
    /// The body of the last good answer.
    pub last: Bytes,
    /// Requests that were answered otherwise.
    pub refused: u64,
    refusal: Option<String>,
}

impl Seen {
    /// Good answers.
    pub fn answered(&self) -> u64 {
        self.latencies.len() as u64
    }
}

/// What all workers together have seen.
pub struct Load {
    /// By worker, in their order.
    pub seen: Vec<Seen>,
    /// When the first request was sent.
    pub started: Instant,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Load {
    /// Good answers.
    pub fn answered(&self) -> u64 {
        self.seen.iter().map(Seen::answered).sum()
    }

    /// Requests that were answered otherwise.
    pub fn refused(&self) -> u64 {
        self.seen.iter().map(|seen| seen.refused).sum()
    }

    /// Good answers per second.
    pub fn per_second(&self) -> f64 {
        count(self.answered()) / self.elapsed.as_secs_f64()
    }

    /// The latencies of all workers, in microseconds.
    pub fn latencies(&self) -> Vec<u32> {
        self.seen.iter().flat_map(|seen| seen.latencies.iter().copied()).collect()
    }
}

/// Lets every worker send its next request as soon as the one before is answered, for as long as `span`.
///
/// Requests under way at the end are waited for, so that it is known of each what became of it.
pub async fn drive(workers: Vec<Worker>, span: Duration) -> Result<Load> {
    let started = Instant::now();
    let deadline = started + span;
    let tasks: Vec<_> =
        workers.into_iter().map(|worker| tokio::spawn(repeat(worker, deadline))).collect();
    let mut seen = Vec::with_capacity(tasks.len());
    for task in tasks {
        seen.push(task.await.map_err(|error| Error::Failed(error.to_string()))??);
    }
    let elapsed = started.elapsed();
    if let Some(refusal) = seen.iter().find_map(|seen| seen.refusal.as_deref()) {
        eprintln!("  a request was refused: {refusal}");
    }
    Ok(Load { seen, started, elapsed })
}

async fn repeat(mut worker: Worker, deadline: Instant) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut now = Instant::now();
    while now < deadline {
        let answer = worker.connection.call(worker.request.clone()).await?;
        let answered = Instant::now();
        if answer.status == worker.expected {
            seen.latencies.push(micros(answered - now));
            seen.last = answer.body;
            now = answered;
        } else {
            seen.refused += 1;
            seen.refusal.get_or_insert_with(|| format!("{} {}", answer.status, answer.excerpt()));
            tokio::time::sleep(AFTER_REFUSAL).await;
            now = Instant::now();
        }
    }
    Ok(seen)
}

/// A time in microseconds; more than an hour is an hour.
pub fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
