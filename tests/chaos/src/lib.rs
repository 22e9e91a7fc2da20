//! Named scenarios: what is done to a cluster of real processes, from a seed, and what must hold.
//!
//! ```text
//!  Scenario, seed ─► Cluster of processes ─► verify::run: load │ faults ─► checks ─► verdict
//! ```
//!
//! Every scenario has the same acceptance: the verdict of `verify` is good. So nothing acknowledged
//! is lost, every key is linearizable, the cluster is well again in the end, and each kind of fault
//! is proven to have happened by something that was counted or seen outside of what caused it.
//! Without the last a scenario would be invalid, and that is not good either.
//!
//! What stands between processes and their machine to make it fail is in `gear`, one for all
//! scenarios: disks, a network, a layer before the C library.
//!
//! For how long nothing succeeded is printed, and nothing is asserted about it: it depends on the
//! machine.
//!
//! Not here: the load and the checks, in `verify`; the processes, in `cluster`.

#![forbid(unsafe_code)]

mod clocks;
mod cuts;
mod disks;
mod everything;
mod files;
mod gear;
mod nodes;
mod packets;
mod rot;
pub mod scenario;
mod scene;
mod snapshots;

pub use scenario::{ALL, Scenario};
