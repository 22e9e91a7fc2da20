//! Snapshots are cut off on their way, again and again: a store joins and takes over all that
//! another has, while connections to it break in the middle, and it dies now and then.
//!
//! In the end it leads what it was brought, so that the last look at everything reads from it.

use std::sync::Arc;
use std::time::Duration;

use cluster::crib::{Node, Options};
use verify::script::Fault;

use crate::scene::{Scene, all_regions, comes};

/// Values that make a region large, and their bytes.
const BALLAST: usize = 96;
const VALUE_BYTES: usize = 64 << 10;
/// Keys of it: none of the load.
const PREFIX: &str = "ballast/";
/// A transfer of all takes a dozen seconds.
const RATE: &str = "raft.snapshot-rate-max=512KiB";
/// What a store says when the stream of its snapshots to another breaks.
const BROKEN: &str = "stream to store broke";
const LANE: &str = "lane=Snapshots";
/// How often one is cut off, at least and at most.
const CUTS: (usize, usize) = (4, 8);
/// How long it may take until there is one to be cut off.
const NEXT_MAX: Duration = Duration::from_secs(30);

/// Regions are not split by themselves: the snapshot is to be large.
pub(crate) fn equip(options: &mut Options) {
    options.is_proxied = true;
    options.split_kib = 64 << 10;
    options.split_keys = 100_000;
    options.set.push(RATE.to_owned());
}

/// A store joins, another is emptied.
pub(crate) async fn snapshots(scene: &mut Scene<'_>) {
    let client = scene.stage.client().clone();
    for nth in 0..BALLAST {
        let key = format!("{PREFIX}{nth}");
        let value = vec![b'b'; VALUE_BYTES];
        scene.expect("ballast", async || client.put(&key, value.clone()).await.is_ok()).await;
    }
    let emptied = scene.cluster.node(scene.lot.below(scene.cluster.nodes().len()));
    let Some(emptied) = scene.store_at(&emptied.address).await else { return };
    let joined = scene.cluster.add_joining();
    limit(scene, &joined);
    joined.start();
    let Some(store) = scene.store_at(&joined.address).await else { return };
    let admin = client.admin();
    let what = format!("store {emptied} may be drained");
    scene.expect(&what, async || admin.drain_store(emptied, false).await.is_ok()).await;
    let cuts = CUTS.0 + scene.lot.below(CUTS.1 - CUTS.0);
    for _ in 0..cuts {
        if !cut_off(scene, &joined).await {
            break;
        }
    }
    scene.cluster.proxies.unlimit();
    let stage = scene.stage;
    let what = format!("store {emptied} is empty, and store {store} has its replicas");
    scene
        .expect(&what, async || {
            let Some(regions) = all_regions(stage).await else { return false };
            let has = |id| regions.iter().any(|region| region.stores.contains(&id));
            !has(emptied) && has(store)
        })
        .await;
    let what = format!("store {store} leads all that it has");
    scene
        .expect(&what, async || {
            let Some(regions) = all_regions(stage).await else { return false };
            let mut left = 0;
            for region in regions.iter().filter(|region| region.stores.contains(&store)) {
                if region.leader != store {
                    left += 1;
                    // Whether it can be now is seen.
                    let _ = admin.transfer_leader(region.id, store).await;
                }
            }
            left == 0
        })
        .await;
    let what = format!("store {emptied} is taken back");
    scene.expect(&what, async || admin.undrain_store(emptied).await.is_ok()).await;
    scene.until_well().await;
}

/// Connections break once they have brought a part of a snapshot.
fn limit(scene: &mut Scene<'_>, joined: &Node) {
    let bytes = 300_000 + scene.lot.below(1_500_000) as u64;
    scene.cluster.proxies.limit(joined, bytes);
}

/// Cuts a snapshot off once, or ends its receiver; false if there was none.
async fn cut_off(scene: &mut Scene<'_>, joined: &Arc<Node>) -> bool {
    let (from_ms, before) = (scene.stage.now_ms(), broken(scene));
    let broken_off = scene.cluster.proxies.broken();
    let is_cut = comes(NEXT_MAX, async || broken(scene) > before).await;
    let count = scene.cluster.proxies.broken() - broken_off;
    let streams = broken(scene) - before;
    let mut target = format!("ways to {}", joined.address);
    let mut said = format!("{count} connections broke, {streams} streams of snapshots");
    if is_cut && scene.lot.below(3) == 0 {
        // The next attempt goes on while it starts, if it does.
        joined.kill();
        joined.start();
        target = joined.address.clone();
        said.push_str(", and it was killed");
    }
    let seen = if is_cut && count > 0 { Ok(said) } else { Err(said) };
    scene.note(Fault::Snapshot, from_ms, target, seen);
    limit(scene, joined);
    is_cut
}

/// Streams of snapshots that broke, as their senders say.
fn broken(scene: &Scene<'_>) -> usize {
    let is_said = |line: &&str| line.contains(BROKEN) && line.contains(LANE);
    scene.cluster.nodes().iter().map(|node| node.words().lines().filter(is_said).count()).sum()
}
