//! The rules of the game: what each Raft core must do to be measured.
//!
//! A contender builds clusters of three in-memory stores in one thread. Every group has one replica
//! on each store; group `g` is led from store `g % 3`. Messages move by value: nothing is encoded,
//! nothing is written to disk. A proposal's payload is copied once from the caller's slice (a real
//! request owns its bytes); every replica's log must be able to give it back, and every replica
//! applies it by `touch`.
//!
//! Invariant: after `settle`, `tally().applied` is three times what was proposed, and
//! `tally().checksum` is the same for every contender.

use std::iter::Sum;
use std::time::Duration;

use crate::counts::Counter;

/// Replicas of each group, one per store.
pub const REPLICAS: usize = 3;

/// A leader makes itself heard this often.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// A follower that heard nothing for this long (at least; at most twice this) stands for election.
pub const ELECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Whose core this is: the ratio is ours against the best peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This repository.
    Ours,
    /// Anybody else.
    Peer,
}

/// The part a replica plays while its memory is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, has nothing to do.
    Follower,
    /// Leads two followers that are level, has nothing to do.
    Leader,
}

/// One way of driving one Raft core.
pub trait Contender {
    /// Column head in the table, key in the JSON.
    fn name(&self) -> &'static str;

    /// Whose core it is.
    fn side(&self) -> Side;

    /// Three stores with `groups` groups, every leader elected, the election's own entry applied.
    fn cluster(&self, groups: usize) -> Box<dyn Cluster>;

    /// Mean memory of one idle replica of `role`, over `groups` groups that have each committed
    /// `FOOTPRINT_PROPOSALS`, truncated their log and exchanged three heartbeats.
    fn footprint(&self, role: Role, groups: usize, counter: Counter) -> Footprint;
}

/// Proposals of 16 bytes that a group commits before its memory is counted.
pub const FOOTPRINT_PROPOSALS: usize = 8;

/// Three stores in one thread.
pub trait Cluster {
    /// Proposes `per_drain` payloads at the leader of each group before the leader is drained, then
    /// runs all stores until nothing is in flight. All leaders have then applied them; followers
    /// may learn of the commit with the next round, or in `settle`.
    fn propose_round(&mut self, per_drain: usize, payload: &[u8]);

    /// Brings every replica of every group level: everything proposed is applied three times.
    /// Timed together with the rounds before it.
    fn settle(&mut self);

    /// One heartbeat interval passes: every leader is heard by its followers and hears them.
    fn heartbeat_round(&mut self);

    /// Sixty seconds of virtual time in which nobody asks for anything, and after which every group
    /// still has the same leader. A leader's silence must stay noticeable within twice
    /// `ELECTION_TIMEOUT` all the while.
    fn idle_minute(&mut self);

    /// What was done so far.
    fn tally(&self) -> Tally;
}

/// What a cluster has done since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages handed from one store to another.
    pub messages: u64,
    /// Payloads applied, summed over replicas.
    pub applied: u64,
    /// Sum of `touch` over applied payloads (wrapping).
    pub checksum: u64,
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(tallies: I) -> Tally {
        tallies.fold(Tally::default(), |sum, one| Tally {
            messages: sum.messages + one.messages,
            applied: sum.applied + one.applied,
            checksum: sum.checksum.wrapping_add(one.checksum),
        })
    }
}

/// Memory of one idle replica.
#[derive(Clone, Copy, Debug, Default)]
pub struct Footprint {
    /// Bytes of the core: its struct plus its heap.
    pub core_bytes: f64,
    /// Heap allocations of the core.
    pub core_allocations: f64,
    /// Bytes of the log store that the core cannot do without.
    pub storage_bytes: f64,
    /// Heap allocations of that store.
    pub storage_allocations: f64,
}

/// The state machine of every contender: reads each byte once.
pub fn touch(payload: &[u8]) -> u64 {
    payload.iter().fold(0_u64, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}
