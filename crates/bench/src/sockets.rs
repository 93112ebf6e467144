//! What idle sockets cost one process, and how long one message takes to a thousand of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connection::{Connection, Template, get, post};
use crate::error::{Error, Result};
use crate::figures::{count, percentile};
use crate::load::micros;
use crate::options::Options;
use crate::people::{Named, Person, register, text};
use crate::report::Series;
use crate::servers::{Apps, Setup, program_folder};
use crate::socket::{Socket, Told};
use crate::usage::{Cores, Meter, resident_kib};

/// Sockets that hear of one message.
pub const AUDIENCE: usize = 1_000;
/// People in the conversation of that message, the one who sends it among them. That one has no socket, which would
/// also hear of every receipt.
const MEMBERS: usize = 126;
/// Sockets that one person may open.
const SOCKETS_EACH: usize = 16;
/// Sockets opened at once.
const AT_ONCE: usize = 32;
/// Sockets from one local address: fewer than it has ports to give.
const FROM_ONE: usize = 5_000;
/// Messages of one measurement of the fan-out.
const MESSAGES: usize = 30;
/// How long one message may take to all.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the memory may take to stay as it is.
const SETTLING: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The memory stays as it is if it has changed by no more KiB.
const STEADY: f64 = 64.0;
/// File descriptors beside those of the sockets.
const SPARE: u64 = 1_000;

/// One measurement, on a process that has just been started.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SocketSample {
    /// Resident memory of app-b that has answered a few requests and has no sockets, in KiB.
    pub idle_kib: f64,
    /// Resident memory with a thousand idle sockets.
    pub few_kib: f64,
    /// Resident memory with all idle sockets.
    pub all_kib: f64,
    /// Sockets opened per second.
    pub opened_per_second: f64,
    /// Half of the thousand sockets had a message so many milliseconds after the request, over several messages.
    pub fan_out_p50_ms: f64,
    /// All but one in a hundred had it.
    pub fan_out_p99_ms: f64,
    /// The last of them had it, in the median message.
    pub fan_out_last_ms: f64,
    /// The cores in use during the fan-out; the first server is app-b.
    pub cores: Cores,
    /// Frames that did not come.
    pub lost: u64,
    /// Sockets that were closed meanwhile.
    pub broken: u64,
}

/// All measurements, and how many sockets there were.
#[derive(Debug, Serialize)]
pub struct Sockets {
    /// Idle sockets, all together.
    pub count: usize,
    /// The measurements.
    pub series: Series<SocketSample>,
}

impl SocketSample {
    /// Resident memory of one more socket, with a thousand of them, in KiB.
    pub fn each_of_few(&self) -> f64 {
        (self.few_kib - self.idle_kib) / count(AUDIENCE as u64)
    }

    /// The same with all sockets.
    pub fn each_of_all(&self, sockets: usize) -> f64 {
        (self.all_kib - self.idle_kib) / count(sockets as u64)
    }
}

/// Measures app-b anew in each round: it is restarted, and its people come back with their sockets.
pub async fn measure(options: &Options) -> Result<Sockets> {
    let count = options.sockets();
    let limit = raise_limit(count)?;
    if limit < count as u64 + SPARE {
        return Err(Error::Failed(format!(
            "{count} sockets need {} file descriptors, and only {limit} are allowed; see `ulimit -Hn`",
            count as u64 + SPARE
        )));
    }
    let programs = program_folder()?;
    let setup = Setup { programs: &programs, postgres: None, replicas: 1 };
    let mut apps = Apps::start(setup).await?;
    let others = (count - AUDIENCE).div_ceil(SOCKETS_EACH);
    eprintln!("sockets: registering {} people", MEMBERS + others);
    let members = register(apps.b.address(), "member", MEMBERS).await?;
    let others = register(apps.b.address(), "other", others).await?;
    let send = gather(apps.b.address(), &members).await?;
    let mut series = Series::new(count);
    for round in 0..options.rounds().min(5) {
        apps.b.restart().await?;
        let crowd = Crowd { members: &members, others: &others, count, round };
        let sample = crowd.measure(&apps, &send).await?;
        eprintln!(
            "  round {}: {:.1} MiB idle, {:.1} KiB a socket with {AUDIENCE}, {:.1} with {count}, {:.0} opened/s; \
             one message to {AUDIENCE}: p50 {:.1} ms, p99 {:.1} ms",
            round + 1,
            sample.idle_kib / 1024.0,
            sample.each_of_few(),
            sample.each_of_all(count),
            sample.opened_per_second,
            sample.fan_out_p50_ms,
            sample.fan_out_p99_ms
        );
        series.samples.push(sample);
    }
    apps.stop().await;
    Ok(Sockets { count, series })
}

/// Lets this process, and those that it starts, have as many files open as the system allows and `sockets` need.
fn raise_limit(sockets: usize) -> Result<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = sockets as u64 + SPARE;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current.filter(|current| *current < wanted) else { return Ok(u64::MAX) };
    let reachable = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum })?;
    Ok(reachable.max(current))
}

/// A group of all members, and the request with which the first one writes to it.
async fn gather(address: SocketAddr, members: &[Person]) -> Result<Template> {
    let mut connection = Connection::open(address).await?;
    let names: Vec<&str> = members[1..].iter().map(|person| person.username.as_str()).collect();
    let body = json!({ "participants": names, "title": "Everybody", "kind": "group" });
    let token = Some(members[0].token.as_str());
    let request = post("/api/chats/conversations/", token, &body)?;
    let group: Named = connection.fetch(request, StatusCode::CREATED).await?;
    let message = json!({ "conversation": group.id, "content": text() });
    post("/api/chats/messages/", token, &message)
}

/// Who opens sockets in one round.
struct Crowd<'a> {
    members: &'a [Person],
    others: &'a [Person],
    count: usize,
    round: u32,
}

impl Crowd<'_> {
    async fn measure(&self, apps: &Apps, send: &Template) -> Result<SocketSample> {
        let pid = apps.b.pids()[0];
        let (address, members, others) = (apps.b.address(), self.members, self.others);
        // What is only made when it is first needed is no part of what a socket costs.
        let mut connection = Connection::open(address).await?;
        for member in members {
            let request = get("/api/messages/inbox/?page_size=1", Some(&member.token))?;
            connection.call(request).await?.expect(StatusCode::OK, "the inbox".to_owned())?;
        }
        let audience = &members[1..];
        let mut warm = self.open(address, audience, 1, 0).await?;
        warm.clear();
        let idle_kib = steady(pid).await?;
        let started = Instant::now();
        let audience = self.open(address, audience, AUDIENCE, 0).await?;
        let opening = started.elapsed();
        let (tell, told) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for socket in audience {
            let tell = tell.clone();
            tasks.spawn(hear(socket, tell));
        }
        drop(tell);
        let few_kib = steady(pid).await?;
        let started = Instant::now();
        let rest = self.open(address, others, self.count - AUDIENCE, AUDIENCE).await?;
        let opening = opening + started.elapsed();
        for mut socket in rest {
            tasks.spawn(async move { socket.listen().await });
        }
        let all_kib = steady(pid).await?;
        let meter = Meter::start(vec![pid], Vec::new())?;
        let fan_out = FanOut::measure(address, send, told).await?;
        let cores = meter.cores()?;
        let mut broken = 0;
        while let Some(ended) = tasks.try_join_next() {
            broken += 1;
            eprintln!("  {}", ended.map_err(|error| Error::Failed(error.to_string()))?);
        }
        let FanOut { mut latencies, mut last, lost } = fan_out;
        Ok(SocketSample {
            idle_kib,
            few_kib,
            all_kib,
            opened_per_second: count(self.count as u64) / opening.as_secs_f64(),
            fan_out_p50_ms: percentile(&mut latencies, 50),
            fan_out_p99_ms: percentile(&mut latencies, 99),
            fan_out_last_ms: percentile(&mut last, 50),
            cores,
            lost,
            broken,
        })
    }

    /// Opens so many sockets of these people, the next person for each, after `before` others of this round.
    async fn open(
        &self,
        address: SocketAddr,
        people: &[Person],
        count: usize,
        before: usize,
    ) -> Result<Vec<Socket>> {
        let one = |(number, person): (usize, &Person)| {
            // The ports of an address do not suffice for all.
            let [.., high, low] = ((before + number) / FROM_ONE + 1).to_be_bytes();
            let [.., round] = self.round.to_be_bytes();
            let from = Ipv4Addr::new(127, 1 + round, high, low);
            let token = person.token.clone();
            async move { Socket::open(address, SocketAddr::from((from, 0)), &token).await }
        };
        let seats = people.iter().cycle().take(count).enumerate();
        stream::iter(seats.map(one)).buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// Passes on what a socket tells, until it is closed.
async fn hear(mut socket: Socket, tell: mpsc::UnboundedSender<Told>) -> Error {
    loop {
        match socket.message().await {
            // Nobody listens any more once the measurement is over.
            Ok(told) => drop(tell.send(told)),
            Err(error) => return error,
        }
    }
}

/// The resident memory of a process in KiB, once it stays as it is.
async fn steady(pid: u32) -> Result<f64> {
    let deadline = Instant::now() + SETTLING;
    let mut before = resident_kib(pid)?;
    loop {
        sleep(LOOK_EVERY).await;
        let now = resident_kib(pid)?;
        if (now - before).abs() <= STEADY || Instant::now() > deadline {
            return Ok(now);
        }
        before = now;
    }
}

/// The times of all frames, and of the last frame of each message, in microseconds.
struct FanOut {
    latencies: Vec<u32>,
    last: Vec<u32>,
    lost: u64,
}

impl FanOut {
    /// Sends one message after the other, each when all have the one before.
    async fn measure(
        address: SocketAddr,
        send: &Template,
        mut told: mpsc::UnboundedReceiver<Told>,
    ) -> Result<Self> {
        let mut all = Self { latencies: Vec::new(), last: Vec::new(), lost: 0 };
        for _ in 0..MESSAGES {
            // Waiting for frames may take longer than the app keeps an idle connection.
            let mut connection = Connection::open(address).await?;
            let from = Instant::now();
            let hearing = async {
                let mut heard = Vec::with_capacity(AUDIENCE);
                while heard.len() < AUDIENCE {
                    match timeout(PATIENCE, told.recv()).await {
                        Ok(Some(told)) => heard.push(told),
                        Ok(None) | Err(_) => break,
                    }
                }
                Ok(heard)
            };
            let sending = connection.fetch::<Named>(send.clone(), StatusCode::CREATED);
            let (message, heard) = tokio::try_join!(sending, hearing)?;
            let times = heard.iter().filter(|told| told.id == message.id);
            let times: Vec<u32> = times.map(|told| micros(told.at - from)).collect();
            all.lost += (AUDIENCE - times.len()) as u64;
            all.last.extend(times.iter().max());
            all.latencies.extend(times);
        }
        Ok(all)
    }
}
