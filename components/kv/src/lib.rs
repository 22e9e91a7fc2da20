//! The state machine of a region: a range of keys, their values, and how both change.
//!
//! A region is served by a group of the multi-Raft engine, whose id is its id. [`RegionMachine`] is
//! what the group's log is applied to, and [`Regions`] makes the machines of a store and knows
//! which of them has which keys. Nothing here has a clock, a thread or a disk of its own.
//!
//! # On disk
//!
//! ```text
//!   meta     R region        its record: range, epoch, peers, as applied
//!   default  engine key      flags, time of expiry, value
//!   lock     engine key      the same, for clients that name the family
//!   write    engine key      the same
//! ```
//!
//! All regions of a store share one space of *engine keys*; [`edge`] makes them of what clients
//! call a key. So a split moves no data: it writes records, and the keys are somebody else's.
//!
//! # One write
//!
//! 1. The edge checks the request and makes engine keys and stored values ([`Edge`]).
//! 2. [`edge::check`] compares the request with the region as it is here ([`Regions::get`]).
//! 3. A [`command::Command`] is proposed under the epoch that was seen, with the proposer's clock
//!    in it if it needs one.
//! 4. Every replica applies it: epoch and keys are checked again, since a split may have come
//!    between, and the answer is a [`Reply`], the same everywhere.
//!
//! | command | compares | changes |
//! |---|---|---|
//! | write, compare and set, delete a range | version | – |
//! | split | version and conf-version | version of all parts, by the number of cuts |
//! | a membership | – | conf-version, by one |
//!
//! # One read
//!
//! 1. The same checks; the reader keeps the [`RegionState`] that it was checked with.
//! 2. The engine grants the right to read.
//! 3. A view is taken, **and then** the state is compared with what the region is now
//!    ([`Regions::check_still`]). In this order: whatever a view shows of a split, of a snapshot
//!    that was being installed, or of a removal, was said in the index before it was written. The
//!    other way round, a split between comparison and view would go unnoticed, and the keys that
//!    were cut off would be read behind their new owner's back.
//! 4. [`read::Reader`] reads from the view.
//!
//! # One split
//!
//! [`split::SizeScan`] finds where to cut. The command names the new regions and their peers; the
//! parent keeps the last part, as keys that rise with time are written there. Applying it writes
//! all records in one batch; the engine is told of the children ([`multiraft::Spawn`]) and opens
//! them. Where this store has no peer of the children, their keys are removed.
//!
//! # Ranges do not overlap
//!
//! Those of the regions of one store, ever. A snapshot whose range is another region's here is not
//! admitted until that one has split too, or is gone; once it is admitted, its range is kept for
//! it. What is being removed is kept until the removal is written. See `regions::index`.
//!
//! # What a user owes
//!
//! - Ids of regions and peers are handed out once ([`command::NewRegion`]).
//! - Regions that a cluster is born with: [`Regions::prepare`], then create the group; if that is
//!   refused, [`Regions::withdraw`]. After the store was opened, [`Regions::sweep`].
//! - [`edge::check`] before a proposal or a read, and [`Regions::check_still`] with each view.
//! - Measuring, now and then: [`Regions::set_measured`].
//!
//! # Reading order
//!
//! [`command`] and [`Reply`]: the vocabulary · [`machine`]: what is done with it · [`Regions`]:
//! what the store sees · [`read`] · [`edge`] · [`split`]. [`keys`] lists what lies where, [`value`]
//! what a value looks like. `TESTED.md` says which test holds what.
//!
//! # Not here
//!
//! Transactions and merge, whose numbers are reserved. Removing what has expired: readers skip it.
//! Who leads, and where replicas live.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod command;
pub mod edge;
mod error;
pub mod keys;
pub mod machine;
pub mod read;
mod record;
mod regions;
mod reply;
pub mod split;
pub mod value;

pub use edge::Edge;
pub use error::{BadRequest, RegionError};
pub use keys::record_key;
pub use machine::RegionMachine;
pub use record::{FAMILIES, Malformed, decode_record, encode_record};
pub use regions::{Config, Load, RegionState, Regions};
pub use reply::Reply;
