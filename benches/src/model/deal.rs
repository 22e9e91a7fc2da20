//! Which stores have a region, and which one leads it.

use load::Dice;

use super::REPLICAS;

/// How regions are dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deal {
    /// As placement's schedulers leave a cluster whose regions are alike: the same number of
    /// replicas on each store, and the same number led by each. Which regions a store has is by
    /// chance.
    Balanced,
    /// Any three stores, led by any of them: what no scheduler leaves, as the worse case.
    Random,
}

/// Where every region is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Of each region its stores; the first leads.
    regions: Vec<[usize; REPLICAS]>,
    stores: usize,
}

impl Deal {
    /// Deals regions out, from a seed.
    ///
    /// # Panics
    /// If there are fewer stores than replicas.
    #[must_use]
    pub fn placed(self, stores: usize, regions: usize, seed: u64) -> Placed {
        assert!(stores >= REPLICAS, "each replica of a region is on a store of its own");
        let mut dice = Dice::new(seed, 0);
        let (mut replicas, mut leaders) = (vec![0_usize; stores], vec![0_usize; stores]);
        let one = |_| {
            // By chance; those with fewer replicas before others if that counts.
            let mut order: Vec<usize> = (0..stores).collect();
            shuffle(&mut order, &mut dice);
            if self == Deal::Balanced {
                order.sort_by_key(|&store| replicas[store]);
            }
            let mut chosen: [usize; REPLICAS] = std::array::from_fn(|nth| order[nth]);
            if self == Deal::Balanced {
                chosen.sort_by_key(|&store| leaders[store]);
            }
            chosen.iter().for_each(|&store| replicas[store] += 1);
            leaders[chosen[0]] += 1;
            chosen
        };
        Placed { regions: (0..regions).map(one).collect(), stores }
    }
}

impl Placed {
    /// The store that leads a region.
    #[must_use]
    pub fn leader(&self, region: usize) -> usize {
        self.regions[region][0]
    }

    /// The stores that follow.
    #[must_use]
    pub fn followers(&self, region: usize) -> [usize; REPLICAS - 1] {
        let [_, followers @ ..] = self.regions[region];
        followers
    }

    /// Replicas on each store.
    #[must_use]
    pub fn replicas(&self) -> Vec<usize> {
        self.counted(self.regions.iter().flatten())
    }

    /// Regions that each store leads.
    #[must_use]
    pub fn leaders(&self) -> Vec<usize> {
        self.counted(self.regions.iter().map(|[leader, ..]| leader))
    }

    /// How many stores' disks the data of the cluster may fill, before its copies are counted,
    /// until the store with the most replicas is full.
    #[must_use]
    pub fn room(&self) -> f64 {
        let most = self.replicas().into_iter().max().unwrap_or(0);
        self.regions.len() as f64 / most as f64
    }

    fn counted<'a>(&self, stores: impl Iterator<Item = &'a usize>) -> Vec<usize> {
        let mut counts = vec![0; self.stores];
        stores.for_each(|&store| counts[store] += 1);
        counts
    }
}

/// Any order of them, each as likely as another.
fn shuffle(items: &mut [usize], dice: &mut Dice) {
    for last in (1..items.len()).rev() {
        let other = dice.below(last as u64 + 1);
        items.swap(last, usize::try_from(other).expect("below the number of items"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(counts: &[usize]) -> usize {
        counts.iter().max().unwrap() - counts.iter().min().unwrap()
    }

    #[test]
    fn balanced_stores_have_and_lead_the_same_number() {
        for stores in [3, 4, 6, 9] {
            let placed = Deal::Balanced.placed(stores, 1_000, 7);
            assert!(difference(&placed.replicas()) <= 1, "{stores}: {:?}", placed.replicas());
            // A leader is one of three, so that the last few regions cannot always even it out.
            assert!(difference(&placed.leaders()) <= 3, "{stores}: {:?}", placed.leaders());
            assert_eq!(placed.leaders().iter().sum::<usize>(), 1_000);
        }
    }

    #[test]
    fn replicas_are_on_different_stores_and_follow_from_the_seed() {
        for deal in [Deal::Balanced, Deal::Random] {
            let placed = deal.placed(6, 300, 1);
            let is_apart = |[a, b, c]: &[usize; 3]| a != b && a != c && b != c;
            assert!(placed.regions.iter().all(is_apart));
            assert_eq!(placed, deal.placed(6, 300, 1));
            assert_ne!(placed, deal.placed(6, 300, 2));
        }
    }

    #[test]
    fn random_deal_is_uneven_and_leaves_less_room() {
        let [even, uneven] = [Deal::Balanced, Deal::Random].map(|deal| deal.placed(9, 1_000, 3));
        assert!(difference(&uneven.leaders()) > 10, "{:?}", uneven.leaders());
        assert!(uneven.room() < even.room());
        // 1,000 regions of three replicas on nine stores: 334 on the fullest.
        assert!((even.room() - 1_000.0 / 334.0).abs() < 1e-9, "{}", even.room());
    }
}
