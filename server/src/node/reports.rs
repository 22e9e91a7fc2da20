//! What placement is told of the regions that this store leads: at once when leadership, range or
//! members change, and from time to time how much they have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kv::RegionState;
use multiraft::{GroupStatus, Outcome, Standing};
use parking_lot::Mutex;
use proto::crib::placement::v1::{DownPeer, RegionReport};
use proto::metapb;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use types::{Epoch, GroupId, PeerId, RegionPeer};

use super::Parts;

/// How often the regions are compared with what was told of them.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often placement is told how much a region has, if that changed.
const TELL_LOAD_EVERY: Duration = Duration::from_secs(2);
/// How often it is told in any case.
const TELL_ALL_EVERY: Duration = Duration::from_secs(60);
/// A peer that its leader does not hear for this long is down: longer than a node takes to start
/// again.
const DOWN_AFTER: Duration = Duration::from_secs(30);
/// How often placement is told of a region with such a peer: that it is heard again is news.
const TELL_DOWN_EVERY: Duration = Duration::from_secs(10);
/// Such regions that it is told of at a time: what is urgent does not wait behind them.
const DOWN_AT_ONCE: usize = 64;
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
struct Told {
    epoch: Epoch,
    /// Whether a peer was behind then: that it has caught up is news.
    has_pending: bool,
    /// Peers that were not heard then, and since when it is known.
    unheard: BTreeMap<PeerId, Instant>,
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
    let mut down = 0;
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
        } else if age >= TELL_DOWN_EVERY && !last.unheard.is_empty() && down < DOWN_AT_ONCE {
            down += 1;
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
    let last = told.get(&id);
    let unheard = unheard(&status.unheard, last, now);
    let Some(report) = report(&state, &status, (last, &unheard), now) else { return };
    // That a peer has caught up is what an operator may wait for.
    let caught_up = last.is_some_and(|last| last.has_pending) && report.pending_peers.is_empty();
    told.insert(
        id,
        Told {
            epoch: state.region.epoch,
            has_pending: !report.pending_peers.is_empty(),
            unheard,
            bytes: report.approximate_bytes,
            written: state.load.written_bytes(),
            at: now,
        },
    );
    parts.link.report(id, report, is_urgent || caught_up);
}

/// The peers that are not heard now, and since when that is so, as far as it was looked at.
fn unheard(peers: &[PeerId], last: Option<&Told>, now: Instant) -> BTreeMap<PeerId, Instant> {
    let since = |peer: &PeerId| *last.and_then(|last| last.unheard.get(peer)).unwrap_or(&now);
    peers.iter().map(|peer| (*peer, since(peer))).collect()
}

fn report(
    state: &RegionState,
    status: &GroupStatus,
    (last, unheard): (Option<&Told>, &BTreeMap<PeerId, Instant>),
    now: Instant,
) -> Option<RegionReport> {
    let region = &state.region;
    let leader = region.peer(status.peer)?;
    let is_pending = |peer: &&RegionPeer| status.is_behind(peer.id, BEHIND_MAX);
    let pending_peers = region.peers.iter().filter(is_pending).copied().map(metapb::Peer::from);
    let down_peers = region.peers.iter().filter_map(|peer| {
        let span = now.duration_since(*unheard.get(&peer.id)?);
        let peer = Some((*peer).into());
        (span >= DOWN_AFTER).then_some(DownPeer { peer, seconds: span.as_secs() })
    });
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
        down_peers: down_peers.collect(),
        pending_peers: pending_peers.collect(),
        approximate_bytes: state.load.bytes().unwrap_or(0),
        approximate_keys: state.load.keys().unwrap_or(0),
        written_bytes_per_second: per_second,
        read_bytes_per_second: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_is_unheard_since_that_was_seen_first() {
        let peer = |id| PeerId::new(id).expect("not zero");
        let (then, now) = (Instant::now(), Instant::now() + DOWN_AFTER);
        let first = unheard(&[peer(12)], None, then);
        assert_eq!(first, BTreeMap::from([(peer(12), then)]));
        let told = |unheard| Told {
            epoch: Epoch::default(),
            has_pending: false,
            unheard,
            bytes: 0,
            written: 0,
            at: then,
        };
        let again = unheard(&[peer(12), peer(13)], Some(&told(first)), now);
        assert_eq!(again, BTreeMap::from([(peer(12), then), (peer(13), now)]));
        let other = unheard(&[peer(13)], Some(&told(again)), now + DOWN_AFTER);
        assert_eq!(other, BTreeMap::from([(peer(13), now)]), "one was heard again");
    }
}
