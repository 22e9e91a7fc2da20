//! Entries with their contents, and who belongs to a group on which stores.
//!
//! The Raft core knows positions alone; this is what a store keeps, sends and applies.

use bytes::Bytes;
use raft::{Membership, Own, Run};
use types::{EntryId, Index, PeerId, StoreId};

/// A slot of a log and what is in it. Cloning shares the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub id: EntryId,
    /// What it says.
    pub payload: Payload,
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A new leader's first entry.
    Empty,
    /// For the state machine.
    Command(Bytes),
    /// Who belongs to the group from here on.
    Roster(Roster),
}

/// A membership, and on which stores its peers live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    membership: Membership,
    /// By the order of the membership.
    stores: Vec<StoreId>,
}

/// What every entry costs beyond its payload, in bytes, as flow control counts it. It bounds how
/// many empty entries go into one message.
const ENTRY_OVERHEAD: u64 = 16;

impl Roster {
    /// A membership whose peers live where `store_of` says.
    ///
    /// # Errors
    /// The peer whose store is not known.
    pub fn new(
        membership: Membership,
        store_of: impl Fn(PeerId) -> Option<StoreId>,
    ) -> Result<Roster, PeerId> {
        let stores = membership
            .iter()
            .map(|member| store_of(member.id).ok_or(member.id))
            .collect::<Result<_, _>>()?;
        Ok(Roster { membership, stores })
    }

    /// Voters, one on each of these stores: the beginning of a new group.
    ///
    /// # Errors
    /// If there are none, or a peer is named twice.
    pub fn of_voters(voters: &[(PeerId, StoreId)]) -> Result<Roster, raft::BadChange> {
        let ids: Vec<PeerId> = voters.iter().map(|&(peer, _)| peer).collect();
        let membership = Membership::of_voters(&ids)?;
        let store_of = |peer| voters.iter().find(|(id, _)| *id == peer).map(|&(_, store)| store);
        Ok(Roster::new(membership, store_of).expect("every voter comes with its store"))
    }

    /// No members: a peer that knows of none yet.
    #[must_use]
    pub const fn unknown() -> Roster {
        Roster { membership: Membership::unknown(), stores: Vec::new() }
    }

    /// Who belongs to the group.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The peers and their stores, by ascending peer.
    pub fn iter(&self) -> impl Iterator<Item = (raft::Member, StoreId)> + '_ {
        self.membership.iter().zip(self.stores.iter().copied())
    }

    /// Where a peer lives; `None` if it is no member.
    #[must_use]
    pub fn store_of(&self, peer: PeerId) -> Option<StoreId> {
        self.iter().find(|(member, _)| member.id == peer).map(|(_, store)| store)
    }

    /// Which peer lives on a store; `None` if there is none.
    #[must_use]
    pub fn peer_on(&self, store: StoreId) -> Option<PeerId> {
        self.iter().find(|(_, home)| *home == store).map(|(member, _)| member.id)
    }
}

impl Payload {
    /// Size in bytes, as flow control counts it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        ENTRY_OVERHEAD
            + match self {
                Payload::Empty => 0,
                Payload::Command(command) => command.len() as u64,
                Payload::Roster(roster) => 16 * roster.membership.len() as u64,
            }
    }
}

/// The content of an entry that the core made. Stores of its members are looked up.
///
/// # Errors
/// The peer whose store is not known.
pub(crate) fn own_payload(
    own: Own,
    store_of: impl Fn(PeerId) -> Option<StoreId>,
) -> Result<Payload, PeerId> {
    match own {
        Own::Empty => Ok(Payload::Empty),
        Own::Membership(membership) => Ok(Payload::Roster(Roster::new(membership, store_of)?)),
    }
}

/// The terms of consecutive entries, as runs.
pub(crate) fn runs<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in entries {
        if runs.last().is_none_or(|run| run.term != entry.id.term) {
            runs.push(Run { first: entry.id.index, term: entry.id.term });
        }
    }
    runs
}

/// The memberships among entries, with their slots.
pub(crate) fn memberships<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Vec<(Index, Membership)> {
    (entries.into_iter())
        .filter_map(|entry| match &entry.payload {
            Payload::Roster(roster) => Some((entry.id.index, roster.membership.clone())),
            _ => None,
        })
        .collect()
}
