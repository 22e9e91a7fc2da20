//! Many Raft groups on one store, under any state machine.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod apply;
mod boot;
mod config;
pub mod courier;
mod disk;
mod entry;
mod fetch;
mod keys;
mod local;
mod log;
mod message;
mod outcome;
mod runtime;
pub mod shard;
mod state_machine;
mod transport;
pub mod wire;

pub use boot::{OpenError, Opened, open, shard_of};
pub use config::Config;
pub use entry::{Entry, Payload, Roster};
pub use fetch::fetch;
pub use local::LocalNetwork;
pub use message::{
    Body, Envelope, Liveness, Parcel, RemovedPeer, SnapshotBody, SnapshotChunk, SnapshotFrame,
    SnapshotOffer, SnapshotRefusal,
};
pub use outcome::{GroupStatus, Outcome, Refusal};
pub use runtime::{Awaited, Counts, Handle, OnFatal, Parts, Pending, Store};
pub use shard::Beginning;
pub use state_machine::{Command, Corrupt, Machines, SnapshotReader, StateMachine};
pub use transport::{Inbox, Transport};
