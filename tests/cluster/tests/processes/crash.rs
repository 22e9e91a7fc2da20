//! Nodes are killed under load: one, then all at once.

use tempfile::TempDir;

use crate::cluster::{Cluster, NODES};
use crate::load::Load;

fn start() -> (Cluster, TempDir) {
    let dir = TempDir::new().expect("a directory");
    let dirs: Vec<_> = (1..=NODES).map(|id| dir.path().join(format!("{id}"))).collect();
    (Cluster::start(&dirs), dir)
}

#[test]
fn one_is_killed_others_go_on_and_it_catches_up() {
    let (cluster, _dir) = start();
    let load = Load::new(100);
    load.during(&cluster, || {
        load.wait_more_everywhere(20);
        for id in 1..=NODES {
            cluster.kill(id);
            load.wait_more_everywhere(20);
            cluster.restart(id);
            load.wait_more_everywhere(20);
        }
    });
    load.verify(&cluster);
    cluster.wait_equal();
}

#[test]
fn all_are_killed_at_once_and_nothing_acknowledged_is_lost() {
    let (cluster, _dir) = start();
    let load = Load::new(10);
    for _ in 0..3 {
        load.during(&cluster, || {
            load.wait_more(500);
            cluster.kill_all();
        });
        cluster.restart_all();
        load.verify(&cluster);
    }
    cluster.wait_equal();
}
