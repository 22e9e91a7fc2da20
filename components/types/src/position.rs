//! Positions in a replicated log.

use core::fmt;

/// A leadership period of one group: at most one peer leads it (Raft thesis §3.3). Starts at 0,
/// the term before the first election.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// A slot of the log. The first entry has index 1; 0 is the place before it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

/// Which entry: the term of the leader that made it and the slot it put it in. Two logs that hold
/// the same id hold the same entry, and the same entries before it (log matching, thesis §3.5).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EntryId {
    /// Term of the leader that made the entry.
    pub term: Term,
    /// Slot of the entry.
    pub index: Index,
}

impl Term {
    /// The term after this one. Saturates: a term this large only comes from garbage.
    #[must_use]
    pub const fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }
}

impl Index {
    /// The slot after this one. Saturates: an index this large only comes from garbage.
    #[must_use]
    pub const fn next(self) -> Index {
        Index(self.0.saturating_add(1))
    }

    /// The slot before this one; the place before the log for 0.
    #[must_use]
    pub const fn prev(self) -> Index {
        Index(self.0.saturating_sub(1))
    }

    /// How many slots lie in `start..self`; 0 if `start` is not before `self`.
    #[must_use]
    pub const fn since(self, start: Index) -> u64 {
        self.0.saturating_sub(start.0)
    }
}

impl EntryId {
    /// The entry of `term` at `index`.
    #[must_use]
    pub const fn new(term: Term, index: Index) -> EntryId {
        EntryId { term, index }
    }

    /// Whether a log that ends here is at least as complete as one that ends at `other`: the later
    /// last term wins, then the longer log (thesis §3.6.1).
    #[must_use]
    pub fn is_up_to_date_with(self, other: EntryId) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_term_beats_longer_log() {
        let long_old = EntryId::new(Term(2), Index(9));
        let short_new = EntryId::new(Term(3), Index(4));
        assert!(short_new.is_up_to_date_with(long_old));
        assert!(!long_old.is_up_to_date_with(short_new));
        assert!(long_old.is_up_to_date_with(long_old));
    }

    #[test]
    fn garbage_positions_do_not_wrap() {
        assert_eq!(Index(u64::MAX).next(), Index(u64::MAX));
        assert_eq!(Index(0).prev(), Index(0));
        assert_eq!(Term(u64::MAX).next(), Term(u64::MAX));
        assert_eq!(Index(3).since(Index(5)), 0);
    }
}
