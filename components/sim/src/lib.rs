//! Several stores with many groups in one thread, from one seed.
//!
//! The real shards, apply lanes, couriers, store liveness and recovery of `multiraft`, over engines
//! in memory; everything around them is virtual: clocks that drift, a network that loses, repeats,
//! delays and cuts, disks that stall, fill up, fail and lose what was not synced, processes that
//! die. What may go wrong in a run, the seed says.
//!
//! A run has two phases. In the *safety* phase anything may go wrong, and the checkers of `check`
//! watch every step. In the *liveness* phase everything heals, and the stores must come to rest:
//! every group has a leader, answers commands, is the same everywhere, and falls silent.
//!
//! The same seed gives the same run, step for step; [`Report::trace`] is a hash over all of it.
//!
//! Above this, [`whole`] runs clusters with regions, placement and clients.
//!
//! Not here: transports and threads, which the runtime's own tests run; RocksDB, whose likeness to
//! the engine in memory the conformance suite of `storage` holds.

mod agenda;
mod bugs;
mod callers;
mod check;
mod counts;
mod faults;
mod liveness;
mod machine;
mod node;
mod plan;
mod ranges;
mod report;
mod retire;
mod spawns;
mod spoiled;
pub mod whole;
mod witness;
mod world;

pub use bugs::Bug;
pub use check::Violation;
pub use counts::{Counted, Counts};
pub use plan::Plan;
pub use report::{Count, Failure, Report};

use world::World;

/// Runs one seed, perhaps with a planted bug. If there is someone to tell, every step is told.
///
/// # Errors
/// The first property that does not hold.
pub fn run(seed: u64, bug: Option<Bug>, tell: Option<&dyn Fn(String)>) -> Result<Report, Failure> {
    let mut world = World::new(seed, bug, tell);
    let outcome = world.safety().and_then(|()| world.liveness());
    world.finish(seed, outcome)
}
