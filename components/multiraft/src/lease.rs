//! Reads without a turn of a worker.

use raft::Pledge;
use types::{Index, StoreId, Term, Time};

use crate::pledges::Pledges;

/// Until when a group's state can be read on this store without asking anyone (thesis §6.4.1): no
/// other leader can have been elected before, and the state has everything that was answered under
/// earlier leaders. What this one answers comes from the state itself, and so does what groups
/// answer that one of its commands brought into being: before it is applied here there is no lease.
///
/// A read that finds one after it was asked for, and then looks at the state, is linearizable,
/// however long it takes until it looks: what another leader answers meanwhile is answered while
/// the read is under way. A lease is good for reads that were asked for before it was found
/// ([`crate::Handle::lease`]), and for no others: a leader that hands over takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The term of the leader on this store.
    pub term: Term,
    /// When this was said.
    pub said: Time,
    /// When it ends, unless it is prolonged ([`Grant`]).
    pub until: Time,
    /// A slot that the state has: at least the last one of which a caller was answered.
    pub applied: Index,
}

impl Lease {
    /// Whether it is worth anything at this instant. A clock that went back makes it worth nothing.
    #[must_use]
    pub fn holds(&self, now: Time) -> bool {
        self.said <= now && now < self.until
    }
}

/// Voters whose pledges are kept in mind; a majority of a group of seven is three others.
const PLEDGES_MAX: usize = 4;

/// What readers are told: a lease, and by whose pledges it goes on for as long as they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    lease: Lease,
    /// How many of the pledges must be kept.
    wanted: usize,
    by: [(StoreId, Pledge); PLEDGES_MAX],
    count: usize,
}

impl Grant {
    /// `wanted` of the pledges prolong the lease, or none do.
    pub(crate) fn new(
        lease: Lease,
        wanted: Option<usize>,
        pledges: impl Iterator<Item = (StoreId, Pledge)>,
    ) -> Grant {
        let nobody = (StoreId::new(u64::MAX).expect("not zero"), Pledge(0));
        let mut grant = Grant { lease, wanted: 0, by: [nobody; PLEDGES_MAX], count: 0 };
        let Some(wanted @ 1..) = wanted else { return grant };
        grant.wanted = wanted;
        for (slot, given) in grant.by.iter_mut().zip(pledges.filter(|by| by.1 != Pledge(0))) {
            *slot = given;
            grant.count += 1;
        }
        grant
    }

    /// Whether it may be prolonged at all.
    pub(crate) fn has_pledges(&self) -> bool {
        self.wanted > 0 && self.count >= self.wanted
    }

    /// Whether it needs no pledge at this instant.
    #[must_use]
    pub fn is_held_by_itself(&self, now: Time) -> bool {
        self.lease.holds(now)
    }

    /// One that holds at this instant, if there is any; how much longer, is known in part.
    pub(crate) fn lease_at(&self, now: Time, pledges: &Pledges) -> Lease {
        if self.is_held_by_itself(now) { self.lease } else { self.lease(pledges) }
    }

    /// The lease as it is now.
    #[must_use]
    pub fn lease(&self, pledges: &Pledges) -> Lease {
        let mut lease = self.lease;
        if self.has_pledges()
            && let Some((from, until)) = pledges.kept(&self.by[..self.count], self.wanted)
            && until > lease.until
        {
            (lease.said, lease.until) = (lease.said.max(from), until);
        }
        lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    fn grant(wanted: Option<usize>, pledges: &[(u64, u64)]) -> Grant {
        let lease = Lease { term: Term(2), said: at(1), until: at(20), applied: Index(7) };
        let given = |&(store, pledge)| (StoreId::new(store).unwrap(), Pledge(pledge));
        Grant::new(lease, wanted, pledges.iter().map(given))
    }

    #[test]
    fn pledges_of_enough_voters_prolong_a_lease_and_fewer_do_not() {
        let here = Pledges::new(1, &raft::Config::default());
        for (store, sent) in [(2, 5_000), (3, 4_000)] {
            here.heard(StoreId::new(store).unwrap(), Pledge(9), at(sent));
        }
        let until = |grant: Grant| grant.lease(&here).until;
        assert_eq!(until(grant(Some(1), &[(2, 9), (3, 9)])), at(5_999));
        assert!(!grant(Some(1), &[(2, 9)]).lease(&here).holds(at(4_999)), "the clock went back");
        assert_eq!(until(grant(Some(2), &[(2, 9), (3, 9)])), at(4_999));
        assert_eq!(until(grant(Some(2), &[(2, 9), (3, 8)])), at(20), "one was made void");
        assert_eq!(until(grant(Some(2), &[(2, 9), (3, 0)])), at(20), "one pledged nothing");
        assert_eq!(until(grant(None, &[(2, 9), (3, 9)])), at(20), "none may count");
        assert!(!grant(Some(2), &[(2, 9)]).has_pledges());
        assert_eq!(until(grant(Some(3), &[(4, 9), (5, 9), (2, 9), (3, 9), (6, 9)])), at(20));
    }

    #[test]
    fn lease_ends_in_time_and_when_the_clock_goes_back() {
        let lease = Lease { term: Term(2), said: Time(10), until: Time(20), applied: Index(7) };
        assert!(lease.holds(Time(10)) && lease.holds(Time(19)));
        assert!(!lease.holds(Time(20)), "it has ended");
        assert!(!lease.holds(Time(9)), "the clock went back");
    }
}
