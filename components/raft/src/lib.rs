//! Consensus for one group: a pure Raft core.
//!
//! A [`Peer`] is one member of one group, as a value. Whatever happens to it is an [`Input`] given
//! to [`Peer::step`]; whatever it wants done comes out of [`Peer::drain`] into an [`Outbox`]. It
//! reads no clock, holds no entry, touches no disk and no network, and draws chance from a seed:
//! the same inputs give the same outputs. A store hosts a hundred thousand of these.
//!
//! Raft itself is not explained here: read Ongaro's thesis, *Consensus: Bridging Theory and
//! Practice* (2014), whose sections are cited throughout.
//!
//! # The loop
//!
//! ```
//! # use raft::{Config, Boot, Input, LogSizes, Membership, Outbox, Peer, Placed};
//! # use std::sync::Arc;
//! # use types::{Index, PeerId, Time};
//! struct Sizes; // a host answers from its log
//! impl LogSizes for Sizes {
//!     fn fit(&self, entries: std::ops::Range<Index>, _bytes_max: u64) -> (Index, u64) {
//!         (entries.end, 0)
//!     }
//! }
//!
//! // A new group of one: it starts from a snapshot that all first members share.
//! let me = PeerId::new(1).unwrap();
//! let first = Membership::of_voters(&[me])?;
//! let mut boot = Boot::empty(me, 42);
//! boot.membership = (Index(0), &first);
//! let mut peer = Peer::restore(Arc::new(Config::default()), &boot, Time(0))?;
//!
//! let mut out = Outbox::new();
//! let now = peer.deadline().expect("a voter without leader waits for its election timer");
//! let mut inputs = vec![Input::Timer];
//! while let Some(input) = inputs.pop() {
//!     // 1. Step. Do to your copy of the log what the core did to its own, before the next step.
//!     if let Placed::Own(id, content) = peer.step(now, input, &mut out)? {
//!         println!("append {id} {content:?}");
//!     }
//!     // 2. Drain, and carry out what comes out, in any order.
//!     if peer.is_dirty() {
//!         peer.drain(now, &Sizes, &mut out);
//!     }
//!     assert!(out.sends.is_empty(), "there is nobody to send to");
//!     if let Some(write) = out.write.take() {
//!         // 3. When the write is durable, say so.
//!         inputs.push(Input::Persisted(write.receipt));
//!     }
//!     out.clear();
//! }
//! assert_eq!(peer.status().leader, Some(me));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Between a step and its drain there may be other steps: the more a turn gathers, the fewer
//! messages, writes and read rounds it takes. A peer that is not stepped is not called at all.
//!
//! # What the host owes
//!
//! 1. *Log.* Keep a copy of the log that follows [`Placed`] at once. Attach its entries to outgoing
//!    appends, and say with [`Content`] what came with incoming ones.
//! 2. *Writes.* Make a peer's writes durable in the order they come out, each as a whole, and hand
//!    each receipt back afterwards. Late, repeated or left-out receipts are harmless: a later one
//!    implies the earlier. A write whose receipt was handed back must survive.
//! 3. *Messages.* Send them when they come out; none waits for a disk. Losing, delaying, repeating
//!    and reordering them costs time, never safety. Keep one peer's messages in order where you
//!    can: a beat that overtakes an append looks as if the append was lost.
//! 4. *Apply.* Apply [`Outbox::commit`] in order, to a state that remembers how far it has come,
//!    and start from there ([`Boot::applied`]). Compact only what is durably applied. A write that
//!    installs a snapshot replaces the state: what was handed out before it and is not applied yet
//!    is covered by it.
//! 5. *Time.* Hand in a monotonic clock, read after the input arrived (for [`Peer::lease`], after
//!    the request). With leases on it must count the time a machine is suspended and must not jump:
//!    the drift bound is all the margin there is. Ask [`Peer::deadline`] after each turn and give
//!    [`Input::Timer`] when it has passed.
//! 6. *Snapshots.* For each [`SnapshotWanted`] find one, send it, and say when that has ended
//!    ([`Input::SnapshotEnded`]), however it ended. Hand in [`Body::Install`] when all of it is
//!    here, or when [`Peer::wants_snapshot`] says that its data is not needed.
//! 7. *Failure detector*, if there is one: say [`Input::Support`] of a peer whenever it begins or
//!    ceases, and afresh after each [`Event::Leader`] and [`Event::Membership`]. A restart of its
//!    store is both, the end of one life and the beginning of another. A peer whose replica is
//!    gone, or set aside, while its store is well must not be vouched for. Without a detector,
//!    leave it out: nobody sleeps.
//! 8. *Identity.* A [`PeerId`](types::PeerId) is never reused, not even on another disk: votes and
//!    acks are promises of the one who made them.
//! 9. *Removed peers* are not told so by the core. Destroy their replicas; until then they ask for
//!    pre-votes in vain.
//!
//! `raft-world`'s `Node` is this list as code.
//!
//! # What the core promises
//!
//! - Everything in the thesis' figure 3.2: at most one leader a term, logs that match, leaders that
//!   hold all that is committed, one state.
//! - No message rests on what a crash could take back. What waits for a disk is kept as *state*,
//!   not as a message, and built from the state of the moment it leaves: vote grants, acks, the
//!   right to ask for votes and to lead ([`Receipt`], `follower`, `election`).
//! - [`Outbox::commit`] is contiguous but for installed snapshots, each slot once per life,
//!   committed and durable here.
//! - Reads released in [`Outbox::reads`], and states read under [`Peer::lease`], are linearizable.
//!   Every read ends once, confirmed or refused.
//! - A message from the network is checked: whatever it says, it is obeyed, ignored, or refused
//!   with [`Refused::Foreign`] and no effect. Nothing panics, nothing grows beyond the size of the
//!   input.
//! - Own invariants are asserted; the costly ones in debug builds.
//!
//! # Five decisions
//!
//! - The log is metadata ([`Log`]) and messages name slots. So there is no storage trait, no I/O
//!   error, no pagination and no copy in the core (`docs/decisions/0002`).
//! - One echoed [`Stamp`] per member in place of activity bits, read contexts, ticks and in-flight
//!   rings: check-quorum, lease, reads and stale answers from one number (`0003`).
//! - Receipts that describe themselves ([`LogMark`]) in place of numbered writes: late and
//!   overtaken writes cannot confuse (`0004`).
//! - Membership takes effect when appended, always through a joint one: a pure function of the log
//!   (`0005`).
//! - Deadlines in place of ticks, and sleep while a store-level failure detector vouches: idle
//!   groups cost nothing (`0006`).
//!
//! # Reading order
//!
//! [`message`](Message) and [`Input`]: the whole vocabulary · `peer`: the state, dispatch, drain ·
//! `log`: terms and stability · `election` · `promise` · `follower` · `progress`: what a leader
//! knows of a member · `leader`: what it sends · `leading`: what it is asked · `membership` and
//! [`quorum`].
//! Then a story: `scripts/append/diverged_followers_converge_on_leader_log`. `TESTED.md` says which
//! test holds which property, and which known bug of other cores it would have caught.
//!
//! # Not here
//!
//! Entry contents, codecs, forwarding of proposals, retry, region epochs: the host's. Witnesses:
//! the [`Seat`] exists and is refused. Peers do not authenticate each other: whoever can send
//! messages as a member can stop the group, though not corrupt it while what it says is consistent.

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
mod promise;
pub mod quorum;
mod reach;
mod rng;
mod sleep;
mod status;

pub use boot::{Boot, BootError};
pub use config::{BadConfig, Config, Lease};
pub use input::{Content, Foreign, Input, Own, Placed, ReadToken, Refused};
pub use leader::LogSizes;
pub use log::Log;
pub use membership::{BadChange, Change, MEMBERS_MAX, Member, Membership, Seat};
pub use message::{Body, Message, Pledge, Run, Stamp};
pub use outbox::{Event, LogMark, Outbox, Receipt, SnapshotWanted, Write};
pub use peer::Peer;
pub use progress::{Mode, PeerStatus, Progress};
pub use status::{RoleStatus, Status};
