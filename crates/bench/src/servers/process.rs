use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::connection::{Answer, Connection, get};
use crate::error::{Error, Result};

/// How long a server may take until it is ready.
const STARTING: Duration = Duration::from_secs(30);
/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long it may take to end when it is told to.
const STOPPING: Duration = Duration::from_secs(5);
/// Lines of the log that are shown when a server does not start.
const TAIL: usize = 10;

/// How a server is started.
#[derive(Clone)]
pub struct Launch {
    /// What it is called, for people and for its log.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment, and nothing else is in it.
    pub variables: Vec<(&'static str, String)>,
    /// Where it runs, with its log.
    pub folder: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A server in a process of its own. Dropped, it is killed: what it has written is only for the measurement.
pub struct Process {
    child: Child,
    launch: Launch,
    /// Where it listens.
    pub address: SocketAddr,
    /// The process.
    pub pid: u32,
}

impl Process {
    /// Starts a program, with its output in a file of its folder.
    pub fn start(launch: Launch) -> Result<Self> {
        let child = spawn(&launch)?;
        let name = &launch.name;
        let pid = child.id().ok_or_else(|| Error::Failed(format!("{name} has ended")))?;
        Ok(Self { child, address: launch.address, launch, pid })
    }

    /// Ends it and starts it anew, at the same address.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await;
        *self = Self::start(self.launch.clone())?;
        Ok(())
    }

    /// Waits until `path` is answered 200.
    pub async fn ready(&mut self, path: &str) -> Result<()> {
        let name = self.launch.name.clone();
        let deadline = Instant::now() + STARTING;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Err(Error::Failed(format!(
                    "{name} has ended ({status}):\n{}",
                    self.tail()
                )));
            }
            if self.ask(path).await.is_ok_and(|answer| answer.status == StatusCode::OK) {
                return Ok(());
            }
            sleep(ASK_EVERY).await;
        }
        Err(Error::Failed(format!("{name} does not become ready:\n{}", self.tail())))
    }

    /// Waits until something listens.
    pub async fn listens(&mut self) -> Result<()> {
        let deadline = Instant::now() + STARTING;
        while Instant::now() < deadline {
            if Connection::open(self.address).await.is_ok() {
                return Ok(());
            }
            sleep(ASK_EVERY).await;
        }
        Err(Error::Failed(format!("{} does not listen:\n{}", self.launch.name, self.tail())))
    }

    async fn ask(&self, path: &str) -> Result<Answer> {
        Connection::open(self.address).await?.call(get(path, None)?).await
    }

    /// Ends it, and waits until it has gone. It is told first, so that it can end what it has started itself.
    pub async fn stop(&mut self) {
        let told = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = told
            && kill_process(pid, Signal::TERM).is_ok()
            && timeout(STOPPING, self.child.wait()).await.is_ok()
        {
            return;
        }
        if let Err(error) = self.child.kill().await {
            let name = &self.launch.name;
            eprintln!("bench: {name} (process {}) cannot be stopped: {error}", self.pid);
        }
    }

    /// Lines of the log at WARN or ERROR, and the first of them.
    pub fn complaints(&self) -> (usize, Option<String>) {
        let log = self.log();
        let loud = |line: &&str| {
            line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\"")
        };
        let first = log.lines().find(loud).map(str::to_owned);
        (log.lines().filter(loud).count(), first)
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.launch.log()).unwrap_or_default()
    }
}

impl Launch {
    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }
}

fn spawn(launch: &Launch) -> Result<Child> {
    let output = OpenOptions::new().create(true).append(true).open(launch.log())?;
    let started = Command::new(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .kill_on_drop(true)
        .spawn();
    started.map_err(|error| {
        let (name, program) = (&launch.name, launch.program.display());
        Error::Failed(format!("{name} ({program}) cannot be started: {error}"))
    })
}

/// So many free ports on the loopback device, all different.
pub fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    // All are held before the first is released.
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        listeners.push(TcpListener::bind(("127.0.0.1", 0))?);
    }
    listeners.iter().map(|listener| Ok(listener.local_addr()?)).collect()
}
