//! Many Raft groups on one store, under any state machine.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod entry;
mod message;
mod state_machine;
mod transport;
pub mod wire;

pub use entry::{Entry, Payload, Roster};
pub use message::{
    Body, Envelope, Liveness, Parcel, RemovedPeer, SnapshotBody, SnapshotChunk, SnapshotFrame,
    SnapshotOffer, SnapshotRefusal,
};
pub use state_machine::{Command, Corrupt, Machines, SnapshotReader, StateMachine};
pub use transport::{Inbox, Transport};
pub mod apply;
mod boot;
mod config;
pub mod courier;
mod disk;
mod keys;
mod log;
mod outcome;
pub mod shard;
pub use boot::{OpenError, Opened, open};
pub use config::Config;
pub use outcome::{GroupStatus, Outcome, Refusal};
