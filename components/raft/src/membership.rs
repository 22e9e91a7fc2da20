//! Who belongs to the group, and how that changes: joint consensus only (thesis §4.3).
//!
//! A change of any size goes through two log entries. The first appends the *joint* membership, in
//! which every decision needs a majority of the old voters and one of the new. Once that entry is
//! committed the leader appends the second, which drops the old half. A membership takes effect
//! when its entry is appended, not when it is applied (thesis §4.1), so it is a pure function of
//! the log: see `docs/decisions/0005-membership-effective-on-append.md`.
//!
//! Invariants: members are sorted by id and unique; there is at least one voter in the new half;
//! a membership is joint exactly when some member votes in the old half. Quorums of a membership
//! and of the one after it always intersect (`tests/quorum.rs`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use types::PeerId;

/// Most members a group may have, old and new half together. Far above any use; it bounds what a
/// foreign message can make us hold.
pub const MEMBERS_MAX: usize = 255;

/// Members held without a heap allocation: five covers every usual group at rest.
const INLINE: usize = 5;

/// The bit of a packed seat that says that the member votes in the old half.
const OUTGOING: u8 = 1 << 2;

/// What a member does for the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seat {
    /// Holds the log, votes, counts for commitment, may lead.
    Voter,
    /// Holds the log and nothing else (thesis §4.2.1).
    Learner,
    /// Reserved: a voter without state machine. Refused for now, see [`BadChange::Witness`].
    Witness,
}

/// One member and its part in both halves of a joint membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The peer.
    pub id: PeerId,
    /// Its seat from now on; `None` if it is on its way out.
    pub seat: Option<Seat>,
    /// Whether it votes in the old half. False for everyone once the change is complete.
    pub outgoing: bool,
}

impl Member {
    /// A member of a membership at rest.
    #[must_use]
    pub fn new(id: PeerId, seat: Seat) -> Member {
        Member { id, seat: Some(seat), outgoing: false }
    }

    fn is_incoming_voter(&self) -> bool {
        self.seat == Some(Seat::Voter)
    }

    fn pack(self) -> u8 {
        let seat = match self.seat {
            None => 0,
            Some(Seat::Voter) => 1,
            Some(Seat::Learner) => 2,
            Some(Seat::Witness) => 3,
        };
        if self.outgoing { seat | OUTGOING } else { seat }
    }

    fn unpack(id: PeerId, bits: u8) -> Member {
        let seat = match bits & 3 {
            1 => Some(Seat::Voter),
            2 => Some(Seat::Learner),
            3 => Some(Seat::Witness),
            _ => None,
        };
        Member { id, seat, outgoing: bits & OUTGOING != 0 }
    }
}

/// One wish of a membership change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Give the peer this seat, whatever it had before.
    Set(PeerId, Seat),
    /// Take the peer out of the group. Removing a stranger changes nothing.
    Remove(PeerId),
}

/// Why a membership, or a change to one, is not acceptable. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadChange {
    /// Nobody would be left to vote.
    NoVoters,
    /// The same peer is named twice.
    Twice(PeerId),
    /// More than [`MEMBERS_MAX`] members.
    TooMany(usize),
    /// Witnesses are not supported yet.
    Witness(PeerId),
    /// The member has no seat in either half.
    NoSeat(PeerId),
    /// No change was asked for.
    Empty,
}

impl fmt::Display for BadChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadChange::NoVoters => write!(f, "it would leave no voters"),
            BadChange::Twice(id) => write!(f, "{id} is named twice"),
            BadChange::TooMany(n) => write!(f, "{n} members, {MEMBERS_MAX} is the most"),
            BadChange::Witness(id) => write!(f, "{id} cannot be a witness: not supported yet"),
            BadChange::NoSeat(id) => write!(f, "{id} has no seat in either half"),
            BadChange::Empty => write!(f, "it changes nothing"),
        }
    }
}

impl core::error::Error for BadChange {}

/// The members of a group at one position of its log. Cheap to clone: inline up to five members,
/// shared beyond.
#[derive(Clone)]
pub struct Membership(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, seats: [u8; INLINE], ids: [Option<PeerId>; INLINE] },
    Shared(Arc<[Member]>),
}

impl Membership {
    /// The membership of a peer that knows of none: it follows whoever leads, and never campaigns.
    #[must_use]
    pub const fn unknown() -> Membership {
        Membership(Repr::Inline { len: 0, seats: [0; INLINE], ids: [None; INLINE] })
    }

    /// A membership of these members, in any order; the gateway for bytes from disk or network.
    ///
    /// # Errors
    /// If nobody votes, a peer appears twice or has no seat, or there are more than
    /// [`MEMBERS_MAX`].
    pub fn new(members: &[Member]) -> Result<Membership, BadChange> {
        let mut sorted = members.to_vec();
        sorted.sort_unstable_by_key(|member| member.id);
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(BadChange::Twice(pair[0].id));
        }
        if sorted.len() > MEMBERS_MAX {
            return Err(BadChange::TooMany(sorted.len()));
        }
        if let Some(ghost) = sorted.iter().find(|member| member.seat.is_none() && !member.outgoing)
        {
            return Err(BadChange::NoSeat(ghost.id));
        }
        if let Some(witness) = sorted.iter().find(|member| member.seat == Some(Seat::Witness)) {
            return Err(BadChange::Witness(witness.id));
        }
        if !sorted.iter().any(Member::is_incoming_voter) {
            return Err(BadChange::NoVoters);
        }
        Ok(Membership::from_sorted(&sorted))
    }

    /// A membership at rest of these voters.
    ///
    /// # Errors
    /// As [`Membership::new`].
    pub fn of_voters(voters: &[PeerId]) -> Result<Membership, BadChange> {
        let members: Vec<Member> = voters.iter().map(|&id| Member::new(id, Seat::Voter)).collect();
        Membership::new(&members)
    }

    fn from_sorted(sorted: &[Member]) -> Membership {
        if sorted.len() > INLINE {
            return Membership(Repr::Shared(Arc::from(sorted)));
        }
        let mut seats = [0; INLINE];
        let mut ids = [None; INLINE];
        for (slot, member) in sorted.iter().enumerate() {
            seats[slot] = member.pack();
            ids[slot] = Some(member.id);
        }
        let len = u8::try_from(sorted.len()).expect("checked against INLINE above");
        Membership(Repr::Inline { len, seats, ids })
    }

    /// How many members, old and new half together.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Inline { len, .. } => usize::from(*len),
            Repr::Shared(members) => members.len(),
        }
    }

    /// Whether no membership is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members in id order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Member> + ExactSizeIterator + '_ {
        (0..self.len()).map(|slot| self.at(slot))
    }

    /// The member in slot `slot` of the id order.
    pub(crate) fn at(&self, slot: usize) -> Member {
        match &self.0 {
            Repr::Inline { seats, ids, .. } => {
                Member::unpack(ids[slot].expect("slots below len are filled"), seats[slot])
            }
            Repr::Shared(members) => members[slot],
        }
    }

    /// The slot of `id` in the id order.
    pub(crate) fn slot(&self, id: PeerId) -> Option<usize> {
        match &self.0 {
            Repr::Inline { ids, .. } => ids.iter().position(|&other| other == Some(id)),
            Repr::Shared(members) => members.binary_search_by_key(&id, |member| member.id).ok(),
        }
    }

    /// The member with this id.
    #[must_use]
    pub fn get(&self, id: PeerId) -> Option<Member> {
        self.slot(id).map(|slot| self.at(slot))
    }

    /// Whether a change is under way: decisions need both halves.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        match &self.0 {
            Repr::Inline { seats, .. } => seats.iter().any(|seat| seat & OUTGOING != 0),
            Repr::Shared(members) => members.iter().any(|member| member.outgoing),
        }
    }

    /// Whether the peer votes, in either half: such a peer may campaign (thesis §4.3).
    #[must_use]
    pub fn is_voter(&self, id: PeerId) -> bool {
        self.get(id).is_some_and(|member| member.outgoing || member.is_incoming_voter())
    }

    /// Whether the peer votes in the new half: such a peer still votes when the change is done.
    #[must_use]
    pub fn is_incoming_voter(&self, id: PeerId) -> bool {
        self.get(id).is_some_and(|member| member.is_incoming_voter())
    }

    /// The joint membership that starts this change: the voters of now become the old half.
    ///
    /// # Errors
    /// As [`Membership::new`], and if `changes` is empty.
    ///
    /// # Panics
    /// If it is joint already.
    pub fn enter_joint(&self, changes: &[Change]) -> Result<Membership, BadChange> {
        assert!(!self.is_joint(), "one change at a time");
        if changes.is_empty() {
            return Err(BadChange::Empty);
        }
        let mut members: Vec<Member> = self
            .iter()
            .map(|member| Member { outgoing: member.is_incoming_voter(), ..member })
            .collect();
        for (nth, &change) in changes.iter().enumerate() {
            let (id, seat) = match change {
                Change::Set(id, seat) => (id, Some(seat)),
                Change::Remove(id) => (id, None),
            };
            if changes[..nth].iter().any(|&earlier| earlier.peer() == id) {
                return Err(BadChange::Twice(id));
            }
            match members.iter_mut().find(|member| member.id == id) {
                Some(member) => member.seat = seat,
                None if seat.is_some() => members.push(Member { id, seat, outgoing: false }),
                None => {}
            }
        }
        members.retain(|member| member.seat.is_some() || member.outgoing);
        Membership::new(&members)
    }

    /// The membership that ends a change: the old half is dropped.
    #[must_use]
    pub fn leave_joint(&self) -> Membership {
        let members: Vec<Member> = self
            .iter()
            .filter(|member| member.seat.is_some())
            .map(|member| Member { outgoing: false, ..member })
            .collect();
        Membership::from_sorted(&members)
    }
}

impl Change {
    /// The peer this is about.
    #[must_use]
    pub fn peer(self) -> PeerId {
        match self {
            Change::Set(id, _) | Change::Remove(id) => id,
        }
    }
}

impl PartialEq for Membership {
    fn eq(&self, other: &Membership) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Membership {}

/// `[p1 p2 p3]`, joint `[p2 p3 p4][p1 p2 p3]`, learners behind: `[p1 p2] learners [p3]`.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, pick: &dyn Fn(&Member) -> bool| {
            write!(f, "[")?;
            for (nth, member) in self.iter().filter(|member| pick(member)).enumerate() {
                write!(f, "{}{}", if nth > 0 { " " } else { "" }, member.id)?;
            }
            write!(f, "]")
        };
        list(f, &Member::is_incoming_voter)?;
        if self.is_joint() {
            list(f, &|member| member.outgoing)?;
        }
        if self.iter().any(|member| member.seat == Some(Seat::Learner)) {
            write!(f, " learners ")?;
            list(f, &|member| member.seat == Some(Seat::Learner))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
