//! Disks: one has no room for a while; power is lost on all. For root alone, see
//! [`cluster::disks`].

use std::time::Duration;

use cluster::crib::{Cluster, Options};
use cluster::disks::{self, Disk};
use verify::faults::{Harm, Mark, Stage};
use verify::script::Fault;

/// It is full for longer than a disk may hang, and the engine has little room of its own.
pub(crate) fn equip(options: &mut Options) {
    let set = ["raft.disk-hang-after=15s", "storage.log-size-max=2MiB"];
    options.set.extend(set.map(str::to_owned));
    let set = ["memory-size-max=4MiB", "raft-memory-size=1MiB", "data-memory-size=1MiB"];
    options.set.extend(set.map(|set| format!("storage.{set}")));
}

/// The first disk is filled for a while, and emptied.
pub(crate) async fn fill(stage: &Stage, disks: &[Disk], until_ms: u64) -> Harm {
    let mut harm = Harm::default();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let from_ms = stage.now_ms();
    disks[0].fill();
    let mut said = None;
    // Until it is told, and then for as long as the load goes on, but for some time at the end.
    while stage.now_ms() + 5_000 < until_ms {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if said.is_none() {
            let status = stage.client().admin().status().await;
            let problems = status.map(|status| status.problems).unwrap_or_default();
            said = problems.into_iter().find(|problem| problem.contains("has no room"));
        }
    }
    disks[0].empty();
    let mark = Mark {
        fault: Fault::Fill,
        from_ms,
        to_ms: stage.now_ms(),
        target: disks[0].path().display().to_string(),
        proof: said.map(|said| format!("the cluster said: {said}")),
        note: String::new(),
    };
    println!("  {mark:?}");
    harm.marks.push(mark);
    harm
}

/// Power is lost on all nodes, again and again.
pub(crate) async fn power(
    stage: &Stage,
    cluster: &Cluster,
    disks: &mut [Disk],
    until_ms: u64,
) -> Harm {
    let mut harm = Harm::default();
    tokio::time::sleep(Duration::from_secs(3)).await;
    while stage.now_ms() + 10_000 < until_ms {
        let from_ms = stage.now_ms();
        cluster.nodes().iter().for_each(|node| node.pause());
        disks::cut(disks);
        cluster.nodes().iter().for_each(|node| node.kill());
        let mut lost = 0;
        for disk in &mut *disks {
            let mounted = disk.unmount().and_then(|()| disk.mount());
            harm.broken.extend(mounted.err());
            lost += usize::from(disk.has_lost_unsynced());
        }
        cluster.nodes().iter().for_each(|node| node.start());
        let proof = format!("{lost} of {} disks have lost what was not synced", disks.len());
        let mark = Mark {
            fault: Fault::Power,
            from_ms,
            to_ms: stage.now_ms(),
            target: "all".to_owned(),
            proof: (lost == disks.len()).then_some(proof),
            note: String::new(),
        };
        println!("  {mark:?}");
        harm.marks.push(mark);
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    harm
}
