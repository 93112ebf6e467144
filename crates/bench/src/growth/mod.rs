//! How the cost of the newest page and of a send grows with messages, participants and conversations.

mod store;
mod subject;

use std::time::Duration;

use hyper::StatusCode;
use serde::Serialize;

use crate::connection::{Connection, Template};
use crate::error::Result;
use crate::figures::{count, percentile};
use crate::load::{Worker, drive};
use crate::options::Options;
use crate::report::Series;
use crate::servers::{Apps, Setup, Site, program_folder};
use crate::usage::Meter;
use store::Store;
pub use subject::Dimension;
use subject::Subject;

/// Connections that send or read at once, where it is about the rate.
const BUSY: usize = 16;
/// Seconds of one measurement, at most: there are many.
const SPAN: Duration = Duration::from_secs(1);

/// One measurement of one subject.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GrowthSample {
    /// Half of the newest pages of 20, by cursor, came within so many milliseconds, on one connection.
    pub page_ms: f64,
    /// The same by number, with the count of all.
    pub counted_page_ms: f64,
    /// Newest pages per second on 16 connections.
    pub pages_per_second: f64,
    /// Half of the sends were acknowledged within so many milliseconds, on one connection.
    pub send_ms: f64,
    /// Acknowledged sends per second on 16 connections.
    pub sends_per_second: f64,
    /// Processor time of the app for one of them, in microseconds.
    pub send_micros: f64,
    /// Requests answered otherwise.
    pub refused: u64,
}

/// What was measured of one database.
#[derive(Debug, Serialize)]
pub struct Growth {
    /// Which database.
    pub database: &'static str,
    /// The subjects, by what grows and how far it has.
    pub subjects: Vec<Grown>,
}

/// What was measured of one subject.
#[derive(Debug, Serialize)]
pub struct Grown {
    /// What grows.
    pub dimension: Dimension,
    /// How many of them there are.
    pub size: u64,
    /// The measurements.
    pub series: Series<GrowthSample>,
}

/// Measures all subjects, in turns, on SQLite or a PostgreSQL server.
pub async fn measure(options: &Options, postgres: Option<&str>) -> Result<Growth> {
    let programs = program_folder()?;
    let mut apps = Apps::start(Setup { programs: &programs, postgres, replicas: 1 }).await?;
    let database = apps.databases.name();
    let store = Store::open(&apps.databases.url("a", apps.folder.path())).await?;
    eprintln!("growth on {database}: making conversations");
    let subjects = subject::make(&apps.a, &store, options).await?;
    store.close().await;
    let mut grown: Vec<Grown> = subjects.iter().map(Grown::new).collect();
    let span = options.span().min(SPAN);
    for round in 0..=options.rounds().min(5) {
        for (subject, grown) in subjects.iter().zip(&mut grown) {
            let sample = sample(&apps.a, subject, span).await?;
            // The first round is to warm up.
            if round > 0 {
                eprintln!(
                    "  {} {}: page {:.2} ms, counted {:.2} ms, send {:.2} ms, {:.0} sends/s",
                    grown.size,
                    grown.dimension.name(),
                    sample.page_ms,
                    sample.counted_page_ms,
                    sample.send_ms,
                    sample.sends_per_second
                );
                grown.series.samples.push(sample);
            }
        }
    }
    apps.stop().await;
    Ok(Growth { database, subjects: grown })
}

impl Grown {
    fn new(subject: &Subject) -> Self {
        let series = Series::new(BUSY);
        Self { dimension: subject.dimension, size: subject.size, series }
    }
}

async fn sample(app: &Site, subject: &Subject, span: Duration) -> Result<GrowthSample> {
    let (ok, created) = (StatusCode::OK, StatusCode::CREATED);
    let page = run(app, &subject.page, ok, 1, span).await?;
    let counted = run(app, &subject.counted_page, ok, 1, span).await?;
    let pages = run(app, &subject.page, ok, BUSY, span).await?;
    let single = run(app, &subject.send, created, 1, span).await?;
    let sends = run(app, &subject.send, created, BUSY, span).await?;
    Ok(GrowthSample {
        page_ms: page.p50_ms,
        counted_page_ms: counted.p50_ms,
        pages_per_second: pages.per_second,
        send_ms: single.p50_ms,
        sends_per_second: sends.per_second,
        send_micros: sends.micros,
        refused: [&page, &counted, &pages, &single, &sends].map(|run| run.refused).iter().sum(),
    })
}

struct Run {
    p50_ms: f64,
    per_second: f64,
    micros: f64,
    refused: u64,
}

/// Repeats a request over so many connections.
async fn run(
    app: &Site,
    request: &Template,
    expected: StatusCode,
    connections: usize,
    span: Duration,
) -> Result<Run> {
    let mut workers = Vec::with_capacity(connections);
    for number in 0..connections {
        let connection = Connection::open(app.address_for(number)).await?;
        workers.push(Worker { connection, request: request.clone(), expected });
    }
    let meter = Meter::start(app.pids(), Vec::new())?;
    let load = drive(workers, span).await?;
    let (seconds, _) = meter.read()?;
    Ok(Run {
        p50_ms: percentile(&mut load.latencies(), 50),
        per_second: load.per_second(),
        micros: seconds.per(count(load.answered())).micros().first,
        refused: load.refused(),
    })
}
