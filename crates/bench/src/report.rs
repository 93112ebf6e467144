use serde::Serialize;

use crate::baseline::BaselineSample;
use crate::delivery::DeliverySample;
use crate::figures::Spread;
use crate::inbox::InboxSample;
use crate::ledger::Difference;
use crate::machine::Machine;
use crate::sends::SendSample;

/// The samples of one measurement, in the order in which they were taken.
#[derive(Debug, Serialize)]
pub struct Series<T> {
    /// Connections at once.
    pub connections: usize,
    /// One for each round.
    pub samples: Vec<T>,
}

impl<T> Series<T> {
    /// Nothing measured yet.
    pub fn new(connections: usize) -> Self {
        Self { connections, samples: Vec::new() }
    }

    /// One figure over all samples.
    pub fn spread(&self, figure: impl Fn(&T) -> f64) -> Spread {
        Spread::of(&self.samples, figure)
    }

    /// The median of one figure.
    pub fn median(&self, figure: impl Fn(&T) -> f64) -> f64 {
        self.spread(figure).median
    }
}

/// Everything that a run has found out.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// `SQLite` or `PostgreSQL`.
    pub database: &'static str,
    /// Rounds that were run.
    pub rounds: u32,
    /// Seconds of one measurement.
    pub span_seconds: f64,
    /// What the machine does at best.
    pub baseline: Series<BaselineSample>,
    /// Sends and relay, by connections.
    pub sends: Vec<Series<SendSample>>,
    /// Whether acknowledged sends were asked for.
    pub show_sends: bool,
    /// Whether the relay was asked for.
    pub show_relay: bool,
    /// Pages of inboxes that hold few messages.
    pub inbox: Option<Series<InboxSample>>,
    /// Pages of the inboxes that the sends have filled.
    pub full_inbox: Option<Series<InboxSample>>,
    /// From app to app, by connections.
    pub delivery: Vec<Series<DeliverySample>>,
    /// Messages acknowledged in the whole run, warm-ups included.
    pub acknowledged: u64,
    /// What app-b lacked or had too much of at the end.
    pub difference: Difference,
    /// Warnings and errors in the logs of app-a and app-b.
    pub complaints: [usize; 2],
    /// Seconds that everything took.
    pub took_seconds: f64,
}

impl Report {
    /// Whether every acknowledged message arrived once, and no request was refused.
    pub fn is_sound(&self) -> bool {
        let sends = self.sends.iter().flat_map(|series| &series.samples);
        let deliveries = self.delivery.iter().flat_map(|series| &series.samples);
        let inboxes = self.inbox.iter().chain(&self.full_inbox).flat_map(|series| &series.samples);
        let refused: u64 = sends.clone().map(|sample| sample.refused).sum::<u64>()
            + inboxes.map(|sample| sample.refused).sum::<u64>();
        let differences = sends.map(|sample| sample.difference);
        let exact = differences
            .chain(deliveries.map(|sample| sample.difference))
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
}
