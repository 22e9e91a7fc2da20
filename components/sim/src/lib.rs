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
//! Chance is drawn for each purpose apart, so a run can be made smaller ([`minimise`]): what is
//! left out ([`Trim`]) moves no other draw. Beside faults, stores behave oddly in legal ways, at
//! [`Site`]s that are counted.
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
mod dice;
mod fate;
mod faults;
mod liveness;
mod machine;
mod minimise;
mod node;
mod odd;
mod plan;
mod ranges;
mod report;
mod retire;
mod run;
mod settings;
mod spawns;
mod spoiled;
mod trim;
mod turn;
pub mod whole;
mod witness;
mod world;

pub use bugs::Bug;
pub use check::Violation;
pub use counts::{Counted, Counts};
pub use minimise::{Extent, Found, Smaller, minimise};
pub use odd::Site;
pub use report::{Count, Failure, Report};
pub use run::Run;
pub use trim::{Class, NO_CLASS, Shape, Size, Trim};

use plan::Plan;
use world::World;

/// What can be left out of a run.
pub const SHAPE: Shape = plan::SHAPE;

/// How large the run of a seed is, if nothing is left out of it.
#[must_use]
pub fn extent(seed: u64) -> Extent {
    Plan::drawn(seed).extent()
}

/// Does one run.
///
/// # Errors
/// The first property that does not hold.
pub fn run(run: &Run<'_, Bug>) -> Result<Report, Failure> {
    let mut world = World::new(run);
    let outcome = world.safety().and_then(|()| world.liveness());
    world.finish(run.seed, outcome)
}
