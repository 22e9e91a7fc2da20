//! Figures for Prometheus: what is known of the process, and whatever else a node registers.

use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
pub use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

use crate::errors::{self, Failure};
use crate::version;

/// The media type of the text.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A registry with what is known of every process in it.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Process { started: seconds_since_1970() }));
    let build = vec![
        ("version", version::VERSION.to_owned()),
        ("commit", version::COMMIT.unwrap_or_default().to_owned()),
    ];
    registry.register("crib_build", "What this binary is", Info::new(build));
    registry
}

/// All figures as text.
pub(super) fn encode(registry: &Arc<Registry>) -> Result<String, Failure> {
    let mut encoded = String::new();
    match text::encode(&mut encoded, registry) {
        Ok(()) => Ok(encoded),
        Err(error) => {
            Err(Failure::new(&errors::OUTPUT_FAILED, "cannot write the figures")
                .why(error.to_string()))
        }
    }
}

fn seconds_since_1970() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// What the system knows of this process. Where it does not say, nothing is told.
#[derive(Debug)]
struct Process {
    started: f64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name, help, unit: Option<&Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        let bytes = Some(&Unit::Bytes);
        let since = "When the process was started, since 1970";
        gauge("process_start_time", since, Some(&Unit::Seconds), self.started)?;
        if let Some(resident) = resident_bytes() {
            gauge("process_resident_memory", "Memory of the process", bytes, resident)?;
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            let count = u32::try_from(entries.count()).unwrap_or(u32::MAX);
            gauge("process_open_fds", "Open files", None, f64::from(count))?;
        }
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            let help = "Time that the process had a processor";
            let (unit, kind) = (Some(&Unit::Seconds), counter.metric_type());
            counter.encode(encoder.encode_descriptor("process_cpu", help, unit, kind)?)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kib) * 1_024.0)
}

/// The kernel counts in hundredths, whatever its own clock is.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program comes first, in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(|field| field.parse::<u32>().ok());
    let (user, system) = (times.next()??, times.next()??);
    Some((f64::from(user) + f64::from(system)) / 100.0)
}
