//! Clocks: those of all nodes run at different rates, within what leases allow for; those of one
//! jump. The clock of time passed jumps ahead, as after a machine was suspended; that of the day
//! jumps both ways.
//!
//! One node at a time: a follower for which a lease seems to have run out finds no majority.

use std::time::{Duration, Instant};

use verify::random::Random;
use verify::script::Fault;

use crate::gear::{Control, Layer, Word};
use crate::scene::{Scene, comes};

/// How wrong clocks may run, as nodes are told, and do run, at most.
pub(crate) const DRIFT_PPM: i64 = 5_000;
const SECOND_NS: i64 = 1_000_000_000;

/// Lets every clock run at a rate of its own, from before the processes are there.
pub(crate) fn let_drift(layer: &Layer, seed: u64) {
    let mut lot = Random::new(seed);
    for at in layer.numbers() {
        // The first two differ by as much as may be.
        let rate = match at {
            0 => DRIFT_PPM,
            1 => -DRIFT_PPM,
            _ => 2_500 - i64::try_from(lot.below(5_000)).unwrap_or(0),
        };
        layer.control(at).run_at(rate);
    }
}

/// Clocks jump until the load ends.
pub(crate) async fn clocks(scene: &mut Scene<'_>, layer: &Layer) {
    let before: Vec<i64> = moved(layer);
    let from_ms = scene.stage.now_ms();
    while scene.fits(Duration::from_secs(4)) {
        jump(scene, layer).await;
        // What was promised before the jump has run out, on all clocks, when another comes.
        tokio::time::sleep(scene.time(3_000, 5_000)).await;
        scene.until_well().await;
    }
    let read: Vec<i64> = moved(layer).iter().zip(before).map(|(now, then)| now - then).collect();
    let rates: Vec<i64> = layer.numbers().map(|at| layer.control(at).get(Word::Rate)).collect();
    let said = format!("{read:?} readings at {rates:?} ppm");
    let seen = if read.iter().all(|&read| read > 0) { Ok(said) } else { Err(said) };
    scene.note(Fault::Drift, from_ms, "all", seen);
}

/// Nodes stand still, and their clocks with them, so they take their leases to hold still; others
/// cannot tell them for a second. Nothing that is promised covers this: it must be seen.
pub(crate) async fn hidden_pauses(scene: &mut Scene<'_>, layer: &Layer) {
    while scene.fits(Duration::from_secs(7)) {
        let (at, node) = scene.leading(0).await;
        let (from_ms, hold) = (scene.stage.now_ms(), scene.time(4_000, 5_000));
        let led = scene.stage.led_by(&node.address).await;
        let control = layer.control(at);
        node.pause();
        for other in scene.cluster.nodes().iter().filter(|other| other.address != node.address) {
            scene.cluster.proxies.cut(&node, other);
            scene.cluster.proxies.cut(other, &node);
        }
        let begun = Instant::now();
        tokio::time::sleep(hold).await;
        let hidden = i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX);
        control.set(Word::Monotonic, control.get(Word::Monotonic) - hidden);
        node.resume();
        let read = control.get(Word::ClocksMoved);
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.cluster.proxies.heal();
        let read = control.get(Word::ClocksMoved) - read;
        let said = format!("{read} readings since; it led {led} regions");
        let seen = if read > 0 { Ok(said) } else { Err(said) };
        scene.note(Fault::Jump, from_ms, format!("{}, stopped", node.address), seen);
    }
}

fn moved(layer: &Layer) -> Vec<i64> {
    layer.numbers().map(|at| layer.control(at).get(Word::ClocksMoved)).collect()
}

/// The clock that a node has not read since it was set.
fn unread(control: &Control) -> Option<&'static str> {
    let is_read = |set, seen| control.get(set) == control.get(seen);
    match () {
        () if !is_read(Word::Monotonic, Word::MonotonicSeen) => Some("leases"),
        () if !is_read(Word::Wall, Word::WallSeen) => Some("the day"),
        () => None,
    }
}

/// The clocks of one node jump.
pub(crate) async fn jump(scene: &mut Scene<'_>, layer: &Layer) {
    let at = scene.lot.below(scene.cluster.nodes().len());
    let (node, control) = (scene.cluster.node(at), layer.control(at));
    let from_ms = scene.stage.now_ms();
    let led = scene.stage.led_by(&node.address).await;
    // Shorter and longer than leases and elections; shorter than a disk may hang, since a write
    // that is under way when the clock jumps seems to have taken so long.
    let ahead = scene.one_of(&[0, 1, 3, 20, 40]) * SECOND_NS;
    let wall = scene.one_of(&[-86_400, -60, 0, 60, 86_400]) * SECOND_NS;
    let (ahead, wall) =
        if ahead == 0 && wall == 0 { (SECOND_NS, SECOND_NS) } else { (ahead, wall) };
    control.set(Word::Wall, control.get(Word::Wall) + wall);
    control.set(Word::Monotonic, control.get(Word::Monotonic) + ahead);
    comes(Duration::from_millis(500), async || unread(control).is_none()).await;
    let seen = match unread(control) {
        None => Ok(format!("it has read them; it led {led} regions")),
        Some(which) => Err(format!("it has not read the clock of {which}; it led {led} regions")),
    };
    let (ahead, wall) = (ahead / SECOND_NS, wall / SECOND_NS);
    let target = format!("{}: {ahead} s ahead, the day {wall} s", node.address);
    scene.note(Fault::Jump, from_ms, target, seen);
}
