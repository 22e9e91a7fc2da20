//! Many Raft groups on one store, under any state machine.
//!
//! A [`Store`] hosts thousands of groups on a few threads and one engine. What all of them have for
//! the disk at a moment goes into one write with one sync, what they have for another store into
//! one parcel; a group at rest costs nothing but its memory. What the groups *mean* is a
//! [`StateMachine`]: a map on disk, a cache in memory, a search index. How stores reach each other
//! is a [`Transport`]. Those two traits, [`Machines`] and [`storage::Engine`] are all that a user
//! brings.
//!
//! # A store and a group
//!
//! ```
//! # use std::sync::Arc;
//! # use multiraft::{Beginning, Command, Config, Corrupt, LocalNetwork, Machines, Outcome, Parts};
//! # use multiraft::{Roster, SnapshotReader, StateMachine, Store};
//! # use storage::{Batch, Cf, Engine, MemoryDisk, MemoryEngine, View};
//! # use types::{ClusterId, EntryId, GroupId, Index, PeerId, StoreId, Term};
//! struct Last(GroupId); // the state: the last command
//!
//! impl StateMachine for Last {
//!     fn apply(
//!         &mut self,
//!         commands: &[Command<'_>],
//!         _view: &dyn View,
//!         batch: &mut Batch,
//!         replies: &mut Vec<bytes::Bytes>,
//!     ) {
//!         for command in commands {
//!             batch.put(Cf::Default, &self.0.get().to_be_bytes(), command.data);
//!             replies.push("done".into());
//!         }
//!     }
//! #   fn snapshot(&mut self, _view: Box<dyn View>) -> Box<dyn SnapshotReader> { unreachable!() }
//! #   fn clear(&mut self, batch: &mut Batch) {
//! #       batch.delete(Cf::Default, &self.0.get().to_be_bytes());
//! #   }
//! #   fn restore(&mut self, _: &[u8], _: &mut Batch) -> Result<(), Corrupt> { unreachable!() }
//!     // … snapshot, clear, restore
//! }
//!
//! struct Lasts;
//!
//! impl Machines for Lasts {
//!     fn open(
//!         &self,
//!         group: GroupId,
//!         _: &Arc<dyn Engine>,
//!     ) -> Result<Box<dyn StateMachine>, Corrupt> {
//!         Ok(Box::new(Last(group)))
//!     }
//!     fn destroy(&self, group: GroupId, batch: &mut Batch) {
//!         Last(group).clear(batch);
//!     }
//! }
//!
//! let (me, group) = (StoreId::new(1).unwrap(), GroupId::new(1).unwrap());
//! let network = LocalNetwork::new();
//! let store = Store::open(Parts {
//!     config: Config::default(),
//!     identity: (ClusterId::new(1).unwrap(), me),
//!     engine: Arc::new(MemoryEngine::open(MemoryDisk::new())?),
//!     machines: Arc::new(Lasts),
//!     transport: network.transport(me),
//!     observer: None,
//!     on_fatal: None,
//! })?;
//! network.join(me, store.inbox());
//!
//! let peer = PeerId::new(1).unwrap();
//! let roster = Roster::of_voters(&[(peer, me)])?;
//! let at = EntryId::new(Term(1), Index(1));
//! let handle = store.handle();
//! assert_eq!(handle.create(group, Beginning { peer, at, roster }).wait(), Outcome::Done);
//! let outcome = loop {
//!     match handle.propose(group, "hello".into()).wait() {
//!         Outcome::Refused(_) => {} // no leader yet
//!         outcome => break outcome,
//!     }
//! };
//! assert!(matches!(outcome, Outcome::Applied { .. }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the engine promises
//!
//! - A command that was answered with [`Outcome::Applied`] is on the disks of a majority, and in
//!   the state of this store; it survives whatever leaves a majority of disks.
//! - A command is applied at most once for each time it was proposed, in one order everywhere.
//!   [`Outcome::Refused`] says that it never will be. [`Outcome::Undetermined`] says that nobody
//!   knows; every request ends in one of them. A leader that lost its place gives up after
//!   [`Config::undetermined_after`]. A disk without room is waited for as long as that lasts, if
//!   nobody else can lead: who does not want to waits with [`Pending::wait_for`].
//! - A read that was granted ([`Outcome::Readable`]) sees everything that was answered before; so
//!   does one that found a [`Lease`], which asks no thread.
//! - A failed sync stops the store. A full disk makes it wait, and give up what it leads. A disk
//!   that stands still costs it leadership after [`Config::disk_stall_after`].
//! - What arrives from other stores is checked; what is nonsense is refused and counted.
//! - What grows with what is asked and sent has a limit in [`Config`], or in the core's.
//!
//! # What a user owes
//!
//! 1. *Ids.* [`PeerId`](types::PeerId)s of a group rise and are never reused; a store's id belongs
//!    to one disk for ever. A store without its disk is another store.
//! 2. *The engine.* The family `raft` is the store's, and so are the keys of `meta` that begin with
//!    a small letter: a state machine's own there begin with a capital. Its keys tell its groups
//!    apart.
//! 3. *State machines* are deterministic and keep [`StateMachine`]'s contract.
//! 4. *Membership.* At most one peer of a group on a store. Newcomers as learners first.
//! 5. *Times.* Stores whose groups meet have the same election timeout, and leases all or none of
//!    them: nothing here compares them, a transport had better.
//! 6. *Retry.* What was refused may be asked again; what is undetermined may have been done.
//!
//! # Reading order
//!
//! [`StateMachine`], [`Transport`], [`Handle`]: the outside · [`shard`]: what a store decides, pure
//! · [`shard::event`]: its whole vocabulary · [`shard::liveness`]: who is alive · [`Pledges`]: what
//! leases of groups at rest rest on · [`apply`]: the way into state machines · [`courier`]:
//! snapshots · `boot`: from disk to groups · `runtime`: the threads. `TESTED.md` says which test
//! holds what.
//!
//! # Not here
//!
//! Key ranges, splits and merges; who decides where peers live; forwarding to leaders.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod apply;
mod boot;
mod config;
pub mod courier;
mod disk;
mod entry;
mod fetch;
mod group_map;
mod keys;
mod lease;
mod local;
mod log;
mod message;
mod observer;
mod outcome;
mod pledges;
mod runtime;
pub mod shard;
mod state_machine;
mod transport;
pub mod wire;

pub use boot::{OpenError, Opened, open, shard_of};
pub use config::Config;
pub use entry::{Entry, Payload, Roster};
pub use fetch::fetch;
pub use group_map::GroupMap;
pub use lease::{Grant, Lease};
pub use local::LocalNetwork;
pub use message::{
    Body, Envelope, Liveness, Parcel, RemovedPeer, SnapshotBody, SnapshotChunk, SnapshotFrame,
    SnapshotOffer, SnapshotRefusal,
};
pub use observer::{Observer, Standing};
pub use outcome::{GroupStatus, Outcome, Refusal};
pub use pledges::Pledges;
pub use raft::{Change, Member, Membership, Seat};
pub use runtime::{
    Awaited, BOUNDS, Counts, Handle, Histogram, OnFatal, Parts, Pending, Store, Times,
};
pub use shard::Beginning;
pub use state_machine::{Command, Corrupt, Machines, SnapshotReader, Spawn, StateMachine};
pub use transport::{Inbox, Transport};
