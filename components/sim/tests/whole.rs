//! Whole clusters: a fixed range of seeds holds, repeats itself, and goes everywhere; and planted
//! bugs are found.

use std::ops::Range;

use sim::whole::{Kind, Planted, Tally, run};
use sim::{Run, Site};

/// Seeds that every test run goes through.
const SEEDS: u64 = 80;

#[test]
fn fixed_seeds_hold_and_reach_everything_that_is_counted() {
    let mut total = Tally::default();
    for seed in 0..SEEDS {
        match run(&Run::of(seed)) {
            Ok(tally) => total.merge(&tally),
            Err(failure) => panic!("{failure}"),
        }
    }
    for (kind, name) in Kind::ALL {
        assert!(total.count(kind) > 0, "no {name} in {SEEDS} runs: {total}");
    }
    let missed: Vec<&str> = total.unreached().map(Site::name).collect();
    assert!(missed.is_empty(), "never odd in {SEEDS} runs: {missed:?}");
}

#[test]
fn replica_whose_acquaintances_all_left_asks_those_that_placement_names() {
    run(&Run::of(8_637)).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn same_seed_gives_the_same_run() {
    let first = run(&Run::of(3)).expect("it holds");
    assert_eq!(first, run(&Run::of(3)).expect("it holds"));
    assert_ne!(first.trace, run(&Run::of(4)).expect("it holds").trace);
}

/// Each bug, within which seeds it is found, and by which checker.
const PLANTED: [(Planted, Range<u64>, &str); Planted::ALL.len()] = [
    (Planted::EpochUnchecked, 0..200, "operations are linearizable"),
    (Planted::NotStill, 150..300, "operations are linearizable"),
    (Planted::LeaseKept, 0..100, "operations are linearizable"),
    (Planted::PledgesNeverVoid, 250..350, "leases are exclusive"),
    (Planted::PledgesCountedLate, 0..100, "leases are exclusive"),
    (Planted::PromisesForgotten, 0..200, "leases are exclusive"),
    (Planted::ReadUngranted, 0..60, "operations are linearizable"),
    (Planted::ChildWithoutData, 0..60, "replicas are the same"),
    (Planted::CutElsewhere, 0..60, "replicas are the same"),
    (Planted::CasAtProposer, 0..60, "operations are linearizable"),
    (Planted::RangeNotClipped, 0..60, "replicas are the same"),
    (Planted::WriteLeftOut, 0..60, "replicas are the same"),
    (Planted::AdmittedAnyway, 0..60, "stores go on"),
    (Planted::WindowNotSaved, 0..60, "timestamps rise"),
    (Planted::WindowIgnored, 0..60, "timestamps rise"),
    (Planted::IdsReused, 0..60, "ids are handed out once"),
    (Planted::UnknownAsRefused, 0..60, "nothing refused is done"),
    (Planted::ProposedAsDone, 0..60, "nothing acknowledged is lost"),
    (Planted::NoSync, 0..60, "regions are led and whole"),
    (Planted::RecordElsewhere, 0..60, "regions part all keys"),
    (Planted::TombstoneLost, 0..200, "nobody stays who has left"),
    (Planted::SeatsForgotten, 0..60, "placement has its members"),
    // One run in some hundreds leaves a replica, or a seat, that is nobody's.
    (Planted::InquiryUnheard, 616..620, "nobody stays who has left"),
    (Planted::StrangerBelieved, 0..200, "regions are led and whole"),
];

#[test]
fn planted_bugs_are_found_within_the_stated_seeds_by_the_named_checker() {
    let mut missed = Vec::new();
    for (bug, seeds, check) in PLANTED {
        let mut others: Vec<String> = Vec::new();
        let found = seeds.clone().find(|&seed| {
            // A store that asserts what a bug has broken has found it, but is not the checker.
            match std::panic::catch_unwind(|| run(&Run::planted(seed, bug))) {
                Ok(Ok(_)) => false,
                Ok(Err(failure)) if failure.violation.check == check => true,
                Ok(Err(failure)) => {
                    others.push(failure.to_string());
                    false
                }
                Err(_) => {
                    others.push("an assertion".to_owned());
                    false
                }
            }
        });
        println!("{bug:?}: {found:?}, else {} such as {:.300}", others.len(), others.join(" | "));
        if found.is_none() {
            missed.push(bug);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
