//! `bench`: drives release builds of both apps as separate processes over the loopback device, and reports how fast
//! they are beside what the same machine does at best.
//!
//! | Step | File |
//! |---|---|
//! | what is to be measured | `options.rs` |
//! | processes: the apps, their databases, the Django pair, the bare server | `servers/` |
//! | people, their conversations and what was acknowledged to them | `people.rs`, `ledger.rs` |
//! | requests as fast as they are answered, and sockets | `connection.rs`, `load.rs`, `socket.rs` |
//! | pairs of apps that take turns | `contest/` |
//! | one measurement each | `sends.rs`, `inbox.rs`, `delivery.rs`, `push.rs`, `login.rs`, `baseline.rs` |
//! | what has apps of its own | `sockets.rs`, `growth/` |
//! | processor time and memory | `usage.rs`, `machine.rs` |
//! | what comes out | `figures.rs`, `report.rs`, `markdown/`, `publish.rs` |

mod baseline;
mod connection;
mod contest;
mod delivery;
mod error;
mod figures;
mod growth;
mod inbox;
mod ledger;
mod load;
mod login;
mod machine;
mod markdown;
mod options;
mod people;
mod publish;
mod push;
mod report;
mod sends;
mod servers;
mod socket;
mod sockets;
mod usage;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::contest::Contest;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::options::{Command, Mode, Options};
use crate::report::Report;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.command {
        Some(Command::BareServer { address, echo }) => {
            servers::serve_bare(address, echo).map(|()| true)
        }
        None => run(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and reports; `false` if a message was lost or doubled or a request refused.
fn run(options: &Options) -> Result<bool> {
    if let Some(document) = &options.write {
        publish::check(document)?;
    }
    // One thread: the generator shares the cores with what it measures, and this way it takes one at most.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // What was started ends with the future that has started it.
        tokio::select! {
            report = measure(options) => report,
            _ = interrupt.recv() => Err(Error::Interrupted),
            _ = terminate.recv() => Err(Error::Interrupted),
        }
    })?;
    publish::publish(&report, options.write.as_deref())?;
    Ok(report.is_sound())
}

/// Measures everything that is asked for: first what is done in turns, then what has apps of its own.
async fn measure(options: &Options) -> Result<Report> {
    let started = Instant::now();
    let server = options.postgres.as_deref();
    let postgres = match server {
        Some(server) => Some(servers::postgres_settings(server).await?),
        None => None,
    };
    let mut report = Report {
        machine: Machine::here(&servers::target_folder()?),
        postgres,
        rounds: 0,
        span_seconds: options.span().as_secs_f64(),
        baseline: None,
        outcomes: Vec::new(),
        show_sends: options.wants(Mode::Sends),
        show_relay: options.wants(Mode::Relay),
        sockets: None,
        growth: Vec::new(),
        notes: Vec::new(),
        took_seconds: 0.0,
    };
    if server.is_none() {
        report.notes.push("PostgreSQL is left out: no server was named.".to_owned());
    }
    if options.has_turns() {
        let contest = Contest::start(options).await?;
        report.notes.extend(contest.notes.iter().cloned());
        let contested = contest.run(options).await?;
        report.rounds = contested.rounds;
        report.baseline = Some(contested.baseline);
        report.outcomes = contested.outcomes;
    }
    if options.wants(Mode::Sockets) {
        report.sockets = Some(sockets::measure(options).await?);
    }
    if options.wants(Mode::Growth) {
        report.growth.push(growth::measure(options, None).await?);
        if server.is_some() {
            report.growth.push(growth::measure(options, server).await?);
        }
    }
    report.took_seconds = started.elapsed().as_secs_f64();
    Ok(report)
}
