//! A succession of honest leaders, and what they send to the one follower under test.
//!
//! Each leader's log begins with a part of an earlier leader's, at least with all that is
//! committed, and goes on with entries of its own term. So logs diverge and are cut, but never
//! where Raft forbids it. Packets wait in the network, are delivered in any order, more than once,
//! or never.
//!
//! Logs are plain lists of entries from slot 0, the place before the first.

use std::sync::Arc;

use raft::{Body, Member, Membership, Message, Seat, Stamp};
use raft_world::{App, Cargo, Entry, Packet, Payload};
use types::{EntryId, Index, PeerId, Term};

pub(crate) fn id(n: u64) -> PeerId {
    PeerId::new(n).expect("tests name peers from 1")
}

/// The membership at the beginning.
pub(crate) fn voters() -> Membership {
    Membership::of_voters(&[1, 2, 3].map(id)).expect("three voters")
}

pub(crate) fn index(at: usize) -> Index {
    Index(at as u64)
}

pub(crate) fn slot(index: Index) -> usize {
    usize::try_from(index.0).expect("a test's log is short")
}

/// The slot and the membership in force at the end of this log.
pub(crate) fn membership_of(log: &[Entry]) -> (Index, Membership) {
    let newest = log.iter().rev().find_map(|entry| match &entry.payload {
        Payload::Membership(membership) => Some((entry.id.index, membership.clone())),
        _ => None,
    });
    newest.unwrap_or((Index(0), voters()))
}

/// The leaders and the network.
pub(crate) struct Leaders {
    pub(crate) term: Term,
    /// The log of the leader of `term`.
    pub(crate) log: Vec<Entry>,
    /// Logs of former leaders that hold all that is committed.
    past: Vec<Vec<Entry>>,
    committed: usize,
    pub(crate) packets: Vec<Packet>,
    stamp: u64,
}

impl Leaders {
    pub(crate) fn new() -> Leaders {
        let nothing = Entry { id: EntryId::default(), payload: Payload::Empty };
        Leaders {
            term: Term(1),
            log: vec![nothing],
            past: Vec::new(),
            committed: 0,
            packets: Vec::new(),
            stamp: 0,
        }
    }

    /// Another leader: it has the first `keep` entries of some log, and all that is committed.
    pub(crate) fn elect(&mut self, which: usize, keep: usize, skip: u64) {
        self.past.push(self.log.clone());
        let log = &self.past[which % self.past.len()];
        let end = (self.committed + keep).min(log.len() - 1);
        self.log = log[..=end].to_vec();
        self.term = Term(self.term.0 + 1 + skip);
    }

    /// The leader appends, a membership if it may and is asked to.
    pub(crate) fn grow(&mut self, count: usize, with_membership: bool) {
        for nth in 0..count {
            let id = EntryId::new(self.term, index(self.log.len()));
            let may = slot(membership_of(&self.log).0) <= self.committed;
            let payload = if nth == 0 && with_membership && may {
                Payload::Membership(self.with_learner())
            } else {
                Payload::Command(Arc::from(format!("{id}")))
            };
            self.log.push(Entry { id, payload });
        }
    }

    /// A membership that is like no other: its learner is named after slot and term.
    fn with_learner(&self) -> Membership {
        let learner = id(1_000 * self.log.len() as u64 + self.term.0);
        let mut members: Vec<Member> = voters().iter().collect();
        members.push(Member::new(learner, Seat::Learner));
        Membership::new(&members).expect("three voters and a learner")
    }

    /// Others make up a majority: the leader commits, if an entry of its own term is the last.
    pub(crate) fn commit(&mut self, upto: usize) {
        let upto = upto.min(self.log.len() - 1);
        if upto > self.committed && self.log[upto].id.term == self.term {
            self.committed = upto;
            let settled = self.log[..=upto].to_vec();
            self.past.retain(|log| log.starts_with(&settled));
        }
    }

    /// The leader sends entries behind `prev`; less than there are, or none.
    pub(crate) fn append(&mut self, prev: usize, count: usize, lag: usize) {
        let prev = prev.min(self.log.len() - 1);
        let last = (prev + count).min(self.log.len() - 1);
        let body = Body::Append {
            prev: self.log[prev].id,
            last: index(last),
            commit: index(self.committed.saturating_sub(lag)),
            stamp: self.next_stamp(),
        };
        let entries = self.log[prev + 1..=last].to_vec();
        self.send(body, Cargo::Entries(entries));
    }

    pub(crate) fn beat(&mut self) {
        let body = Body::Beat { commit: index(self.committed), stamp: self.next_stamp() };
        self.send(body, Cargo::None);
    }

    /// The leader sends a snapshot of something committed.
    pub(crate) fn snapshot(&mut self, lag: usize) {
        let at = self.committed.saturating_sub(lag);
        let mut app = App::new(self.log[at].id, voters());
        app.membership = membership_of(&self.log[..=at]);
        let body = Body::Install { snapshot: self.log[at].id, stamp: self.next_stamp() };
        self.send(body, Cargo::Snapshot(Box::new(app)));
    }

    fn send(&mut self, body: Body, cargo: Cargo) {
        // The others take turns in leading.
        let from = id(2 + self.term.0 % 2);
        let message = Message { term: self.term, body };
        self.packets.push(Packet { from, to: id(1), message, cargo });
    }

    fn next_stamp(&mut self) -> Stamp {
        self.stamp += 1;
        Stamp(self.stamp)
    }

    /// One of the packets, counted from the newest, which may come again.
    pub(crate) fn take(&mut self, which: usize, again: bool) -> Option<Packet> {
        if self.packets.is_empty() {
            return None;
        }
        let which = self.packets.len() - 1 - which % self.packets.len();
        Some(if again { self.packets[which].clone() } else { self.packets.swap_remove(which) })
    }
}
