//! Reads without a turn of a worker.

use types::{Index, Term, Time};

/// Until when a group's state can be read on this store without asking anyone (thesis §6.4.1): no
/// other leader can have been elected before, and the state has everything that was answered under
/// earlier leaders. What this one answers comes from the state itself.
///
/// It is a promise about an instant, and a leader may take it back (it does when it hands over):
/// take the lease, look at the state, then ask whether that lease still holds
/// ([`crate::Handle::still_leased`]). If so, what was seen is linearizable.
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

    /// Whether a state that was looked at between this lease and `later` was read rightly: the same
    /// leadership, without a break. The term says so: in it nobody else leads, and no majority that
    /// has helped a later one echoes this leader any more.
    #[must_use]
    pub fn is_continued_by(&self, later: Option<Lease>, now: Time) -> bool {
        later.is_some_and(|later| later.term == self.term && later.holds(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(term: u64, said: u64, until: u64) -> Lease {
        Lease { term: Term(term), said: Time(said), until: Time(until), applied: Index(7) }
    }

    #[test]
    fn lease_ends_in_time_and_with_its_term() {
        let taken = lease(2, 10, 20);
        assert!(taken.holds(Time(10)) && taken.holds(Time(19)));
        assert!(!taken.holds(Time(20)), "it has ended");
        assert!(!taken.holds(Time(9)), "the clock went back");
        assert!(taken.is_continued_by(Some(lease(2, 18, 30)), Time(25)), "it was renewed");
        assert!(!taken.is_continued_by(Some(lease(2, 10, 20)), Time(25)), "it has ended since");
        assert!(!taken.is_continued_by(Some(lease(3, 18, 30)), Time(25)), "another leadership");
        assert!(!taken.is_continued_by(None, Time(12)), "it was taken back");
    }
}
