//! Instants as plain numbers, so that pure code can be told the time.

use core::fmt;
use core::time::Duration;

/// An instant in nanoseconds on one host's monotonic clock.
///
/// Instants of two hosts are never compared. Arithmetic saturates: a clock that runs out after 584
/// years stops rather than wraps.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Before every other instant.
    pub const ZERO: Time = Time(0);

    /// The instant `span` later.
    #[must_use]
    pub const fn after(self, span: Duration) -> Time {
        Time(self.0.saturating_add(nanos(span)))
    }

    /// The instant `span` earlier, or [`Time::ZERO`].
    #[must_use]
    pub const fn before(self, span: Duration) -> Time {
        Time(self.0.saturating_sub(nanos(span)))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

const fn nanos(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000_000_000).saturating_add(span.subsec_nanos() as u64)
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}ms", self.0 / 1_000_000, self.0 / 1_000 % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Time(5).before(Duration::from_secs(1)), Time::ZERO);
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time(u64::MAX).after(Duration::MAX), Time(u64::MAX));
        assert_eq!(Time(1_500_000).after(Duration::from_millis(2)), Time(3_500_000));
    }
}
