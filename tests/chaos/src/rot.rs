//! A bit of a store that does not run is flipped, in a log or in a table; then it is started.
//!
//! With a log that is not what was written it must not start, and say which file. With such a table
//! it may start, and serves nothing of it: what it does serve is judged with everything else. Then
//! it is given up, and a new store takes its place.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cluster::crib::{Node, Options};
use proto::crib::placement::v1::{Store, StoreState};
use verify::script::Fault;

use crate::scene::{Deck, Scene, all_regions, comes};

/// How long a store with a bad table is given to meet it.
const MET_MAX: Duration = Duration::from_secs(30);
/// How names of logs and tables end.
const LOG: &str = "log";
const TABLE: &str = "sst";
/// What a file must have at least, to be flipped in the middle.
const LEAST_BYTES: u64 = 4_096;
/// What is said when a table is not what was written.
const BAD_TABLE: &str = "Corruption";

/// Tables are small and soon written; a store that is away is soon given up.
pub(crate) fn equip(options: &mut Options) {
    options.down_after = Duration::from_secs(5);
    equip_with_small_tables(options);
}

/// Little stays in memory, so that there are tables, and they are read.
pub(crate) fn equip_with_small_tables(options: &mut Options) {
    let set = ["memory-size-max=4MiB", "raft-memory-size=64KiB", "data-memory-size=64KiB"];
    options.set.extend(set.map(|set| format!("storage.{set}")));
    options.set.push("storage.block-cache-size=1MiB".to_owned());
}

/// One store after the other, until the load ends.
pub(crate) async fn rot(scene: &mut Scene<'_>) {
    let mut deck = Deck::new(&[Fault::RotLog, Fault::RotTable]);
    while scene.fits(Duration::from_secs(10)) {
        let fault = deck.draw(&mut scene.lot);
        // Clients were told of the first ones, so one of these stays.
        let (_, node) = scene.leading(1).await;
        let Some(store) = scene.store_at(&node.address).await else { return };
        let what = format!("{} has a file of each kind", node.address);
        let data = node.dir.join("data");
        let has = |end| matches!(file(&data, end), Ok(Some((LEAST_BYTES.., _))));
        scene.expect(&what, async || has(LOG) && has(TABLE)).await;
        node.kill();
        let from_ms = scene.stage.now_ms();
        let end = if fault == Fault::RotLog { LOG } else { TABLE };
        match flip(scene, &data, end) {
            Ok(flipped) => {
                node.start();
                let seen = match fault {
                    Fault::RotLog => start_with_bad_log(scene, &node, &flipped).await,
                    _ => start_with_bad_table(&node, &flipped).await,
                };
                scene.note(fault, from_ms, flipped.display(), seen);
            }
            Err(why) => scene.note(fault, from_ms, &node.address, Err(why)),
        }
        replace(scene, &node, store).await;
    }
}

/// Flips a bit of a file of a store: which file.
fn flip(scene: &mut Scene<'_>, data: &Path, end: &str) -> Result<PathBuf, String> {
    let found = file(data, end).map_err(|error| error.to_string())?;
    let (length @ LEAST_BYTES.., path) = found.ok_or_else(|| format!("there is no .{end}"))? else {
        return Err(format!("the last .{end} is small"));
    };
    // Neither the beginning nor the end: in a table there are blocks of data, in a log something
    // good is behind.
    let span = usize::try_from(length / 2).unwrap_or(usize::MAX);
    let at = length / 8 + scene.lot.below(span) as u64;
    let bit = scene.lot.below(8);
    let change = || -> std::io::Result<()> {
        let file = File::options().read(true).write(true).open(&path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        byte[0] ^= 1 << bit;
        file.write_all_at(&byte, at)?;
        file.sync_all()
    };
    change().map_err(|error| error.to_string())?;
    Ok(path)
}

/// The newest log, which is surely needed, or the largest table, with its length.
fn file(data: &Path, end: &str) -> std::io::Result<Option<(u64, PathBuf)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(data)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == end) {
            all.push((entry.metadata()?.len(), path));
        }
    }
    match end {
        LOG => all.sort_unstable_by(|(_, left), (_, right)| left.cmp(right)),
        _ => all.sort_unstable(),
    }
    Ok(all.pop())
}

/// It must end by itself, and name the file.
async fn start_with_bad_log(
    scene: &mut Scene<'_>,
    node: &Arc<Node>,
    flipped: &Path,
) -> Result<String, String> {
    let since = node.written();
    let mut status = None;
    let ended = comes(MET_MAX, async || {
        status = node.has_ended();
        status.is_some()
    })
    .await;
    let name = flipped.display().to_string();
    let words = node.words_after(since);
    let said = words.lines().find(|line| line.contains(&name)).map(str::trim);
    if !ended || status.is_some_and(|status| status.success()) {
        scene.harm.wrong.push(format!("{} runs with a log that is damaged", node.address));
    } else if said.is_none() {
        scene.harm.wrong.push(format!("{} does not say which log is damaged", node.address));
    }
    match said {
        Some(said) => Ok(format!("it said: {said}")),
        None => Err(format!("{name} is not named")),
    }
}

/// It meets the bad table at its start, in a read or in a merge.
async fn start_with_bad_table(node: &Arc<Node>, flipped: &Path) -> Result<String, String> {
    let since = node.written();
    let name = flipped.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let met = || {
        let words = node.words_after(since);
        let mut lines = words.lines();
        lines.find(|line| line.contains(BAD_TABLE) && line.contains(&name)).map(str::to_owned)
    };
    comes(MET_MAX, async || met().is_some()).await;
    let state = if node.runs() { "it runs" } else { "it has ended" };
    match met() {
        Some(said) => Ok(format!("{state}, and said: {}", said.trim())),
        None => Err(format!("{state}, and has not met the table")),
    }
}

/// Gives a store up: its replicas are made anew on one that joins, and it is removed.
async fn replace(scene: &mut Scene<'_>, node: &Arc<Node>, store: u64) {
    scene.cluster.retire(node);
    scene.cluster.add_joining().start();
    let (stage, admin) = (scene.stage, scene.stage.client().admin());
    let what = format!("no replica is on store {store}, and none is missing");
    scene
        .expect(&what, async || {
            let Ok(status) = admin.status().await else { return false };
            let is_down = |other: &Store| other.id == store && other.state() == StoreState::Down;
            let Some(regions) = all_regions(stage).await else { return false };
            status.stores.iter().any(is_down)
                && status.regions_under_replicated == 0
                && regions.iter().all(|region| !region.stores.contains(&store))
        })
        .await;
    let what = format!("store {store} is removed");
    scene.expect(&what, async || admin.remove_store(store).await.is_ok()).await;
    scene.until_well().await;
}
