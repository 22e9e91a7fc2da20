//! Planted bugs are found: a checker that cannot fail is a defect.

use sim::{Bug, Run};

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
    (Bug::DataKept, 40),
    (Bug::BaseNotWritten, 40),
    (Bug::RosterNotWritten, 40),
    (Bug::TombstoneNotSynced, 120),
    (Bug::TombstoneLost, 40),
    (Bug::SuffixKept, 120),
    (Bug::SupportNotWritten, 40),
    (Bug::SupportForgotten, 40),
    (Bug::EpochForgotten, 40),
    (Bug::WritesReordered, 40),
    (Bug::SyncFailureIgnored, 40),
    (Bug::FullIgnored, 40),
    (Bug::AnsweredEarly, 40),
    (Bug::VouchedForEver, 40),
    (Bug::NeverVouched, 40),
    (Bug::FastClock, 40),
    (Bug::AdmittedAnyway, 40),
    (Bug::VoteLostAtBeginning, 60),
    (Bug::TombstoneIgnored, 40),
    (Bug::BegunLater, 40),
];

/// Checkers that are proven by the bugs above, by the name of what they say.
const PROVEN: [&str; 10] = [
    "epochs are used in one life",
    "every request ends",
    "groups begin with their commands",
    "groups go on without a store",
    "idle groups fall silent",
    "nothing acknowledged is lost",
    "nothing refused is applied",
    "ranges of a store do not overlap",
    "reads are linearizable",
    "whoever vouches is supported",
];

#[test]
fn planted_bugs_are_found_within_the_stated_seeds() {
    let mut missed = Vec::new();
    let mut said = String::new();
    for (bug, seeds) in PLANTED {
        let found = (0..seeds).find_map(|seed| {
            // A store that asserts what a bug has broken has found it as well.
            let run = std::panic::catch_unwind(|| sim::run(&Run::planted(seed, bug)));
            let why = match run {
                Ok(Ok(_)) => return None,
                Ok(Err(failure)) => failure.violation.to_string(),
                Err(_) => "an assertion of the engine".to_owned(),
            };
            Some((seed, why))
        });
        match found {
            Some((seed, why)) => {
                println!("{bug:?}: seed {seed}, {why}");
                said += &why;
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
    for name in PROVEN {
        assert!(said.contains(name), "no planted bug is found by: {name}");
    }
}
