//! Regions on several stores, told as scripts and thrown as dice. Machines, index and snapshots are
//! the real ones; logs stand in for Raft, and a host does what the multi-Raft engine would do.
//!
//! After every step it is checked of the store that it has, for each of its regions, exactly the
//! region and the data that a plain model has behind the same number of slots, that its regions do
//! not overlap, that no key lies outside of them, and that every reply is the model's. So replicas
//! are the same however they came there: by the log, by a snapshot, or again after a crash.
//!
//! # Scripts
//!
//! Each file under `components/kv/scripts` is a test.
//!
//! - `cluster S…`: stores.
//! - `region G [start=K] [end=K] PEER@STORE…`: a region that the cluster is born with.
//! - `clock SECONDS`: what proposers take for the time.
//! - `put G KEY=VALUE… [cf=NAME] [ttl=N] [version=V]`, `delete G KEY… [cf=NAME]`,
//!   `cas G KEY EXPECTED NEW [cf=NAME]` (`none` for absent), `delete_range G START END [cf=NAME]`:
//!   into the log, under the epoch that the model has, or that version.
//! - `garbage G TEXT`: bytes that are no command.
//! - `split G END/REGION/PEER/PEER… [version=V] [conf=V]`: one such word for each new region.
//! - `members G v1@1 l2@2 i3@3 d4@4`: voter, learner, incoming, demoting.
//! - `apply S G [N]`: the next N slots, or all, in one call; replies are told.
//! - `snapshot G FROM TO [bytes=N]`, `destroy S G`, `restart S [keep=N]`.
//! - `admit S G START END`, `reserve S G START END`, `dismiss S G`: a snapshot of such a range.
//! - `prepare S G START END`, `withdraw S G`, `sweep S`: records of a cluster's birth.
//! - `regions S`, `data S [cf=NAME]`, `get S G KEY`, `scan S G START END [limit=N] [bytes=N]
//!   [reverse=true] [keys=true]`, `size S G`, `measure S G [max=N] [target=N]`: looking. `_` stands
//!   for no bound.

mod world {
    mod histories;

    pub(crate) mod cluster;
    pub(crate) mod host;
    pub(crate) mod model;
    pub(crate) mod rosters;
    pub(crate) mod script;
}

use std::path::Path;

test_each_file::test_each_path! { in "./components/kv/scripts" as scripts => run }

fn run(path: &Path) {
    goldenscript::run(&mut world::script::Runner::default(), path).expect("the script runs");
}
