//! Between who is in a group and the peers of its region.

use multiraft::Roster;
use raft::{Member, Membership, Seat};
use types::{PeerRole, Region, RegionPeer};

/// The peers that a roster names.
pub(super) fn peers_of(roster: &Roster) -> Vec<RegionPeer> {
    let is_joint = roster.membership().is_joint();
    let role = |member: Member| match (member.seat, member.outgoing) {
        (Some(Seat::Voter), false) if is_joint => PeerRole::Incoming,
        (Some(Seat::Voter), _) => PeerRole::Voter,
        (Some(Seat::Learner | Seat::Witness), false) => PeerRole::Learner,
        // It votes in the old half alone, whatever becomes of it.
        (_, _) => PeerRole::Demoting,
    };
    roster
        .iter()
        .map(|(member, store)| RegionPeer { id: member.id, store, role: role(member) })
        .collect()
}

/// The roster of a region that is at rest; `None` if it is not, or nobody votes.
pub(super) fn roster_of(region: &Region) -> Option<Roster> {
    let seat = |peer: &RegionPeer| match peer.role {
        PeerRole::Voter => Some(Member::new(peer.id, Seat::Voter)),
        PeerRole::Learner => Some(Member::new(peer.id, Seat::Learner)),
        PeerRole::Incoming | PeerRole::Demoting => None,
    };
    let members: Vec<Member> = region.peers.iter().map(seat).collect::<Option<_>>()?;
    let membership = Membership::new(&members).ok()?;
    Roster::new(membership, |id| region.peer(id).map(|peer| peer.store)).ok()
}

#[cfg(test)]
mod tests {
    use types::{Epoch, GroupId, KeyRange, PeerId, StoreId};

    use super::*;

    fn peer(id: u64, role: PeerRole) -> RegionPeer {
        let store = StoreId::new(id + 10).unwrap();
        RegionPeer { id: PeerId::new(id).unwrap(), store, role }
    }

    fn region(peers: Vec<RegionPeer>) -> Region {
        let id = GroupId::new(7).unwrap();
        Region { id, range: KeyRange::default(), epoch: Epoch::FIRST, peers }
    }

    #[test]
    fn peers_at_rest_come_back_from_the_roster() {
        let peers = vec![peer(1, PeerRole::Voter), peer(2, PeerRole::Learner)];
        let roster = roster_of(&region(peers.clone())).unwrap();
        assert_eq!(peers_of(&roster), peers);
    }

    #[test]
    fn roles_of_a_membership_that_changes_are_told_apart() {
        let member = |id, seat, outgoing| Member { id: PeerId::new(id).unwrap(), seat, outgoing };
        let members = [
            member(1, Some(Seat::Voter), true),
            member(2, Some(Seat::Voter), false),
            member(3, Some(Seat::Learner), true),
            member(4, Some(Seat::Learner), false),
            member(5, None, true),
        ];
        let home = |id: PeerId| StoreId::new(id.get() + 10);
        let roster = Roster::new(Membership::new(&members).unwrap(), home).unwrap();
        let expected = vec![
            peer(1, PeerRole::Voter),
            peer(2, PeerRole::Incoming),
            peer(3, PeerRole::Demoting),
            peer(4, PeerRole::Learner),
            peer(5, PeerRole::Demoting),
        ];
        assert_eq!(peers_of(&roster), expected);
        assert_eq!(roster_of(&region(expected)), None);
    }

    #[test]
    fn region_without_voters_has_no_roster() {
        assert_eq!(roster_of(&region(Vec::new())), None);
        assert_eq!(roster_of(&region(vec![peer(1, PeerRole::Learner)])), None);
    }
}
