use serde::Serialize;

use crate::baseline::BaselineSample;
use crate::contest::Outcome;
use crate::figures::Spread;
use crate::growth::Growth;
use crate::machine::Machine;
use crate::sockets::Sockets;

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

    /// One figure of each round divided by that of another series in the same round.
    pub fn against<U>(
        &self,
        other: &Series<U>,
        figure: impl Fn(&T) -> f64,
        of_other: impl Fn(&U) -> f64,
    ) -> Spread {
        let rounds: Vec<f64> = (self.samples.iter().zip(&other.samples))
            .map(|(own, other)| figure(own) / of_other(other))
            .collect();
        Spread::of(&rounds, |ratio| *ratio)
    }
}

/// Everything that a run has found out.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// How the PostgreSQL server keeps what it is told, if there is one.
    pub postgres: Option<String>,
    /// Rounds of the measurements in which pairs of apps take turns.
    pub rounds: u32,
    /// Seconds of one measurement.
    pub span_seconds: f64,
    /// What the machine does at best.
    pub baseline: Option<Series<BaselineSample>>,
    /// What was measured of each pair of apps, the pair of this build first.
    pub outcomes: Vec<Outcome>,
    /// Whether acknowledged sends were asked for.
    pub show_sends: bool,
    /// Whether the relay was asked for.
    pub show_relay: bool,
    /// Idle sockets and the fan-out.
    pub sockets: Option<Sockets>,
    /// Growth, by database.
    pub growth: Vec<Growth>,
    /// What is not in it, and why.
    pub notes: Vec<String>,
    /// Seconds that everything took.
    pub took_seconds: f64,
}

impl Report {
    /// Whether every acknowledged message arrived once, and no request was refused.
    pub fn is_sound(&self) -> bool {
        let sockets = self.sockets.iter().flat_map(|sockets| &sockets.series.samples);
        let subjects = self.growth.iter().flat_map(|growth| &growth.subjects);
        let grown = subjects.flat_map(|grown| &grown.series.samples);
        self.outcomes.iter().all(Outcome::is_sound)
            && sockets.map(|sample| sample.lost + sample.broken).sum::<u64>() == 0
            && grown.map(|sample| sample.refused).sum::<u64>() == 0
    }

    /// What was measured of the pair of a name.
    pub fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.name == name)
    }
}
