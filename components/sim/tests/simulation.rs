//! A fixed range of seeds holds, repeats itself, and goes everywhere.

use sim::{Count, Report};

/// Seeds that every test run goes through.
const SEEDS: u64 = 60;

#[test]
fn fixed_seeds_hold_and_reach_everything_that_is_counted() {
    let mut total = Report::default();
    for seed in 0..SEEDS {
        match sim::run(seed, None, None) {
            Ok(report) => total.merge(&report),
            Err(failure) => panic!("{failure}"),
        }
    }
    for (count, name) in Count::ALL {
        assert!(total.count(count) > 0, "no {name} in {SEEDS} runs: {total}");
    }
}

#[test]
fn same_seed_gives_the_same_run() {
    let first = sim::run(3, None, None).expect("it holds");
    assert_eq!(first, sim::run(3, None, None).expect("it holds"));
    assert_ne!(first.trace, sim::run(4, None, None).expect("it holds").trace);
}

#[test]
fn empty_peer_that_was_restarted_keeps_its_vote_when_its_group_begins() {
    sim::run(160, None, None).expect("it holds");
}

#[test]
fn request_displaced_beyond_the_log_of_the_next_leadership_ends() {
    sim::run(911, None, None).expect("it holds");
}
