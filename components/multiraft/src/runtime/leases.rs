//! The leases of the groups that a worker leads, for readers of any thread.

use parking_lot::Mutex;
use types::{GroupId, Index, Time};

use crate::group_map::GroupMap;
use crate::lease::{Grant, Lease};
use crate::observer::Standing;
use crate::pledges::Pledges;

/// What readers were told last. A worker tells it before it sends or answers anything that came of
/// the same turn: who sees a lease here knows that it was not taken back.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<GroupMap<Led>>);

#[derive(Debug, Default)]
struct Led {
    grant: Option<Grant>,
    /// The last slot of which a caller was answered, which a worker may not have heard of yet.
    answered: Index,
}

impl Leases {
    /// Who leads changed, and then the leases did.
    pub(crate) fn tell(
        &self,
        standings: &[(GroupId, Option<Standing>)],
        leases: impl ExactSizeIterator<Item = (GroupId, Option<Grant>)>,
    ) {
        if standings.is_empty() && leases.len() == 0 {
            return;
        }
        let mut groups = self.0.lock();
        for (group, standing) in standings {
            if standing.is_some_and(|standing| standing.leads()) {
                groups.entry(*group).or_default();
            } else {
                groups.remove(group);
            }
        }
        for (group, grant) in leases {
            // One that does not lead any more has none either.
            if let Some(led) = groups.get_mut(&group) {
                led.grant = grant;
            }
        }
    }

    /// Callers are going to be answered: what is read later is later.
    pub(crate) fn answered(&self, slots: impl Iterator<Item = (GroupId, Index)>) {
        let mut groups = self.0.lock();
        for (group, index) in slots {
            if let Some(led) = groups.get_mut(&group) {
                led.answered = led.answered.max(index);
            }
        }
    }

    /// What there is at this instant: pledges are looked at only where it needs them.
    pub(crate) fn of(&self, group: GroupId, now: Time, pledges: &Pledges) -> Option<Lease> {
        let (grant, answered) = {
            let groups = self.0.lock();
            let led = groups.get(&group)?;
            (led.grant?, led.answered)
        };
        let lease = grant.lease_at(now, pledges);
        Some(Lease { applied: lease.applied.max(answered), ..lease })
    }
}

#[cfg(test)]
mod tests {
    use types::{PeerId, Term};

    use super::*;

    fn group() -> GroupId {
        GroupId::new(1).expect("not zero")
    }

    fn standing(leader: u64) -> (GroupId, Option<Standing>) {
        let peer = PeerId::new(1).expect("not zero");
        (group(), Some(Standing { peer, term: Term(2), leader: PeerId::new(leader) }))
    }

    fn lease(applied: u64) -> (GroupId, Option<Grant>) {
        let (said, until) = (Time(10), Time(20));
        let lease = Lease { term: Term(2), said, until, applied: Index(applied) };
        (group(), Some(Grant::new(lease, None, [].into_iter())))
    }

    fn applied(leases: &Leases) -> Option<u64> {
        let pledges = Pledges::new(1, &raft::Config::default());
        leases.of(group(), Time(10), &pledges).map(|lease| lease.applied.0)
    }

    #[test]
    fn lease_covers_what_was_answered_before_a_worker_heard_of_it() {
        let leases = Leases::default();
        leases.tell(&[standing(1)], [].into_iter());
        leases.answered([(group(), Index(9))].into_iter());
        assert_eq!(applied(&leases), None, "no lease yet");
        leases.tell(&[], [lease(7)].into_iter());
        assert_eq!(applied(&leases), Some(9));
        leases.tell(&[], [lease(12)].into_iter());
        assert_eq!(applied(&leases), Some(12));
    }

    #[test]
    fn lease_is_taken_back_and_goes_with_the_leadership() {
        let leases = Leases::default();
        leases.tell(&[standing(1)], [lease(7)].into_iter());
        leases.tell(&[], [(group(), None)].into_iter());
        assert_eq!(applied(&leases), None);
        leases.tell(&[], [lease(8)].into_iter());
        assert_eq!(applied(&leases), Some(8));
        leases.tell(&[standing(2)], [lease(9)].into_iter());
        assert_eq!(applied(&leases), None, "another leads");
        leases.tell(&[standing(1)], [lease(7)].into_iter());
        leases.tell(&[(group(), None)], [].into_iter());
        assert!(leases.0.lock().is_empty(), "nothing is kept of what is gone");
    }
}
