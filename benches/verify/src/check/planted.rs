//! Histories that are wrong, each in one way, and what both checkers say; and histories that look
//! wrong and are not, most of them because an outcome is not known.

use super::script;
use super::versioned::{self, Wrong};
use super::wgl::{self, Verdict};

const STEPS: u64 = 100_000;

/// What is wrong, and a history that shows it.
const BAD: &[(&str, &str)] = &[
    ("stale read: an acknowledged put is not seen", "put 1 @0-1; put 2 @2-3; read 1 @4-5"),
    ("stale read: it finds nothing", "put 1 @0-1; read - @2-3"),
    ("reads go backwards", "put 1 @0-1; put 2 @2-9; read 2 @3-4; read 1 @5-6"),
    ("reads go backwards under an open put", "put 1 @0-1; put 2 @2-; read 2 @3-4; read 1 @5-6"),
    ("what nobody wrote is read", "put 1 @0-1; read 2 @2-3"),
    ("what is not written yet is read", "read 1 @0-1; put 1 @2-3"),
    ("a refused put is read", "put 1 @0-1; no put 2 @2-3; read 2 @4-5"),
    ("a refused swap is read", "swap -:1 @0-1; no swap 1:2 @2-3; read 2 @4-5"),
    ("an unequal swap is read", "swap -:1a @0-1; unequal -:1b found 1a @2-3; read 1b @4-5"),
    ("two swaps found the same", "swap -:1 @0-1; swap 1:2a @2-9; swap 1:2b @3-8"),
    (
        "lost update: two swaps found the same, one after the other",
        "swap -:1a @0-1; swap -:1b @2-3",
    ),
    ("a swap found what was gone", "swap -:1 @0-1; swap 1:2 @2-3; swap 1:2b @4-5; read 2b @6-7"),
    ("a swap went back in time", "swap 1:2 @0-1; swap -:1 @2-3"),
    ("a swap found what was never there", "swap 1:2 @0-1"),
    ("a swap found another than it was told", "swap -:1 @0-1; swap 1:2 found - @2-3"),
    ("a swap was refused without need", "swap -:1 @0-1; unequal 1:2 found 1 @2-3"),
    (
        "an unequal swap found what was gone",
        "swap -:1 @0-1; swap 1:2 @2-3; \
      unequal 2:3 found 1 @4-5",
    ),
    ("an acknowledged swap is lost in the end", "swap -:1 @0-1; swap 1:2 @2-3; read 1 @9-10"),
    ("everything is lost in the end", "put 1 @0-1; put 2 @2-3; read - @9-10"),
    ("an open swap is seen and then not", "swap -:1 @0-1; swap 1:2 @2-; read 2 @3-4; read 1 @5-6"),
    ("an open swap is taken back", "swap -:1 @0-1; swap 1:2a @2-; read 2a @3-4; swap 1:2b @5-6"),
    ("what hangs on a refused swap was there", "no swap -:1 @0-1; swap 1:2 @2-3"),
];

const GOOD: &[(&str, &str)] = &[
    ("nothing", ""),
    ("nothing is there", "read - @0-1"),
    ("what is under way is seen or not", "put 1 @0-9; read - @1-2; read 1 @3-4"),
    ("at one time is at the same time", "put 1 @0-5; read - @5-6"),
    ("two reads at the same time differ", "put 1 @0-1; put 2 @2-9; read 2 @3-8; read 1 @4-7"),
    ("an open put is not seen", "put 1 @0-1; put 2 @2-; read 1 @3-4; read 1 @90-91"),
    ("an open put is seen late", "put 1 @0-1; put 2 @2-; read 1 @30-40; read 2 @50-60"),
    ("an open swap is not done", "swap -:1 @0-1; swap 1:2a @2-; swap 1:2b @3-4; read 2b @5-6"),
    ("an open swap is done late", "swap -:1 @0-1; swap 1:2 @2-; read 1 @30-40; swap 2:3 @41-42"),
    (
        "open swaps upon open swaps",
        "swap -:1 @0-; swap 1:2 @1-; swap 2:3 @2-; read - @10-11; read 3 @12-13",
    ),
    ("a refused put is not seen", "put 1 @0-1; no put 2 @2-3; put 3 @4-5; read 3 @6-7"),
    (
        "swaps at the same time, one of which loses",
        "swap -:1 @0-1; swap 1:2a @2-9; unequal 1:2b found 2a @3-8; read 2a @10-11",
    ),
    (
        "a swap loses against what is under way",
        "swap -:1 @0-1; swap 1:2a @2-90; unequal 1:2b found 2a @3-8; unequal -:1c found 1 @2-7",
    ),
];

#[test]
fn planted_bad_histories_are_rejected_by_both() {
    for (what, text) in BAD {
        let history = script::read(text);
        let wrong = versioned::check(&history).expect_err(what);
        assert!(!wrong.is_malformed(), "{what}: {wrong}");
        assert_eq!(wgl::check(&history, STEPS), Verdict::NotLinearizable, "{what}: {wrong}");
    }
}

#[test]
fn good_histories_with_unknown_outcomes_are_accepted_by_both() {
    for (what, text) in GOOD {
        let history = script::read(text);
        assert_eq!(versioned::check(&history).map(|_| ()), Ok(()), "{what}");
        assert_eq!(wgl::check(&history, STEPS), Verdict::Linearizable, "{what}");
    }
}

#[test]
fn histories_that_no_load_of_ours_makes_are_no_verdict_on_the_cluster() {
    for text in [
        "put 1 @0-1; put 1 @2-3",
        "put 1 @0-5; put 2 @2-3",
        "put 1 @0-; put 2 @2-3",
        "swap -:2 @0-1",
        "swap -:1 @0-1; put 2 @2-3",
        "put 0 @0-1",
    ] {
        let wrong = versioned::check(&script::read(text)).expect_err(text);
        assert!(wrong.is_malformed(), "{text}: {wrong}");
    }
}

#[test]
fn what_is_wrong_is_said_with_who_and_when() {
    let wrong = versioned::check(&script::read("put 1 @0-1; put 2 @2-3; read 1 @4-5"));
    let expected = Wrong::Backwards { version: 1, by: (102, 4), after: 2, ended: (101, 3) };
    assert_eq!(wrong, Err(expected.clone()));
    assert_eq!(
        expected.to_string(),
        "client 102 was at version 1 from 0.000000 s on, when client 101 had been at version 2 \
         by 0.000000 s"
    );
}
