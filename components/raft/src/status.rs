//! Looking at a peer: for routing, metrics and people. Borrows, copies numbers, allocates nothing.

use types::{EntryId, Index, PeerId, Term, Time};

use crate::log::Log;
use crate::membership::Membership;
use crate::peer::{Peer, Role};
use crate::progress::{PeerStatus, Progress};
use crate::sleep::Beats;

/// A peer at an instant.
#[derive(Clone, Debug)]
pub struct Status<'a> {
    /// The peer.
    pub id: PeerId,
    /// Its term.
    pub term: Term,
    /// Whom it voted for in this term.
    pub vote: Option<PeerId>,
    /// What it is doing.
    pub role: RoleStatus,
    /// Whom it takes for the leader.
    pub leader: Option<PeerId>,
    /// Committed, as far as it knows.
    pub commit: Index,
    /// Handed out to be applied.
    pub reported: Index,
    /// Its log.
    pub log: &'a Log,
    /// The membership in force and the slot of its entry.
    pub membership: (Index, &'a Membership),
    /// Whom leadership is being handed to.
    pub transferee: Option<PeerId>,
    /// It leads, and sends no beats because everyone sits still.
    pub is_asleep: bool,
    /// By slot of the membership; empty unless it leads.
    progress: &'a [Progress],
}

/// What a peer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleStatus {
    /// Following a leader, or waiting for one.
    Follower,
    /// Asking whether it would be elected.
    PreCandidate,
    /// Standing for election.
    Candidate,
    /// Leading.
    Leader,
}

impl<'a> Status<'a> {
    /// The other members as the leader sees them; nothing unless this peer leads.
    pub fn peers(&self) -> impl Iterator<Item = PeerStatus> + use<'a> {
        let (id, membership, progress) = (self.id, self.membership.1, self.progress);
        (membership.iter().zip(progress))
            .filter(move |(member, _)| member.id != id)
            .map(|(member, &progress)| PeerStatus { id: member.id, progress })
    }
}

impl Peer {
    /// The peer as it is now.
    #[must_use]
    pub fn status(&self) -> Status<'_> {
        let leader = match &self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        };
        Status {
            id: self.id,
            term: self.term,
            vote: self.vote,
            role: match &self.role {
                Role::Follower => RoleStatus::Follower,
                Role::PreCandidate(_) => RoleStatus::PreCandidate,
                Role::Candidate(_) => RoleStatus::Candidate,
                Role::Leader(_) => RoleStatus::Leader,
            },
            leader: self.leader,
            commit: self.commit,
            reported: self.reported,
            log: &self.log,
            membership: (self.membership_at, &self.membership),
            transferee: leader.and_then(|leader| leader.transfer).map(|transfer| transfer.to),
            is_asleep: leader.is_some_and(|leader| leader.beats == Beats::Asleep),
            progress: leader.map_or(&[], |leader| &leader.progress),
        }
    }

    /// Until when this peer may serve reads without asking anyone, counted from the sending of what
    /// a majority echoed (thesis §6.4.1). `None` if it may not: it does not lead, has not committed
    /// an entry of its term yet, has asked another to campaign, or has not heard a majority lately.
    /// Serve up to the state of [`Status::commit`] taken at the same time. Ask for every read,
    /// after the latest step: a transfer takes back what was said before.
    #[must_use]
    pub fn lease(&self, now: Time) -> Option<Time> {
        let Role::Leader(leader) = &self.role else { return None };
        leader.lease(&self.ctx(), now)
    }

    /// How many other voters' pledges ([`crate::Progress::pledge`]) make a lease: for as long as
    /// their hosts keep so many, no other leader can have been elected. `None` if no pledges do,
    /// in the cases in which there is no lease either, and while two memberships are in force.
    /// Ask for every drain: a transfer takes back what was said before.
    #[must_use]
    pub fn pledges_wanted(&self, now: Time) -> Option<usize> {
        let Role::Leader(leader) = &self.role else { return None };
        let is_in = !self.membership.is_joint() && self.membership.is_voter(self.id);
        let voters = || self.membership.iter().filter(|member| self.membership.is_voter(member.id));
        (is_in && leader.can_lease(&self.ctx(), now)).then(|| voters().count() / 2)
    }

    /// The slot of the first entry of this leader's term; `None` if this peer does not lead. A
    /// state that has applied it has everything that was answered under earlier leaders.
    #[must_use]
    pub fn first_own(&self) -> Option<Index> {
        let Role::Leader(leader) = &self.role else { return None };
        Some(leader.first_own)
    }

    /// Whether the data of a snapshot that covers `id` would bring this peer forward. Ask before
    /// receiving it. If not, spare the transfer and hand in its header with the membership all the
    /// same: the peer then tells the leader what it has.
    #[must_use]
    pub fn wants_snapshot(&self, id: EntryId) -> bool {
        id.index > self.commit && !self.log.contains(id)
    }
}
