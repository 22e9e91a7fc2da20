//! Golden scripts: planning told as stories, compared byte for byte with what was recorded.
//!
//! Each file under `placement/scripts` is a test. It has a planner, a table and a clock at 1,000 s
//! of its own. Nothing is reported and no order is carried out unless a command says so; what
//! planning does about it is printed, one a line.
//!
//! # Commands
//!
//! Peers are written `11@1` or with a role before: voter (`v`, left out), learner `l`, incoming
//! `i`, demoting `d`.
//!
//! - `store S… [KEY=VALUE…]`: stores as they are from now on. Keys: `state` (`up` if left out,
//!   `joining disconnected down draining removed`), `silent` (seconds), `zone`, `rack`, `capacity`
//!   and `free` (GiB), `stopping`, `full` (`true`).
//! - `set KEY=VALUE…`: settings. `labels=zone,rack`, and the names of `SchedulerConfig`'s fields.
//! - `ids N`: no more than so many ids for new peers are offered from now on, from 901 on.
//! - `region R PEER… [KEY=VALUE…]`: its leader reports it. Keys: `leader` (a store; that of the
//!   first peer if left out), `conf`, `version`, `term`, `start`, `end`, `mib` (64), `down`
//!   (`11/30,12/5`: peer and seconds), `pending` (`11,12`). Without `start` and `end` its keys are
//!   its own.
//! - `regions FROM TO S…`: regions of these ids, each with a peer on each store; the first leads.
//! - `tick [SECONDS]`: that much later (1) planning looks once. `run SECONDS`: it looks every
//!   second.
//! - `carry R [lose=true]`: the newest order for R is carried out, and its leader reports that; or
//!   it is lost. A learner that was added is pending. `filled R`: none is any more, reported.
//! - `transfer R S`, `split R KEY…`, `cancel ID WHY`, `drain S`: a person asks.
//! - `explain R`, `explain_store S`: why it is so, in words. `running`: the operators.
//! - `seats WANTED PEER… [leader=S] [behind=S/N] [unheard=S/N] [joint=true]`: what is
//!   found out about placement's own seats, step after step, each taken as soon as it is found; a
//!   learner that is invited catches up. For N seconds (0) the member there was behind, or not
//!   heard.
//!
//! # Output
//!
//! `#1 repair of g1 …`: an operator was made; `→ s1 …`: an order to the store that leads; `#1
//! done`: how it ended. `not WHO: WHY`: something was not done, and why, when that is news. `+3s`
//! before a line: so long after the command began.

mod script_runner {
    pub(crate) mod arguments;
    pub(crate) mod runner;
    mod seats;
    pub(crate) mod story;
}

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

test_each_file::test_each_path! { in "./placement/scripts" as scripts => run }

fn run(path: &Path) {
    goldenscript::run(&mut script_runner::runner::Runner::default(), path)
        .expect("the script runs");
}

/// The tests above are listed when this file is compiled; a script added since would not run.
#[test]
fn every_script_is_listed() {
    let myself = std::env::current_exe().expect("a test runs from a file");
    let listed = Command::new(myself).arg("--list").output().expect("a test lists its tests");
    let listed = String::from_utf8(listed.stdout).expect("names are text");
    let listed: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("scripts::")?.strip_suffix(": test"))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut found = BTreeSet::new();
    let folders = std::fs::read_dir(&root).expect("the folder of the scripts");
    for folder in folders.map(|folder| folder.expect("a folder").path()) {
        for script in std::fs::read_dir(&folder).expect("scripts lie in folders") {
            let script = script.expect("a script").path();
            let parts =
                [&folder, &script].map(|path| path.file_name().and_then(|name| name.to_str()));
            found.insert(parts.map(|part| part.expect("a plain name")).join("::"));
        }
    }
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let stale: Vec<&&str> = listed.symmetric_difference(&found).collect();
    assert!(stale.is_empty(), "touch placement/tests/scripts.rs and run again: {stale:?}");
}
