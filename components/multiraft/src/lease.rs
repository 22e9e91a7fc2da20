//! Reads without a turn of a worker.

use types::{Index, Term, Time};

/// Until when a group's state can be read on this store without asking anyone (thesis §6.4.1): no
/// other leader can have been elected before, and the state has everything that was answered under
/// earlier leaders. What this one answers comes from the state itself.
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
    /// When it ends.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_ends_in_time_and_when_the_clock_goes_back() {
        let lease = Lease { term: Term(2), said: Time(10), until: Time(20), applied: Index(7) };
        assert!(lease.holds(Time(10)) && lease.holds(Time(19)));
        assert!(!lease.holds(Time(20)), "it has ended");
        assert!(!lease.holds(Time(9)), "the clock went back");
    }
}
