//! What the examples share: three nodes in one process, and a client that finds leaders.
//!
//! ```text
//!  examples/kv.rs      all state in the engine     nothing to persist
//!  examples/cache.rs   all state in memory         dumped into the engine when the log is cut
//!  examples/search.rs  state in files of its own   committed when the log is cut
//! ```
//!
//! [`Story`] is what happens in each of them. [`Cluster`] starts, kills and restarts nodes, and is
//! their client. [`parts`] is the format of the examples' commands, [`Chunks`] that of their
//! snapshots, [`Shelf`] the way from a reader to a state machine.
//!
//! Not here: state machines. Each example has its own, whole.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod chunks;
mod client;
mod cluster;
mod failed;
pub mod parts;
mod shelf;
mod story;

pub use chunks::{Chunks, unpack};
pub use cluster::{Cluster, FIRST_GROUP, GROUPS, NODES, Node};
pub use failed::{Failed, ensure};
pub use shelf::Shelf;
pub use story::Story;
