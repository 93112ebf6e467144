use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures both apps, as release builds in processes of their own, beside the limits of this machine.
///
/// Build with `cargo build --release -p app-a -p app-b -p bench`. The report goes to standard output and to
/// bench/report.md and bench/report.json in the target folder. The exit code is 1 if a message was lost or doubled.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// What to measure; everything unless some are named.
    pub modes: Vec<Mode>,
    /// Short measurements, three of each: under a minute.
    #[arg(long)]
    pub quick: bool,
    /// How often each figure is measured, 3 or more; fewer if the time runs out, but never below 3.
    #[arg(long, value_parser = clap::value_parser!(u32).range(3..=50))]
    pub rounds: Option<u32>,
    /// Seconds of each measurement, 1 to 60.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: Option<u64>,
    /// Connections that send at once, each number a measurement of its own.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256],
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub connections: Vec<u16>,
    /// Run the apps on this PostgreSQL server, each in a database made for the run (with psql) and dropped after it.
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,
    /// What the program is besides a benchmark.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Acknowledged sends per second.
    Sends,
    /// Messages per second until the last is stored at the other app.
    Relay,
    /// Inbox pages of 20 per second.
    Inbox,
    /// From the send at one app to the inbox of the other.
    Delivery,
}

/// Other things that the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the bare baseline: JSON in, JSON out, and a page of 4 KiB, with nothing behind them.
    #[command(hide = true)]
    BaselineServer {
        /// Where to listen.
        address: SocketAddr,
    },
}

/// What a default run may take before rounds beyond the third are left out.
const BUDGET: Duration = Duration::from_secs(190);

impl Options {
    /// Whether something is to be measured.
    pub fn wants(&self, mode: Mode) -> bool {
        self.modes.is_empty() || self.modes.contains(&mode)
    }

    /// How often each figure is measured.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 })
    }

    /// How long one measurement takes.
    pub fn span(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 1 } else { 3 }))
    }

    /// How long each measurement is warmed up.
    pub fn warm_up(&self) -> Duration {
        self.span() / 3
    }

    /// After how long no round beyond the third begins; what was asked for by number is never cut.
    pub fn budget(&self) -> Duration {
        if self.rounds.is_some() || self.seconds.is_some() { Duration::MAX } else { BUDGET }
    }
}
