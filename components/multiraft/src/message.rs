//! What stores say to each other. Plain values; `wire` turns them into bytes and back.

use bytes::Bytes;
use raft::Pledge;
use types::{EntryId, GroupId, Index, PeerId, StoreId, Term};

use crate::entry::{Entry, Roster};

/// Everything one store has for another at a moment. The network may lose, delay, repeat and
/// reorder parcels; it should keep those of one kind in order where it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// Messages of all groups that had something to say.
    Groups(Vec<Envelope>),
    /// Store liveness.
    Liveness(Liveness),
    /// A frame of a snapshot: on a way of its own, so that no message waits behind it.
    Snapshot(SnapshotFrame),
}

/// One message of a peer to another peer of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The group.
    pub group: GroupId,
    /// Who speaks.
    pub from: PeerId,
    /// To whom. A receiver that hosts another peer of the group does not take it for itself.
    pub to: PeerId,
    /// What is said.
    pub body: Body,
}

/// What an envelope says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A Raft message, and the entries that an append names.
    Raft(raft::Message, Vec<Entry>),
    /// The receiver was removed by the membership of this slot, which is committed. Repeated until
    /// it is acknowledged.
    Removed(Index),
    /// The receiver of [`Body::Removed`] is destroyed, or was never here.
    RemovedAck,
    /// No membership that the sender has applied has it. Is it a member? A leader that has no such
    /// member makes sure, and answers with [`Body::Removed`].
    Inquiry,
    /// There is no such peer on the sender's store, and the message does not make one: its store
    /// must not be taken for the peer's pulse.
    Absent,
}

/// A message of store liveness, see [`crate::shard::liveness`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Liveness {
    /// The sender's own epoch.
    pub epoch: u64,
    /// When it was sent, on the sender's clock; echoed, never compared with another clock.
    pub sent_at: u64,
    /// The receiver's epoch that the sender supports; 0 for none.
    pub supports: u64,
    /// The lowest epoch of the receiver that the sender may support.
    pub at_least: u64,
    /// `sent_at` of the receiver's newest message that this one takes into account; 0 for none.
    pub echo: u64,
    /// What was pledged under this token to leaders on the receiver's store was renewed when that
    /// message came (see `pledges`); 0 for none.
    pub promise: Pledge,
    /// It answers at once, and does not ask for support: the sender's disk was not asked for it.
    pub answers: bool,
}

impl Liveness {
    /// Takes the place of an older message that has not been sent. What that one asked for is asked
    /// still.
    #[must_use]
    pub fn in_place_of(self, older: Option<Liveness>) -> Liveness {
        match older {
            Some(older) if self.answers && !older.answers && older.epoch == self.epoch => {
                Liveness { answers: false, sent_at: older.sent_at, ..self }
            }
            _ => self,
        }
    }
}

/// One frame of a snapshot on its way from a leader to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFrame {
    /// The group.
    pub group: GroupId,
    /// Who speaks.
    pub from: PeerId,
    /// To whom.
    pub to: PeerId,
    /// Chosen by the sender of the snapshot, unique for its process.
    pub session: u64,
    /// What is said.
    pub body: SnapshotBody,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotBody {
    /// Sender: here is a snapshot, do you want it?
    Offer(SnapshotOffer),
    /// Receiver: send the chunk with this number; all before it are here.
    Accept(u64),
    /// Receiver: no.
    Refuse(SnapshotRefusal),
    /// Sender: a part.
    Chunk(SnapshotChunk),
    /// Receiver: all of it is here, and handed to the core.
    Done,
}

/// Header of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOffer {
    /// Term of the leader that sends it.
    pub term: Term,
    /// The last entry it covers.
    pub covers: EntryId,
    /// When the leader asked for it.
    pub stamp: u64,
    /// Who belongs to the group at that entry, and since which slot.
    pub roster: (Index, Roster),
    /// Peers that were removed before and may not know.
    pub removed: Vec<RemovedPeer>,
    /// Version of the state machine's format.
    pub format: u32,
    /// What the state machine says about it, for [`crate::Machines::admit`].
    pub header: Bytes,
}

/// A peer that a committed membership left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovedPeer {
    /// Who.
    pub peer: PeerId,
    /// Where it lived.
    pub store: StoreId,
    /// By the membership of this slot.
    pub index: Index,
}

/// A part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotChunk {
    /// Its number, from 0.
    pub nth: u64,
    /// Its bytes.
    pub data: Bytes,
    /// CRC-32C of all data from the first chunk to the end of this one.
    pub crc: u32,
    /// Whether it ends the snapshot.
    pub is_last: bool,
}

/// Why a snapshot is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotRefusal {
    /// Too many arrive at the moment: offer it again later.
    Busy,
    /// The receiver has what it covers.
    NotWanted,
    /// No such peer here.
    Absent,
    /// A chunk does not have its checksum, or is not what was asked for.
    Corrupt,
    /// No room.
    Full,
}
