//! What processes take of the machine, as `/proc` says.

use std::time::Instant;

use serde::Serialize;

use crate::error::{Error, Result};

/// Units of processor time in a second: `USER_HZ`, which is 100 on every architecture that matters.
const TICKS: f64 = 100.0;

/// Processor seconds that a process has used so far, in user and in system mode.
pub fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; the fields after it are numbers. proc_pid_stat(5): utime is the
    // 14th field of all and stime the 15th, which makes them the 12th and 13th after the name.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS)
}

/// Processor seconds that a process and those that it has started have used so far.
fn tree_seconds(pid: u32) -> Result<f64> {
    let own = processor_seconds(pid)?;
    children(pid).into_iter().try_fold(own, |sum, child| Ok(sum + tree_seconds(child)?))
}

/// The processes that the first thread of a process has started, and that are still there.
fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The memory of a process and those that it has started, in MiB: what is resident, each page shared out among the
/// processes that map it (PSS).
pub fn memory_mib(pid: u32) -> Result<f64> {
    let own = kib(pid, "smaps_rollup", "Pss:")? / 1024.0;
    children(pid).into_iter().try_fold(own, |sum, child| Ok(sum + memory_mib(child)?))
}

/// The resident memory of one process in KiB (RSS).
pub fn resident_kib(pid: u32) -> Result<f64> {
    kib(pid, "status", "VmRSS:")
}

fn kib(pid: u32, file: &str, name: &str) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Error::Failed(format!("process {pid} shows no memory")))
}

/// Processor seconds that the whole machine has been busy.
fn machine_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; what follows is contained in the first two.
    let busy = ticks.iter().take(8).enumerate().filter(|(i, _)| !matches!(i, 3 | 4));
    Ok(busy.map(|(_, ticks)| ticks).sum::<f64>() / TICKS)
}

/// Processor seconds of each process that takes part in a measurement, and of the rest of the machine.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cores {
    /// The first server, all its processes: app-a, or the bare one.
    pub first: f64,
    /// The second server: app-b.
    pub second: f64,
    /// The generator itself.
    pub generator: f64,
    /// Everything else: other programs, and the kernel's work for nobody in particular.
    pub rest: f64,
}

impl Cores {
    fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            first: change(self.first),
            second: change(self.second),
            generator: change(self.generator),
            rest: change(self.rest),
        }
    }

    /// Divided by a number of seconds: cores; by a number of messages: seconds for each.
    pub fn per(self, number: f64) -> Self {
        self.map(|value| value / number.max(f64::MIN_POSITIVE))
    }

    /// Seconds in microseconds.
    pub fn micros(self) -> Self {
        self.map(|value| value * 1e6)
    }
}

/// Reads how much processor time has been used since it was started.
pub struct Meter {
    servers: [Vec<u32>; 2],
    before: [f64; 4],
    started: Instant,
}

impl Meter {
    /// Starts with the processes of one or two servers.
    pub fn start(first: Vec<u32>, second: Vec<u32>) -> Result<Self> {
        let servers = [first, second];
        Ok(Self { before: read(&servers)?, servers, started: Instant::now() })
    }

    /// The processor seconds since the start, and the seconds.
    pub fn read(&self) -> Result<(Cores, f64)> {
        let [first, second, generator, machine] = read(&self.servers)?;
        let elapsed = self.started.elapsed().as_secs_f64();
        let (first, second) = (first - self.before[0], second - self.before[1]);
        let generator = generator - self.before[2];
        let rest = machine - self.before[3] - first - second - generator;
        Ok((Cores { first, second, generator, rest: rest.max(0.0) }, elapsed))
    }

    /// The cores in use since the start.
    pub fn cores(&self) -> Result<Cores> {
        let (seconds, elapsed) = self.read()?;
        Ok(seconds.per(elapsed))
    }
}

fn read(servers: &[Vec<u32>; 2]) -> Result<[f64; 4]> {
    let seconds = |pids: &[u32]| pids.iter().map(|&pid| tree_seconds(pid)).sum::<Result<f64>>();
    let own = processor_seconds(std::process::id())?;
    Ok([seconds(&servers[0])?, seconds(&servers[1])?, own, machine_seconds()?])
}
