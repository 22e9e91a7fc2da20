//! Stores join and drain, regions split, leaders move, processes die and stand still, and all the
//! while packets are lost, disks are slow and clocks jump.

use std::sync::Arc;

use cluster::crib::Cluster;
use verify::faults::{Harm, Mark, Stage};
use verify::script::{self, Fault};

use crate::clocks;
use crate::files;
use crate::gear::{Layer, Wire};
use crate::nodes::Processes;
use crate::packets;
use crate::scene::{Deck, Scene};

/// What is done to processes and regions, one after the other.
const FOREGROUND: &[Fault] =
    &[Fault::Kill, Fault::Pause, Fault::Restart, Fault::Split, Fault::Transfer, Fault::Drain];
/// What is done meanwhile.
const BACKGROUND: &[Fault] = &[Fault::Packets, Fault::Slow, Fault::Jump];

/// A store joins, then both go on side by side until the load ends.
pub(crate) async fn everything(
    stage: &Stage,
    cluster: &Cluster,
    (wire, layer): (&Wire, &Layer),
    (seed, until_ms): (u64, u64),
) -> Harm {
    let front = async {
        let mut scene = Scene::new(stage, cluster, seed, until_ms);
        join(&mut scene).await;
        let nodes = Arc::new(Processes::of(cluster));
        let now_ms = stage.now_ms();
        let mut script = script::of(seed, FOREGROUND, until_ms.saturating_sub(now_ms));
        script.iter_mut().for_each(|planned| planned.at_ms += now_ms);
        let said = |mark: &Mark| println!("  {mark:?}");
        scene.harm.add(stage.play(&script, nodes, &said).await);
        scene.harm
    };
    let back = async {
        let mut scene = Scene::new(stage, cluster, !seed, until_ms);
        let mut deck = Deck::new(BACKGROUND);
        loop {
            let hold = scene.time(2_000, 5_000);
            if !scene.fits(hold) {
                return scene.harm;
            }
            match deck.draw(&mut scene.lot) {
                Fault::Packets => packets::storm(&mut scene, wire, hold).await,
                Fault::Slow => {
                    let at = scene.lot.below(cluster.nodes().len());
                    let (node, control) = (cluster.node(at), layer.control(at));
                    files::slow_or_unread(&mut scene, Fault::Slow, &node, control, hold).await;
                }
                _ => clocks::jump(&mut scene, layer).await,
            }
            // What was promised before a jump has run out when another comes.
            tokio::time::sleep(scene.time(3_000, 4_000)).await;
        }
    };
    let (mut harm, other) = tokio::join!(front, back);
    harm.add(other);
    harm
}

/// A store joins, and is given replicas.
async fn join(scene: &mut Scene<'_>) {
    let (from_ms, admin) = (scene.stage.now_ms(), scene.stage.client().admin());
    let node = scene.cluster.add_joining();
    node.start();
    let Some(id) = scene.store_at(&node.address).await else { return };
    let mut regions = 0;
    scene
        .expect("a store that joined has regions", async || {
            let stores = admin.list_stores(false).await.unwrap_or_default();
            let store = stores.iter().find(|store| store.id == id);
            regions = store.and_then(|store| store.stats.as_ref()).map_or(0, |it| it.regions);
            regions > 0
        })
        .await;
    let seen = match regions {
        0 => Err("it has none".to_owned()),
        _ => Ok(format!("it has {regions} regions")),
    };
    scene.note(Fault::Join, from_ms, format!("store {id}"), seen);
}
