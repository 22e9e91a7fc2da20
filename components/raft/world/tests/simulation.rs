//! The simulation itself: the same seed gives the same run, and every kind of trouble occurs.

use raft_world::sim::{self, Report};

/// Every hundredth of the seeds that continuous integration runs.
const SEEDS_TWICE: [u64; 20] = [
    0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000, 1_100, 1_200, 1_300, 1_400, 1_500,
    1_600, 1_700, 1_800, 1_900,
];

fn run(seed: u64) -> Report {
    sim::run(seed, None).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn same_seed_gives_the_same_run() {
    for seed in SEEDS_TWICE {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(0).trace, run(1).trace);
}

#[test]
fn every_kind_of_trouble_occurs() {
    let mut sum = Report::default();
    for seed in 10_000..10_150 {
        sum.add(&run(seed));
    }
    for (name, count) in Report::NAMES.iter().zip(sum.counts) {
        assert!(count > 0, "no {name} in 150 runs");
    }
}
