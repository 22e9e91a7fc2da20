//! Draws that a seed repeats.

use load::Dice;

/// A generator.
#[derive(Clone, Debug)]
pub struct Random(Dice);

impl Random {
    /// One that draws what this seed draws.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(Dice::at(seed))
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0.any()
    }

    /// A number below the limit, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = limit.max(1) as u64;
        usize::try_from(self.draw() % limit).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_repeats_and_another_does_not() {
        let draws = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.below(1_000)).collect::<Vec<usize>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
