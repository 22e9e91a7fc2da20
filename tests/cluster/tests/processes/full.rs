//! One node's disk has no room for a while.
//!
//! Writers give up after a few seconds, as callers with a deadline do: today a store without room
//! may leave a command that the others committed unanswered until there is room again, since it can
//! not apply it. That is wrong: it should be told as undetermined.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::cluster::{Cluster, until};
use crate::disks;
use crate::load::Load;

#[test]
fn full_disk_of_one_is_waited_for_while_others_go_on() {
    let Some(disks) = disks::or_skip("full disk", &[160 << 20]) else { return };
    let dir = TempDir::new().expect("a directory");
    let other = |name: &str| dir.path().join(name);
    let dirs: [PathBuf; 3] = [disks[0].path().to_path_buf(), other("2"), other("3")];
    let cluster = Cluster::start(&dirs);
    let load = Load::impatient(2_000, Duration::from_secs(5));
    load.during(&cluster, || {
        load.wait_more_everywhere(10);
        disks[0].fill();
        // The proof that it is full: the engine says so.
        until("writes that wait for room", || {
            let node = cluster.node(1).expect("it was not killed");
            assert!(!node.has_ended(), "{}", cluster.last_words(1));
            let health = node.ask("health").expect("it runs");
            (health == "health failed=None stalled=Stopped").then_some(())
        });
        load.wait_more_everywhere(20);
        disks[0].empty();
        load.wait_more_everywhere(20);
    });
    let node = cluster.node(1).expect("it was not killed");
    assert!(!node.has_ended(), "{}", cluster.last_words(1));
    load.verify(&cluster);
    cluster.wait_equal();
}
