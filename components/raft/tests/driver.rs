//! The neutral driver (`examples/raft-driver`): scripts with recorded output, and random scripts.
//!
//! Recorded: each `driver/NAME.txt` prints `driver/NAME.out`, byte for byte. Run with
//! `UPDATE_GOLDENFILES=1` to record anew, and read the difference.
//!
//! Random (`driver/random.rs`): seeded scripts with cut links, messages handed over or dropped link
//! by link, clocks that go apart, proposals, reads, transfers, membership changes, compaction,
//! restarts, queued writes and crashes. What must hold is said in `driver/verdict.rs`.
//! `DRIVER_SCRIPTS=5000` runs as many instead of [`SCRIPTS`].

#[path = "../examples/raft-driver/driver/mod.rs"]
mod driver;
#[path = "driver/random.rs"]
mod random;
#[path = "driver/verdict.rs"]
mod verdict;

use std::collections::BTreeSet;
use std::path::Path;

use verdict::Run;

/// Random scripts of a test run.
const SCRIPTS: u64 = 400;
/// Of these, one in so many is also run with a restart in every place.
const WITH_RESTARTS: usize = 25;

#[test]
fn scripts_print_what_is_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver");
    let mut scripts = BTreeSet::new();
    for file in std::fs::read_dir(&folder).expect("the folder of the scripts") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            scripts.insert(path);
        }
    }
    assert!(scripts.len() >= 10, "only {} scripts in {}", scripts.len(), folder.display());
    let is_recording = std::env::var_os("UPDATE_GOLDENFILES").is_some_and(|value| value == "1");
    for script in scripts {
        let text = std::fs::read(&script).expect("the script can be read");
        let mut printed = Vec::new();
        let code = driver::run(text.as_slice(), &mut printed).expect("memory takes everything");
        let printed = String::from_utf8(printed).expect("the driver prints text");
        let last = printed.lines().last().unwrap_or_default();
        assert_eq!(code, if last.starts_with("ERROR ") { 2 } else { 0 }, "{}", script.display());
        let recorded_at = script.with_extension("out");
        if is_recording {
            std::fs::write(&recorded_at, &printed).expect("the output can be recorded");
        }
        let recorded = std::fs::read_to_string(&recorded_at).unwrap_or_default();
        assert!(printed == recorded, "{} prints otherwise:\n{printed}", script.display());
    }
}

#[test]
fn wrong_commands_are_named_and_end_the_run() {
    let cases = [
        ("obs", "`obs` before `init`"),
        ("init 3 3 1", "check-quorum flag missing"),
        ("init 3 4 1 1", "voters: `4` is not a number from 1 to 3"),
        ("init 3 0 1 1", "voters: `0` is not a number from 1 to 3"),
        ("init 0 0 1 1", "nodes: `0` is not a number from 1 to 255"),
        ("init 3 3 1 2", "check-quorum flag: `2` is not a number from 0 to 1"),
        ("init 3 3 1 1\nready 4", "there is no node `4`"),
        ("init 3 3 1 1\nready 0", "there is no node `0`"),
        ("init 3 3 1 1\nready", "node missing"),
        ("init 3 3 1 1\ntick 1 -1", "ticks: `-1` is not a number from 0 to 864000"),
        ("init 3 3 1 1\npropose 1", "payload missing"),
        ("init 3 3 1 1\nread 1", "name missing"),
        ("init 3 3 1 1\nconf 1", "changes missing"),
        ("init 3 3 1 1\nconf 1 v9", "`v9` is not a change of a node, such as v4"),
        ("init 3 3 1 1\nconf 1 x2", "`x2` is none of v, l and r"),
        ("init 3 3 1 1\ncut 1 2 3", "`3` is too much for `cut`"),
        ("init 3 3 1 1\nlaunch 1", "unknown command `launch`"),
    ];
    for (script, what) in cases {
        let mut printed = Vec::new();
        let code = driver::run(script.as_bytes(), &mut printed).expect("memory takes everything");
        let printed = String::from_utf8(printed).expect("the driver prints text");
        let line = script.lines().count();
        assert!(printed.ends_with(&format!("ERROR line {line}: {what}\n")), "{printed}");
        assert_eq!(code, 2, "{script}");
    }
}

#[test]
fn random_scripts_keep_all_invariants_and_come_to_rest() {
    for seed in 0..scripts() {
        let script = random::script(seed);
        let run = Run::of(&script).unwrap_or_else(|why| fail(seed, &script, &why));
        let again = Run::of(&script).unwrap_or_else(|why| fail(seed, &script, &why));
        assert_eq!(run.printed, again.printed, "seed {seed}: the same script prints otherwise");
    }
}

#[test]
fn random_scripts_agree_with_themselves_after_a_restart_in_any_place() {
    for seed in (0..scripts()).step_by(WITH_RESTARTS) {
        let script = random::script(seed);
        let run = Run::of(&script).unwrap_or_else(|why| fail(seed, &script, &why));
        let nodes = random::nodes(&script);
        for place in 1..script.len() {
            let node = 1 + (place as u64 + seed) % nodes;
            let mut other = script.clone();
            other.splice(place..place, [format!("ready {node}"), format!("restart {node}")]);
            let restarted = Run::of(&other).unwrap_or_else(|why| fail(seed, &other, &why));
            if let Err(why) = run.agrees_with(&restarted, place) {
                fail(seed, &other, &why);
            }
        }
    }
}

fn scripts() -> u64 {
    match std::env::var("DRIVER_SCRIPTS") {
        Ok(count) => count.parse().expect("DRIVER_SCRIPTS is a number"),
        Err(_) => SCRIPTS,
    }
}

fn fail(seed: u64, script: &[String], why: &str) -> ! {
    panic!("seed {seed}: {why}\nThe script:\n{}", script.join("\n"))
}
