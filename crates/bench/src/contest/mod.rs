//! The measurements in which several pairs of apps take turns, round after round and step by step, so that what disturbs
//! the machine for a while, and what grows as the databases do, falls on all figures alike.

mod contestant;
mod plan;

use std::time::{Duration, Instant};

pub use contestant::Outcome;
pub use plan::{AGAINST, DJANGO, HERE, POSTGRES, REPLICAS, Rhythm};

use crate::baseline::{self, BaselineSample};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::report::Series;
use crate::servers::{Apps, Bare, Django, Setup, Unavailable};
use contestant::Contestant;
use plan::{Kind, Plan};

/// Rounds that are run however long they take.
const ROUNDS: u32 = 3;

/// The running apps, their users, and the bare server.
pub struct Contest {
    bare: Bare,
    baseline: Series<BaselineSample>,
    contestants: Vec<Contestant>,
    started: Instant,
    /// What is not measured, and why.
    pub notes: Vec<String>,
}

/// What has come of it.
pub struct Contested {
    /// Rounds that were run.
    pub rounds: u32,
    /// What the machine does at best.
    pub baseline: Series<BaselineSample>,
    /// What was measured of each pair.
    pub outcomes: Vec<Outcome>,
}

impl Contest {
    /// Starts everything that is asked for. What cannot be had here is left out, with a note.
    pub async fn start(options: &Options) -> Result<Self> {
        let started = Instant::now();
        let bare = Bare::start().await?;
        let (mut contestants, mut notes) = (Vec::new(), Vec::new());
        for plan in Plan::all(options)? {
            eprintln!("preparing {}", plan.name);
            match start(&plan, options).await? {
                Ok(apps) => contestants.push(Contestant::prepare(plan, apps).await?),
                Err(Unavailable(why)) => {
                    eprintln!("{} is left out: {why}", plan.name);
                    notes.push(format!("{} is left out: {why}.", plan.name));
                }
            }
        }
        let baseline = Series::new(baseline::CONNECTIONS);
        Ok(Self { bare, baseline, contestants, started, notes })
    }

    /// Measures everything, with a warm-up before.
    pub async fn run(mut self, options: &Options) -> Result<Contested> {
        let measured = self.rounds(options).await;
        if measured.is_err() {
            for contestant in &self.contestants {
                contestant.complaints();
            }
        }
        let rounds = measured?;
        let mut outcomes = Vec::with_capacity(self.contestants.len());
        for contestant in self.contestants {
            outcomes.push(contestant.conclude().await?);
        }
        self.bare.stop().await;
        Ok(Contested { rounds, baseline: self.baseline, outcomes })
    }

    async fn rounds(&mut self, options: &Options) -> Result<u32> {
        eprintln!("warming up");
        self.round(0, options.warm_up()).await?;
        self.baseline.samples.clear();
        self.contestants.iter_mut().for_each(Contestant::forget);
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
            self.round(rounds, options.span()).await?;
        }
        Ok(rounds)
    }

    async fn round(&mut self, number: u32, span: Duration) -> Result<()> {
        let sample = baseline::measure(&self.bare, span).await?;
        eprintln!(
            "  bare POST {:.0}/s, bare page {:.0}/s, generator alone {:.0}/s, write and sync {:.3} ms",
            sample.posts_per_second,
            sample.pages_per_second,
            sample.ceiling_per_second,
            sample.sync_ms
        );
        self.baseline.samples.push(sample);
        // Every step is in the plan of the first pair, which is that of this build.
        let steps = self.contestants.first().map(|first| first.plan.steps()).unwrap_or_default();
        for step in steps {
            // Who has just measured leaves the caches and the disk to the next: so the order changes.
            if number.is_multiple_of(2) {
                for contestant in &mut self.contestants {
                    contestant.take(step, span).await?;
                }
            } else {
                for contestant in self.contestants.iter_mut().rev() {
                    contestant.take(step, span).await?;
                }
            }
        }
        Ok(())
    }
}

/// Starts the apps of a plan; some may not be had here.
async fn start(plan: &Plan, options: &Options) -> Result<Result<Apps, Unavailable>> {
    let setup = match &plan.kind {
        Kind::Django => {
            return match Django::install().await {
                Ok(django) => Ok(Ok(django.start().await?)),
                Err(unavailable) => Ok(Err(unavailable)),
            };
        }
        Kind::Sqlite(programs) => Setup { programs, postgres: None, replicas: 1 },
        Kind::Postgres(programs, replicas) => {
            Setup { programs, postgres: options.postgres.as_deref(), replicas: *replicas }
        }
    };
    match Apps::start(setup).await {
        Ok(apps) => Ok(Ok(apps)),
        Err(Error::Missing(what)) => Ok(Err(Unavailable(what))),
        Err(error) => Err(error),
    }
}
