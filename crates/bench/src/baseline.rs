//! What the machine does at best, measured between the other figures.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde::Serialize;

use crate::connection::{Connection, Template, get, post};
use crate::error::Result;
use crate::figures::percentile;
use crate::load::{Worker, drive, micros};
use crate::people::text;
use crate::servers::{Bare, PAGE};
use crate::usage::{Cores, Meter};

/// Connections at once.
pub const CONNECTIONS: usize = 64;
/// How often a page is written and synced for one median.
const SYNCS: usize = 100;
/// How long that may take.
const SYNCING: Duration = Duration::from_secs(1);
/// Pages of the file that is written to.
const PAGES: usize = 64;

/// One measurement of the bare server and the bare disk.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BaselineSample {
    /// JSON bodies posted, read and answered per second.
    pub posts_per_second: f64,
    /// The cores that this took.
    pub post_cores: Cores,
    /// Pages of 4 KiB per second.
    pub pages_per_second: f64,
    /// The cores that this took.
    pub page_cores: Cores,
    /// Requests per second that the generator sends where an answer costs next to nothing: its own ceiling.
    pub ceiling_per_second: f64,
    /// The cores that this took; the first server is the echo.
    pub ceiling_cores: Cores,
    /// The median of one write of 4 KiB and fdatasync, in milliseconds.
    pub sync_ms: f64,
}

/// Measures the bare server, the generator and the disk.
pub async fn measure(bare: &Bare, span: Duration) -> Result<BaselineSample> {
    let body = serde_json::json!({
        "conversation": "01890a5d-ac96-774b-bcce-b302099a8057",
        "content": text(),
    });
    let (server, created) = (bare.address(), StatusCode::CREATED);
    let send = post("/messages", None, &body)?;
    let (posts_per_second, post_cores) = rate(bare, server, &send, created, span).await?;
    let page = get("/page", None)?;
    let (pages_per_second, page_cores) = rate(bare, server, &page, StatusCode::OK, span).await?;
    let (ceiling_per_second, ceiling_cores) = rate(bare, bare.echo, &send, created, span).await?;
    Ok(BaselineSample {
        posts_per_second,
        post_cores,
        pages_per_second,
        page_cores,
        ceiling_per_second,
        ceiling_cores,
        sync_ms: sync(bare.folder.path())?,
    })
}

async fn rate(
    bare: &Bare,
    address: SocketAddr,
    request: &Template,
    expected: StatusCode,
    span: Duration,
) -> Result<(f64, Cores)> {
    let workers = workers(address, request, expected).await?;
    let meter = Meter::start(vec![bare.pid()], Vec::new())?;
    let load = drive(workers, span).await?;
    Ok((load.per_second(), meter.cores()?))
}

async fn workers(
    address: SocketAddr,
    request: &Template,
    expected: StatusCode,
) -> Result<Vec<Worker>> {
    let mut workers = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let connection = Connection::open(address).await?;
        workers.push(Worker { connection, request: request.clone(), expected });
    }
    Ok(workers)
}

/// The median time of one write of 4 KiB, into a file that has its blocks already, and fdatasync.
fn sync(folder: &Path) -> Result<f64> {
    let path = folder.join("sync");
    let file = File::create(&path)?;
    file.write_all_at(&vec![1; PAGE * PAGES], 0)?;
    file.sync_all()?;
    let deadline = Instant::now() + SYNCING;
    let mut times = Vec::with_capacity(SYNCS);
    for number in 0..SYNCS {
        let before = Instant::now();
        file.write_all_at(&[2; PAGE], (number % PAGES * PAGE) as u64)?;
        file.sync_data()?;
        times.push(micros(before.elapsed()));
        if Instant::now() > deadline {
            break;
        }
    }
    std::fs::remove_file(path)?;
    Ok(percentile(&mut times, 50))
}
