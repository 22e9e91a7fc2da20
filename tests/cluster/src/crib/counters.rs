//! Counters that several swappers raise, one at a time: what compare-and-swap promises.
//!
//! Each reads a counter and swaps in the next number. What must hold: no number is acknowledged
//! twice; in the end a counter is as high as numbers were acknowledged, and at most as many higher
//! as outcomes are not known.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use client::{Client, Error, Fate};
use parking_lot::Mutex;

/// Counters of all swappers.
const COUNTERS: u64 = 8;

/// What is known of one counter.
#[derive(Clone, Debug, Default)]
struct Known {
    acknowledged: BTreeSet<u64>,
    unknown: u64,
}

/// The history of all counters.
#[derive(Default)]
pub(super) struct Counters {
    known: Mutex<BTreeMap<String, Known>>,
}

impl Counters {
    /// Raises a counter by one, or finds that another was faster.
    ///
    /// # Errors
    /// If it was told that nothing happened.
    pub(super) async fn raise(&self, client: &Client, turn: u64) -> Result<(), Error> {
        let key = format!("counter/{:02x}", (turn % COUNTERS) * 256 / COUNTERS);
        let old = client.get(&key).await?;
        let next = number(old.as_ref()) + 1;
        match client.compare_and_swap(&key, old, next.to_string()).await {
            Ok(swap) if swap.is_swapped => {
                assert_eq!(self.acknowledged(&key, next), Ok(()));
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if error.fate() == Fate::Unknown => {
                self.known.lock().entry(key).or_default().unknown += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn acknowledged(&self, key: &str, number: u64) -> Result<(), String> {
        let mut known = self.known.lock();
        let is_new = known.entry(key.to_owned()).or_default().acknowledged.insert(number);
        is_new.then_some(()).ok_or_else(|| format!("{key}: {number} was acknowledged twice"))
    }

    /// All counters that were raised.
    pub(super) fn keys(&self) -> Vec<String> {
        self.known.lock().keys().cloned().collect()
    }

    /// Numbers that were acknowledged, and outcomes that are not known.
    pub(super) fn counts(&self) -> (u64, u64) {
        let known = self.known.lock();
        let count = |(sum, open): (u64, u64), of: &Known| {
            (sum + of.acknowledged.len() as u64, open + of.unknown)
        };
        known.values().fold((0, 0), count)
    }

    /// What is wrong with a counter that is at this in the end.
    pub(super) fn wrong(&self, key: &str, found: Option<&Bytes>) -> Option<String> {
        let known = self.known.lock().get(key).cloned().unwrap_or_default();
        let (least, last) = (known.acknowledged.len() as u64, number(found));
        let is_right = (least..=least + known.unknown).contains(&last)
            && known.acknowledged.last().is_none_or(|&highest| highest <= last);
        (!is_right).then(|| format!("{key} is at {last}, {least} and {} open", known.unknown))
    }
}

fn number(value: Option<&Bytes>) -> u64 {
    let Some(value) = value else { return 0 };
    let text = std::str::from_utf8(value).expect("a number of ours");
    text.parse().expect("a number of ours")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(acknowledged: &[u64], unknown: u64) -> Counters {
        let counters = Counters::default();
        for &number in acknowledged {
            counters.acknowledged("a", number).expect("new");
        }
        counters.known.lock().entry("a".to_owned()).or_default().unknown = unknown;
        counters
    }

    #[test]
    fn lost_and_doubled_numbers_are_found() {
        let is_wrong = |counters: &Counters, found: &'static str| {
            counters.wrong("a", Some(&Bytes::from(found))).is_some()
        };
        let three = counters(&[1, 2, 3], 0);
        assert!(!is_wrong(&three, "3"));
        assert!(is_wrong(&three, "2"), "an update was lost");
        assert!(is_wrong(&three, "4"), "one was done that nobody made");
        assert!(three.wrong("a", None).is_some(), "all were lost");
        three.acknowledged("a", 2).expect_err("two swappers got the same");
        let open = counters(&[1, 3], 1);
        assert!(!is_wrong(&open, "3"));
        assert!(is_wrong(&open, "2"), "the newest was lost");
        assert!(is_wrong(&open, "4"), "more than were tried");
    }
}
