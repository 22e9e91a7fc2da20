//! Planted bugs are found: a checker that cannot fail is a defect.

use sim::Bug;

/// Each bug, and within how many seeds one of the checkers finds it.
const PLANTED: [(Bug, u64); Bug::ALL.len()] = [
    (Bug::NoSync, 40),
    (Bug::AckBeforeWrite, 40),
    (Bug::VoteNotWritten, 40),
    (Bug::AppliedForgotten, 40),
    (Bug::LastEntryLost, 40),
    (Bug::FirstEntryOfWriteLost, 40),
    (Bug::DataLost, 40),
    (Bug::BaseLost, 40),
    (Bug::AnsweredTwice, 40),
    (Bug::NotAnswered, 40),
    (Bug::DoneAndRefused, 40),
    (Bug::AnotherSlot, 40),
    (Bug::StaleRead, 40),
    (Bug::AppliedDifferently, 40),
    (Bug::LeftOut, 40),
    (Bug::RestoredInPart, 40),
];

#[test]
fn planted_bugs_are_found_within_the_stated_seeds() {
    let mut missed = Vec::new();
    for (bug, seeds) in PLANTED {
        let found = (0..seeds).find_map(|seed| {
            // A store that asserts what a bug has broken has found it as well.
            let run = std::panic::catch_unwind(|| sim::run(seed, Some(bug), None));
            let why = match run {
                Ok(Ok(_)) => return None,
                Ok(Err(failure)) => failure.violation.to_string(),
                Err(_) => "an assertion of the engine".to_owned(),
            };
            Some((seed, why))
        });
        match found {
            Some((seed, why)) => println!("{bug:?}: seed {seed}, {why}"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
