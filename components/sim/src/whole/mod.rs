//! Whole clusters: stores with regions, placement on some of them, and clients, from one seed.
//!
//! ```text
//!   clients ── ask, route, timestamps ──┐
//!   host: shard, applier, courier · Regions · what a store does about orders, splits, reports,
//!         births ── heartbeats, reports, ids ──► member: Oracle, RegionTable, Controller
//! ```
//!
//! Real: everything of `multiraft` that [`crate::run`] runs, the regions of `kv` with their
//! machines, placement's state machine, its timestamps, table and planner. A stand-in: what glues
//! them together in a store and in placement's driver, where the real ones wait for sockets and
//! timers. It takes the same steps in the same order; each file names what it stands for.
//!
//! A run has two phases, as there: *safety*, in which stores crash, are cut off, stand still, stay
//! away until they are replaced, join, are drained, or start with other settings; and *liveness*,
//! in which everything heals.
//!
//! Reading order: `plan` · `words`: what is sent · `world` · `host`, `glue`, `orders`, `serving`,
//! `strays`: a store · `member`, `leading`, `seats`: placement · `client`: a client · `faults`,
//! `times`: what goes wrong · `check`: what must hold · `bugs`.

mod bugs;
mod check;
mod client;
mod faults;
mod glue;
mod host;
mod leading;
mod liveness;
mod lives;
mod machines;
mod member;
mod network;
mod orders;
mod people;
mod plan;
mod seats;
mod serving;
mod splits;
mod stamps;
mod strays;
mod tally;
mod times;
mod words;
mod world;

pub use bugs::Planted;
pub use tally::{Kind, Tally};

use crate::minimise::Extent;
use crate::report::Failure;
use crate::run::Run;
use crate::trim::Shape;
use world::World;

/// What can be left out of a run.
pub const SHAPE: Shape = plan::SHAPE;

/// How large the run of a seed is, if nothing is left out of it.
#[must_use]
pub fn extent(seed: u64) -> Extent {
    plan::Plan::drawn(seed).extent()
}

/// Does one run.
///
/// # Errors
/// The first property that does not hold.
pub fn run(run: &Run<'_, Planted>) -> Result<Tally, Failure> {
    let mut world = World::new(run);
    let outcome = world.safety().and_then(|()| world.liveness());
    world.finish(run.seed, outcome)
}
