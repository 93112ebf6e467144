//! From the request at app-a to the frame on the recipient's socket at app-b.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};

use crate::connection::Connection;
use crate::delivery::{MESSAGES, PATIENCE, REST};
use crate::error::{Error, Result};
use crate::figures::{count, percentile};
use crate::ledger::{Difference, Ledger};
use crate::load::micros;
use crate::people::{Named, Pair};
use crate::servers::Apps;
use crate::socket::{Socket, Told};
use crate::usage::{Cores, Meter};

/// How long the last frames may take when the senders have stopped.
const DRAINING: Duration = Duration::from_secs(20);

/// When the next message is sent.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Pace {
    /// A little after the frame of the one before: the apps are idle in between.
    Idle,
    /// As soon as the frame of the one before is there.
    Closed,
    /// By the clock, so many per second over all connections, whatever has become of those before.
    Clock(f64),
}

/// One measurement of the way to the recipients' sockets.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PushSample {
    /// Messages that went the way.
    pub messages: u64,
    /// Messages per second.
    pub per_second: f64,
    /// Half of them took so many milliseconds; by the clock, from when they were due.
    pub p50_ms: f64,
    /// All but one in a hundred took so many milliseconds.
    pub p99_ms: f64,
    /// The cores in use.
    pub cores: Cores,
    /// Messages without a frame, and frames beyond the first of a message.
    pub frames: Difference,
    /// What app-b lacks or has too much of.
    pub difference: Difference,
}

/// What one pair has seen: what it sent, with the moment from which that counts, and what its socket told.
#[derive(Default)]
struct Seen {
    sent: Vec<(String, Instant)>,
    told: Vec<Told>,
}

/// Sends for as long as `span` at a pace, each pair over a connection of its own to the socket of its recipient.
pub async fn measure(
    apps: &Apps,
    ledger: &mut Ledger,
    pairs: &[Pair],
    pace: Pace,
    span: Duration,
) -> Result<PushSample> {
    let mut couriers = Vec::with_capacity(pairs.len());
    for (number, pair) in pairs.iter().enumerate() {
        let sending = Connection::open(apps.a.address_for(number)).await?;
        let socket = socket(apps.b.address_for(number), &pair.recipient_token).await?;
        couriers.push(Courier { sending, socket, pair: pair.clone(), seen: Seen::default() });
    }
    let meter = Meter::start(apps.a.pids(), apps.b.pids())?;
    let started = Instant::now();
    let deadline = started + span;
    let mut tasks: Vec<JoinHandle<Result<Seen>>> = Vec::with_capacity(pairs.len());
    for (number, courier) in couriers.into_iter().enumerate() {
        tasks.push(match pace {
            Pace::Idle => tokio::spawn(courier.in_turn(deadline, Some(REST))),
            Pace::Closed => tokio::spawn(courier.in_turn(deadline, None)),
            Pace::Clock(rate) => {
                let every = Duration::from_secs_f64(count(pairs.len() as u64) / rate.max(1.0));
                // Not all at the same moment.
                let first =
                    started + every.mul_f64(count(number as u64) / count(pairs.len() as u64));
                tokio::spawn(courier.by_the_clock(first, every, deadline))
            }
        });
    }
    let mut seen = Vec::with_capacity(tasks.len());
    for task in tasks {
        seen.push(task.await.map_err(|error| Error::Failed(error.to_string()))??);
    }
    let (elapsed, cores) = (started.elapsed(), meter.cores()?);
    for (pair, seen) in pairs.iter().zip(&seen) {
        ledger.note(pair.recipient, seen.sent.len() as u64);
    }
    let (mut latencies, frames) = join(&seen);
    let messages = seen.iter().map(|seen| seen.sent.len() as u64).sum();
    Ok(PushSample {
        messages,
        per_second: count(messages) / elapsed.as_secs_f64(),
        p50_ms: percentile(&mut latencies, 50),
        p99_ms: percentile(&mut latencies, 99),
        cores,
        frames,
        difference: ledger.compare(apps.b.address()).await?,
    })
}

/// A socket from any local address.
pub async fn socket(address: SocketAddr, token: &str) -> Result<Socket> {
    Socket::open(address, SocketAddr::from(([127, 0, 0, 1], 0)), token).await
}

/// The time that each message took, in microseconds, and which frames are missing or too many.
fn join(seen: &[Seen]) -> (Vec<u32>, Difference) {
    let (mut latencies, mut frames) = (Vec::new(), Difference::default());
    for Seen { sent, told } in seen {
        let mut first: HashMap<&str, Instant> = HashMap::with_capacity(told.len());
        for Told { id, at } in told {
            if first.insert(id, *at).is_some() {
                frames.doubled += 1;
            }
        }
        for (id, from) in sent {
            match first.get(id.as_str()) {
                Some(at) => latencies.push(micros(at.saturating_duration_since(*from))),
                None => frames.lost += 1,
            }
        }
    }
    (latencies, frames)
}

struct Courier {
    sending: Connection,
    socket: Socket,
    pair: Pair,
    seen: Seen,
}

impl Courier {
    /// One message after the other, each when the one before has been told.
    async fn in_turn(mut self, deadline: Instant, rest: Option<Duration>) -> Result<Seen> {
        while Instant::now() < deadline && !(rest.is_some() && self.seen.sent.len() >= MESSAGES) {
            let from = Instant::now();
            let send = self.sending.fetch::<Named>(self.pair.send.clone(), StatusCode::CREATED);
            let told = async {
                let told = timeout(PATIENCE, self.socket.message()).await;
                told.map_err(|_| {
                    Error::Failed("a message is not told to its recipient".to_owned())
                })?
            };
            let (message, told) = tokio::try_join!(send, told)?;
            self.seen.sent.push((message.id, from));
            self.seen.told.push(told);
            if let Some(rest) = rest {
                sleep(rest).await;
            }
        }
        Ok(self.seen)
    }

    /// A message whenever the time has come; if the answer to the one before comes late, the next follows at once, and
    /// its time counts from when it was due.
    async fn by_the_clock(
        self,
        first: Instant,
        every: Duration,
        deadline: Instant,
    ) -> Result<Seen> {
        let Self { mut sending, socket, pair, .. } = self;
        let (expect, expected) = watch::channel(None);
        let listening = tokio::spawn(hear(socket, expected));
        let (mut sent, mut due) = (Vec::new(), first);
        while due < deadline {
            sleep_until(due.into()).await;
            let message: Named = sending.fetch(pair.send.clone(), StatusCode::CREATED).await?;
            sent.push((message.id, due));
            due += every;
        }
        expect.send_replace(Some(sent.len()));
        let told = listening.await.map_err(|error| Error::Failed(error.to_string()))??;
        Ok(Seen { sent, told })
    }
}

/// What a socket tells, until there are as many messages as were sent or nothing more comes.
async fn hear(
    mut socket: Socket,
    mut expected: watch::Receiver<Option<usize>>,
) -> Result<Vec<Told>> {
    let mut told = Vec::new();
    loop {
        let known = *expected.borrow_and_update();
        match known {
            Some(number) if told.len() >= number => return Ok(told),
            Some(_) => match timeout(DRAINING, socket.message()).await {
                Ok(message) => told.push(message?),
                Err(_) => return Ok(told),
            },
            None => tokio::select! {
                message = socket.message() => told.push(message?),
                changed = expected.changed() => {
                    changed.map_err(|_| Error::Failed("a sender has failed".to_owned()))?;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_without_a_frame_and_frames_without_need_are_counted() {
        let from = Instant::now();
        let told = |id: &str| Told { id: id.to_owned(), at: from + Duration::from_millis(3) };
        let sent = ["one", "two"].map(|id| (id.to_owned(), from)).to_vec();
        let seen = Seen { sent, told: vec![told("one"), told("one")] };
        assert_eq!(join(&[seen]), (vec![3000], Difference { lost: 1, doubled: 1 }));
    }
}
