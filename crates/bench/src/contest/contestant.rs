use std::time::Duration;

use serde::Serialize;

use super::plan::{Plan, Rhythm, Step};
use crate::delivery::{self, DeliverySample};
use crate::error::{Error, Result};
use crate::inbox::{self, InboxSample};
use crate::ledger::{Difference, Ledger};
use crate::login::{self, LoginSample};
use crate::people::{Pair, converse, register};
use crate::push::{self, Pace, PushSample};
use crate::report::Series;
use crate::sends::{self, SendSample};
use crate::servers::Apps;

/// Users of each app who write to each other. Logging in costs a password hash, so they are few.
const PEOPLE: usize = 32;
/// Users of app-b who only read, so that the load does not fill their inboxes.
const READERS: usize = 8;
/// Messages in the inbox of one who only reads.
const INBOX: u64 = 100;
/// Users of app-b who wait for one message at a time, each of another connection, so that it is the newest they have.
const WAITING: usize = 64;
/// The connections whose rate is the peak.
const PEAK: usize = 64;

/// A pair of apps, its users, and what has been measured of it.
pub struct Contestant {
    /// What is measured of it.
    pub plan: Plan,
    apps: Apps,
    load: Group,
    reading: Group,
    waiting: Group,
    outcome: Outcome,
}

/// Pairs of people, and what was acknowledged to them.
struct Group {
    ledger: Ledger,
    pairs: Vec<Pair>,
}

/// What has been measured of one pair of apps, in series of one sample for each round.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What the pair is called.
    pub name: String,
    /// Sends and relay, by connections.
    pub sends: Vec<Series<SendSample>>,
    /// Pages of inboxes that hold few messages.
    pub inbox: Option<Series<InboxSample>>,
    /// Pages of the inboxes that the sends have filled.
    pub full_inbox: Option<Series<InboxSample>>,
    /// From app to app, by connections.
    pub delivery: Vec<Series<DeliverySample>>,
    /// From app to socket.
    pub push: Vec<(Rhythm, Series<PushSample>)>,
    /// Log-ins.
    pub login: Option<Series<LoginSample>>,
    /// Messages acknowledged in the whole run, warm-ups included.
    pub acknowledged: u64,
    /// What app-b lacked or had too much of at the end.
    pub difference: Difference,
    /// Warnings and errors in the logs of app-a and app-b.
    pub complaints: [usize; 2],
}

impl Contestant {
    /// Registers the users that the plan needs, and lets them begin their conversations.
    pub async fn prepare(plan: Plan, apps: Apps) -> Result<Self> {
        let (a, b) = (apps.a.address(), apps.b.address());
        let senders = register(a, "sender", PEOPLE).await?;
        let most = plan.sends.iter().copied().max().unwrap_or(0).max(PEAK);
        let mut groups = Vec::new();
        for (name, people, count, wanted) in [
            ("recipient", PEOPLE, most, true),
            ("reader", READERS, READERS, plan.inbox),
            ("waiting", WAITING, WAITING, !plan.delivery.is_empty() || !plan.push.is_empty()),
        ] {
            let recipients = if wanted { register(b, name, people).await? } else { Vec::new() };
            let count = if wanted { count } else { 0 };
            let pairs = converse(a, b, &senders, &recipients, count).await?;
            groups.push(Group { ledger: Ledger::new(recipients), pairs });
        }
        let [load, mut reading, waiting] = <[Group; 3]>::try_from(groups)
            .map_err(|_| Error::Failed("there are three groups".to_owned()))?;
        inbox::fill(&apps, &mut reading.ledger, &reading.pairs, INBOX).await?;
        let outcome = Outcome::new(&plan);
        Ok(Self { plan, apps, load, reading, waiting, outcome })
    }

    /// Takes one step of a round, if the plan has it, and says what came of it.
    pub async fn take(&mut self, step: Step, span: Duration) -> Result<()> {
        let name = &self.plan.name;
        match step {
            Step::Inbox => {
                let Some(series) = &mut self.outcome.inbox else { return Ok(()) };
                let sample = inbox::measure(&self.apps.b, &self.reading.ledger, span).await?;
                eprintln!("  {name}: inbox {:.0} pages/s", sample.pages_per_second);
                series.samples.push(sample);
            }
            Step::FullInbox => {
                let Some(series) = &mut self.outcome.full_inbox else { return Ok(()) };
                let sample = inbox::measure(&self.apps.b, &self.load.ledger, span).await?;
                eprintln!(
                    "  {name}: inbox of {:.0} messages {:.0} pages/s",
                    sample.messages, sample.pages_per_second
                );
                series.samples.push(sample);
            }
            Step::Delivery(connections) => self.deliver(connections, span).await?,
            Step::Sends(connections) => self.send(connections, span).await?,
            Step::Push(rhythm) => self.push(rhythm, span).await?,
            Step::Login => {
                let Some(series) = &mut self.outcome.login else { return Ok(()) };
                let people = self.load.ledger.recipients();
                let sample = login::measure(&self.apps.b, people, span).await?;
                eprintln!("  {name}: {:.1} log-ins/s", sample.per_second);
                series.samples.push(sample);
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, connections: usize, span: Duration) -> Result<()> {
        let mut all = self.outcome.delivery.iter_mut();
        let Some(series) = all.find(|series| series.connections == connections) else {
            return Ok(());
        };
        let pairs = &self.waiting.pairs[..connections];
        let ledger = &mut self.waiting.ledger;
        let sample = delivery::measure(&self.apps, ledger, pairs, span).await?;
        eprintln!(
            "  {}: delivery {connections}: p50 {:.2} ms, p99 {:.2} ms",
            self.plan.name, sample.p50_ms, sample.p99_ms
        );
        series.samples.push(sample);
        Ok(())
    }

    async fn send(&mut self, connections: usize, span: Duration) -> Result<()> {
        let mut all = self.outcome.sends.iter_mut();
        let Some(series) = all.find(|series| series.connections == connections) else {
            return Ok(());
        };
        let pairs = &self.load.pairs[..connections];
        let sample = sends::measure(&self.apps, &mut self.load.ledger, pairs, span).await?;
        eprintln!(
            "  {}: sends {connections}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms; relayed {:.0}/s, drained {:.2} s",
            self.plan.name,
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
        Ok(())
    }

    async fn push(&mut self, rhythm: Rhythm, span: Duration) -> Result<()> {
        if !self.plan.push.contains(&rhythm) {
            return Ok(());
        }
        let pace = match rhythm {
            Rhythm::Idle => Pace::Idle,
            Rhythm::Closed => Pace::Closed,
            Rhythm::Half => Pace::Clock(self.peak(span).await? / 2.0),
        };
        let pairs = &self.waiting.pairs[..rhythm.connections()];
        let ledger = &mut self.waiting.ledger;
        let sample = push::measure(&self.apps, ledger, pairs, pace, span).await?;
        eprintln!(
            "  {}: to sockets, {}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            self.plan.name,
            rhythm.name(),
            sample.per_second,
            sample.p50_ms,
            sample.p99_ms
        );
        if sample.frames != Difference::default() {
            eprintln!("  not every message was told once: {:?}", sample.frames);
        }
        let mut all = self.outcome.push.iter_mut();
        if let Some((_, series)) = all.find(|(which, _)| *which == rhythm) {
            series.samples.push(sample);
        }
        Ok(())
    }

    /// Messages per second from app to app at 64 connections: as measured so far, or else now.
    async fn peak(&mut self, span: Duration) -> Result<f64> {
        let known = self.outcome.sends.iter().find(|series| series.connections == PEAK);
        if let Some(series) = known.filter(|series| !series.samples.is_empty()) {
            return Ok(series.median(|sample| sample.relayed_per_second));
        }
        let pairs = &self.load.pairs[..PEAK];
        let sample = sends::measure(&self.apps, &mut self.load.ledger, pairs, span).await?;
        Ok(sample.relayed_per_second)
    }

    /// Takes away what was only to warm up.
    pub fn forget(&mut self) {
        self.outcome = Outcome::new(&self.plan);
    }

    /// Compares once more what was acknowledged with what is there, and gives everything.
    pub async fn conclude(mut self) -> Result<Outcome> {
        for Group { ledger, .. } in [&self.load, &self.reading, &self.waiting] {
            let found = ledger.compare(self.apps.b.address()).await?;
            self.outcome.difference.lost += found.lost;
            self.outcome.difference.doubled += found.doubled;
            self.outcome.acknowledged += ledger.acknowledged();
        }
        self.outcome.complaints = self.complaints();
        self.apps.stop().await;
        Ok(self.outcome)
    }

    /// Shows the first warning of each log, and gives how many there are.
    pub fn complaints(&self) -> [usize; 2] {
        [self.apps.a.complaints(), self.apps.b.complaints()]
    }
}

impl Outcome {
    fn new(plan: &Plan) -> Self {
        let sends: Vec<_> = plan.sends.iter().copied().map(Series::new).collect();
        let full_inbox = plan.inbox && !sends.is_empty();
        Self {
            name: plan.name.clone(),
            sends,
            inbox: plan.inbox.then(|| Series::new(inbox::CONNECTIONS)),
            full_inbox: full_inbox.then(|| Series::new(inbox::CONNECTIONS)),
            delivery: plan.delivery.iter().copied().map(Series::new).collect(),
            push: plan.push.iter().map(|&it| (it, Series::new(it.connections()))).collect(),
            login: plan.login.then(|| Series::new(login::CONNECTIONS)),
            acknowledged: 0,
            difference: Difference::default(),
            complaints: [0; 2],
        }
    }

    /// Whether every acknowledged message arrived once and was told once, and no request was refused.
    pub fn is_sound(&self) -> bool {
        let sends = self.sends.iter().flat_map(|series| &series.samples);
        let deliveries = self.delivery.iter().flat_map(|series| &series.samples);
        let pushes = self.push.iter().flat_map(|(_, series)| &series.samples);
        let inboxes = self.inbox.iter().chain(&self.full_inbox).flat_map(|series| &series.samples);
        let logins = self.login.iter().flat_map(|series| &series.samples);
        let refused = sends.clone().map(|sample| sample.refused);
        let refused = refused.chain(inboxes.map(|sample| sample.refused));
        let refused: u64 = refused.chain(logins.map(|sample| sample.refused)).sum();
        let exact = sends
            .map(|sample| sample.difference)
            .chain(deliveries.map(|sample| sample.difference))
            .chain(pushes.flat_map(|sample| [sample.difference, sample.frames]))
            .chain([self.difference])
            .all(|difference| difference == Difference::default());
        exact && refused == 0
    }

    /// The sends with so many connections.
    pub fn sends_with(&self, connections: usize) -> Option<&Series<SendSample>> {
        self.sends.iter().find(|series| series.connections == connections)
    }

    /// The deliveries with so many connections.
    pub fn delivery_with(&self, connections: usize) -> Option<&Series<DeliverySample>> {
        self.delivery.iter().find(|series| series.connections == connections)
    }

    /// The way to the sockets at a rhythm.
    pub fn push_at(&self, rhythm: Rhythm) -> Option<&Series<PushSample>> {
        self.push.iter().find(|(which, _)| *which == rhythm).map(|(_, series)| series)
    }
}
