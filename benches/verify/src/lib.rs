//! Whether a cluster keeps its word while things break: `crib bench verify`, and the tests that put
//! named faults to real processes.
//!
//! ```text
//!  workload ─► run: writers, readers ─► client ─► the cluster ◄─ faults ◄─ script ◄─ seed
//!                │ records                                        │ marks with proofs
//!                ▼                                                ▼
//!             history ─► check: versioned, wgl, durability ─► report ◄─ gaps
//! ```
//!
//! # What is decided
//!
//! - Nothing acknowledged is lost, nothing is there that nobody wrote, nothing twice:
//!   [`check::durability`].
//! - Every key is linearizable: [`check::versioned`] for all operations, [`check::wgl`] as a second
//!   opinion that knows nothing of versions. Each has planted histories that it must reject, and
//!   both must agree about spoilt ones.
//! - For how long nothing succeeded: [`gaps`]. That is told, not judged.
//!
//! # What makes a run worth nothing
//!
//! A fault that was asked for and is not proven to have happened; a load that broke its own rules;
//! no success; too many keys on which the second opinion gave up. Then the verdict is
//! [`report::Verdict::Invalid`], which is not a good one.
//!
//! # Not here
//!
//! Transactions. Faults of disks, clocks and networks: `tests/chaos` has them, with these checkers.
//! Starting a cluster: whoever has processes hands them over as [`faults::Nodes`].

#![forbid(unsafe_code)]

pub mod check;
pub mod faults;
pub mod gaps;
pub mod history;
pub mod random;
mod regions;
pub mod report;
pub mod run;
pub mod script;
mod workload;
