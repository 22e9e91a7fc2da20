//! What is counted: latencies in HDR histograms by kind of operation, conflicts, failures.
//!
//! Callers write into shards, each under a lock that is free nearly always; once a second what is
//! new is taken out of all of them and merged. A failure is counted by its kind and has no latency.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::target::{Done, Failed};
use crate::workload::Kind;

/// The longest latency that is told apart from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(600);
/// Digits of a latency that are kept.
const DIGITS: u8 = 3;
/// Shards of a recorder: more than callers that run at an instant.
const SHARDS: usize = 16;

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// What was said the first time.
    pub example: String,
}

/// What was counted over a while.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Latencies in microseconds, in the order of [`Kind::ALL`].
    latencies_us: Vec<Histogram<u64>>,
    /// Operations that found that another was faster. They are among the latencies.
    pub conflicts: u64,
    /// By kind.
    pub failures: BTreeMap<&'static str, Failures>,
}

impl Default for Tally {
    fn default() -> Tally {
        let latencies_us = vec![no_latencies(); Kind::ALL.len()];
        Tally { latencies_us, conflicts: 0, failures: BTreeMap::new() }
    }
}

impl Tally {
    /// An operation has ended well.
    pub fn succeeded(&mut self, kind: Kind, took: Duration, done: Done) {
        record(&mut self.latencies_us[kind as usize], took);
        self.conflicts += u64::from(done == Done::Conflict);
    }

    /// An operation has failed.
    pub fn failed(&mut self, failed: Failed) {
        let Failed { kind, why } = failed;
        let of_kind = self.failures.entry(kind).or_insert(Failures { count: 0, example: why });
        of_kind.count += 1;
    }

    /// Takes in what another one has counted.
    ///
    /// # Panics
    /// Never: all of them have the same bounds.
    pub fn add(&mut self, other: &Tally) {
        for (into, from) in self.latencies_us.iter_mut().zip(&other.latencies_us) {
            if !from.is_empty() {
                into.add(from).expect("all have the same bounds");
            }
        }
        self.conflicts += other.conflicts;
        for (kind, failures) in &other.failures {
            let new = || Failures { count: 0, ..failures.clone() };
            self.failures.entry(kind).or_insert_with(new).count += failures.count;
        }
    }

    /// Latencies of a kind, in microseconds.
    #[must_use]
    pub fn latencies_us(&self, kind: Kind) -> &Histogram<u64> {
        &self.latencies_us[kind as usize]
    }

    /// Latencies of all kinds together, in microseconds.
    ///
    /// # Panics
    /// Never: all of them have the same bounds.
    #[must_use]
    pub fn all_us(&self) -> Histogram<u64> {
        let mut all = self.latencies_us[0].clone();
        for of_kind in self.latencies_us[1..].iter().filter(|of_kind| !of_kind.is_empty()) {
            all.add(of_kind).expect("all have the same bounds");
        }
        all
    }

    /// Operations that ended well.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.latencies_us.iter().map(Histogram::len).sum()
    }

    /// Operations that failed.
    #[must_use]
    pub fn failed_operations(&self) -> u64 {
        self.failures.values().map(|failures| failures.count).sum()
    }

    fn clear(&mut self) {
        self.latencies_us.iter_mut().filter(|of| !of.is_empty()).for_each(Histogram::reset);
        self.conflicts = 0;
        self.failures.clear();
    }
}

/// A histogram of microseconds that none were written into yet.
pub(crate) fn no_latencies() -> Histogram<u64> {
    let most = u64::try_from(LATENCY_MAX.as_micros()).expect("a few minutes");
    // One that grows by itself would take what it has not grown to yet for its least value.
    Histogram::new_with_bounds(1, most, DIGITS).expect("bounds that make sense")
}

/// Writes down how long something took.
pub(crate) fn record(latencies_us: &mut Histogram<u64>, took: Duration) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    latencies_us.saturating_record(took_us.max(1));
}

/// The latency that so many of a thousand do not exceed; none if there are too few to tell.
#[must_use]
pub fn quantile_us(latencies_us: &Histogram<u64>, quantile: f64) -> Option<u64> {
    // One in a hundred is not known of ten.
    let is_known = latencies_us.len() as f64 * (1.0 - quantile) >= 0.999;
    is_known.then(|| latencies_us.value_at_quantile(quantile))
}

/// Where callers write.
pub(crate) struct Recorder {
    shards: Vec<Mutex<Tally>>,
    /// Empty, between two collections.
    spare: Mutex<Tally>,
}

impl Recorder {
    /// For so many callers.
    pub(crate) fn new(callers: usize) -> Recorder {
        let shards = (0..callers.clamp(1, SHARDS)).map(|_| Mutex::default()).collect();
        Recorder { shards, spare: Mutex::default() }
    }

    /// Writes down what a caller has seen.
    pub(crate) fn write(&self, caller: usize, write: impl FnOnce(&mut Tally)) {
        let shard = &self.shards[caller % self.shards.len()];
        write(&mut shard.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes out what was written since the last time.
    pub(crate) fn collect(&self) -> Tally {
        let mut collected = Tally::default();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shards {
            // Swapped, so that its callers do not wait until it is added up.
            std::mem::swap(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner), &mut *spare);
            collected.add(&spare);
            spare.clear();
        }
        collected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn merged_shards_are_the_same_as_one() {
        let recorder = Recorder::new(64);
        let mut one = Tally::default();
        for nth in 0..10_000_u64 {
            let took = Duration::from_micros(nth * 7 % 5_000 + 1);
            let kind = Kind::ALL[usize::try_from(nth % 2).unwrap()];
            recorder.write(usize::try_from(nth % 64).unwrap(), |tally| {
                tally.succeeded(kind, took, Done::Whole);
            });
            one.succeeded(kind, took, Done::Whole);
        }
        let merged = recorder.collect();
        assert_eq!(merged.operations(), 10_000);
        for kind in Kind::ALL {
            assert_eq!(merged.latencies_us(kind), one.latencies_us(kind));
        }
        assert_eq!(merged.all_us(), one.all_us());
        assert_eq!(recorder.collect().operations(), 0, "nothing is told twice");
    }

    #[test]
    fn long_latency_is_long_from_the_first_one_on() {
        let mut latencies_us = no_latencies();
        for took in [ms(3), ms(30_000), LATENCY_MAX * 2] {
            record(&mut latencies_us, took);
        }
        let of = |at| latencies_us.value_at_quantile(at);
        assert!(of(0.0).abs_diff(3_000) < 10, "{}", of(0.0));
        assert!(of(0.5).abs_diff(30_000_000) < 50_000, "{}", of(0.5));
        assert!(latencies_us.max() >= 600_000_000, "{}", latencies_us.max());
    }

    #[test]
    fn failures_are_counted_by_kind_and_have_no_latency() {
        let failed = |why: &str| Failed { kind: "timed out", why: why.to_owned() };
        let recorder = Recorder::new(2);
        recorder.write(0, |tally| tally.failed(failed("first")));
        recorder.write(1, |tally| tally.failed(failed("second")));
        recorder.write(1, |tally| tally.succeeded(Kind::Modify, ms(1), Done::Conflict));
        let tally = recorder.collect();
        assert_eq!((tally.operations(), tally.failed_operations(), tally.conflicts), (1, 2, 1));
        assert_eq!(tally.failures["timed out"], Failures { count: 2, example: "first".to_owned() });
        assert_eq!(tally.latencies_us(Kind::Read).len(), 0);
    }

    #[test]
    fn quantile_needs_as_many_operations_as_it_speaks_of() {
        let mut tally = Tally::default();
        (1..=100).for_each(|nth| tally.succeeded(Kind::Read, ms(nth), Done::Whole));
        let of = |quantile| quantile_us(tally.latencies_us(Kind::Read), quantile);
        assert!(of(0.5).is_some_and(|us| us.abs_diff(50_000) < 100), "{:?}", of(0.5));
        assert!(of(0.99).is_some_and(|us| us.abs_diff(99_000) < 100), "{:?}", of(0.99));
        assert_eq!(of(0.999), None);
        assert_eq!(quantile_us(Tally::default().latencies_us(Kind::Read), 0.5), None);
    }
}
