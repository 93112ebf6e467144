//! What the kernel says of this process. There is nothing of it where there is no `/proc`.

/// Ticks of the clock in which Linux counts processor time, in a second; the same on all of its architectures that the
/// apps are built for.
const TICKS: u64 = 100;

/// Puts down what this process uses.
pub fn collect() {
    let of = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (stat, status, limits) =
        (of("/proc/self/stat"), of("/proc/self/status"), of("/proc/self/limits"));
    if let Some(ticks) = ticks(&stat) {
        // Prometheus counts processor time in seconds, and counters here are whole; a second is fine enough.
        metrics::counter!("process_cpu_seconds_total").absolute(ticks / TICKS);
    }
    if let Some(start) = started(&stat, &of("/proc/stat")) {
        set("process_start_time_seconds", Some(start));
    }
    set("process_resident_memory_bytes", field(&status, "VmRSS:").map(|kib| kib * 1024));
    set("process_threads", field(&status, "Threads:"));
    set("process_max_fds", limit(&limits, "Max open files"));
    let open = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    // One of them is for looking.
    set("process_open_fds", open.ok().and_then(|count| u64::try_from(count).ok()?.checked_sub(1)));
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 nobody counts bytes one by one")]
fn set(name: &'static str, value: Option<u64>) {
    if let Some(value) = value {
        metrics::gauge!(name).set(value as f64);
    }
}

/// The fields of `/proc/self/stat` from the third on; the second is the name of the program, which may hold anything.
fn fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

/// Processor time in ticks: that of the program and that of the kernel for it.
fn ticks(stat: &str) -> Option<u64> {
    let fields = fields(stat)?;
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(number(11)? + number(12)?)
}

/// When the process began, in seconds since 1970.
fn started(stat: &str, system: &str) -> Option<u64> {
    let since_boot = fields(stat)?.get(19)?.parse::<u64>().ok()? / TICKS;
    Some(field(system, "btime")? + since_boot)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The soft limit.
fn limit(text: &str, name: &str) -> Option<u64> {
    field(text, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_understood() {
        let stat = "7 (a) b c) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 3 0 12345 1 2";
        assert_eq!(ticks(stat), Some(200));
        assert_eq!(started(stat, "cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_123));
        assert_eq!(field("Threads:\t12\nVmRSS:\t  2048 kB\n", "VmRSS:"), Some(2048));
        let limits = "Max open files            1024                 4096                 files\n";
        assert_eq!(limit(limits, "Max open files"), Some(1024));
        for broken in ["", "7", "7 (x) S"] {
            assert_eq!(ticks(broken), None);
        }
    }
}
