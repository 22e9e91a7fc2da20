//! Load on a cluster, and what it comes to: `crib bench`, and the benches beside etcd.
//!
//! ```text
//!  workload ─► script ─► call ──┐                       ┌─► tally ─► measured ─► verdict
//!  pace ──── when it begins ────┴─► caller ─► target ───┘               │
//!                                             crib │ etcd               └─► summary ─► JSON, page
//! ```
//!
//! # What a figure here promises
//!
//! - **The same around both.** Callers, keys, values, clocks and counts do not know which cluster
//!   they call; both are called over the same gRPC stack.
//! - **No coordinated omission.** In an open loop ([`Pace::Open`]) operations begin by a schedule,
//!   and latency counts from when one was to begin. If some of it never began, the result is
//!   invalid.
//! - **Nothing that was not measured.** Failures are counted by kind and have no latency; a
//!   quantile needs as many operations as it speaks of; what is not known is absent, not zero.
//! - **A verdict.** Operations that fail after the client's own attempts, a cluster that is not
//!   well at any moment, a schedule that is not kept: the result says that it is invalid, and why
//!   ([`reasons`]).
//! - **Repeated by a seed.** Which operations on which keys follows from [`Plan::seed`]; how they
//!   interleave does not.
//!
//! # Duties of the caller
//!
//! 1. [`fill`] the records, unless [`is_filled`] or the workload does not need them.
//! 2. [`Environment::measure`] the machine before there is load on it.
//! 3. [`run`] a [`Plan`], with a [`Watch`] on the cluster.
//! 4. Make a [`Summary`] of it, and end with a failure unless it is valid.
//!
//! # Not here
//!
//! Starting clusters. Callers on several machines. Whether answers are right: only that keys which
//! were written are there.
//!
//! Reading order: `workload` with `zipf` and `keys`, `pace` with `schedule`, `target`, `run`,
//! `tally`, `verdict`, `summary`, `chart`, `html`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod chart;
mod dice;
mod environment;
mod etcd;
#[cfg(test)]
mod fake;
mod fill;
mod html;
mod keys;
mod pace;
pub mod processes;
mod run;
mod schedule;
pub mod summary;
mod tally;
mod target;
mod values;
mod verdict;
mod words;
mod workload;
mod zipf;

pub use dice::Dice;
pub use environment::{Environment, Fsync};
pub use etcd::{About, Etcd};
pub use fill::{fill, is_filled};
pub use html::{escaped, page};
pub use keys::{Keys, RECORDS_MAX};
pub use pace::Pace;
pub use run::{Measured, Plan, Second, Watch, Wellness, default_threads, run, runtime};
pub use schedule::PER_SECOND_MAX;
pub use summary::Summary;
pub use tally::{Failures, Tally, quantile_us};
pub use target::{Callee, Done, Failed, Result, Target};
pub use values::Values;
pub use verdict::{Errors, reasons};
pub use words::grouped;
pub use workload::{Distribution, Kind, Workload, Ycsb};
pub use zipf::Zipf;
