//! Benches of the Raft core beside crates.io `raft` 0.7, in one process and one table.
//!
//! Why this shape
//! - **A bench without a peer says nothing.** Every measurement runs once per *contender*; the
//!   ratio is taken against the best peer variant of that row, never against a slow setting.
//! - **Noise must cancel.** Contenders take turns (A, B, A, B, ...) inside one process, the clock
//!   is the thread's CPU time, and the table shows medians.
//! - **Same work.** Every contender proposes the same payloads, replicates them to three replicas,
//!   and applies them by `contender::touch`; the suite compares the sums and stops if they differ.
//!
//! Modules
//! - `contender`  what both sides implement, and the rules of the game
//! - `measure`    CPU time of contenders that take turns
//! - `suite`      what is timed
//! - `memory`     what is counted: bytes, allocations, messages
//! - `counts`     what a counting allocator reports
//! - `report`     the table and the JSON file
//! - `ours`       our core, two variants
//! - `peer`       crates.io `raft` 0.7, three variants
//! - `store`      a whole store beside RocksDB (feature `multiraft`)
//! - `cluster`    a whole cluster beside etcd (feature `kv`)
//! - `floor`      the thinnest path that a put can take (feature `floor`)
//! - `planner`    placement with many regions (feature `placement`)
//! - `model`      what more machines would bring, in virtual time (feature `kv`)
//! - `table`, `meters`  of the last four: results, and what the system says
//!
//! Programs: `raft-bench` times, runs `raft-bench-alloc` (which counts) and prints one table. They
//! are two because a counting allocator slows what it counts, the more the more a core allocates.
//!
//! Not here: faults of disks and networks.

#[cfg(feature = "kv")]
pub mod cluster;
pub mod contender;
pub mod counts;
#[cfg(feature = "floor")]
pub mod floor;
pub mod measure;
pub mod memory;
#[cfg(any(feature = "kv", feature = "multiraft", feature = "placement"))]
pub mod meters;
#[cfg(feature = "kv")]
pub mod model;
pub mod ours;
pub mod peer;
#[cfg(feature = "placement")]
pub mod planner;
pub mod report;
#[cfg(feature = "multiraft")]
pub mod store;
pub mod suite;
#[cfg(any(feature = "kv", feature = "multiraft", feature = "placement"))]
pub mod table;

use contender::Contender;

/// Who takes part, in the order of the table's columns. Both programs use this list.
pub fn contenders() -> Vec<Box<dyn Contender>> {
    let ours = [ours::Ours::Sharing, ours::Ours::Copying];
    let ours = ours.into_iter().map(|ours| Box::new(ours) as Box<dyn Contender>);
    let peers = peer::Settings::variants().into_iter().map(|settings| Box::new(settings) as _);
    ours.chain(peers).collect()
}
