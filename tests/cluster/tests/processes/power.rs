//! All nodes lose power at the same moment, again and again.
//!
//! Each has a file system of its own. `POWER_LOSS_ROUNDS` says how often, by default 3 times; each
//! round takes about three seconds. Needs root, `mkfs.ext4`, loop devices and `python3`; skipped
//! without, which is said on the error output.

use std::io::Write as _;
use std::path::Path;

use crate::cluster::Cluster;
use crate::disks::{self, Disk};
use crate::load::Load;

/// Values that are acknowledged in each round, at least.
const WRITES: u64 = 500;

#[test]
fn power_loss_of_all_nodes_loses_nothing_acknowledged() {
    let Some(mut disks) = disks::or_skip("power loss", &[256 << 20; 3]) else { return };
    let rounds = std::env::var("POWER_LOSS_ROUNDS").ok();
    let rounds: u64 = rounds.map_or(3, |text| text.parse().expect("POWER_LOSS_ROUNDS: a number"));
    let dirs: Vec<_> = disks.iter().map(Disk::path).map(Path::to_path_buf).collect();
    let load = Load::new(10);
    let cluster = Cluster::start(&dirs);
    let mut found = 0;
    for _ in 0..rounds {
        load.during(&cluster, || {
            load.wait_more(WRITES);
            cluster.pause_all();
            disks::cut(&disks);
            cluster.kill_all();
        });
        for disk in &mut disks {
            disk.unmount().expect("nobody uses it");
            disk.mount().expect("it mounts again");
            assert!(disk.has_lost_unsynced(), "power was not lost");
        }
        cluster.restart_all();
        found = load.verify(&cluster);
    }
    cluster.wait_equal();
    drop(cluster);
    let told = load.acknowledged();
    let _ = writeln!(std::io::stderr(), "power lost {rounds} times: {told} told, {found} found");
}
