//! Golden scripts: the core told as stories, compared byte for byte with what was recorded.
//!
//! Each file under `components/raft/scripts` is a test. It runs in a world of its own: a few hosts
//! with one peer each, model disks, links, one virtual clock. Nothing happens unless a command says
//! so, and every effect of a command is printed, one a line. After every command it is checked that
//! no term has two leaders, that terms rise, that logs match, that the same is applied everywhere
//! (`script_runner/checks.rs`); a script cannot record a violation, it fails.
//!
//! # Commands
//!
//! Peers are written `1` or `p1`, entries `SLOT@TERM`, changes `v4 l5 r2` (set voter, set learner,
//! remove), spans in milliseconds. `[P…]` left out means all.
//!
//! Beginning
//! - `cluster v1 v2 l3 e4 [KEY=VALUE…]`: a new world at 10,000 ms. `v` and `l` are the first
//!   members, `e` is a host that knows of nobody. Keys: `base=0@0`, the shared beginning; `timeout`
//!   (1000), `campaign_after` (as `timeout`), `stagger` (100: peer N campaigns N times that later),
//!   `spread` (0), `beat` (100), `restart_wait` (as `timeout`), `lease` (`off`, or a drift in ppm),
//!   `append_bytes`, `window_bytes`, `window_entries`, `quota`, `reads`, `seed`.
//! - `seed P term=T [vote=Q] [commit=N] 1-3@1 4@2 …`: the peer starts with this on disk, its
//!   restart wait already over. Entries with the same slot and term have the same content.
//! - `stamps on|off`: whether stamps are told, as `10100ms+2`.
//!
//! Time
//! - `tick MS [P]`: time passes, for all or by P's clock alone; timers fire in order.
//! - `run MS [P]`: the same, and whatever is sent arrives at once.
//! - `clock P MS`: P's clock jumps by that, backwards if it is `"-MS"`; no timer fires by itself.
//! - `timer P`: P's timer is called, due or not. `time`: what the clock shows.
//!
//! Asking
//! - `propose P NAME… [size=BYTES] [times=N] [read=TOKEN]`: one proposal of these entries, each N
//!   times; and a read before the next drain.
//! - `read P TOKEN…`, `change P CHANGE…`, `transfer P TO`, `campaign P`, `step_down P`,
//!   `forget_leader P`.
//! - `support P Q on|off`: P's host vouches for Q's store, or ceases to. `lost P Q`: P's transport
//!   could not reach Q. `snapshot_ended P Q`: P hears that sending Q a snapshot has ended.
//!
//! Links (all of them if no peer is named; `all` stands for every peer)
//! - `deliver [FROM TO] [kind=K] [nth=N] [count=N] [together=true]`: hands over what is under way
//!   now, oldest first; `together` as one input, followed by one drain.
//! - `drop`, `duplicate` (a copy is queued last): the same arguments. `reorder FROM TO`: the newest
//!   packet overtakes the others.
//! - `cut P Q`, `heal P Q`: both ways; `cut1 FROM TO`, `heal1 FROM TO`: one way; `isolate P…`,
//!   `rejoin P…`; `heal` alone: everything. A cut loses what is sent from then on; what is under
//!   way already can still be delivered.
//! - `hold FROM TO [kind=K]`, `release FROM TO`: `stabilize` and `run` leave it on the link.
//! - `stabilize`: deliver until nothing moves; fails as a live-lock if that does not end.
//! - `reports manual|auto`: whether senders hear by themselves that a snapshot arrived or was lost.
//! - `inject FROM TO KIND term=T [KEY=VALUE…]`: a packet arrives that nobody sent. Keys by kind:
//!   `last`, `prev`, `upto`, `commit`, `stamp="10100+2"` (now if left out), `matched`, `verified`,
//!   `at`, `hint`, `ask`, `granted`, `transfer`, `snapshot`. The entries of an Append and the
//!   members of a snapshot follow as `5@2 6@3` and `v1 v2`; `members=6 v1 v2` makes entry 6 a
//!   membership.
//!
//! Disks
//! - `manual [P…]`: writes stay queued until `sync P [N]` makes the oldest N durable, or all.
//!   `automatic [P…]`: durable at once, as in the beginning.
//! - `crash P [keep=N]`: P stops; the oldest N queued writes made it. `start P`;
//!   `restart P [keep=N]`: both. Packets under way stay under way.
//! - `tamper P [term=T] [vote=Q] [commit=N]`: while P is down, its disk comes to say this.
//! - `receipt P term=T [vote=Q] log=SLOT@TERM`: P is told that such a write is durable.
//! - `flush P`: what P has applied becomes durable. `compact P`: that, and drop the log up to
//!   there.
//!
//! Looking
//! - `status [P…]`, `log [P…]`, `disk [P…]`, `progress P` (how a leader sees the others),
//!   `lease P`, `deadline P`, `links` (what is under way).
//!
//! # Output
//!
//! `p1@2 → p3 Append 4@2..6 commit=4`: p1, in term 2, sends the entries behind 4@2 up to slot 6.
//! `✗` says that the packet was lost on the way out. `Ack 5 verified=7`: durable up to 5, known to
//! agree up to 7. `writes` is durable at once, `queues` is not. Ranges include both ends. In a log,
//! entries that came from `seed` or `inject` are told as runs, since their place says it all.

mod script_runner {
    pub(crate) mod arguments;
    pub(crate) mod carriage;
    pub(crate) mod checks;
    pub(crate) mod commands;
    pub(crate) mod foreign;
    pub(crate) mod links;
    pub(crate) mod setup;
    pub(crate) mod story;
    pub(crate) mod world;
}

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use script_runner::commands::Runner;

test_each_file::test_each_path! { in "./components/raft/scripts" as scripts => run }

fn run(path: &Path) {
    goldenscript::run(&mut Runner::default(), path).expect("the script runs");
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
    assert!(stale.is_empty(), "touch components/raft/tests/scripts.rs and run again: {stale:?}");
}
