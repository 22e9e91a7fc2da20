//! Clusters of real processes on loopback, over gRPC and RocksDB, under crashes and bad disks.
//!
//! | file | what is done to the nodes |
//! |---|---|
//! | `crash` | killed one by one and all at once, under load |
//! | `power` | power is lost on all of them at once; needs root |
//! | `full` | a disk without room; needs root |
//! | `strangers` | garbage, another cluster's node, another store's disk |
//!
//! `POWER_LOSS_ROUNDS=50 cargo test -p cluster power` loses power 50 times; the default is 3.
//!
//! What is always checked, by `load`: every value that was acknowledged is in its group exactly
//! once, in the slot that was told, in the order of slots; nothing is there that was refused.

mod cluster;
mod crash;
mod full;
mod load;
mod power;
mod process;
mod strangers;

use ::cluster::disks;
