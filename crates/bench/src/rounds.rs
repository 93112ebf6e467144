//! The order of the measurements. All of them take turns, round after round, so that what disturbs the machine for a
//! while, and what grows as the databases do, falls on all figures alike.

use std::time::{Duration, Instant};

use crate::apps::Apps;
use crate::baseline::{self, BaselineSample};
use crate::delivery::{self, DeliverySample};
use crate::error::{Error, Result};
use crate::inbox::{self, InboxSample};
use crate::ledger::{Difference, Ledger};
use crate::machine::Machine;
use crate::options::{Mode, Options};
use crate::people::{Pair, converse, register};
use crate::report::{Report, Series};
use crate::sends::{self, SendSample};

/// Users of each app who write to each other. Logging in costs a password hash, so they are few.
const PEOPLE: usize = 32;
/// Users of app-b who only read, so that the load does not fill their inboxes.
const READERS: usize = 8;
/// Messages in the inbox of one who only reads.
const INBOX: u64 = 100;
/// Connections of the two measurements of delivery.
const DELIVERIES: [usize; 2] = [1, 64];
/// Users of app-b who wait for one message at a time, each of another connection, so that it is the newest they have.
const WAITING: usize = 64;
/// Rounds that are run however long they take.
const ROUNDS: u32 = 3;

/// Two running apps and their users.
pub struct Bench {
    apps: Apps,
    started: Instant,
    machine: Machine,
    load: Group,
    reading: Group,
    waiting: Group,
}

/// Pairs of people, and what was acknowledged to them.
struct Group {
    ledger: Ledger,
    pairs: Vec<Pair>,
}

/// What the rounds have measured so far.
struct Measured {
    baseline: Series<BaselineSample>,
    sends: Vec<Series<SendSample>>,
    inbox: Series<InboxSample>,
    full_inbox: Series<InboxSample>,
    delivery: Vec<Series<DeliverySample>>,
}

impl Bench {
    /// Starts the apps, registers their users and lets them begin their conversations.
    pub async fn start(options: &Options) -> Result<Self> {
        let started = Instant::now();
        let mut apps = Apps::start(options.postgres.as_deref()).await?;
        let machine = Machine::here(apps.folder.path());
        eprintln!(
            "app-a is process {}, app-b {}, the bare server {}; {}",
            apps.a.pid,
            apps.b.pid,
            apps.bare.pid,
            apps.database()
        );
        match people(&apps, options).await {
            Ok([load, reading, waiting]) => {
                Ok(Self { apps, started, machine, load, reading, waiting })
            }
            Err(error) => {
                apps.stop().await;
                Err(error)
            }
        }
    }

    /// Measures everything that is asked for.
    pub async fn run(&mut self, options: &Options) -> Result<Report> {
        let mut measured = Measured::new(options);
        eprintln!("warming up");
        self.round(options, &mut measured, options.warm_up()).await?;
        measured.forget();
        let begun = Instant::now();
        let mut rounds = 0;
        while rounds < options.rounds() {
            // The next round will take about as long as the ones before.
            let next = begun.elapsed() / rounds.max(1);
            if rounds >= ROUNDS && self.started.elapsed() + next > options.budget() {
                eprintln!("the time is up after {rounds} rounds");
                break;
            }
            rounds += 1;
            eprintln!("round {rounds} of {}", options.rounds());
            self.round(options, &mut measured, options.span()).await?;
        }
        self.report(options, measured, rounds).await
    }

    async fn round(
        &mut self,
        options: &Options,
        measured: &mut Measured,
        span: Duration,
    ) -> Result<()> {
        let Self { apps, load, reading, waiting, .. } = self;
        let sample = baseline::measure(&apps.bare, apps.folder.path(), span).await?;
        eprintln!(
            "  bare POST {:.0}/s, bare page {:.0}/s, write and sync {:.3} ms",
            sample.posts_per_second, sample.pages_per_second, sample.sync_ms
        );
        measured.baseline.samples.push(sample);
        if options.wants(Mode::Inbox) {
            let sample = inbox::measure(&apps.b, &reading.ledger, span).await?;
            eprintln!("  inbox {:.0} pages/s", sample.pages_per_second);
            measured.inbox.samples.push(sample);
        }
        for series in &mut measured.delivery {
            let pairs = &waiting.pairs[..series.connections];
            let sample = delivery::measure(apps, &mut waiting.ledger, pairs, span).await?;
            eprintln!(
                "  delivery {}: p50 {:.2} ms, p99 {:.2} ms",
                series.connections, sample.p50_ms, sample.p99_ms
            );
            series.samples.push(sample);
        }
        for series in &mut measured.sends {
            let pairs = &load.pairs[..series.connections];
            let sample = sends::measure(apps, &mut load.ledger, pairs, span).await?;
            eprintln!(
                "  sends {}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms; relayed {:.0}/s, drained {:.2} s",
                series.connections,
                sample.sends_per_second,
                sample.p50_ms,
                sample.p99_ms,
                sample.relayed_per_second,
                sample.drain_seconds
            );
            if sample.difference != Difference::default() {
                eprintln!("  not every message arrived once: {:?}", sample.difference);
            }
            series.samples.push(sample);
        }
        if options.wants(Mode::Inbox) && !measured.sends.is_empty() {
            let sample = inbox::measure(&apps.b, &load.ledger, span).await?;
            eprintln!(
                "  inbox of {:.0} messages {:.0} pages/s",
                sample.messages, sample.pages_per_second
            );
            measured.full_inbox.samples.push(sample);
        }
        Ok(())
    }

    async fn report(&self, options: &Options, measured: Measured, rounds: u32) -> Result<Report> {
        let (mut difference, mut acknowledged) = (Difference::default(), 0);
        for Group { ledger, .. } in [&self.load, &self.reading, &self.waiting] {
            let found = ledger.compare(self.apps.b.address).await?;
            difference.lost += found.lost;
            difference.doubled += found.doubled;
            acknowledged += ledger.acknowledged();
        }
        let complaints = self.complaints();
        let taken = |series: Series<InboxSample>| (!series.samples.is_empty()).then_some(series);
        Ok(Report {
            machine: self.machine.clone(),
            database: self.apps.database(),
            rounds,
            span_seconds: options.span().as_secs_f64(),
            baseline: measured.baseline,
            sends: measured.sends,
            show_sends: options.wants(Mode::Sends),
            show_relay: options.wants(Mode::Relay),
            inbox: taken(measured.inbox),
            full_inbox: taken(measured.full_inbox),
            delivery: measured.delivery,
            acknowledged,
            difference,
            complaints,
            took_seconds: self.started.elapsed().as_secs_f64(),
        })
    }

    /// Shows the first warning of each log, and gives how many there are.
    pub fn complaints(&self) -> [usize; 2] {
        [&self.apps.a, &self.apps.b].map(|app| {
            let (lines, first) = app.complaints();
            if let Some(first) = first {
                eprintln!("the log of process {} complains: {first}", app.pid);
            }
            lines
        })
    }

    /// Ends everything that was started.
    pub async fn stop(&mut self) {
        self.apps.stop().await;
    }
}

impl Measured {
    fn new(options: &Options) -> Self {
        let sending = options.wants(Mode::Sends) || options.wants(Mode::Relay);
        let connections = options.connections.iter().map(|&number| usize::from(number));
        let deliveries = if options.wants(Mode::Delivery) { DELIVERIES.as_slice() } else { &[] };
        Self {
            baseline: Series::new(baseline::CONNECTIONS),
            sends: if sending { connections.map(Series::new).collect() } else { Vec::new() },
            inbox: Series::new(inbox::CONNECTIONS),
            full_inbox: Series::new(inbox::CONNECTIONS),
            delivery: deliveries.iter().copied().map(Series::new).collect(),
        }
    }

    /// Takes away what was only to warm up.
    fn forget(&mut self) {
        self.baseline.samples.clear();
        self.inbox.samples.clear();
        self.full_inbox.samples.clear();
        self.sends.iter_mut().for_each(|series| series.samples.clear());
        self.delivery.iter_mut().for_each(|series| series.samples.clear());
    }
}

/// The users of both apps: those who make the load, those who only read, and those who wait for one message.
async fn people(apps: &Apps, options: &Options) -> Result<[Group; 3]> {
    eprintln!("registering {} people", 2 * PEOPLE + READERS + WAITING);
    let (a, b) = (apps.a.address, apps.b.address);
    let senders = register(a, "sender", PEOPLE).await?;
    let most = options.connections.iter().copied().max().map_or(0, usize::from);
    let mut groups = Vec::new();
    for (name, people, count) in
        [("recipient", PEOPLE, most), ("reader", READERS, READERS), ("waiting", WAITING, WAITING)]
    {
        let recipients = register(b, name, people).await?;
        let pairs = converse(a, b, &senders, &recipients, count).await?;
        groups.push(Group { ledger: Ledger::new(recipients), pairs });
    }
    let [load, mut reading, waiting] = <[Group; 3]>::try_from(groups)
        .map_err(|_| Error::Failed("there are three groups".to_owned()))?;
    inbox::fill(apps, &mut reading.ledger, &reading.pairs, INBOX).await?;
    Ok([load, reading, waiting])
}
