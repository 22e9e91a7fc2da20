//! What people ask for: move a leader, split a region, empty a store. What cannot end is refused,
//! and the words say what would help.

use types::{GroupId, StoreId};

use super::operator::{Origin, Priority};
use super::step::Step;
use super::{Cluster, Controller, StoreInfo, StoreState};
use crate::table::RegionEntry;

/// What emptying a store takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainPlan {
    /// Replicas to move.
    pub regions: u64,
    /// Leaders to move.
    pub leaders: u64,
    /// Bytes to move.
    pub bytes: u64,
    /// About how long it takes, in seconds.
    pub seconds: u64,
}

/// Bytes per second that one replica is assumed to be filled with, for estimates.
const FILL_ASSUMED: u64 = 32 << 20;
/// Seconds that moving a replica takes besides its bytes, for estimates.
const MOVE_ASSUMED: u64 = 5;

impl Controller {
    /// Makes the peer on a store the leader of a region. Returns the operator's id, or why not.
    ///
    /// # Errors
    ///
    /// In words; nothing has changed then.
    pub fn transfer_leader(
        &mut self,
        cluster: &Cluster,
        region: GroupId,
        to: StoreId,
    ) -> Result<u64, String> {
        let entry = self.idle(cluster, region)?;
        let peer = entry.region().peer_on(to);
        let peer = peer.ok_or_else(|| {
            format!("region {} has no replica on store {}", region.get(), to.get())
        })?;
        if entry.report.leader.id == peer.id {
            return Err(format!("store {} leads region {} already", to.get(), region.get()));
        }
        if !cluster.store(to).is_some_and(StoreInfo::takes_leaders) {
            let state = cluster.store(to).map_or(StoreState::Removed, |store| store.state);
            let more = if state == StoreState::Up { ", and stopping" } else { "" };
            return Err(format!("store {} takes no leaders: it is {state}{more}", to.get()));
        }
        let step = Step::TransferLeader(peer);
        if let Some(danger) = step.danger(cluster, entry) {
            return Err(danger);
        }
        let reason = format!("asked to lead from store {}", to.get());
        Ok(self.launch(cluster, entry, Origin::Operator, (reason, vec![step])))
    }

    /// Splits a region at engine keys, or in halves if there are none. Returns the operator's id,
    /// or why not.
    ///
    /// # Errors
    ///
    /// In words; nothing has changed then.
    pub fn split(
        &mut self,
        cluster: &Cluster,
        region: GroupId,
        mut keys: Vec<Vec<u8>>,
    ) -> Result<u64, String> {
        let entry = self.idle(cluster, region)?;
        keys.sort();
        keys.dedup();
        let range = &entry.region().range;
        if let Some(key) = keys.iter().find(|key| !range.contains(key) || **key == range.start) {
            let key = types::Escaped(key);
            return Err(format!("{key} does not cut region {}, {range}, in two", region.get()));
        }
        let step = Step::Split { keys, version: entry.region().epoch.version };
        Ok(self.launch(cluster, entry, Origin::Operator, ("asked to split".to_owned(), vec![step])))
    }

    fn idle<'a>(&self, cluster: &Cluster<'a>, region: GroupId) -> Result<&'a RegionEntry, String> {
        let entry = cluster.table.by_id(region);
        let entry = entry.ok_or_else(|| format!("region {} is not known", region.get()))?;
        if entry.is_joint() {
            return Err(format!("the membership of region {} is changing", region.get()));
        }
        match self.operator_of(region) {
            Some(running) if running.origin.priority() == Priority::Operator => {
                let (id, reason) = (running.id, &running.reason);
                Err(format!("operator {id} for region {} still runs: {reason}", region.get()))
            }
            _ => Ok(entry),
        }
    }
}

/// What emptying a store takes, or why it could not end.
///
/// # Errors
///
/// In words, with what would help.
pub fn drain_check(cluster: &Cluster, store: StoreId) -> Result<DrainPlan, String> {
    let named = store.get();
    let info = cluster.store(store).ok_or_else(|| format!("store {named} is not known"))?;
    if info.state == StoreState::Removed {
        return Err(format!("store {named} was removed"));
    }
    let replicas = cluster.config.replicas;
    let left: Vec<&StoreInfo> = cluster
        .stores
        .values()
        .filter(|other| other.id != store && other.state == StoreState::Up)
        .collect();
    let told = |stores: &[&StoreInfo]| match stores {
        [] => "no store".to_owned(),
        [one] => format!("only store {}", one.id.get()),
        many => {
            let ids: Vec<String> = many.iter().map(|store| store.id.get().to_string()).collect();
            format!("only stores {}", ids.join(", "))
        }
    };
    if left.len() < replicas {
        return Err(format!(
            "without store {named}, {} would be up, and every region needs {replicas}: add {} \
             first",
            told(&left),
            stores_told(replicas - left.len()),
        ));
    }
    let tally = cluster.table.tally_of(store);
    // One that is stopping takes no replicas either, but it is for another reason than room.
    if tally.leaders > 0 && !left.iter().any(|other| other.takes_leaders()) {
        return Err(format!(
            "no other store could lead the {} regions that store {named} leads: wait until they \
             are no longer stopping",
            tally.leaders,
        ));
    }
    let roomy: Vec<&StoreInfo> = left
        .iter()
        .copied()
        .filter(|other| other.refuses_replicas(cluster.config).is_none())
        .collect();
    if roomy.is_empty() && tally.regions > 0 {
        return Err(format!(
            "none of the other stores has room for the {} regions of store {named}: add a store, \
             or free space",
            tally.regions
        ));
    }
    if let Some(region) = homeless(cluster, store, &roomy) {
        return Err(format!(
            "region {} could go nowhere: the other stores that have room have a replica of it \
             already: add a store, or free space",
            region.get()
        ));
    }
    let free: u64 = roomy.iter().map(|other| other.available).fold(0, u64::saturating_add);
    if roomy.iter().all(|other| other.capacity > 0) && free < tally.bytes {
        return Err(format!(
            "the other stores have {free} bytes free, and {} are to move: add a store, or free \
             space",
            tally.bytes
        ));
    }
    let lanes = cluster.config.repairs_max.min(roomy.len() * cluster.config.fills_per_store);
    let work = tally.bytes / FILL_ASSUMED + tally.regions * MOVE_ASSUMED;
    let seconds = work.div_ceil((lanes as u64).max(1));
    Ok(DrainPlan { regions: tally.regions, leaders: tally.leaders, bytes: tally.bytes, seconds })
}

/// A region of a store of which all the stores with room have a replica already.
fn homeless(cluster: &Cluster, store: StoreId, roomy: &[&StoreInfo]) -> Option<GroupId> {
    if roomy.len() >= cluster.config.replicas {
        // One of them has none, whichever the region.
        return None;
    }
    let has_all =
        |entry: &&RegionEntry| roomy.iter().all(|other| entry.region().peer_on(other.id).is_some());
    cluster.table.regions_of(store, None).find(has_all).map(RegionEntry::id)
}

/// Whether no region is known to have a peer on a store.
#[must_use]
pub fn is_empty(cluster: &Cluster, store: StoreId) -> bool {
    cluster.table.tally_of(store).regions == 0
}

fn stores_told(count: usize) -> String {
    if count == 1 { "a store".to_owned() } else { format!("{count} stores") }
}
