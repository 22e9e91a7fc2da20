//! The regions of one store: made for the multi-Raft engine, looked up by whoever serves.
//!
//! All that is shared by threads of this crate is here, behind one lock that is never held while an
//! engine is called. It mirrors what state machines have applied, and nothing of it flows back into
//! what they apply.

mod index;
mod state;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use multiraft::{Corrupt, Machines, StateMachine};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use storage::{Batch, Cf, Direction, Durability, Engine};
use types::{ApiVersion, GroupId, KeyRange, Region, StoreId};

pub(crate) use self::index::{Index, Reason};
pub(crate) use self::state::Amount;
pub use self::state::{Load, RegionState};
use crate::error::RegionError;
use crate::keys::{self, record_key};
use crate::machine::RegionMachine;
use crate::record::{decode_header, decode_record, encode_record};

/// What all regions of a store have in common.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// This store: which peers are its own.
    pub store: StoreId,
    /// The cluster's: where regions may be cut.
    pub api: ApiVersion,
}

/// The regions of a store.
#[derive(Debug)]
pub struct Regions {
    shared: Arc<Shared>,
}

/// What state machines share with their makers.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    index: RwLock<Index>,
}

impl Shared {
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read()
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write()
    }
}

impl Regions {
    /// No regions yet: they come as groups are opened.
    #[must_use]
    pub fn new(config: Config) -> Arc<Regions> {
        Arc::new(Regions { shared: Arc::new(Shared { config, index: RwLock::default() }) })
    }

    /// The region, if it has data here and serves.
    #[must_use]
    pub fn get(&self, id: GroupId) -> Option<Arc<RegionState>> {
        self.shared.index().get(id).cloned()
    }

    /// The region that has an engine key, if it is here and serves.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<Arc<RegionState>> {
        self.shared.index().find(key).cloned()
    }

    /// All regions that serve, by id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<RegionState>> {
        self.shared.index().all().cloned().collect()
    }

    /// Regions that serve here though this store is none of their members': their replicas may be
    /// nobody's.
    #[must_use]
    pub fn strays(&self) -> BTreeSet<GroupId> {
        let own = self.shared.config.store;
        let index = self.shared.index();
        let strays = index.all().filter(|state| state.region.peer_on(own).is_none());
        strays.map(|state| state.region.id).collect()
    }

    /// The regions here that have keys of a range of engine keys, by ascending keys.
    #[must_use]
    pub fn within(&self, range: &KeyRange) -> Vec<Arc<RegionState>> {
        self.shared.index().within(range)
    }

    /// Whether what was known of a region still holds. Asked by a read when it has its view: what
    /// the view shows is then the region's data as that state describes it.
    ///
    /// # Errors
    /// What the region has become.
    pub fn check_still(&self, known: &RegionState) -> Result<(), RegionError> {
        let id = known.region.id;
        match self.get(id) {
            None => Err(RegionError::RegionNotFound(id)),
            Some(now)
                if now.life == known.life
                    && now.region.epoch.version == known.region.epoch.version =>
            {
                Ok(())
            }
            Some(now) => Err(RegionError::EpochNotMatch(vec![now.region.clone()])),
        }
    }

    /// The error, and if it says what a region has become, with the regions here that have these
    /// engine keys: after a split the client learns where they are now.
    #[must_use]
    pub fn explain<'a>(
        &self,
        error: RegionError,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> RegionError {
        let RegionError::EpochNotMatch(mut regions) = error else { return error };
        let index = self.shared.index();
        for key in keys {
            if regions.iter().any(|region| region.range.contains(key)) {
                continue;
            }
            regions.extend(index.find(key).map(|state| state.region.clone()));
        }
        RegionError::EpochNotMatch(regions)
    }

    /// The region was measured.
    pub fn set_measured(&self, id: GroupId, bytes: u64, keys: u64) {
        if let Some(state) = self.shared.index().get(id) {
            state.load.set(bytes, keys);
        }
    }

    /// Makes the record of a region that begins with the cluster, durably, and keeps its keys for
    /// it. Afterwards the group is created; if that is refused, the region is to be withdrawn.
    ///
    /// Returns false if the group must not be created: its keys are another region's here, as the
    /// others have split it already and this store gets its parts from them; or it has a record,
    /// since it was set aside when the store was opened.
    ///
    /// # Errors
    /// If the engine fails.
    pub fn prepare(&self, engine: &dyn Engine, region: &Region) -> Result<bool, storage::Error> {
        {
            let mut index = self.shared.index_mut();
            if index.contains(region.id) {
                return Ok(true);
            }
            if !index.reserve(region.id, region.range.clone(), Reason::Prepared) {
                return Ok(false);
            }
        }
        let key = record_key(region.id);
        if engine.get(Cf::Meta, &key)?.is_some() {
            self.shared.index_mut().dismiss(region.id, Reason::Prepared);
            return Ok(false);
        }
        let mut batch = Batch::new();
        batch.put(Cf::Meta, &key, &encode_record(region));
        engine.write(&batch, Durability::Synced)?;
        Ok(true)
    }

    /// A region that was prepared is not created after all. One that was opened meanwhile stays.
    ///
    /// # Errors
    /// If the engine fails.
    pub fn withdraw(&self, engine: &dyn Engine, id: GroupId) -> Result<(), storage::Error> {
        if !self.shared.index().contains(id) {
            let mut batch = Batch::new();
            batch.delete(Cf::Meta, &record_key(id));
            engine.write(&batch, Durability::Synced)?;
        }
        self.shared.index_mut().dismiss(id, Reason::Prepared);
        Ok(())
    }

    /// Removes records without groups: a crash came between [`Regions::prepare`] and the creation
    /// of the group. To be called once, when the store was opened and before anything else; `aside`
    /// are the groups that it set aside, which keep theirs. Returns whose records are gone.
    ///
    /// # Errors
    /// If the engine fails.
    pub fn sweep(
        &self,
        engine: &dyn Engine,
        aside: &[GroupId],
    ) -> Result<Vec<GroupId>, storage::Error> {
        let mut found = Vec::new();
        let (start, end) = keys::RECORDS;
        let bounds = (Bound::Included(&start[..]), Bound::Excluded(&end[..]));
        engine.view().scan(Cf::Meta, bounds, Direction::Forward, &mut |key, _| {
            found.extend(keys::record_of(key));
            true
        })?;
        {
            let index = self.shared.index();
            found.retain(|id| !index.contains(*id) && !aside.contains(id));
        }
        let mut batch = Batch::new();
        for id in &found {
            batch.delete(Cf::Meta, &record_key(*id));
        }
        if !batch.is_empty() {
            engine.write(&batch, Durability::Synced)?;
        }
        Ok(found)
    }

    /// As [`Machines::open`], typed.
    ///
    /// # Errors
    /// If the region's record makes no sense, or its keys are another region's too.
    pub fn open_region(
        &self,
        group: GroupId,
        engine: &dyn Engine,
    ) -> Result<RegionMachine, Corrupt> {
        let record = engine.get(Cf::Meta, &record_key(group));
        let region = match record.map_err(|why| Corrupt(why.to_string()))? {
            None => None,
            Some(record) => Some(decode_record(&record)?),
        };
        let mut index = self.shared.index_mut();
        let load = match index.get(group) {
            Some(state) => Arc::clone(&state.load),
            None => Arc::new(Load::unknown()),
        };
        if let Some(region) = &region {
            if region.id != group {
                return Err(Corrupt(format!("region {} under the id of {group}", region.id)));
            }
            index.dismiss(group, Reason::Prepared);
            index.insert(region.clone(), &load).map_err(|other| {
                Corrupt(format!("keys of region {group} are region {other}'s too"))
            })?;
        }
        drop(index);
        Ok(RegionMachine::new(group, region, load, Arc::clone(&self.shared)))
    }
}

impl Machines for Regions {
    fn open(
        &self,
        group: GroupId,
        engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt> {
        Ok(Box::new(self.open_region(group, &**engine)?))
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        let mut index = self.shared.index_mut();
        // From here on no read of it is right: its view may be one of the removal.
        index.suspend(group);
        for range in index.ranges(group) {
            keys::delete_data(batch, &range);
        }
        batch.delete(Cf::Meta, &record_key(group));
    }

    fn destroyed(&self, group: GroupId) {
        self.shared.index_mut().remove(group);
    }

    fn admit(&self, group: GroupId, header: &[u8], reserve: bool) -> bool {
        let Ok(region) = decode_header(header) else { return false };
        if region.id != group {
            return false;
        }
        let mut index = self.shared.index_mut();
        // The split that makes it is applied and may not be written: it would be written over what
        // the snapshot brings, or a crash would leave the snapshot beside a parent that has all.
        if index.is_unborn(group) {
            return false;
        }
        if reserve {
            index.reserve(group, region.range, Reason::Snapshot)
        } else {
            index.conflict(group, &region.range).is_none()
        }
    }

    fn dismiss(&self, group: GroupId) {
        self.shared.index_mut().dismiss(group, Reason::Snapshot);
    }
}
