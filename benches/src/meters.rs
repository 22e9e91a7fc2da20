//! What the system says of this process, and of the disk while it is busy with others.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

/// Between two syncs of a probe.
const PROBE_EVERY: Duration = Duration::from_millis(50);

/// What this process has used, at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    cpu: ProcessTime,
    written_bytes: f64,
}

impl Used {
    /// Up to now.
    pub fn now() -> Used {
        Used { cpu: ProcessTime::now(), written_bytes: written_bytes() }
    }

    /// CPU since then, of all threads, in microseconds.
    pub fn cpu_us(&self) -> f64 {
        self.cpu.elapsed().as_secs_f64() * 1e6
    }

    /// Bytes that this process made the system write to disks since then, in whole pages.
    pub fn written_bytes(&self) -> f64 {
        written_bytes() - self.written_bytes
    }
}

fn written_bytes() -> f64 {
    field("/proc/self/io", "write_bytes:").unwrap_or(f64::NAN)
}

/// Bytes of memory in use.
pub fn resident_bytes() -> f64 {
    field("/proc/self/status", RESIDENT).map_or(f64::NAN, |kib| kib * 1024.0)
}

/// Bytes of memory that another process has in use; none if there is no such process.
pub fn resident_bytes_of(pid: u32) -> Option<f64> {
    field(&format!("/proc/{pid}/status"), RESIDENT).map(|kib| kib * 1024.0)
}

/// Memory in use, in the words of the kernel.
const RESIDENT: &str = "VmRSS:";

fn field(file: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// What runs on the machine, ours included: the average over a minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}

/// Syncs a file of its own now and then, and keeps how long that took.
///
/// A thread that waits for a disk is woken late on a busy machine: this says how late.
pub struct Probe {
    stop: Sender<()>,
    thread: JoinHandle<Vec<f64>>,
}

impl Probe {
    /// Begins, in a file in this directory.
    pub fn start(dir: &Path) -> Probe {
        let mut file = tempfile::tempfile_in(dir).expect("the disk takes a file");
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut took_us = Vec::new();
            while stopped.recv_timeout(PROBE_EVERY) == Err(RecvTimeoutError::Timeout) {
                file.write_all(&[7; 4096]).expect("the disk takes a block");
                let start = Instant::now();
                file.sync_data().expect("the disk syncs");
                took_us.push(start.elapsed().as_secs_f64() * 1e6);
            }
            took_us.sort_by(f64::total_cmp);
            took_us
        });
        Probe { stop, thread }
    }

    /// Ends; the median, in microseconds.
    pub fn stop(self) -> f64 {
        drop(self.stop);
        quantile(&self.thread.join().expect("the probe does not panic"), 500)
    }
}

/// The machine and the state it is in, in a line. Looks at the disk of this directory for a second.
pub fn machine(dir: &Path) -> String {
    let probe = Probe::start(dir);
    std::thread::sleep(Duration::from_secs(1));
    let sync_us = probe.stop();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "machine: {cores} cores, {}, fdatasync p50 {sync_us:.0} us at rest, load average {:.1}",
        model.map_or("unknown CPU", |(_, name)| name),
        load_average(),
    )
}

/// The value below which so many of a thousand lie.
pub fn quantile(sorted: &[f64], per_mille: usize) -> f64 {
    sorted.get(sorted.len() * per_mille / 1_000).or(sorted.last()).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantile_lies_within_the_values() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!((quantile(&values, 500), quantile(&values, 1_000)), (50.0, 99.0));
    }
}
