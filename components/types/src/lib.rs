//! The words every crate shares: ids, log positions, instants, keys, regions.
//!
//! Numbers are newtypes, so that a term is never taken for an index, nor a peer for a store. All
//! are plain values: ordered, without IO, without a clock. Pure, `no_std`.
//!
//! Not here: anything with behaviour. A type belongs here when two crates on different floors must
//! agree on it.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

mod api_version;
mod id;
mod key;
mod position;
mod region;
mod time;
mod timestamp;

pub use api_version::ApiVersion;
pub use id::{ClusterId, GroupId, PeerId, StoreId};
pub use key::{Escaped, KeyRange, decode_key, encode_key, encode_key_into};
pub use position::{EntryId, Index, Term};
pub use region::{Epoch, PeerRole, Region, RegionPeer};
pub use time::Time;
pub use timestamp::Timestamp;
