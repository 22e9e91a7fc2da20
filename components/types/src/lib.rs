//! The words every crate shares: ids, log positions, instants.
//!
//! Each is a newtype, so that a term is never taken for an index, nor a peer for a store. They are
//! plain values: `Copy`, ordered, without IO, without a clock. Pure, `no_std`.
//!
//! Not here: anything with behaviour. A type belongs here when two crates on different floors must
//! agree on it.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod id;
mod position;
mod time;

pub use id::{ClusterId, GroupId, PeerId, StoreId};
pub use position::{EntryId, Index, Term};
pub use time::Time;
