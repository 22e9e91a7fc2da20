//! Numbers without order, from a seed: the same seed gives the same numbers, on every machine and
//! in every version.
//!
//! A counter with an odd step, each value mixed (`splitmix64`). Streams of one seed begin at mixed
//! places, so that callers of one run do not repeat each other.

/// The step: 2⁶⁴ over the golden ratio, odd.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// One of the streams of a seed.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Dice {
        Dice(mixed(mixed(seed).wrapping_add(stream.wrapping_mul(STEP))))
    }

    /// The stream that begins at a number itself.
    #[must_use]
    pub fn at(number: u64) -> Dice {
        Dice(number)
    }

    /// The next, of all numbers.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// The next, below a limit that is not zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The upper half of the product: as even as a remainder, and without a division.
        let product = u128::from(self.any()) * u128::from(limit);
        u64::try_from(product >> 64).expect("below the limit")
    }

    /// The next, from zero up to one, which it never is.
    pub fn unit(&mut self) -> f64 {
        // As many bits as a fraction has.
        (self.any() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The bits of a number, each depending on all of them.
fn mixed(number: u64) -> u64 {
    let mut of = number;
    of = (of ^ (of >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    of = (of ^ (of >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    of ^ (of >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_repeated_by_their_seed_and_differ_from_each_other() {
        let first = |seed, stream| {
            let mut dice = Dice::new(seed, stream);
            [dice.any(), dice.any(), dice.any()]
        };
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
    }

    #[test]
    fn every_number_below_a_limit_is_as_frequent() {
        let mut dice = Dice::new(1, 0);
        let mut counts = [0_i32; 7];
        for _ in 0..70_000 {
            counts[usize::try_from(dice.below(7)).unwrap()] += 1;
        }
        // Five standard deviations of 93.
        assert!(counts.iter().all(|count| (count - 10_000).abs() < 465), "{counts:?}");
        let mean = (0..10_000).map(|_| dice.unit()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.015, "{mean}");
    }
}
