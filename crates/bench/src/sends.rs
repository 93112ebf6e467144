use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::Result;
use crate::figures::{count, percentile};
use crate::ledger::{Difference, Ledger};
use crate::load::{Load, Worker, drive};
use crate::people::{Named, Pair, appears};
use crate::servers::Apps;
use crate::usage::{Cores, Meter};

/// How long the other app may take to store what is left when the senders have stopped.
const DRAINING: Duration = Duration::from_secs(30);

/// One measurement of sending and relaying.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SendSample {
    /// Messages answered 201 while the senders ran.
    pub acknowledged: u64,
    /// Requests answered otherwise.
    pub refused: u64,
    /// Acknowledged messages per second.
    pub sends_per_second: f64,
    /// Half of the acknowledgements came within so many milliseconds.
    pub p50_ms: f64,
    /// All but one in a hundred came within so many milliseconds.
    pub p99_ms: f64,
    /// The cores in use while the senders ran.
    pub cores: Cores,
    /// Messages per second, from the first request until the last message was stored at app-b.
    pub relayed_per_second: f64,
    /// Seconds from the last acknowledgement until then.
    pub drain_seconds: f64,
    /// Processor time of one message from the request until it is stored at app-b, in microseconds.
    pub processor_micros: Cores,
    /// What app-b lacks or has too much of.
    pub difference: Difference,
    /// Memory of app-a afterwards, in MiB.
    pub a_mib: f64,
    /// Memory of app-b afterwards, in MiB.
    pub b_mib: f64,
}

/// Sends over as many connections as there are pairs for as long as `span`, then waits until app-b has everything.
pub async fn measure(
    apps: &Apps,
    ledger: &mut Ledger,
    pairs: &[Pair],
    span: Duration,
) -> Result<SendSample> {
    let mut workers = Vec::with_capacity(pairs.len());
    for (number, pair) in pairs.iter().enumerate() {
        let connection = Connection::open(apps.a.address_for(number)).await?;
        let request = pair.send.clone();
        workers.push(Worker { connection, request, expected: StatusCode::CREATED });
    }
    let meter = Meter::start(apps.a.pids(), apps.b.pids())?;
    let load = drive(workers, span).await?;
    let cores = meter.cores()?;
    for (pair, seen) in pairs.iter().zip(&load.seen) {
        ledger.note(pair.recipient, seen.answered());
    }
    let stored = drained(apps, pairs, &load).await?;
    let (seconds, _) = meter.read()?;
    let total = stored.duration_since(load.started);
    let acknowledged = load.answered();
    let mut latencies = load.latencies();
    Ok(SendSample {
        acknowledged,
        refused: load.refused(),
        sends_per_second: load.per_second(),
        p50_ms: percentile(&mut latencies, 50),
        p99_ms: percentile(&mut latencies, 99),
        cores,
        relayed_per_second: count(acknowledged) / total.as_secs_f64(),
        drain_seconds: total.saturating_sub(load.elapsed).as_secs_f64(),
        processor_micros: seconds.per(count(acknowledged)).micros(),
        difference: ledger.compare(apps.b.address()).await?,
        a_mib: apps.a.memory_mib()?,
        b_mib: apps.b.memory_mib()?,
    })
}

/// Waits until the last message of every sender is at app-b, and gives the moment. Messages of a conversation keep their
/// order, so what was sent before is there too; the counts prove it afterwards.
async fn drained(apps: &Apps, pairs: &[Pair], load: &Load) -> Result<Instant> {
    let mut connection = Connection::open(apps.b.address()).await?;
    for (pair, seen) in pairs.iter().zip(&load.seen) {
        if seen.answered() > 0 {
            let last: Named = serde_json::from_slice(&seen.last)?;
            appears(&mut connection, pair.look(&last.id)?, DRAINING).await?;
        }
    }
    Ok(Instant::now())
}
