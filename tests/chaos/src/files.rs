//! Files of a store fail or are slow: a sync or a write of the log fails once, tables cannot be
//! read for a while, every sync is late, one does not end.
//!
//! A store that cannot keep what it is told must stop, say why, and acknowledge nothing more. One
//! that cannot read may stop or go on; what it says is judged with everything else.

use std::sync::Arc;
use std::time::Duration;

use cluster::crib::Node;
use verify::script::Fault;

use crate::gear::{ALL_FILES, Control, LOGS, Layer, TABLES, Word};
use crate::scene::{Deck, Scene, comes};

/// How long a fault may take to be met, and a store to stop after it.
const MET_MAX: Duration = Duration::from_secs(20);
const STOP_MAX: Duration = Duration::from_secs(60);
/// A sync that is late by this never ends, as a test sees it.
const NEVER_US: i64 = 3_600_000_000;
/// What a store says when it must stop.
const STOPS: &str = "the store stops";
/// What it says at its end. A read that fails where a command is applied is a panic, and in a
/// release that is the end at once.
const LAST_WORDS: [&str; 2] = ["the store cannot go on", "panicked at"];

/// One fault after the other, until the load ends.
pub(crate) async fn files(scene: &mut Scene<'_>, layer: &Layer, kinds: &[Fault]) {
    let mut deck = Deck::new(kinds);
    while scene.fits(Duration::from_secs(6)) {
        let fault = deck.draw(&mut scene.lot);
        let (at, node) = scene.leading(0).await;
        match fault {
            Fault::FailRead | Fault::Slow => passing(scene, fault, &node, layer.control(at)).await,
            _ => deadly(scene, fault, &node, layer.control(at)).await,
        }
        scene.until_well().await;
    }
}

/// A fault after which the store must stop.
async fn deadly(scene: &mut Scene<'_>, fault: Fault, node: &Arc<Node>, control: &Control) {
    let from_ms = scene.stage.now_ms();
    let said_before = node.written();
    let (word, value, met) = match fault {
        Fault::FailSync => (Word::SyncsLeft, 1, Word::SyncsFailed),
        Fault::FailWrite => (Word::WritesLeft, 1, Word::WritesFailed),
        _ => (Word::SyncDelay, NEVER_US, Word::SyncsLate),
    };
    let before = control.get(met);
    control.set(Word::Files, LOGS);
    control.set(word, value);
    let is_met = comes(MET_MAX, async || control.get(met) > before).await;
    let seen = match is_met {
        true => {
            let said = stopped(scene, fault, (node, control), said_before).await;
            Ok(format!("{} calls; then: {said:?}", control.get(met) - before))
        }
        false => {
            control.spare_files();
            Err("no file was touched".to_owned())
        }
    };
    scene.note(fault, from_ms, &node.address, seen);
}

/// A fault that passes.
async fn passing(scene: &mut Scene<'_>, fault: Fault, node: &Arc<Node>, control: &Control) {
    let hold = scene.time(3_000, 6_000);
    let said_before = node.written();
    slow_or_unread(scene, fault, node, control, hold).await;
    if !node.runs() || node.words_after(said_before).contains(STOPS) {
        let said = stopped(scene, fault, (node, control), said_before).await;
        println!("  {} after {fault}: {said:?}", node.address);
    }
}

/// The same, for so long. What comes of it is the caller's to see.
pub(crate) async fn slow_or_unread(
    scene: &mut Scene<'_>,
    fault: Fault,
    node: &Arc<Node>,
    control: &Control,
    hold: Duration,
) {
    let from_ms = scene.stage.now_ms();
    let (files, word, value, met) = match fault {
        Fault::FailRead => (TABLES, Word::ReadsLeft, i64::MAX, Word::ReadsFailed),
        _ => {
            let late = scene.one_of(&[20_000, 100_000, 300_000]);
            (ALL_FILES, Word::SyncDelay, late, Word::SyncsLate)
        }
    };
    let before = control.get(met);
    control.set(Word::Files, files);
    control.set(word, value);
    tokio::time::sleep(hold).await;
    control.spare_files();
    let count = control.get(met) - before;
    let seen = if count > 0 {
        Ok(format!("{count} calls"))
    } else {
        Err("no file was touched".to_owned())
    };
    scene.note(fault, from_ms, &node.address, seen);
}

/// A store that stops must come to its end, and say why. It is started again.
async fn stopped(
    scene: &mut Scene<'_>,
    fault: Fault,
    (node, control): (&Node, &Control),
    said_before: usize,
) -> Option<String> {
    let has_ended = comes(STOP_MAX, async || !node.runs()).await;
    control.spare_files();
    if !has_ended {
        scene.harm.wrong.push(format!("{} goes on after {fault}", node.address));
        return None;
    }
    let said = why_stopped(node, said_before);
    if said.is_none() {
        scene.harm.wrong.push(format!("{} stops without a word after {fault}", node.address));
    }
    let _ = node.has_ended();
    scene.start_again(node).await;
    said
}

/// What it said since then about why it stopped.
fn why_stopped(node: &Node, since: usize) -> Option<String> {
    let words = node.words_after(since);
    let mut lines = words.lines();
    let line = lines.find(|line| LAST_WORDS.iter().any(|last| line.contains(last)))?;
    // Of a panic the reason is on the next one.
    let reason = lines.next().unwrap_or_default();
    Some(format!("{}; {}", line.trim(), reason.trim()))
}
