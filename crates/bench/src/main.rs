//! `bench`: drives release builds of both apps as separate processes over the loopback device, and reports how fast
//! they are beside what the same machine does at best.
//!
//! | Step | File |
//! |---|---|
//! | what is to be measured | `options.rs` |
//! | the apps and the bare server as processes, and how they end | `process.rs`, `apps.rs`, `database.rs` |
//! | people, their conversations and what was acknowledged to them | `people.rs`, `ledger.rs` |
//! | requests as fast as they are answered | `connection.rs`, `load.rs` |
//! | one measurement each | `sends.rs`, `inbox.rs`, `delivery.rs`, `baseline.rs` |
//! | processor time and memory | `usage.rs`, `machine.rs` |
//! | the order of the measurements | `rounds.rs` |
//! | what comes out | `figures.rs`, `report.rs`, `markdown.rs` |

mod apps;
mod baseline;
mod baseline_server;
mod connection;
mod database;
mod delivery;
mod error;
mod figures;
mod inbox;
mod ledger;
mod load;
mod machine;
mod markdown;
mod options;
mod people;
mod process;
mod report;
mod rounds;
mod sends;
mod usage;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Result};
use crate::options::{Command, Options};
use crate::report::Report;
use crate::rounds::Bench;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.command {
        Some(Command::BaselineServer { address }) => baseline_server::run(address).map(|()| true),
        None => measure(&options),
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
fn measure(options: &Options) -> Result<bool> {
    // One thread: the generator shares the cores with what it measures, and this way it takes one at most.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut bench = tokio::select! {
            // Until there is a bench, what was started ends with the future that has started it.
            bench = Bench::start(options) => bench?,
            _ = interrupt.recv() => return Err(Error::Interrupted),
            _ = terminate.recv() => return Err(Error::Interrupted),
        };
        let report = tokio::select! {
            report = bench.run(options) => report,
            _ = interrupt.recv() => Err(Error::Interrupted),
            _ = terminate.recv() => Err(Error::Interrupted),
        };
        if report.is_err() {
            bench.complaints();
        }
        bench.stop().await;
        report
    })?;
    publish(&report)?;
    Ok(report.is_sound())
}

fn publish(report: &Report) -> Result<()> {
    let folder = apps::target_folder()?.join("bench");
    std::fs::create_dir_all(&folder)?;
    let text = markdown::render(report);
    std::fs::write(folder.join("report.md"), &text)?;
    std::fs::write(folder.join("report.json"), serde_json::to_vec_pretty(report)?)?;
    std::io::stdout().write_all(text.as_bytes())?;
    eprintln!("also written to bench/report.md and bench/report.json in the target folder");
    Ok(())
}
