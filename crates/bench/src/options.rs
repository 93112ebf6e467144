use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures both apps, as release builds in processes of their own, beside the limits of this machine.
///
/// Build with `cargo build --release -p app-a -p app-b -p bench`; `make bench` does, and brings PostgreSQL along. The
/// report goes to standard output and to bench/report.md and bench/report.json in the target folder. The exit code is 1
/// if a message was lost or doubled or a request refused.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// What to measure; everything unless some are named.
    pub modes: Vec<Mode>,
    /// Short measurements, three of each, with fewer sockets and messages: some minutes.
    #[arg(long)]
    pub quick: bool,
    /// How often each figure is measured, 3 or more; by default 5, of which those beyond the third are left out if the
    /// time runs out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(3..=50))]
    pub rounds: Option<u32>,
    /// Seconds of each measurement, 1 to 60; by default 3.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: Option<u64>,
    /// Connections that send at once, each number a measurement of its own.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256],
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub connections: Vec<u16>,
    /// Measure sends, relay, pages and sockets on this PostgreSQL server too, with one replica of each app and with two,
    /// and growth. Each app gets a database that is made for the run (with psql) and dropped after it.
    #[arg(long, value_name = "URL", env = "TEST_POSTGRES_URL", hide_env_values = true)]
    pub postgres: Option<String>,
    /// Compare sends and relay with other builds of app-a and app-b, for instance of an older commit, that stand in this
    /// folder. They take turns with those of this build.
    #[arg(long, value_name = "FOLDER")]
    pub against: Option<PathBuf>,
    /// Idle sockets on one process, 1000 to 19000; by default 10000, and 1000 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1000..=19000))]
    pub sockets: Option<u16>,
    /// Messages of the longest conversation, 1000 to 5000000; by default 1000000, and 100000 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1_000..=5_000_000))]
    pub messages: Option<u64>,
    /// Write the report between the two marks `<!-- bench:begin -->` and `<!-- bench:end -->` of this file too.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
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
    /// From the send at one app to the socket of the recipient at the other.
    Push,
    /// Log-ins per second.
    Login,
    /// Idle sockets on one process, and one message to a thousand of them.
    Sockets,
    /// How cost grows with messages, participants and conversations.
    Growth,
    /// A pair of services written with Django, beside whatever else is measured of sends, relay, inbox and delivery.
    Django,
}

/// The modes in which several pairs of apps take turns.
const TURNS: [Mode; 6] =
    [Mode::Sends, Mode::Relay, Mode::Inbox, Mode::Delivery, Mode::Push, Mode::Login];

/// Other things that the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the bare baseline: JSON in, JSON out, and a page of 4 KiB, with nothing behind them.
    #[command(hide = true)]
    BareServer {
        /// Where to listen.
        address: SocketAddr,
        /// Where to answer every request alike.
        echo: SocketAddr,
    },
}

/// After how long a default run leaves out rounds beyond the third.
const BUDGET: Duration = Duration::from_mins(15);
/// The same for a quick one.
const QUICK_BUDGET: Duration = Duration::from_mins(5);

impl Options {
    /// Whether something is to be measured.
    pub fn wants(&self, mode: Mode) -> bool {
        self.modes.is_empty() || self.modes.contains(&mode)
    }

    /// Whether there is anything to be measured in turns.
    pub fn has_turns(&self) -> bool {
        TURNS.into_iter().any(|mode| self.wants(mode))
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

    /// How many sockets are opened on one process.
    pub fn sockets(&self) -> usize {
        self.sockets.map_or(if self.quick { 1_000 } else { 10_000 }, usize::from)
    }

    /// Messages of the longest conversation.
    pub fn messages(&self) -> u64 {
        self.messages.unwrap_or(if self.quick { 100_000 } else { 1_000_000 })
    }

    /// After how long no round beyond the third begins; what was asked for by number is never cut.
    pub fn budget(&self) -> Duration {
        match (self.rounds, self.seconds) {
            (None, None) if self.quick => QUICK_BUDGET,
            (None, None) => BUDGET,
            _ => Duration::MAX,
        }
    }
}
