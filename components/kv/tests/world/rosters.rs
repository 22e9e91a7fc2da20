//! Memberships, and how regions show them.

use multiraft::Roster;
use raft::{Member, Membership, Seat};
use types::{PeerRole, RegionPeer};

/// The roster in which these peers have these roles; `None` if nobody would vote.
pub(crate) fn roster(peers: &[RegionPeer]) -> Option<Roster> {
    let has = |role| peers.iter().any(|peer| peer.role == role);
    let is_joint = has(PeerRole::Demoting) || has(PeerRole::Incoming);
    let member = |peer: &RegionPeer| match peer.role {
        PeerRole::Voter => Member { id: peer.id, seat: Some(Seat::Voter), outgoing: is_joint },
        PeerRole::Incoming => Member { id: peer.id, seat: Some(Seat::Voter), outgoing: false },
        PeerRole::Learner => Member { id: peer.id, seat: Some(Seat::Learner), outgoing: false },
        PeerRole::Demoting => Member { id: peer.id, seat: Some(Seat::Learner), outgoing: true },
    };
    let members: Vec<Member> = peers.iter().map(member).collect();
    let store_of = |id| peers.iter().find(|peer| peer.id == id).map(|peer| peer.store);
    Roster::new(Membership::new(&members).ok()?, store_of).ok()
}
