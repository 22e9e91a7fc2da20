//! The ordered engine under everything: views, atomic batches, column families.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
mod cf;
mod engine;
mod error;
mod health;
mod memory;
#[cfg(feature = "rocksdb")]
mod rocks;

pub use batch::{Batch, Op};
pub use cf::Cf;
pub use engine::{Bounds, Direction, Durability, Engine, TableWriter, View};
pub use error::Error;
pub use health::{Health, Stall};
pub use memory::{Counters, Crash, Faults, MemoryDisk, MemoryEngine, SyncFault};
#[cfg(feature = "rocksdb")]
pub use rocks::{Audit, AuditedLog, Config, Damage, DamageKind, OpenError, RocksEngine};
