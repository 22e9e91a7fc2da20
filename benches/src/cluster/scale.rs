//! What many regions and more stores cost and bring.
//!
//! Measured here, on one machine: three nodes with thousands of regions beside three with ten, turn
//! by turn; a fourth node that is given its share under load. Calculated from what was measured:
//! how throughput grows with stores that have a machine each, by [`model`](crate::model).
//!
//! A part that fails has no figures, and its reason is told at the end; the others are measured all
//! the same.
//!
//! Modules: `regions`, `grow` and `stores` are the parts, `plot` draws them.

mod grow;
mod plot;
mod regions;
mod stores;

use std::time::Duration;

use load::{Measured, Workload};
use tokio::runtime::Handle;

use super::turn::Turn;
use super::{Result, Settings};
use crate::table::Row;
use plot::Plot;

/// Callers of every turn, through the batched stream.
const CALLERS: usize = 64;
/// Keys of every cluster, all set before it is cut.
const KEYS: u64 = 100_000;
/// Regions of the cluster that the others are compared with.
const FEW: usize = 10;
/// After a cluster was changed, before anything of it is measured.
const CALM: Duration = Duration::from_secs(5);

/// Turns of a part.
#[derive(Clone, Copy, Debug)]
struct Plan {
    turns: usize,
    /// How long callers are counted in each.
    span: Duration,
    /// How often a node is killed and started again.
    restarts: usize,
    /// How long clusters are watched that have nothing to do.
    rest: Duration,
}

impl Plan {
    fn of(settings: &Settings) -> Plan {
        let (turns, span_ms, restarts, rest) =
            if settings.is_quick { (3, 800, 1, 5) } else { (5, 2_000, 3, 20) };
        let (span, rest) = (Duration::from_millis(span_ms), Duration::from_secs(rest));
        Plan { turns, span, restarts, rest }
    }

    fn turn(&self, workload: &Workload, warm: Duration, nth: usize) -> Turn {
        let (workload, span) = (workload.clone(), self.span);
        Turn { workload, clients: CALLERS, warm, span, records: KEYS, nth }
    }
}

/// Runs all parts.
///
/// # Errors
/// Why parts of it have no figures: those that failed, each with its reason.
pub fn run(settings: &Settings, runtime: &Handle, show: &mut dyn FnMut(Row)) -> Result<()> {
    let counts: &[usize] = if settings.is_quick { &[100] } else { &[1_000, 10_000] };
    let mut plot = Plot::default();
    let mut wrong = Vec::new();
    let mut learn = |part: &str, result: Result<()>| {
        wrong.extend(result.err().map(|why| format!("{part}: {why}")));
    };
    for &count in counts {
        let part = format!("scale/regions={count}");
        if settings.is_selected(&part) {
            learn(&part, regions::run(settings, runtime, (&part, count), &mut plot, show));
        }
    }
    let part = format!("grow/regions={}", counts[0]);
    if settings.is_selected(&part) {
        learn(&part, grow::run(settings, runtime, (&part, counts[0]), show));
    }
    if settings.is_selected("scale/stores") {
        learn("scale/stores", stores::run(settings, runtime, &mut plot, show));
    }
    if let Some(path) = &settings.plot {
        learn("scale/plot", plot.write(path));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Operations in a second.
fn per_second(measured: &Measured) -> f64 {
    measured.tally.operations() as f64 / measured.elapsed.as_secs_f64()
}

/// CPU of an operation, in microseconds; no number if it could not be read.
fn cpu_us(cpu: Option<Duration>, measured: &Measured) -> f64 {
    cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64() * 1e6 / measured.tally.operations() as f64)
}
