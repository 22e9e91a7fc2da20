//! Packets of nodes are lost, doubled, late and out of order: of one node, of some, of all.

use std::time::Duration;

use verify::script::Fault;

use crate::gear::{Weather, Wire};
use crate::scene::Scene;

/// Bad weather and calm in turn, until the load ends.
pub(crate) async fn packets(scene: &mut Scene<'_>, wire: &Wire) {
    loop {
        let hold = scene.time(3_000, 6_000);
        if !scene.fits(hold) {
            return;
        }
        storm(scene, wire, hold).await;
        scene.until_well().await;
        tokio::time::sleep(scene.time(500, 1_500)).await;
    }
}

/// Bad weather once, for so long.
pub(crate) async fn storm(scene: &mut Scene<'_>, wire: &Wire, hold: Duration) {
    let (from_ms, before) = (scene.stage.now_ms(), wire.counts());
    let nodes = scene.cluster.nodes().len();
    let (first, count) = (scene.lot.below(nodes), 1 + scene.lot.below(nodes));
    let weather = Weather {
        lost: scene.one_of(&[10, 30, 100, 300]),
        doubled: scene.one_of(&[10, 50, 200]),
        late: scene.time(0, 20),
        uneven: scene.time(1, 80),
    };
    for nth in 0..count {
        wire.set((first + nth) % nodes, weather);
    }
    tokio::time::sleep(hold).await;
    wire.calm();
    let counts = wire.counts().since(before);
    let is_proven = counts.lost > 0 && counts.doubled > 0 && counts.overtook > 0;
    let said = format!("{counts:?}");
    let seen = if is_proven { Ok(said) } else { Err(said) };
    scene.note(Fault::Packets, from_ms, format!("{count} nodes: {weather:?}"), seen);
}
