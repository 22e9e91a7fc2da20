//! Bad input: whatever arrives, from whomever, in whatever order, a peer stands and keeps its word.
//!
//! A peer is brought into a role (`foreign/stage.rs`), is fed generated messages and host calls
//! (`foreign/wild.rs`), and after each one everything that must hold is checked
//! (`foreign/watch.rs`). Debug assertions are on, so the core checks itself as well.
//!
//! The corpus, `foreign_corpus/*.txt`, is replayed first: the name of an opening, then one input
//! per line, in the format of `foreign/line.rs`. A line may end with ` -> ` and a word that the
//! refusal must contain, or `ok`. To add a failing case, copy what the failed test printed after
//! `case:` into a new file there, put a comment above that says what went wrong, and run the test
//! again. `foreign.regressions`, which proptest writes, is for the time until then.
//!
//! More cases: `RAFT_FUZZ_CASES=1000000 cargo test --release -p raft --test foreign`.

#[path = "foreign/line.rs"]
mod line;
#[path = "foreign/read.rs"]
mod read;
#[path = "foreign/stage.rs"]
mod stage;
#[path = "foreign/watch.rs"]
mod watch;
#[path = "foreign/wild.rs"]
mod wild;

use std::path::{Path, PathBuf};
use std::{env, fmt, fs, panic};

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

use line::Op;
use stage::{OPENINGS, Stage};

/// Generated cases, unless `RAFT_FUZZ_CASES` says otherwise.
const CASES: u32 = 1_000;
/// Least number of files in the corpus: it is not to be lost unnoticed.
const CORPUS_MIN: usize = 12;

/// A role and what is done to a peer in it. Prints itself as a corpus file.
#[derive(Clone)]
struct Case {
    opening: &'static str,
    ops: Vec<Op>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "case:\n{}", self.opening)?;
        self.ops.iter().try_for_each(|op| writeln!(f, "{op}"))
    }
}

impl Case {
    fn run(&self) -> Result<(), String> {
        let mut stage = Stage::open(self.opening)?;
        for op in &self.ops {
            stage.act(op).map_err(|what| format!("{what}\nat `{op}`"))?;
        }
        Ok(())
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let openings: Vec<&'static str> = OPENINGS.iter().map(|opening| opening.0).collect();
    let ops = prop::collection::vec(wild::op(), 1..60);
    (prop::sample::select(openings), ops).prop_map(|(opening, ops)| Case { opening, ops })
}

fn corpus() -> Vec<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign_corpus");
    let files = fs::read_dir(home).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("readable").path()).collect();
    paths.sort();
    paths
}

/// Replays one file of the corpus.
fn replay(text: &str) -> Result<(), String> {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let mut stage = Stage::open(lines.next().ok_or("no opening")?)?;
    for line in lines {
        let (input, expected) = line.split_once(" -> ").unwrap_or((line, ""));
        let Some(op) = read::line(input)? else { continue };
        let refused = stage.act(&op).map_err(|what| format!("{what}\nat `{line}`"))?;
        let got = refused.map_or("ok".to_string(), |refused| format!("{refused:?}"));
        if !got.contains(expected) {
            return Err(format!("{got}\nat `{line}`"));
        }
    }
    Ok(())
}

#[test]
fn corpus_holds() {
    let paths = corpus();
    assert!(paths.len() >= CORPUS_MIN, "the corpus has {} files only", paths.len());
    let mut broken = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a text file");
        let result = panic::catch_unwind(|| replay(&text));
        let result = result.unwrap_or_else(|_| Err("panicked, see above".to_string()));
        if let Err(what) = result {
            broken.push(format!("{}: {what}", path.display()));
        }
    }
    assert!(broken.is_empty(), "{} files fail:\n{}", broken.len(), broken.join("\n\n"));
}

#[test]
fn openings_reach_the_roles_they_name() {
    for (name, _, _) in OPENINGS {
        let stage = Stage::open(name).unwrap_or_else(|what| panic!("{what}"));
        let status = stage.peer.status();
        let role = match name {
            "pre-candidate" => raft::RoleStatus::PreCandidate,
            "candidate" => raft::RoleStatus::Candidate,
            "leader" | "joint-leader" | "alone" | "crowd" => raft::RoleStatus::Leader,
            _ => raft::RoleStatus::Follower,
        };
        assert_eq!(status.role, role, "{name}");
        assert_eq!(status.log.is_installing(), name == "installing", "{name}");
        assert_eq!(status.membership.1.is_joint(), name == "joint-leader", "{name}");
        watch::state(&stage.peer).unwrap_or_else(|what| panic!("{name}: {what}"));
    }
}

#[test]
fn lines_are_read_back() {
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..Default::default() });
    let result = runner.run(&wild::op(), |op| {
        prop_assert_eq!(read::line(&op.to_string()), Ok(Some(op)));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn no_input_breaks_a_peer() {
    corpus_holds();
    let cases_asked = env::var("RAFT_FUZZ_CASES").ok().and_then(|text| text.parse().ok());
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign.regressions");
    let mut runner = TestRunner::new(ProptestConfig {
        cases: cases_asked.unwrap_or(CASES),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..ProptestConfig::default()
    });
    let result = runner.run(&cases(), |case| case.run().map_err(TestCaseError::fail));
    result.unwrap_or_else(|error| panic!("{error}"));
}
