//! Entries, rosters and removed peers: on the wire, and the same bytes on disk.
//!
//! An entry says its term and not its slot: on the wire that follows from the append, on disk it is
//! in the key.

use bytes::Bytes;
use prost::Message as _;
use proto::crib::raft::v1;
use raft::{Member, Membership, Seat};
use types::{EntryId, Index, PeerId, StoreId, Term};

use super::Limits;
use super::bad::{self, BadMessage, Why};
use crate::entry::{Entry, Payload, Roster};
use crate::message::RemovedPeer;

/// An entry as it is kept on disk, under a key that says its slot.
#[must_use]
pub fn entry_value(entry: &Entry) -> Vec<u8> {
    // The payload is shared, not copied, until it is written into the vector.
    entry_to_proto(entry.clone()).encode_to_vec()
}

/// The entry of slot `index` that is kept on disk as `value`. Its payload shares `value`.
///
/// # Errors
/// If these are not the bytes of an entry: the disk is damaged, or was written by another version.
pub fn entry_from(index: Index, value: Bytes) -> Result<Entry, BadMessage> {
    let entry = v1::Entry::decode(value)
        .map_err(|error| BadMessage { what: "Entry", why: Why::Bytes(error) })?;
    entry_from_proto(index, entry, &Limits::OWN)
}

pub(super) fn entry_to_proto(entry: Entry) -> v1::Entry {
    let payload = match entry.payload {
        Payload::Empty => None,
        Payload::Command(command) => Some(v1::entry::Payload::Command(command)),
        Payload::Roster(roster) => Some(v1::entry::Payload::Roster(roster_to_proto(&roster))),
    };
    v1::Entry { term: entry.id.term.0, payload }
}

pub(super) fn entry_from_proto(
    index: Index,
    entry: v1::Entry,
    limits: &Limits,
) -> Result<Entry, BadMessage> {
    let payload = match entry.payload {
        None => Payload::Empty,
        Some(v1::entry::Payload::Command(command)) => {
            bad::bounded("Entry.command", command.len(), limits.entry_bytes_max)?;
            Payload::Command(command)
        }
        Some(v1::entry::Payload::Roster(roster)) => {
            bad::bounded("Roster.members", roster.members.len(), limits.members_max)?;
            Payload::Roster(roster_from_proto(roster)?)
        }
    };
    Ok(Entry { id: EntryId::new(Term(entry.term), index), payload })
}

/// Bytes that an entry takes in an append at most.
pub(super) fn bytes_max(entry: &Entry) -> usize {
    32 + match &entry.payload {
        Payload::Empty => 0,
        Payload::Command(command) => command.len(),
        Payload::Roster(roster) => 32 * roster.membership().len(),
    }
}

/// A roster as it is sent and stored. [`Roster::unknown`] has no such form that can be read back.
pub(crate) fn roster_to_proto(roster: &Roster) -> v1::Roster {
    let members = (roster.iter())
        .map(|(member, store)| v1::Member {
            peer: member.id.get(),
            store: store.get(),
            seat: seat_to_proto(member.seat).into(),
            outgoing: member.outgoing,
        })
        .collect();
    v1::Roster { members }
}

/// # Errors
/// If it is no membership, or a member or its store is 0.
pub(crate) fn roster_from_proto(roster: v1::Roster) -> Result<Roster, BadMessage> {
    // Before anything is looked up by member.
    bad::bounded("Roster.members", roster.members.len(), raft::MEMBERS_MAX)?;
    let mut members = Vec::with_capacity(roster.members.len());
    let mut homes: Vec<(PeerId, StoreId)> = Vec::with_capacity(roster.members.len());
    for member in roster.members {
        let id = bad::peer("Member.peer", member.peer)?;
        homes.push((id, bad::store("Member.store", member.store)?));
        let seat = seat_from_proto(member.seat)?;
        members.push(Member { id, seat, outgoing: member.outgoing });
    }
    let membership = Membership::new(&members)
        .map_err(|bad| BadMessage { what: "Roster.members", why: Why::Membership(bad) })?;
    homes.sort_unstable();
    let store_of = |peer| {
        let at = homes.binary_search_by_key(&peer, |&(id, _)| id).ok()?;
        Some(homes[at].1)
    };
    Ok(Roster::new(membership, store_of).expect("every member comes with its store"))
}

fn seat_to_proto(seat: Option<Seat>) -> v1::Seat {
    match seat {
        None => v1::Seat::None,
        Some(Seat::Voter) => v1::Seat::Voter,
        Some(Seat::Learner) => v1::Seat::Learner,
        Some(Seat::Witness) => unreachable!("no membership has witnesses yet"),
    }
}

fn seat_from_proto(seat: i32) -> Result<Option<Seat>, BadMessage> {
    match v1::Seat::try_from(seat) {
        Ok(v1::Seat::None) => Ok(None),
        Ok(v1::Seat::Voter) => Ok(Some(Seat::Voter)),
        Ok(v1::Seat::Learner) => Ok(Some(Seat::Learner)),
        Err(prost::UnknownEnumValue(number)) => {
            Err(BadMessage { what: "Member.seat", why: Why::Unknown(number) })
        }
    }
}

/// A removed peer as it is sent and stored.
pub(crate) fn removed_to_proto(removed: &RemovedPeer) -> v1::RemovedPeer {
    let RemovedPeer { peer, store, index } = *removed;
    v1::RemovedPeer { peer: peer.get(), store: store.get(), index: index.0 }
}

/// # Errors
/// If the peer or its store is 0.
pub(crate) fn removed_from_proto(removed: v1::RemovedPeer) -> Result<RemovedPeer, BadMessage> {
    Ok(RemovedPeer {
        peer: bad::peer("RemovedPeer.peer", removed.peer)?,
        store: bad::store("RemovedPeer.store", removed.store)?,
        index: Index(removed.index),
    })
}
