//! The ordered engine under everything: an ordered map of bytes with atomic batches over column
//! families, and views of an instant. Two engines keep one contract, [`Engine`]:
//!
//! | | [`MemoryEngine`] | `RocksEngine`, feature `rocksdb` |
//! |---|---|---|
//! | for | tests, simulation | stores |
//! | disk | [`MemoryDisk`], which outlives it and fails on demand | a directory |
//! | same run each time | yes | no |
//!
//! One suite runs on both and compares them with a model, crashes included, so that what is
//! simulated on the one is true of the other.
//!
//! # What survives
//!
//! | | process ends | power is lost |
//! |---|---|---|
//! | synced write, flush, ingest | yes | yes |
//! | buffered write | yes | yes, if a later synced one returned; else all up to some write |
//! | half a batch | never | never |
//! | what a view or a read showed after opening | yes | yes |
//!
//! The two in the middle are why a store syncs its log and buffers what it applies: one batch holds
//! what an entry changed and how far the group has applied, so what is lost is applied again.
//!
//! # What fails
//!
//! After a failed sync nothing is known about what is durable ([`Error::Disk`]): all later writes
//! are refused, and the process ends. A full disk ([`Error::Full`]) writes nothing and can be got
//! over. Damage is never skipped: a read of it is [`Error::Corrupt`], and an engine whose log
//! rotted does not open. For that `RocksEngine` audits its logs first, with the help of a witness,
//! a small file that says how far they were durable; see the modules `rocks::audit` and
//! `rocks::witness`, and `docs/decisions/0007-storage-layout.md`.
//!
//! # Not here
//!
//! Which keys there are, and what they mean. Retrying. Waiting for a stall to pass: [`Health`] says
//! that there is one.

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
