//! What the leader of placement's group sees of its members, look by look: for how long each has
//! been behind, and not heard.

use std::collections::BTreeMap;

use multiraft::GroupStatus;
use types::{Index, PeerId, PeerRole, RegionPeer, StoreId, Time};

use crate::scheduler::seats::Sitting;

/// Entries by which a member may be behind and still counts as having caught up.
const BEHIND_MAX: u64 = 64;

/// Of one leadership; it ends with it.
#[derive(Debug, Default)]
pub struct SeatWatch {
    members: BTreeMap<PeerId, Seen>,
    /// The slot of the membership that was seen last.
    since: Index,
    /// Where a learner was given up, and when last.
    given_up: BTreeMap<StoreId, Time>,
}

#[derive(Debug)]
struct Seen {
    peer: RegionPeer,
    behind_since: Option<Time>,
    unheard_since: Option<Time>,
}

impl SeatWatch {
    /// The members as they are now.
    pub fn look(&mut self, now: Time, status: &GroupStatus) -> Vec<Sitting> {
        if status.since < self.since {
            // Who looked later was quicker, and knows more of whoever has come since.
            return SeatWatch::default().look(now, status);
        }
        self.since = status.since;
        let mut old = std::mem::take(&mut self.members);
        for (member, store) in status.roster.iter() {
            let id = member.id;
            let last = old.remove(&id);
            let since = |is_so: bool, since: fn(&Seen) -> Option<Time>| {
                is_so.then(|| last.as_ref().and_then(since).unwrap_or(now))
            };
            let votes = status.membership.is_voter(id);
            let role = if votes { PeerRole::Voter } else { PeerRole::Learner };
            let seen = Seen {
                peer: RegionPeer { id, store, role },
                behind_since: since(status.is_behind(id, BEHIND_MAX), |last| last.behind_since),
                unheard_since: since(status.unheard.contains(&id), |last| last.unheard_since),
            };
            self.members.insert(id, seen);
        }
        let span = |since: Option<Time>| since.map(|since| now.since(since));
        let sitting = |seen: &Seen| Sitting {
            peer: seen.peer,
            behind: span(seen.behind_since),
            unheard: span(seen.unheard_since),
        };
        self.members.values().map(sitting).collect()
    }

    /// A learner on this store is given up now.
    pub fn gives_up(&mut self, now: Time, store: StoreId) {
        self.given_up.insert(store, now);
    }

    /// Where learners were given up, and when last.
    #[must_use]
    pub fn given_up(&self) -> &BTreeMap<StoreId, Time> {
        &self.given_up
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use multiraft::{Member, Membership, Roster, Seat};
    use types::{EntryId, Index, Term};

    use super::*;

    fn peer(id: u64) -> PeerId {
        PeerId::new(id).expect("not zero")
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO.after(Duration::from_secs(seconds))
    }

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    /// Peer 11 leads; each lives on the store with its last digit, and has everything.
    fn status(members: &[(u64, Seat)]) -> GroupStatus {
        let membership: Vec<Member> =
            members.iter().map(|&(id, seat)| Member::new(peer(id), seat)).collect();
        let membership = Membership::new(&membership).expect("a membership");
        let roster = Roster::new(membership.clone(), |id| StoreId::new(id.get() % 10));
        GroupStatus {
            group: crate::GROUP,
            peer: peer(11),
            term: Term(3),
            leads: true,
            leader: Some(peer(11)),
            commit: Index(1_000),
            applied: Index(1_000),
            base: EntryId::new(Term(1), Index(1)),
            last: EntryId::new(Term(3), Index(1_000)),
            membership,
            since: Index(1),
            roster: roster.expect("all have a home"),
            is_asleep: false,
            matched: members.iter().map(|&(id, _)| (peer(id), Index(1_000))).collect(),
            unheard: Vec::new(),
            is_timed: false,
        }
    }

    const BEGUN: [(u64, Seat); 3] = [(11, Seat::Voter), (12, Seat::Voter), (13, Seat::Learner)];

    #[test]
    fn spans_begin_when_it_is_seen_and_end_when_it_is_over() {
        let (mut watch, mut status) = (SeatWatch::default(), status(&BEGUN));
        let of = |id: u64, all: Vec<Sitting>| {
            let sitting = all.into_iter().find(|of| of.peer.id == peer(id)).expect("a member");
            (sitting.behind, sitting.unheard)
        };
        assert_eq!(of(13, watch.look(at(1), &status)), (None, None));
        status.matched[2].1 = Index(1_000 - BEHIND_MAX - 1);
        status.unheard = vec![peer(12)];
        assert_eq!(of(13, watch.look(at(5), &status)), (seconds(0), None));
        assert_eq!(of(13, watch.look(at(8), &status)), (seconds(3), None));
        assert_eq!(of(12, watch.look(at(9), &status)), (None, seconds(4)));
        status.matched[2].1 = Index(1_000 - BEHIND_MAX);
        status.unheard.clear();
        assert_eq!(of(13, watch.look(at(10), &status)), (None, None));
        assert_eq!(of(12, watch.look(at(10), &status)), (None, None));
        // Again; nobody knows how far it is; its log has to begin anew.
        status.unheard = vec![peer(12)];
        status.matched.pop();
        assert_eq!(of(12, watch.look(at(20), &status)), (None, seconds(0)));
        assert_eq!(of(13, watch.look(at(21), &status)), (seconds(1), None));
        status.commit = Index(20);
        status.base = EntryId::new(Term(1), Index(15));
        status.matched = vec![(peer(13), Index(14)), (peer(12), Index(15))];
        assert_eq!(of(13, watch.look(at(22), &status)), (seconds(2), None));
        assert_eq!(of(12, watch.look(at(22), &status)).0, None);
        assert_eq!(of(11, watch.look(at(22), &status)), (None, None), "it is the leader");
    }

    #[test]
    fn status_that_comes_late_ends_no_span() {
        let (mut watch, mut status) = (SeatWatch::default(), status(&BEGUN));
        status.since = Index(9);
        status.unheard = vec![peer(13)];
        watch.look(at(1), &status);
        let mut late = self::status(&[(11, Seat::Voter), (12, Seat::Voter)]);
        late.since = Index(8);
        assert_eq!(watch.look(at(2), &late).len(), 2, "it is told what it asked for");
        assert_eq!(watch.look(at(3), &status)[2].unheard, seconds(2));
    }
}
