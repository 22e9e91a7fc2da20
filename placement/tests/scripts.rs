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
//! - `seats WANTED PEER… [leader=S] [behind=S] [joint=true]`: what is found out about placement's
//!   own seats, step after step, each taken as soon as it is found; a learner that is invited
//!   catches up.
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

use std::path::Path;

test_each_file::test_each_path! { in "./placement/scripts" as scripts => run }

fn run(path: &Path) {
    goldenscript::run(&mut script_runner::runner::Runner::default(), path)
        .expect("the script runs");
}
