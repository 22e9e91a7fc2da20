//! How long to wait before a store is dialed again.
//!
//! Waits double, up to a bound, and their second half is random: stores that lost the same peer at
//! the same instant do not come back at the same instant.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Waits of one lane.
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max, next: min }
    }

    /// It went well: the next wait is short again.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }

    /// The next wait.
    pub(crate) fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.max);
        let half = whole / 2;
        let spread = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        // Keys of a hasher are random; the sequence of a better generator is not needed here.
        let draw = RandomState::new().hash_one(0_u8) % spread.saturating_add(1);
        whole - half + Duration::from_nanos(draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_are_never_shorter_than_half() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(50), ms(300));
        for whole in [50, 100, 200, 300, 300] {
            let wait = backoff.wait();
            assert!(wait >= ms(whole) / 2 && wait <= ms(whole), "{wait:?} of {whole} ms");
        }
        backoff.reset();
        assert!(backoff.wait() <= ms(50));
    }
}
