//! Which keys there are: records by number, under a prefix; and those that a run adds.
//!
//! ```text
//!  bench/000000000000 … bench/000000099999 │ bench/000000100000 …
//!  records: there before anything is measured │ inserted by the run, in order
//! ```
//!
//! Invariant: `Numbers::known` is the end of a run of numbers that are all there, or whose insert
//! has failed and was counted: a reader of the latest key never asks for one under way.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use types::KeyRange;

/// The most records: beyond them, keys would not be in the order of their numbers.
pub const RECORDS_MAX: u64 = 100_000_000_000;
/// Digits of a number in a key.
const DIGITS: usize = 12;

/// The records of a bench.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// What all their keys begin with.
    pub prefix: String,
    /// How many there are.
    pub records: u64,
}

impl Keys {
    /// The key of a number; in the order of numbers.
    #[must_use]
    pub fn key_of(&self, number: u64) -> Bytes {
        format!("{}{number:0DIGITS$}", self.prefix).into()
    }

    /// The keys of all records.
    #[must_use]
    pub fn records(&self) -> KeyRange {
        KeyRange::new(self.key_of(0).to_vec(), self.key_of(self.records).to_vec())
    }

    /// The keys from this number on, with all that is inserted later.
    #[must_use]
    pub fn from(&self, number: u64) -> KeyRange {
        // Behind every digit.
        KeyRange::new(self.key_of(number).to_vec(), format!("{}:", self.prefix).into_bytes())
    }
}

/// The numbers of a run, which all its callers share.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// Records that were there at the beginning.
    pub(crate) records: u64,
    /// The next one that is inserted.
    next: AtomicU64,
    /// All below are settled.
    known: AtomicU64,
    /// Settled, and not yet below `known`.
    early: Mutex<BTreeSet<u64>>,
    /// Turns of whoever goes from key to key.
    turns: AtomicU64,
}

impl Numbers {
    /// The numbers of a run over so many records.
    pub(crate) fn new(records: u64) -> Numbers {
        Numbers {
            records,
            next: AtomicU64::new(records),
            known: AtomicU64::new(records),
            early: Mutex::new(BTreeSet::new()),
            turns: AtomicU64::new(0),
        }
    }

    /// A number for a key that is to be inserted.
    pub(crate) fn insert(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The insert of this number has ended.
    pub(crate) fn settle(&self, number: u64) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        early.insert(number);
        let mut known = self.known.load(Ordering::Acquire);
        while early.remove(&known) {
            known += 1;
        }
        self.known.store(known, Ordering::Release);
    }

    /// All numbers below this are there.
    pub(crate) fn known(&self) -> u64 {
        self.known.load(Ordering::Acquire)
    }

    /// The next record of those that are taken in order, again and again.
    pub(crate) fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed) % self.records.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_their_numbers_and_within_their_ranges() {
        let keys = Keys { prefix: "bench/".to_owned(), records: 1_000 };
        assert_eq!(keys.key_of(42), "bench/000000000042");
        assert!(keys.key_of(99) < keys.key_of(100));
        let records = keys.records();
        assert!(records.contains(&keys.key_of(0)) && records.contains(&keys.key_of(999)));
        assert!(!records.contains(&keys.key_of(1_000)));
        assert!(keys.from(7).contains(&keys.key_of(1_000)) && !keys.from(7).contains(b"bench0"));
    }

    #[test]
    fn inserted_number_is_known_when_all_before_it_are() {
        let numbers = Numbers::new(10);
        let inserted = [numbers.insert(), numbers.insert(), numbers.insert()];
        assert_eq!((inserted, numbers.known()), ([10, 11, 12], 10));
        numbers.settle(11);
        assert_eq!(numbers.known(), 10);
        numbers.settle(10);
        assert_eq!(numbers.known(), 12);
        numbers.settle(12);
        assert_eq!(numbers.known(), 13);
    }

    #[test]
    fn turns_go_round() {
        let numbers = Numbers::new(3);
        assert_eq!([0; 5].map(|_: i32| numbers.turn()), [0, 1, 2, 0, 1]);
    }
}
