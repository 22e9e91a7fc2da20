//! What travels between nodes, and the links it waits on.
//!
//! A link keeps order and loses nothing by itself. Whether it is blocked matters when its contents
//! are handed over, not when they are queued.

use std::collections::{BTreeMap, BTreeSet};

use raft::{Change, ReadToken};
use raft_world::Packet;
use types::PeerId;

/// One thing on a link.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// From core to core.
    Packet(Packet),
    /// A host asks the leader in the name of whoever asked it.
    Request(Request),
    /// A read that was forwarded has been confirmed.
    ReadConfirmed,
}

/// What only a leader can do.
#[derive(Debug)]
pub(crate) enum Request {
    Propose(String),
    Transfer(PeerId),
    Read(ReadToken),
    Change(Vec<Change>),
}

impl Parcel {
    pub(crate) fn is_snapshot(&self) -> bool {
        matches!(self, Parcel::Packet(packet) if packet.is_snapshot())
    }
}

/// All links, by sender and receiver.
#[derive(Debug, Default)]
pub(crate) struct Links {
    queued: BTreeMap<(PeerId, PeerId), Vec<Parcel>>,
    blocked: BTreeSet<(PeerId, PeerId)>,
}

impl Links {
    pub(crate) fn block(&mut self, from: PeerId, to: PeerId) {
        self.blocked.insert((from, to));
    }

    pub(crate) fn unblock_all(&mut self) {
        self.blocked.clear();
    }

    pub(crate) fn is_blocked(&self, from: PeerId, to: PeerId) -> bool {
        self.blocked.contains(&(from, to))
    }

    pub(crate) fn push(&mut self, from: PeerId, to: PeerId, parcel: Parcel) {
        self.queued.entry((from, to)).or_default().push(parcel);
    }

    pub(crate) fn take(&mut self, from: PeerId, to: PeerId) -> Vec<Parcel> {
        self.queued.remove(&(from, to)).unwrap_or_default()
    }

    /// Everything on a link is lost, snapshots apart.
    pub(crate) fn lose(&mut self, from: PeerId, to: PeerId) {
        if let Some(parcels) = self.queued.get_mut(&(from, to)) {
            parcels.retain(Parcel::is_snapshot);
        }
    }

    /// Everything from and to a node is lost. Returns who was sending it a snapshot.
    pub(crate) fn lose_all_of(&mut self, node: PeerId) -> Vec<PeerId> {
        let mut senders = Vec::new();
        self.queued.retain(|&(from, to), parcels| {
            if to == node && parcels.iter().any(Parcel::is_snapshot) {
                senders.push(from);
            }
            from != node && to != node
        });
        senders
    }
}
