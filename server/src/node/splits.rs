//! Regions that have grown too large, or are to be cut on demand: measured, given ids, cut.
//!
//! A region is measured by walking through it, in steps, away from everything that serves; how
//! often depends on how much was written to it. The cut is a command like others: writes go on
//! before and behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kv::command::{Action, Command, NewRegion};
use kv::split::{Measured, SizeScan, SplitConfig, parts_of};
use kv::{RegionState, Reply};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};
use types::{GroupId, PeerId};

use super::Parts;

/// Bytes that a measurement looks at with one view.
const STEP_BYTES: u64 = 4 << 20;
/// A region is measured again when this part of its limit was written since.
const MEASURE_PART: u64 = 16;

/// When a cut is tried again that could not be done: placement had no leader, say. It doubles,
/// since the region is walked through each time.
const CUT_AGAIN_AFTER: Duration = Duration::from_secs(10);
const CUT_AGAIN_AFTER_MAX: Duration = Duration::from_mins(5);

/// Looks after the sizes of the regions that this store leads.
pub(super) async fn run(parts: Arc<Parts>, check_every: Duration) {
    let mut measured_at: BTreeMap<GroupId, Measure> = BTreeMap::new();
    let mut ticks = interval(check_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let led = parts.data.standings.led();
        measured_at.retain(|id, _| led.binary_search_by_key(id, |(group, _)| *group).is_ok());
        for (id, _) in led {
            let Some(state) = parts.data.regions.get(id) else { continue };
            let written = state.load.written_bytes();
            if !is_due(&parts.split, &state, measured_at.get(&id), written) {
                continue;
            }
            match measure(&parts, &state).await {
                Ok(measured) => {
                    parts.data.regions.set_measured(id, measured.bytes, measured.keys);
                    let is_cut = match &measured.split_keys[..] {
                        [] => None,
                        keys => Some(cut(&parts, &state, keys).await),
                    };
                    // What is left of it may be too large still. What was not cut is tried again,
                    // also if nobody writes any more.
                    let again = match is_cut {
                        Some(true) => {
                            measured_at.remove(&id);
                            continue;
                        }
                        Some(false) => {
                            let last = measured_at.get(&id).and_then(|last| last.again);
                            let pause = last.map_or(CUT_AGAIN_AFTER, |(_, pause)| pause * 2);
                            let pause = pause.min(CUT_AGAIN_AFTER_MAX);
                            Some((Instant::now() + pause, pause))
                        }
                        None => None,
                    };
                    measured_at.insert(id, Measure { written, again });
                }
                Err(why) => tracing::warn!(region = id.get(), why, "not measured"),
            }
        }
    }
}

/// Whether a region is to be looked at: it never was, or it seems too large, and enough has changed
/// since it was last.
fn is_due(
    config: &SplitConfig,
    state: &RegionState,
    before: Option<&Measure>,
    written: u64,
) -> bool {
    let (Some(before), Some(bytes), Some(keys)) = (before, state.load.bytes(), state.load.keys())
    else {
        return true;
    };
    let step = (config.max_bytes / MEASURE_PART).max(1);
    let is_more = written.saturating_sub(before.written) >= step;
    let is_again = before.again.is_some_and(|(at, _)| Instant::now() >= at);
    config.is_too_large(bytes, keys) && (is_more || is_again)
}

/// What is known of when a region was measured last.
struct Measure {
    /// What had been written to it.
    written: u64,
    /// When it is cut that could not be then, and how long that is put off.
    again: Option<(Instant, Duration)>,
}

/// Returns whether it was cut.
async fn cut(parts: &Arc<Parts>, state: &Arc<RegionState>, keys: &[Vec<u8>]) -> bool {
    let region = state.region.id.get();
    match split(parts, state, keys).await {
        Ok(made) => {
            tracing::info!(region, "too large: split into {made}");
            true
        }
        Err(why) => {
            tracing::info!(region, why, "too large, and not split yet");
            false
        }
    }
}

/// The cut that leaves about as much on either side.
///
/// # Errors
/// If there is none, or the region cannot be read.
pub(super) async fn halves(
    parts: &Arc<Parts>,
    state: &Arc<RegionState>,
) -> Result<Vec<Vec<u8>>, String> {
    let measured = measure(parts, state).await?;
    let middle = measured.middle.ok_or("it has too few keys to be cut in halves")?;
    Ok(vec![middle])
}

async fn measure(parts: &Arc<Parts>, state: &Arc<RegionState>) -> Result<Measured, String> {
    let api = parts.edge.api;
    let mut scan = SizeScan::new(state.region.range.clone(), api, parts.split);
    let engine = Arc::clone(&parts.data.engine);
    let walk = move || loop {
        match scan.step(&*engine.view(), STEP_BYTES) {
            Ok(Some(measured)) => return Ok(measured),
            Ok(None) => {}
            Err(why) => return Err(why.to_string()),
        }
    };
    spawn_blocking(walk).await.map_err(|why| why.to_string())?
}

/// Cuts a region that is led from here at these engine keys. Returns what it became, in words.
///
/// # Errors
/// Why not. What was asked of placement and not used is lost, and costs only ids.
pub(super) async fn split(
    parts: &Arc<Parts>,
    state: &Arc<RegionState>,
    keys: &[Vec<u8>],
) -> Result<String, String> {
    let region = &state.region;
    let ids = parts.link.ask_split(region, keys.len()).await?;
    let children = (keys.iter().zip(ids))
        .map(|(end, (region, peers))| new_region(end, region, &peers))
        .collect::<Option<Vec<NewRegion>>>()
        .ok_or("placement gave ids that are none")?;
    parts_of(region, &children, parts.edge.api)?;
    let command = Command { epoch: region.epoch, action: Action::Split(children) };
    let reply = parts.data.propose(state, &command, std::iter::empty()).await;
    let (reply, _) = reply.map_err(|denied| denied.to_string())?;
    let Reply::Split(made) = reply else { return Err(format!("answered with {reply:?}")) };
    let mut said = Vec::new();
    for part in &made {
        said.push(format!("{} {}", part.id, part.range));
        if part.id != region.id {
            // Its peers would wait for one another; the one that led the whole has what is newest.
            let _ = parts.data.handle.campaign(part.id);
        }
        parts.news.notify(part.id);
    }
    Ok(said.join(", "))
}

fn new_region(end: &[u8], region: u64, peers: &[u64]) -> Option<NewRegion> {
    let peers = peers.iter().map(|&peer| PeerId::new(peer)).collect::<Option<Vec<_>>>()?;
    Some(NewRegion { end: end.to_vec().into(), region: GroupId::new(region)?, peers })
}
