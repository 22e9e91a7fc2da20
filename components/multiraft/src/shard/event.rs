//! Everything that can happen to a shard, and everything it asks its shell to do.

use std::ops::Range;

use bytes::Bytes;
use raft::Change;
use storage::Batch;
use types::{EntryId, GroupId, Index, PeerId, StoreId};

use crate::apply::{Applied, ApplyTask};
use crate::entry::{Entry, Roster};
use crate::lease::Grant;
use crate::message::{Envelope, SnapshotFrame, SnapshotOffer};
use crate::observer::Standing;
use crate::outcome::Outcome;

/// Names a caller's request to the shell. Each that goes in comes out once, with an [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// How a group begins on a store that is told to host it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// This store's peer.
    pub peer: PeerId,
    /// The place in the log that all first members share. Its slot is at least 1.
    pub at: EntryId,
    /// The first members.
    pub roster: Roster,
}

/// Everything that wakes a shard. Closed: this is the whole list.
#[derive(Debug)]
pub enum Event {
    /// A caller proposes a command.
    Propose {
        /// To which group.
        group: GroupId,
        /// The caller.
        token: Token,
        /// What.
        command: Bytes,
        /// Whether it brings groups into being.
        spawns: bool,
    },
    /// A caller wants to read what was written before now.
    Read {
        /// Of which group.
        group: GroupId,
        /// The caller.
        token: Token,
    },
    /// A caller changes who belongs to a group.
    Change {
        /// Which.
        group: GroupId,
        /// The caller.
        token: Token,
        /// The slot of the membership that is to be changed; of whichever is in force if `None`.
        since: Option<Index>,
        /// How, and where newcomers live.
        changes: Vec<(Change, Option<StoreId>)>,
    },
    /// A caller moves leadership.
    Transfer {
        /// Of which group.
        group: GroupId,
        /// The caller.
        token: Token,
        /// To whom.
        to: PeerId,
    },
    /// A caller wants this peer to campaign.
    Campaign {
        /// In which group.
        group: GroupId,
        /// The caller.
        token: Token,
    },
    /// A caller looks at a group.
    Look {
        /// Which.
        group: GroupId,
        /// The caller.
        token: Token,
    },
    /// A caller makes this store host a new group.
    Create {
        /// Which.
        group: GroupId,
        /// The caller.
        token: Token,
        /// How it begins.
        beginning: Box<Beginning>,
    },
    /// A caller takes a group off this store.
    Destroy {
        /// Which.
        group: GroupId,
        /// The caller.
        token: Token,
    },
    /// Peers of a group whose replica here may be nobody's, and where they live: as whoever keeps
    /// an eye on the whole cluster knows them.
    Inquire {
        /// Which.
        group: GroupId,
        /// Whom to ask.
        peers: Vec<(PeerId, StoreId)>,
    },
    /// A message of a peer arrived.
    Deliver {
        /// From which store.
        from: StoreId,
        /// What.
        envelope: Envelope,
    },
    /// The offer of a snapshot arrived.
    Offered {
        /// From which store.
        from: StoreId,
        /// The frame it came in.
        frame: SnapshotFrame,
        /// The offer.
        offer: Box<SnapshotOffer>,
    },
    /// All of a snapshot is staged.
    Staged {
        /// From which store.
        from: StoreId,
        /// The frame that opened its session.
        frame: SnapshotFrame,
        /// What it covers.
        offer: Box<SnapshotOffer>,
    },
    /// Sending a snapshot has ended, however.
    SnapshotEnded {
        /// The group.
        group: GroupId,
        /// Its peer here.
        peer: PeerId,
        /// The receiver.
        to: PeerId,
    },
    /// What was sent to a store may be lost.
    Lost(StoreId),
    /// Store liveness began or ceased to vouch for a store.
    Support {
        /// Which.
        store: StoreId,
        /// Whether it vouches from now on.
        held: bool,
    },
    /// The write with this number, and every earlier one of this shard, is durable.
    Persisted(u64),
    /// Something went through the apply lane.
    Applied(Box<Applied>),
    /// Entries were read back.
    Fetched(Box<Fetched>),
}

/// Entries of an append that are no longer in memory.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The group.
    pub group: GroupId,
    /// Its peer here.
    pub peer: PeerId,
    /// To whom the message goes.
    pub to: PeerId,
    /// The append.
    pub message: raft::Message,
    /// The slots it names.
    pub range: Range<Index>,
}

/// A [`Fetch`] and its entries, or none if they are not there any more.
#[derive(Debug)]
pub struct Fetched {
    /// What was asked for.
    pub fetch: Fetch,
    /// All of the entries.
    pub entries: Option<Vec<Entry>>,
}

/// What a shard wants done. There is no order between the fields, but for what they say themselves.
#[derive(Debug, Default)]
pub struct Effects {
    /// Send these, by store.
    pub sends: Vec<(StoreId, Vec<Envelope>)>,
    /// Make this durable, behind the earlier writes of this shard, and say [`Event::Persisted`].
    pub write: Option<ShardWrite>,
    /// Hand these to the apply lane of their groups, in order.
    pub apply: Vec<ApplyTask>,
    /// Read these back.
    pub fetches: Vec<Fetch>,
    /// Answer these callers.
    pub replies: Vec<(Token, Outcome)>,
    /// Answer an offered snapshot, or begin to receive it.
    pub snapshots: Vec<SnapshotEffect>,
    /// Tell whoever watches how these groups are led, or that they are gone.
    pub standings: Vec<(GroupId, Option<Standing>)>,
    /// Tell readers how far they need not ask, or that they have to: before anything is sent or
    /// answered.
    pub leases: Vec<(GroupId, Option<Grant>)>,
}

/// A write of one shard: what all of its groups have for the disk.
#[derive(Debug)]
pub struct ShardWrite {
    /// Its number; they rise by one.
    pub number: u64,
    /// What to write.
    pub batch: Batch,
}

/// What is to be done about a snapshot that is offered, or has arrived.
#[derive(Debug)]
pub enum SnapshotEffect {
    /// Receive it.
    Receive {
        /// From which store.
        from: StoreId,
        /// The frame that offered it.
        frame: SnapshotFrame,
        /// What it covers.
        offer: Box<SnapshotOffer>,
    },
    /// Tell the sender this.
    Answer(StoreId, SnapshotFrame),
    /// What is staged of this group is not needed.
    Discard(GroupId),
    /// What is staged of this group is going to be installed.
    Taken(GroupId),
}

impl Effects {
    /// Nothing to do.
    #[must_use]
    pub fn new() -> Effects {
        Effects::default()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sends.is_empty()
            && self.write.is_none()
            && self.apply.is_empty()
            && self.fetches.is_empty()
            && self.replies.is_empty()
            && self.snapshots.is_empty()
            && self.standings.is_empty()
            && self.leases.is_empty()
    }

    /// Adds a message to those for a store.
    pub(crate) fn send(&mut self, to: StoreId, envelope: Envelope) {
        match self.sends.iter_mut().find(|(store, _)| *store == to) {
            Some((_, envelopes)) => envelopes.push(envelope),
            None => self.sends.push((to, vec![envelope])),
        }
    }
}

impl Event {
    /// The group it is about; `None` if it is about all of them.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Event::Propose { group, .. }
            | Event::Read { group, .. }
            | Event::Change { group, .. }
            | Event::Transfer { group, .. }
            | Event::Campaign { group, .. }
            | Event::Look { group, .. }
            | Event::Create { group, .. }
            | Event::Destroy { group, .. }
            | Event::Inquire { group, .. }
            | Event::SnapshotEnded { group, .. } => Some(*group),
            Event::Deliver { envelope, .. } => Some(envelope.group),
            Event::Offered { frame, .. } | Event::Staged { frame, .. } => Some(frame.group),
            Event::Applied(applied) => Some(applied.group),
            Event::Fetched(fetched) => Some(fetched.fetch.group),
            Event::Lost(_) | Event::Support { .. } | Event::Persisted(_) => None,
        }
    }
}
