use std::time::Duration;

use hyper::StatusCode;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::Result;
use crate::figures::percentile;
use crate::load::{Worker, drive};
use crate::people::Person;
use crate::servers::Site;
use crate::usage::{Cores, Meter};

/// Connections at once: enough to keep every core busy with password hashes.
pub const CONNECTIONS: usize = 8;

/// One measurement of logging in.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LoginSample {
    /// Log-ins per second.
    pub per_second: f64,
    /// Half of them took so many milliseconds.
    pub p50_ms: f64,
    /// All but one in a hundred took so many milliseconds.
    pub p99_ms: f64,
    /// The cores in use; the first server is the app.
    pub cores: Cores,
    /// Requests answered otherwise.
    pub refused: u64,
}

/// Logs people in with their passwords, over and over.
pub async fn measure(site: &Site, people: &[Person], span: Duration) -> Result<LoginSample> {
    let mut workers = Vec::with_capacity(CONNECTIONS);
    for (number, person) in people.iter().cycle().take(CONNECTIONS).enumerate() {
        let connection = Connection::open(site.address_for(number)).await?;
        workers.push(Worker { connection, request: person.login()?, expected: StatusCode::OK });
    }
    let meter = Meter::start(site.pids(), Vec::new())?;
    let load = drive(workers, span).await?;
    let cores = meter.cores()?;
    let mut latencies = load.latencies();
    Ok(LoginSample {
        per_second: load.per_second(),
        p50_ms: percentile(&mut latencies, 50),
        p99_ms: percentile(&mut latencies, 99),
        cores,
        refused: load.refused(),
    })
}
