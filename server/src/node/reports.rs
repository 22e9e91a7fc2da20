//! What placement is told of the regions that this store leads: at once when leadership, range or
//! members change, and from time to time how much they have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kv::RegionState;
use multiraft::{GroupStatus, Outcome, Standing};
use parking_lot::Mutex;
use proto::crib::placement::v1::RegionReport;
use proto::metapb;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use types::{Epoch, GroupId, RegionPeer};

use super::Parts;

/// How often the regions are compared with what was told of them.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often placement is told how much a region has, if that changed.
const TELL_LOAD_EVERY: Duration = Duration::from_secs(2);
/// How often it is told in any case.
const TELL_ALL_EVERY: Duration = Duration::from_secs(60);
/// Entries by which a peer may be behind and still count.
const BEHIND_MAX: u64 = 2_048;

/// Regions of which there is news before anybody would look.
#[derive(Default)]
pub(super) struct News {
    regions: Mutex<BTreeSet<GroupId>>,
    notify: Notify,
}

impl News {
    /// Something about this region has changed.
    pub(super) fn notify(&self, region: GroupId) {
        self.regions.lock().insert(region);
        self.notify.notify_one();
    }

    async fn take(&self) -> BTreeSet<GroupId> {
        loop {
            let notified = self.notify.notified();
            let taken = std::mem::take(&mut *self.regions.lock());
            if !taken.is_empty() {
                return taken;
            }
            notified.await;
        }
    }
}

/// What was told of a region last.
#[derive(Clone, Copy)]
struct Told {
    epoch: Epoch,
    /// Whether a peer was behind then: that it has caught up is news.
    has_pending: bool,
    bytes: u64,
    written: u64,
    at: Instant,
}

/// Tells placement, until the node stops.
pub(super) async fn run(parts: Arc<Parts>) {
    let mut told: BTreeMap<GroupId, Told> = BTreeMap::new();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = parts.data.standings.changed() => {
                for (group, standing) in changed {
                    on_standing(&parts, &mut told, group, standing).await;
                }
            }
            regions = parts.news.take() => {
                for region in regions {
                    tell(&parts, &mut told, region, true).await;
                }
            }
            _ = ticks.tick() => look(&parts, &mut told).await,
        }
    }
}

async fn on_standing(
    parts: &Arc<Parts>,
    told: &mut BTreeMap<GroupId, Told>,
    group: GroupId,
    standing: Option<Standing>,
) {
    if group == placement::GROUP {
        parts.driver.on_standing(standing);
        return;
    }
    if standing.is_some_and(|standing| standing.leads()) {
        tell(parts, told, group, true).await;
    } else {
        told.remove(&group);
        parts.link.forget(group);
    }
}

async fn look(parts: &Arc<Parts>, told: &mut BTreeMap<GroupId, Told>) {
    for (id, _) in parts.data.standings.led() {
        let Some(state) = parts.data.regions.get(id) else { continue };
        let Some(last) = told.get(&id) else {
            tell(parts, told, id, true).await;
            continue;
        };
        let age = last.at.elapsed();
        if last.epoch != state.region.epoch {
            tell(parts, told, id, true).await;
        } else if last.has_pending
            || age >= TELL_ALL_EVERY
            || age >= TELL_LOAD_EVERY && has_changed(last, &state)
        {
            tell(parts, told, id, false).await;
        }
    }
}

fn has_changed(last: &Told, state: &RegionState) -> bool {
    let bytes = state.load.bytes().unwrap_or(0);
    bytes.abs_diff(last.bytes) > last.bytes / 16 || state.load.written_bytes() != last.written
}

async fn tell(
    parts: &Arc<Parts>,
    told: &mut BTreeMap<GroupId, Told>,
    id: GroupId,
    is_urgent: bool,
) {
    let Some(state) = parts.data.regions.get(id) else { return };
    let Outcome::Status(status) = parts.data.handle.status(id).await else { return };
    if !status.leads {
        return;
    }
    let now = Instant::now();
    let last = told.get(&id).copied();
    let Some(report) = report(&state, &status, last, now) else { return };
    told.insert(
        id,
        Told {
            epoch: state.region.epoch,
            has_pending: !report.pending_peers.is_empty(),
            bytes: report.approximate_bytes,
            written: state.load.written_bytes(),
            at: now,
        },
    );
    // That a peer has caught up is what an operator may wait for.
    let caught_up = last.is_some_and(|last| last.has_pending) && report.pending_peers.is_empty();
    parts.link.report(id, report, is_urgent || caught_up);
}

fn report(
    state: &RegionState,
    status: &GroupStatus,
    last: Option<Told>,
    now: Instant,
) -> Option<RegionReport> {
    let region = &state.region;
    let leader = region.peer(status.peer)?;
    let is_pending = |peer: &&RegionPeer| {
        let matched = status.matched.iter().find(|(id, _)| *id == peer.id);
        peer.id != status.peer
            && matched.is_none_or(|(_, at)| {
                *at < status.base.index || at.0 + BEHIND_MAX < status.commit.0
            })
    };
    let pending_peers = region.peers.iter().filter(is_pending).copied().map(metapb::Peer::from);
    let written = state.load.written_bytes();
    let per_second = last.map_or(0, |last| {
        let elapsed = now.duration_since(last.at).as_millis().max(1);
        let bytes = u128::from(written.saturating_sub(last.written)) * 1_000 / elapsed;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    });
    Some(RegionReport {
        region: Some(region.into()),
        leader: Some(leader.into()),
        term: status.term.0,
        down_peers: Vec::new(),
        pending_peers: pending_peers.collect(),
        approximate_bytes: state.load.bytes().unwrap_or(0),
        approximate_keys: state.load.keys().unwrap_or(0),
        written_bytes_per_second: per_second,
        read_bytes_per_second: 0,
    })
}
