//! One Raft group under test: hosts, model disks, packets, virtual time, checkers.
//!
//! [`Node`] hosts one peer and does for it what a store does. Everything that tests the core stands
//! on it: the golden scripts (`components/raft/tests/scripts.rs`), the neutral driver
//! (`components/raft/examples/raft-driver.rs`), the randomised simulation ([`sim`]) and the planted
//! bugs that prove its checkers (`tests/mutants.rs`).

pub mod check;
mod disk;
mod entry;
mod node;
mod rng;
pub mod sim;

pub use disk::{Disk, Entries, Image};
pub use entry::{App, Cargo, Entry, Packet, Payload};
pub use node::{Node, Turn};
pub use rng::Rng;
