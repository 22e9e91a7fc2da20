//! What the core asks its host to do.

use alloc::vec::Vec;
use core::ops::Range;

use types::{EntryId, Index, PeerId, Term};

use crate::input::{ReadToken, Refused};
use crate::message::{Body, Message, Stamp};

/// The effects of some steps and a drain. Owned by the host and reused for every peer it runs, so
/// that a peer at rest holds no buffers. Empty it (as [`Outbox::clear`] does) before the next
/// peer's turn. There is no order between the fields: whatever must wait for a write is not handed
/// out before [`crate::Input::Persisted`] says that the write is done.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Send these now. Losing, delaying, repeating or reordering them is allowed.
    pub sends: Vec<(PeerId, Message)>,
    /// Find a snapshot for each of these and send it.
    pub snapshots: Vec<SnapshotWanted>,
    /// Make this durable. Writes of one peer are made durable in order.
    pub write: Option<Write>,
    /// Apply these: committed, durable here, following on the last range, or on the snapshot that
    /// was installed since, without gap.
    pub commit: Range<Index>,
    /// These reads have ended: answer from a state that has applied the index, or refuse.
    pub reads: Vec<(ReadToken, Result<Index, Refused>)>,
    /// News for the host.
    pub events: Vec<Event>,
}

/// One unit of durable change; the parts become durable together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a write that is dropped is a broken promise"]
pub struct Write {
    /// Hand this back in [`crate::Input::Persisted`] when the write is durable.
    pub receipt: Receipt,
    /// The commit index at this time, saved for free with what must be written anyway.
    pub commit: Index,
    /// Replace log and state by this snapshot, before the entries.
    pub install: Option<EntryId>,
    /// Drop the stored log from the start of this range on, then store these slots.
    pub entries: Range<Index>,
}

/// What one write made durable: the host hands it back verbatim. Self-describing and compared with
/// the state at that time, so that late, repeated and skipped receipts are all harmless
/// (thesis §3.8; `docs/decisions/0004-typed-receipts.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The term to store.
    pub term: Term,
    /// Whom this peer voted for in it, to store.
    pub vote: Option<PeerId>,
    /// How far the log goes.
    pub log: LogMark,
}

/// A position in the log of the leader of `term`, see the `log` module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogMark {
    /// The leader whose log this is a prefix of.
    pub term: Term,
    /// The last slot.
    pub index: Index,
}

/// A peer that cannot be caught up from the log any more (thesis §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotWanted {
    /// Who needs it.
    pub to: PeerId,
    /// The snapshot must cover at least this slot.
    pub at_least: Index,
    /// Term of the leader that asks.
    pub term: Term,
    /// When it asked.
    pub stamp: Stamp,
}

impl SnapshotWanted {
    /// The header to send with the snapshot that was found.
    #[must_use]
    pub fn header(&self, snapshot: EntryId) -> Message {
        Message { term: self.term, body: Body::Install { snapshot, stamp: self.stamp } }
    }
}

/// News for the host. Every change of leader or membership is told, the latest once per drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// This peer is in another term now, or follows another leader, or none, or leads itself.
    Leader {
        /// Its term.
        term: Term,
        /// Whom it takes for the leader.
        leader: Option<PeerId>,
    },
    /// Another membership is in force: that of this slot.
    Membership(Index),
    /// The transfer under way was given up; proposals are taken again.
    TransferEnded,
    /// This peer would campaign, but for what [`crate::Peer::protect`] was told: go on no longer.
    LetGo,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Outbox {
        Outbox::default()
    }

    /// Empties it, keeping its capacity for the next peer.
    pub fn clear(&mut self) {
        let Outbox { sends, snapshots, write, commit, reads, events } = self;
        sends.clear();
        snapshots.clear();
        *write = None;
        *commit = Index(0)..Index(0);
        reads.clear();
        events.clear();
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sends.is_empty()
            && self.snapshots.is_empty()
            && self.write.is_none()
            && self.commit.is_empty()
            && self.reads.is_empty()
            && self.events.is_empty()
    }
}
