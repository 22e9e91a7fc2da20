//! The simulation itself: fixed seeds hold, the same seed gives the same run, and every kind of
//! trouble occurs.

use raft_world::sim::{self, Report};

/// Seeds that every test run goes through.
const SEEDS: u64 = 2_000;
/// One seed in so many is run twice.
const TWICE: usize = 100;

/// A seed that runs. Names itself also where it is the core that panics.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {0} fails; again with: ./x sim --seed {0}", self.0);
        }
    }
}

fn run(seed: u64) -> Report {
    let _running = Running(seed);
    sim::run(seed, None).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn fixed_seeds_hold_and_every_kind_of_trouble_occurs() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = |first: u64| {
        let mut sum = Report::default();
        (first..SEEDS).step_by(cores).for_each(|seed| sum.add(&run(seed)));
        sum
    };
    let mut sum = Report::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..).take(cores).map(|first| scope.spawn(move || share(first))).collect();
        for thread in threads {
            sum.add(&thread.join().expect("its seeds hold"));
        }
    });
    for (name, count) in Report::NAMES.iter().zip(sum.counts) {
        assert!(count > 0, "no {name} in {SEEDS} runs");
    }
}

#[test]
fn same_seed_gives_the_same_run() {
    for seed in (0..SEEDS).step_by(TWICE) {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(0).trace, run(1).trace);
}
