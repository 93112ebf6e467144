use std::time::{Duration, Instant};

use hyper::StatusCode;
use memchr::memmem;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::figures::{count, percentile};
use crate::ledger::{Difference, Ledger};
use crate::load::micros;
use crate::people::{Named, Pair};
use crate::servers::Apps;
use crate::usage::{Cores, Meter};

/// Messages of one idle measurement, at most.
pub const MESSAGES: usize = 300;
/// The pause between two of them, in which the apps come to rest.
pub const REST: Duration = Duration::from_millis(5);
/// How long one message may take.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Messages on the page that is polled: the one that is waited for is the newest.
const POLLED: usize = 1;

/// One measurement of the way from one app's user to the other's.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeliverySample {
    /// Messages that went the way.
    pub messages: u64,
    /// Half of them took so many milliseconds from the request at app-a to the inbox at app-b.
    pub p50_ms: f64,
    /// All but one in a hundred took so many milliseconds.
    pub p99_ms: f64,
    /// Polls of the inbox for each message.
    pub polls: f64,
    /// The cores in use.
    pub cores: Cores,
    /// What app-b lacks or has too much of.
    pub difference: Difference,
}

/// Each pair sends one message after the other, each when the one before is in the inbox. A single pair rests in between.
pub async fn measure(
    apps: &Apps,
    ledger: &mut Ledger,
    pairs: &[Pair],
    span: Duration,
) -> Result<DeliverySample> {
    let idle = pairs.len() == 1;
    let mut couriers = Vec::with_capacity(pairs.len());
    for (number, pair) in pairs.iter().enumerate() {
        couriers.push(Courier {
            sending: Connection::open(apps.a.address_for(number)).await?,
            polling: Connection::open(apps.b.address_for(number)).await?,
            pair: pair.clone(),
            latencies: Vec::new(),
            polls: 0,
        });
    }
    let meter = Meter::start(apps.a.pids(), apps.b.pids())?;
    let deadline = Instant::now() + span;
    let tasks: Vec<_> = couriers
        .into_iter()
        .map(|courier| tokio::spawn(courier.deliver_until(deadline, idle)))
        .collect();
    let (mut latencies, mut polls) = (Vec::new(), 0);
    for task in tasks {
        let courier = task.await.map_err(|error| Error::Failed(error.to_string()))??;
        ledger.note(courier.pair.recipient, courier.latencies.len() as u64);
        polls += courier.polls;
        latencies.extend(courier.latencies);
    }
    let cores = meter.cores()?;
    let messages = latencies.len() as u64;
    Ok(DeliverySample {
        messages,
        p50_ms: percentile(&mut latencies, 50),
        p99_ms: percentile(&mut latencies, 99),
        polls: count(polls) / count(messages.max(1)),
        cores,
        difference: ledger.compare(apps.b.address()).await?,
    })
}

struct Courier {
    sending: Connection,
    polling: Connection,
    pair: Pair,
    latencies: Vec<u32>,
    polls: u64,
}

impl Courier {
    async fn deliver_until(mut self, deadline: Instant, idle: bool) -> Result<Self> {
        while Instant::now() < deadline && !(idle && self.latencies.len() >= MESSAGES) {
            let sent = Instant::now();
            let delivery = tokio::time::timeout(PATIENCE, self.deliver());
            let lost =
                |_| Error::Failed("a message does not appear in an inbox of app-b".to_owned());
            delivery.await.map_err(lost)??;
            self.latencies.push(micros(sent.elapsed()));
            if idle {
                tokio::time::sleep(REST).await;
            }
        }
        Ok(self)
    }

    /// Sends one message and polls until it is there.
    async fn deliver(&mut self) -> Result<()> {
        let message: Named =
            self.sending.fetch(self.pair.send.clone(), StatusCode::CREATED).await?;
        let wanted = memmem::Finder::new(&message.id);
        let list = self.pair.list(POLLED)?;
        loop {
            let page = self.polling.call(list.clone()).await?;
            page.expect(StatusCode::OK, "the inbox".to_owned())?;
            self.polls += 1;
            if wanted.find(&page.body).is_some() {
                return Ok(());
            }
        }
    }
}
