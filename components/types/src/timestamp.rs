//! Timestamps of the cluster, handed out by placement.

use core::fmt;

/// A timestamp: milliseconds since 1970 and a counter within the millisecond, in one number. Each
/// is greater than all that were handed out before it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Bits of the counter.
    pub const LOGICAL_BITS: u32 = 18;
    /// How many there are in a millisecond.
    pub const LOGICAL_MAX: u64 = 1 << Timestamp::LOGICAL_BITS;

    /// A timestamp from its parts. `logical` is less than [`Timestamp::LOGICAL_MAX`].
    #[must_use]
    pub const fn new(physical: u64, logical: u64) -> Timestamp {
        Timestamp((physical << Timestamp::LOGICAL_BITS) | logical)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn physical(self) -> u64 {
        self.0 >> Timestamp::LOGICAL_BITS
    }

    /// The counter.
    #[must_use]
    pub const fn logical(self) -> u64 {
        self.0 & (Timestamp::LOGICAL_MAX - 1)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_and_order_is_that_of_time() {
        let at = Timestamp::new(1_700_000_000_000, Timestamp::LOGICAL_MAX - 1);
        assert_eq!((at.physical(), at.logical()), (1_700_000_000_000, Timestamp::LOGICAL_MAX - 1));
        assert!(at < Timestamp::new(1_700_000_000_001, 0));
    }
}
