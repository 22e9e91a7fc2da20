//! A fixed range of seeds holds, repeats itself, and goes everywhere.

use sim::{Count, Report, Run, Site};

/// Seeds that every test run goes through.
const SEEDS: u64 = 60;

#[test]
fn fixed_seeds_hold_and_reach_everything_that_is_counted() {
    let mut total = Report::default();
    for seed in 0..SEEDS {
        match sim::run(&Run::of(seed)) {
            Ok(report) => total.merge(&report),
            Err(failure) => panic!("{failure}"),
        }
    }
    for (count, name) in Count::ALL {
        assert!(total.count(count) > 0, "no {name} in {SEEDS} runs: {total}");
    }
    let missed: Vec<&str> = total.unreached().map(Site::name).collect();
    assert!(missed.is_empty(), "never odd in {SEEDS} runs: {missed:?}");
}

#[test]
fn same_seed_gives_the_same_run() {
    let first = sim::run(&Run::of(3)).expect("it holds");
    assert_eq!(first, sim::run(&Run::of(3)).expect("it holds"));
    assert_ne!(first.trace, sim::run(&Run::of(4)).expect("it holds").trace);
}
