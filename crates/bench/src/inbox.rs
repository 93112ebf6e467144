use std::time::Duration;

use hyper::StatusCode;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::Result;
use crate::figures::percentile;
use crate::ledger::Ledger;
use crate::load::{Worker, drive};
use crate::people::{Named, Pair, appears};
use crate::servers::{Apps, Site};
use crate::usage::{Cores, Meter};

/// Connections at once.
pub const CONNECTIONS: usize = 64;
/// Messages on a page.
pub const PAGE_SIZE: usize = 20;
/// How long the last of the messages that fill an inbox may take to get there.
const FILLING: Duration = Duration::from_secs(20);

/// One measurement of reading inboxes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct InboxSample {
    /// Pages of 20 per second.
    pub pages_per_second: f64,
    /// Half of them came within so many milliseconds.
    pub p50_ms: f64,
    /// All but one in a hundred came within so many milliseconds.
    pub p99_ms: f64,
    /// Messages in an inbox, on average.
    pub messages: f64,
    /// Bytes of a page.
    pub bytes: u64,
    /// The cores in use; the first server is app-b.
    pub cores: Cores,
    /// Requests answered otherwise.
    pub refused: u64,
}

/// Reads the first page of the inboxes of app-b over and over, over 64 connections.
pub async fn measure(b: &Site, ledger: &Ledger, span: Duration) -> Result<InboxSample> {
    let mut workers = Vec::with_capacity(CONNECTIONS);
    let people = ledger.recipients().iter().cycle().take(CONNECTIONS);
    for (number, person) in people.enumerate() {
        let connection = Connection::open(b.address_for(number)).await?;
        let request = person.list(PAGE_SIZE)?;
        workers.push(Worker { connection, request, expected: StatusCode::OK });
    }
    let meter = Meter::start(b.pids(), Vec::new())?;
    let load = drive(workers, span).await?;
    let cores = meter.cores()?;
    let mut latencies = load.latencies();
    let bytes = load.seen.iter().map(|seen| seen.last.len() as u64).max().unwrap_or(0);
    Ok(InboxSample {
        pages_per_second: load.per_second(),
        p50_ms: percentile(&mut latencies, 50),
        p99_ms: percentile(&mut latencies, 99),
        messages: ledger.mean(),
        bytes,
        cores,
        refused: load.refused(),
    })
}

/// Puts so many messages into the inbox of the recipient of each pair, and waits until they are there.
pub async fn fill(apps: &Apps, ledger: &mut Ledger, pairs: &[Pair], messages: u64) -> Result<()> {
    let mut there = Connection::open(apps.b.address()).await?;
    for pair in pairs {
        let mut connection = Connection::open(apps.a.address()).await?;
        let mut last = None;
        for _ in 0..messages {
            let message = connection.fetch(pair.send.clone(), StatusCode::CREATED).await?;
            last = Some::<Named>(message);
        }
        ledger.note(pair.recipient, messages);
        if let Some(last) = last {
            appears(&mut there, pair.look(&last.id)?, FILLING).await?;
        }
    }
    Ok(())
}
