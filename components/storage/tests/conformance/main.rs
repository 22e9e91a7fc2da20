//! One suite for every engine: what it does, and what a crash leaves, is compared with a model.
//!
//! `machine` draws sequences of steps and carries them out on a `rig`: an engine with what it needs
//! to be crashed and opened again. `contract` holds what is better said in a few lines of its own.
//!
//! The memory engine runs always, RocksDB with the feature `rocksdb`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod machine;
mod memory;
mod model;
mod rig;
#[cfg(feature = "rocksdb")]
mod rocks;
