//! How a caller's request ends.

use std::fmt;

use bytes::Bytes;
use raft::Membership;
use types::{EntryId, GroupId, Index, PeerId, StoreId, Term};

use crate::entry::Roster;

/// The end of a request. There is exactly one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command was committed and applied here.
    Applied {
        /// In which slot: the version of what it wrote.
        index: Index,
        /// What the state machine answered.
        reply: Bytes,
    },
    /// What is applied here reflects everything that was answered before the request.
    Readable(Index),
    /// It was done, or begun where it goes on by itself.
    Done,
    /// The group, as it is.
    Status(Box<GroupStatus>),
    /// Nothing was done, and nothing will be.
    Refused(Refusal),
    /// It may have been done, or may yet be, or not. To repeat it may do it twice.
    Undetermined,
}

/// Why nothing was done, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This store does not host the group. Ask where it lives.
    NoGroup(GroupId),
    /// Ask the leader, if it is known.
    NotLeader(Option<(PeerId, Option<StoreId>)>),
    /// Too much is under way. Ask again later.
    Busy(&'static str),
    /// The disk of this store is full. Others may have room: ask again later.
    Full,
    /// The command is too large, for good.
    TooLarge {
        /// Bytes of the command.
        bytes: usize,
        /// Most bytes of a command.
        limit: usize,
    },
    /// The core says no.
    Raft(raft::Refused),
    /// The command was overwritten by another leader's; it will not be done.
    Superseded,
    /// The group is here already, with this peer.
    Exists(PeerId),
    /// The group was here with this or a later peer, and was destroyed.
    Destroyed(PeerId),
    /// Another membership is in force than the one that was to be changed: that of this slot. Look
    /// again, and decide again.
    Changed(Index),
    /// After this change the group could not go on: too few of its voters would take entries, and
    /// this one does not, as it is out of reach, is no member yet, or waits for a snapshot. Ask
    /// again when it does.
    OutOfReach(PeerId),
    /// The request makes no sense.
    Invalid(&'static str),
    /// The store is stopping.
    Stopping,
}

/// A group of a store, at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// Its peer here.
    pub peer: PeerId,
    /// Its term.
    pub term: Term,
    /// Whether it leads.
    pub leads: bool,
    /// Whom it takes for the leader.
    pub leader: Option<PeerId>,
    /// Committed, as far as it knows.
    pub commit: Index,
    /// Applied here.
    pub applied: Index,
    /// Where its log begins.
    pub base: EntryId,
    /// Its last entry.
    pub last: EntryId,
    /// The membership in force.
    pub membership: Membership,
    /// The slot in which it stands.
    pub since: Index,
    /// Where the members live, as far as it is known.
    pub roster: Roster,
    /// It leads, and sends nothing as everyone sits still.
    pub is_asleep: bool,
    /// What the leader knows of the others: peer, durable up to there.
    pub matched: Vec<(PeerId, Index)>,
    /// Members that the leader does not hear now, or whose stores say that they have no replica.
    pub unheard: Vec<PeerId>,
    /// Whether any of its timers run.
    pub is_timed: bool,
}

impl GroupStatus {
    /// Whether a member lacks more than so many entries of what is committed, or entries that are
    /// not in the log any more, as far as this leader knows.
    #[must_use]
    pub fn is_behind(&self, peer: PeerId, entries: u64) -> bool {
        let matched = self.matched.iter().find(|(id, _)| *id == peer).map(|(_, at)| *at);
        peer != self.peer
            && matched.is_none_or(|at| at < self.base.index || at.0 + entries < self.commit.0)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoGroup(group) => write!(f, "group {group} is not on this store"),
            Refusal::NotLeader(None) => write!(f, "not the leader, and none is known"),
            Refusal::NotLeader(Some((peer, None))) => write!(f, "not the leader, {peer} is"),
            Refusal::NotLeader(Some((peer, Some(store)))) => {
                write!(f, "not the leader, {peer} on {store} is")
            }
            Refusal::Busy(what) => write!(f, "too much is under way: {what}"),
            Refusal::Full => write!(f, "the disk is full"),
            Refusal::TooLarge { bytes, limit } => {
                write!(f, "the command has {bytes} bytes, {limit} is the most")
            }
            Refusal::Raft(why) => write!(f, "{why}"),
            Refusal::Superseded => write!(f, "another leader's entry took its place"),
            Refusal::Exists(peer) => write!(f, "the group is here already, as {peer}"),
            Refusal::Destroyed(peer) => write!(f, "the group was here as {peer}, and is destroyed"),
            Refusal::Changed(since) => {
                write!(f, "the membership has changed: that of slot {since} is in force")
            }
            Refusal::OutOfReach(peer) => {
                write!(f, "the group could not go on then: {peer} takes no entries now")
            }
            Refusal::Invalid(why) => write!(f, "{why}"),
            Refusal::Stopping => write!(f, "the store is stopping"),
        }
    }
}

impl std::error::Error for Refusal {}
