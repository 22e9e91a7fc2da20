//! A result as it is told to machines: every field is written here, and changed only by adding.
//!
//! Times are in microseconds where they end in `_us`, else in seconds. What is not known is `null`:
//! a quantile of too few operations, CPU of processes elsewhere, a rate without operations. A seed
//! is a string, since it may be larger than what readers of JSON take for a number.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::environment::Environment;
use crate::keys::Keys;
use crate::pace::Pace;
use crate::run::{Measured, Plan};
use crate::tally::quantile_us;
use crate::workload::{Distribution, Kind};

/// Version of this form.
pub const FORMAT: u32 = 1;
/// Quantiles that are drawn, as far as there are operations enough to know them.
const CURVE: [f64; 15] = [
    0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.999_5, 0.999_9,
    0.999_99,
];

/// All of a result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// See [`FORMAT`].
    pub format: u32,
    /// Whether it may be used.
    pub valid: bool,
    /// If not, why not.
    pub reasons: Vec<String>,
    /// What was measured.
    pub target: Cluster,
    /// What its callers did.
    pub workload: Work,
    /// How much of it.
    pub load: Load,
    /// Where.
    pub environment: Environment,
    /// From the end of the warm-up to the last answer.
    pub elapsed_seconds: f64,
    /// Operations that ended well.
    pub operations: u64,
    /// Of them, in a second.
    pub operations_per_second: Option<f64>,
    /// Operations that failed, also while it warmed up.
    pub failed: u64,
    /// The same by kind.
    pub failures: Vec<Failure>,
    /// Operations that found that another caller had been faster. They ended well.
    pub conflicts: u64,
    /// Operations that a schedule wanted, and that never began.
    pub never_begun: u64,
    /// How long they took, by kind.
    pub latencies: Vec<Latencies>,
    /// What they cost.
    pub cpu: Cpu,
    /// Second by second.
    pub seconds: Vec<Second>,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// `crib` or `etcd`.
    pub kind: &'static str,
    /// How it was called.
    pub via: String,
    /// Where it was asked first.
    pub endpoints: Vec<String>,
    /// Versions of its nodes, each once.
    pub versions: Vec<String>,
    /// How many nodes it has.
    pub nodes: usize,
    /// How many of them have each key.
    pub replicas: usize,
}

/// What callers did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Work {
    /// What it is called.
    pub name: &'static str,
    /// Of a hundred operations, how many were of which kind.
    pub mix: Vec<Part>,
    /// Which keys.
    pub distribution: Distribution,
    /// What all keys begin with.
    pub prefix: String,
    /// Keys that were there.
    pub records: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// What all choices follow from.
    pub seed: String,
}

/// Part of a mix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Which.
    pub kind: Kind,
    /// How many of a hundred.
    pub percent: u64,
}

/// How much of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    /// Callers.
    pub clients: usize,
    /// Threads that they shared.
    pub threads: usize,
    /// `closed`: each calls after its answer; `open`: by a schedule.
    #[serde(rename = "loop")]
    pub closed_or_open: &'static str,
    /// Operations a second of the schedule.
    pub rate: Option<u64>,
    /// How long nothing was counted.
    pub warmup_seconds: f64,
    /// How long it was to be counted.
    pub span_seconds: f64,
}

/// Failures of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which.
    pub kind: &'static str,
    /// How many.
    pub count: u64,
    /// What was said the first time.
    pub example: String,
}

/// Latencies of a kind of operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latencies {
    /// Which.
    pub kind: Kind,
    /// How many operations.
    pub count: u64,
    /// Their mean.
    pub mean_us: f64,
    /// The shortest.
    pub min_us: u64,
    /// Half of them took no longer.
    pub p50_us: Option<u64>,
    /// The same of 90 of a hundred.
    pub p90_us: Option<u64>,
    /// The same of 99.
    pub p99_us: Option<u64>,
    /// The same of 999 of a thousand.
    pub p999_us: Option<u64>,
    /// The longest.
    pub max_us: u64,
    /// Quantiles from zero to one, and the latency of each.
    pub curve: Vec<(f64, u64)>,
}

/// CPU that operations cost. Those that failed or were not counted cost some of it as well.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cpu {
    /// Processes of the cluster that were found on this machine.
    pub server_processes: usize,
    /// CPU seconds of all of them, for a thousand operations.
    pub server_seconds_per_1000: Option<f64>,
    /// CPU seconds of the callers' process, for a thousand operations.
    pub client_seconds_per_1000: Option<f64>,
}

/// One second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Second {
    /// When it ended, since the warm-up.
    pub at_seconds: f64,
    /// Operations that ended well in it.
    pub operations: u64,
    /// The same for a whole second.
    pub operations_per_second: f64,
    /// Operations that failed in it.
    pub failed: u64,
    /// Half of them took no longer.
    pub p50_us: Option<u64>,
    /// 99 of a hundred took no longer.
    pub p99_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
    /// Operations that were due and had not begun.
    pub behind: u64,
}

impl Summary {
    /// What came of a plan; invalid for these reasons, if there are any.
    #[must_use]
    pub fn new(
        plan: &Plan,
        target: Cluster,
        servers: usize,
        environment: Environment,
        measured: &Measured,
        reasons: Vec<String>,
    ) -> Summary {
        let tally = &measured.tally;
        let operations = tally.operations();
        let elapsed_seconds = measured.elapsed.as_secs_f64();
        let failure = |(kind, of): (&&'static str, &crate::tally::Failures)| Failure {
            kind,
            count: of.count,
            example: of.example.clone(),
        };
        let per_1000 = |cpu: Option<std::time::Duration>| {
            cpu.filter(|_| operations > 0).map(|cpu| cpu.as_secs_f64() * 1e3 / operations as f64)
        };
        Summary {
            format: FORMAT,
            valid: reasons.is_empty(),
            reasons,
            target,
            workload: Work::new(plan),
            load: Load::new(plan, measured.threads),
            environment,
            elapsed_seconds,
            operations,
            operations_per_second: (operations > 0).then(|| operations as f64 / elapsed_seconds),
            failed: tally.failed_operations(),
            failures: tally.failures.iter().map(failure).collect(),
            conflicts: tally.conflicts,
            never_begun: measured.never_begun,
            latencies: Kind::ALL
                .into_iter()
                .map(|kind| (kind, tally.latencies_us(kind)))
                .filter(|(_, latencies)| !latencies.is_empty())
                .map(|(kind, latencies)| Latencies::new(kind, latencies))
                .collect(),
            cpu: Cpu {
                server_processes: servers,
                server_seconds_per_1000: per_1000(measured.servers_cpu),
                client_seconds_per_1000: per_1000(measured.client_cpu),
            },
            seconds: measured.seconds.iter().map(Second::new).collect(),
        }
    }
}

impl Work {
    fn new(plan: &Plan) -> Work {
        let Plan { workload, keys: Keys { prefix, records }, .. } = plan;
        let part = |&(kind, percent): &(Kind, u64)| Part { kind, percent };
        Work {
            name: workload.name,
            mix: workload.mix.iter().map(part).collect(),
            distribution: workload.distribution,
            prefix: prefix.clone(),
            records: *records,
            value_bytes: plan.value_bytes,
            seed: plan.seed.to_string(),
        }
    }
}

impl Load {
    fn new(plan: &Plan, threads: usize) -> Load {
        let (closed_or_open, rate) = match plan.pace {
            Pace::Closed => ("closed", None),
            Pace::Open(rate) => ("open", Some(rate)),
        };
        Load {
            clients: plan.clients,
            threads,
            closed_or_open,
            rate,
            warmup_seconds: plan.warmup.as_secs_f64(),
            span_seconds: plan.span.as_secs_f64(),
        }
    }
}

impl Latencies {
    fn new(kind: Kind, of: &Histogram<u64>) -> Latencies {
        let quantile = |quantile: f64| quantile_us(of, quantile);
        let known = |at: f64| quantile(at).map(|us| (at, us));
        let mut curve: Vec<(f64, u64)> = CURVE.into_iter().filter_map(known).collect();
        curve.push((1.0, of.max()));
        Latencies {
            kind,
            count: of.len(),
            mean_us: of.mean(),
            min_us: of.min(),
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: of.max(),
            curve,
        }
    }
}

impl Second {
    fn new(of: &crate::run::Second) -> Second {
        Second {
            at_seconds: of.at.as_secs_f64(),
            operations: of.operations,
            operations_per_second: of.per_second(),
            failed: of.failed,
            p50_us: of.p50_us,
            p99_us: of.p99_us,
            max_us: of.max_us,
            behind: of.behind,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
