//! How long something takes, counted while it goes on: two additions for each time.
//!
//! Everything is relaxed: a reader may see a count whose time is not in the sum yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the classes, the last of which has none. From what a sync of a good disk takes
/// to what nobody waits for.
pub const BOUNDS: [Duration; 17] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Durations by class. Shared by those who record.
#[derive(Debug, Default)]
pub struct Histogram {
    classes: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// What a histogram has counted, at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many are above the bound before, and not above the one of [`BOUNDS`]; the last are above
    /// all of them.
    pub classes: [u64; BOUNDS.len() + 1],
    /// All together.
    pub sum: Duration,
}

impl Histogram {
    /// Counts one.
    pub fn record(&self, took: Duration) {
        let class = BOUNDS.partition_point(|bound| *bound < took);
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What was counted.
    #[must_use]
    pub fn times(&self) -> Times {
        let mut times = Times::default();
        for (count, class) in times.classes.iter_mut().zip(&self.classes) {
            *count = class.load(Ordering::Relaxed);
        }
        times.sum = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        times
    }
}

impl Times {
    /// How many in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.classes.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_in_the_class_of_the_first_bound_that_it_is_not_above() {
        let histogram = Histogram::default();
        let all = [Duration::ZERO, BOUNDS[0], BOUNDS[0] + Duration::from_nanos(1), BOUNDS[16] * 2];
        all.iter().for_each(|took| histogram.record(*took));
        let times = histogram.times();
        assert_eq!((times.classes[0], times.classes[1], times.classes[17]), (2, 1, 1));
        assert_eq!((times.count(), times.sum), (4, all.iter().sum()));
        assert!(BOUNDS.is_sorted());
    }
}
