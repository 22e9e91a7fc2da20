//! When operations of an open loop are to begin: at even distances, whatever the target does.
//!
//! Latency counts from there. A target that stands still for a second makes every operation of that
//! second late, and each of them says so; a closed loop would have made one slow call of it.

use std::time::Duration;

/// The most operations a second that a schedule has: more than any machine begins, and few enough
/// to be counted for years.
pub const PER_SECOND_MAX: u64 = 100_000_000;
/// Nanoseconds of a second.
const SECOND: u128 = 1_000_000_000;

/// So many operations a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    per_second: u64,
}

impl Schedule {
    /// So many operations a second, at least one and at most [`PER_SECOND_MAX`].
    pub(crate) fn new(per_second: u64) -> Schedule {
        assert!((1..=PER_SECOND_MAX).contains(&per_second), "{per_second} operations a second");
        Schedule { per_second }
    }

    /// When the operation of a number is to begin, from the beginning of the run.
    pub(crate) fn start_of(self, number: u64) -> Duration {
        // Rounded up, so that it is due at that very instant.
        let nanos = (u128::from(number) * SECOND).div_ceil(u128::from(self.per_second));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos)
    }

    /// How many operations are to have begun when the run is so old.
    pub(crate) fn due(self, age: Duration) -> u64 {
        let begun = age.as_nanos() * u128::from(self.per_second) / SECOND + 1;
        u64::try_from(begun).unwrap_or(u64::MAX)
    }

    /// How many operations begin before the run is so old.
    pub(crate) fn before(self, age: Duration) -> u64 {
        let begun = (age.as_nanos() * u128::from(self.per_second)).div_ceil(SECOND);
        u64::try_from(begun).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_even_and_never_drift() {
        let schedule = Schedule::new(3);
        assert_eq!(schedule.start_of(0), Duration::ZERO);
        assert_eq!(schedule.start_of(1), Duration::from_nanos(333_333_334));
        assert_eq!(schedule.start_of(3), Duration::from_secs(1));
        assert_eq!(schedule.start_of(3 * 86_400), Duration::from_secs(86_400));
    }

    #[test]
    fn due_and_before_count_the_same_starts() {
        let ms = Duration::from_millis;
        let schedule = Schedule::new(1_000);
        assert_eq!([ms(0), ms(1), ms(10)].map(|age| schedule.due(age)), [1, 2, 11]);
        assert_eq!([ms(0), ms(1), ms(10)].map(|age| schedule.before(age)), [0, 1, 10]);
        for rate in [1, 7, 999, 20_000, 1_000_003] {
            let schedule = Schedule::new(rate);
            let count = schedule.before(ms(1_234));
            assert!(schedule.start_of(count - 1) <= ms(1_234), "{rate}");
            assert!(schedule.start_of(count) >= ms(1_234), "{rate}");
            assert_eq!(schedule.due(schedule.start_of(count)), count + 1, "{rate}");
        }
    }
}
