use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Where the figures come from.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Cores that this program may use.
    pub cores: usize,
    /// What they are.
    pub processor: String,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The operating system's release.
    pub kernel: String,
    /// The file system that the databases are on.
    pub file_system: String,
    /// The compiler.
    pub rustc: String,
    /// How many programs wanted to run in the minute before (the load average).
    pub load_before: String,
}

impl Machine {
    /// This machine, with the databases in `folder`.
    pub fn here(folder: &Path) -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: field("/proc/cpuinfo", "model name"),
            memory_mib: field("/proc/meminfo", "MemTotal")
                .split_whitespace()
                .next()
                .and_then(|kib| kib.parse::<u64>().ok())
                .map_or(0, |kib| kib / 1024),
            kernel: read("/proc/sys/kernel/osrelease"),
            file_system: file_system(folder),
            rustc: rustc(),
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or("?", |(_, value)| value.trim()).to_owned()
}

/// The type of the file system that a folder is on: that of the longest mount point that is a prefix of its path.
pub fn file_system(folder: &Path) -> String {
    let mounts = read("/proc/mounts");
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let around = mounts.filter(|(point, _)| folder.starts_with(point));
    around.max_by_key(|(point, _)| point.len()).map_or("?", |(_, kind)| kind).to_owned()
}

fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "?".to_owned(), |text| text.trim().to_owned())
}
