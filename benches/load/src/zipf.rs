//! Ranks as a zipfian distribution gives them: rank `k`, counted from one, is drawn in proportion
//! to `1 / k^0.99`.
//!
//! Drawn by rejection from the integral of the density (Hörmann and Derflinger, 1996): no table and
//! no sum over all ranks, so that a hundred million records cost no more to begin with than ten.

use crate::dice::Dice;

/// How much the first ranks are preferred: what the YCSB benchmark takes.
pub(crate) const EXPONENT: f64 = 0.99;

/// A distribution over a number of ranks.
#[derive(Clone, Debug)]
pub struct Zipf {
    count: u64,
    /// The integral at the two ends.
    first: f64,
    last: f64,
    /// So near to its rank, a point needs no second look.
    near: f64,
}

impl Zipf {
    /// Over so many ranks, at least one.
    #[must_use]
    pub fn new(count: u64) -> Zipf {
        let count = count.max(1);
        Zipf {
            count,
            first: integral(1.5) - 1.0,
            last: integral(count as f64 + 0.5),
            near: 2.0 - inverse(integral(2.5) - density(2.0)),
        }
    }

    /// The next rank, counted from zero.
    pub fn rank(&self, dice: &mut Dice) -> u64 {
        loop {
            let area = self.last + dice.unit() * (self.first - self.last);
            let point = inverse(area);
            let rank = point.round().clamp(1.0, self.count as f64);
            if rank - point <= self.near || area >= integral(rank + 0.5) - density(rank) {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "whole, and within 1..=count"
                )]
                return (rank as u64 - 1).min(self.count - 1);
            }
        }
    }
}

fn density(at: f64) -> f64 {
    at.powf(-EXPONENT)
}

/// The integral of the density from one on.
fn integral(upto: f64) -> f64 {
    ((1.0 - EXPONENT) * upto.ln()).exp_m1() / (1.0 - EXPONENT)
}

/// Where the integral has this value.
fn inverse(area: f64) -> f64 {
    (((1.0 - EXPONENT) * area).ln_1p() / (1.0 - EXPONENT)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of the ranks is expected in so many draws.
    fn expected(ranks: u32, draws: f64) -> Vec<f64> {
        let weights: Vec<f64> = (1..=ranks).map(|rank| density(f64::from(rank))).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| draws * weight / sum).collect()
    }

    #[test]
    fn ranks_are_as_frequent_as_the_formula_says() {
        for ranks in [1_u32, 2, 10, 1_000] {
            let zipf = Zipf::new(u64::from(ranks));
            let mut dice = Dice::new(7, u64::from(ranks));
            let mut counts = vec![0_u32; ranks as usize];
            for _ in 0..200_000 {
                counts[usize::try_from(zipf.rank(&mut dice)).unwrap()] += 1;
            }
            for (rank, (count, expected)) in
                counts.iter().zip(expected(ranks, 200_000.0)).enumerate()
            {
                let off = (f64::from(*count) - expected).abs();
                // Five standard deviations, and a little for the rare ones.
                assert!(off <= 5.0 * expected.sqrt() + 3.0, "{rank} of {ranks}: {count}");
            }
        }
    }

    #[test]
    fn very_many_ranks_stay_within_their_bounds() {
        let zipf = Zipf::new(1 << 40);
        let mut dice = Dice::new(1, 1);
        let ranks: Vec<u64> = (0..100_000).map(|_| zipf.rank(&mut dice)).collect();
        assert!(ranks.iter().all(|&rank| rank < 1 << 40));
        assert!(ranks.contains(&0) && ranks.iter().any(|&rank| rank > 1 << 30));
    }
}
