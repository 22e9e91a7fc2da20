//! skeleton
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

mod boot;
mod config;
mod election;
mod flags;
mod follower;
mod input;
mod leader;
mod leading;
mod log;
mod membership;
mod message;
mod outbox;
mod peer;
mod progress;
pub mod quorum;
mod rng;
mod status;

pub use boot::{Boot, BootError};
pub use config::{BadConfig, Config, Lease};
pub use input::{Content, Foreign, Input, Own, Placed, ReadToken, Refused};
pub use leader::LogSizes;
pub use log::Log;
pub use membership::{BadChange, Change, MEMBERS_MAX, Member, Membership, Seat};
pub use message::{Body, Message, Run, Stamp};
pub use outbox::{Event, LogMark, Outbox, Receipt, SnapshotWanted, Write};
pub use peer::Peer;
pub use progress::{Mode, PeerStatus, Progress};
pub use status::{RoleStatus, Status};
