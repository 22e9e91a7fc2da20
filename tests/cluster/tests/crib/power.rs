//! Power is lost on all nodes at once, under load: what was acknowledged is on the disks. Region
//! records, placement's state and logs come back together, also where splits were under way.
//!
//! `POWER_LOSS_ROUNDS=50` loses it 50 times; the default is 3.

use cluster::crib::Load;
use cluster::disks::{self, Disk};

use crate::{fill, options, with_regions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_is_lost_on_all_and_nothing_acknowledged_is() {
    let sizes = [512 << 20; 3];
    let Some(mut disks) = disks::or_skip("power loss of nodes", &sizes) else { return };
    let rounds = std::env::var("POWER_LOSS_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: u64 = rounds.unwrap_or(3);
    let mut options = options("power");
    options.split_keys = 400;
    options.dirs = disks.iter().map(|disk| disk.path().join("data")).collect();
    let (cluster, client) = with_regions(options).await;
    let mut load = Load::start(&cluster).await;
    for round in 0..rounds {
        load.more(200).await;
        // So that regions split now.
        fill(&client, 4_000 + round * 1_000).await;
        load.more(20).await;
        cluster.nodes().iter().for_each(|node| node.pause());
        disks::cut(&disks);
        cluster.nodes().iter().for_each(|node| node.kill());
        disks.iter_mut().for_each(remount);
        let lost = disks.iter().filter(|disk| disk.has_lost_unsynced()).count();
        assert!(lost > 0, "what was not synced is there: power was not lost");
        cluster.nodes().iter().for_each(|node| node.start());
        load.more(20).await;
        let ledger = load.stop().await;
        ledger.judge(&cluster).await;
        load = Load::with(cluster.client().await, ledger);
    }
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
    cluster.assert_all_run();
}

fn remount(disk: &mut Disk) {
    disk.unmount().expect("nobody uses it");
    disk.mount().expect("its journal is whole");
}
