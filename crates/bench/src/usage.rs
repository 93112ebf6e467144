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

/// The resident memory of a process in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0)
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
    /// The first server: app-a, or the bare one.
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
    servers: [Option<u32>; 2],
    before: [f64; 4],
    started: Instant,
}

impl Meter {
    /// Starts with one or two servers, by process id.
    pub fn start(first: u32, second: Option<u32>) -> Result<Self> {
        let servers = [Some(first), second];
        Ok(Self { servers, before: read(servers)?, started: Instant::now() })
    }

    /// The processor seconds since the start, and the seconds.
    pub fn read(&self) -> Result<(Cores, f64)> {
        let [first, second, generator, machine] = read(self.servers)?;
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

fn read(servers: [Option<u32>; 2]) -> Result<[f64; 4]> {
    let seconds = |pid: Option<u32>| pid.map_or(Ok(0.0), processor_seconds);
    let own = processor_seconds(std::process::id())?;
    Ok([seconds(servers[0])?, seconds(servers[1])?, own, machine_seconds()?])
}
