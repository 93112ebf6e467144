use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::connection::{Answer, Connection, get};
use crate::error::{Error, Result};

/// How long a server may take until it is ready.
const STARTING: Duration = Duration::from_secs(20);
/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Lines of the log that are shown when a server does not start.
const TAIL: usize = 10;

/// A server in a process of its own. Dropped, it is killed: what it has written is only for the measurement.
pub struct Process {
    child: Child,
    name: &'static str,
    log: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// The process.
    pub pid: u32,
}

impl Process {
    /// Starts a program in `folder`, with nothing in its environment but `variables`, and its output in a file there.
    pub fn start(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        variables: &[(&str, String)],
        folder: &Path,
        address: SocketAddr,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Error::Failed(format!(
                    "{name} cannot be started: {error}; \
                     build it with `cargo build --release -p app-a -p app-b -p bench`"
                ))
            })?;
        let pid = child.id().ok_or_else(|| Error::Failed(format!("{name} has ended")))?;
        Ok(Self { child, name, log, address, pid })
    }

    /// Waits until `path` is answered 200.
    pub async fn ready(&mut self, path: &str) -> Result<()> {
        let deadline = Instant::now() + STARTING;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                let tail = self.log_tail();
                return Err(Error::Failed(format!("{} has ended ({status}):\n{tail}", self.name)));
            }
            if self.ask(path).await.is_ok_and(|answer| answer.status == StatusCode::OK) {
                return Ok(());
            }
            sleep(ASK_EVERY).await;
        }
        Err(Error::Failed(format!("{} does not become ready:\n{}", self.name, self.log_tail())))
    }

    async fn ask(&self, path: &str) -> Result<Answer> {
        Connection::open(self.address).await?.call(get(path, None)?).await
    }

    /// Ends it, and waits until it has gone.
    pub async fn stop(&mut self) {
        if let Err(error) = self.child.kill().await {
            eprintln!("bench: {} (process {}) cannot be stopped: {error}", self.name, self.pid);
        }
    }

    /// Lines of the log at WARN or ERROR, and the first of them.
    pub fn complaints(&self) -> (usize, Option<String>) {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let loud = |line: &&str| {
            line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\"")
        };
        let first = log.lines().find(loud).map(str::to_owned);
        (log.lines().filter(loud).count(), first)
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

/// Free ports on the loopback device, all different.
pub fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    // All are held before the first is released.
    let mut listeners = Vec::with_capacity(N);
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(addresses)
}
