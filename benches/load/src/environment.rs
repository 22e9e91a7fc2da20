//! The machine that a bench ran on: what a figure means nothing without.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::tally::{no_latencies, quantile_us, record};

/// Syncs that are timed.
const SYNCS: u64 = 200;
/// They end earlier after so long.
const SYNCS_SPAN: Duration = Duration::from_secs(2);
/// Bytes that are written before each.
const BLOCK: [u8; 4_096] = [7; 4_096];

/// The machine that the callers were on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Environment {
    /// Version of the callers' program.
    pub version: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// What they are; none if the system does not say.
    pub cpu: Option<String>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// The system and its version.
    pub system: String,
    /// What ran on it before the bench: the average over a minute.
    pub load_average: Option<f64>,
    /// How long this machine takes to make a block durable; none if it could not be measured.
    pub fsync: Option<Fsync>,
}

/// How long `fdatasync` took behind each block of 4 KiB, before anything else was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fsync {
    /// In which directory.
    pub dir: String,
    /// How often.
    pub samples: u64,
    /// Half of them took no longer.
    pub p50_us: Option<u64>,
    /// 99 of a hundred took no longer.
    pub p99_us: Option<u64>,
}

impl Environment {
    /// Looks around, and measures the disk of this directory, which takes up to two seconds.
    #[must_use]
    pub fn measure(dir: &Path) -> Environment {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let kib = field(&memory, "MemTotal:").and_then(|text| text.split(' ').next()?.parse().ok());
        let system = read("/proc/sys/kernel/osrelease");
        let load_average = read("/proc/loadavg");
        Environment {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: field(&cpu, "model name").map(|text| text.trim_start_matches([':', ' ']).into()),
            memory_bytes: kib.map(|kib: u64| kib << 10),
            system: format!("{} {}", std::env::consts::OS, system.trim()).trim().to_owned(),
            load_average: load_average.split(' ').next().and_then(|text| text.parse().ok()),
            fsync: fsync(dir).ok(),
        }
    }

    /// As people read it, in a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = vec![format!("{} cores", self.cores)];
        parts.extend(self.cpu.clone());
        parts.extend(self.memory_bytes.map(|bytes| format!("{} GiB", bytes >> 30)));
        parts.push(self.system.clone());
        parts.extend(self.load_average.map(|average| format!("load average {average:.1}")));
        parts.push(self.fsync.as_ref().map_or("fsync not measured".to_owned(), |fsync| {
            let ms = |us: Option<u64>| {
                us.map_or("-".to_owned(), |us| format!("{:.2} ms", us as f64 / 1e3))
            };
            format!("fsync p50 {} p99 {} in {}", ms(fsync.p50_us), ms(fsync.p99_us), fsync.dir)
        }));
        parts.join(", ")
    }
}

/// What stands behind a name at the beginning of a line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Times syncs of a file of its own, which is removed again.
fn fsync(dir: &Path) -> io::Result<Fsync> {
    let path = dir.join(format!(".crib-bench-{}", std::process::id()));
    let timed = fs::File::create_new(&path).and_then(time_syncs);
    // It may not be there.
    let _ = fs::remove_file(&path);
    let took_us = timed?;
    Ok(Fsync {
        dir: dir.display().to_string(),
        samples: took_us.len(),
        p50_us: quantile_us(&took_us, 0.5),
        p99_us: quantile_us(&took_us, 0.99),
    })
}

fn time_syncs(mut file: fs::File) -> io::Result<Histogram<u64>> {
    let mut took_us = no_latencies();
    let begun = Instant::now();
    while took_us.len() < SYNCS && begun.elapsed() < SYNCS_SPAN {
        file.write_all(&BLOCK)?;
        let since = Instant::now();
        file.sync_data()?;
        record(&mut took_us, since.elapsed());
    }
    Ok(took_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_is_measured_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment::measure(dir.path());
        let fsync = environment.fsync.unwrap();
        assert!(fsync.samples > 0 && fsync.samples <= SYNCS);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(environment.cores > 0);
    }

    #[test]
    fn directory_that_is_not_there_gives_no_figure() {
        let environment = Environment::measure(Path::new("/nowhere/at/all"));
        assert_eq!(environment.fsync, None);
        assert!(environment.text().ends_with("fsync not measured"), "{}", environment.text());
    }

    #[test]
    fn fields_are_found_by_their_names() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n";
        assert_eq!(field(text, "model name"), Some(": A CPU @ 2 GHz"));
        assert_eq!(field(text, "flags"), None);
    }
}
