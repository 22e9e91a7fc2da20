//! The state machine of a region.
//!
//! Everything it has lies in the engine: the region's record and its data. In memory there is what
//! the record says, and the shared index that mirrors it: the index is changed when a command is
//! applied, not when its batch is written. So a view that shows anything that came of a split shows
//! it to a reader who finds the split in the index, and one that shows none of it is right for the
//! region as it was.
//!
//! A machine without a record has no keys and serves nothing, until a snapshot is restored, or a
//! split writes its record and it is opened anew.

mod apply;
mod overlay;
mod roster;
mod snapshot;

use std::sync::Arc;

use bytes::Bytes;
use multiraft::{Command, Corrupt, Roster, SnapshotReader, Spawn, StateMachine};
use storage::{Batch, Cf, View};
use types::{GroupId, Index, Region};

use self::roster::peers_of;
use self::snapshot::{Reader, Restoring};
use crate::keys::{delete_data, record_key};
use crate::record::encode_record;
use crate::regions::{Load, Reason, Shared};

/// A region's state on this store.
#[derive(Debug)]
pub struct RegionMachine {
    id: GroupId,
    /// As applied; `None` without data.
    region: Option<Region>,
    load: Arc<Load>,
    shared: Arc<Shared>,
    /// What the commands of the last call brought into being.
    spawns: Vec<Spawn>,
    /// A snapshot that is being taken over.
    restoring: Option<Restoring>,
    /// Whether the last call removed keys that are not in the region any more.
    holds: bool,
}

impl RegionMachine {
    pub(crate) fn new(
        id: GroupId,
        region: Option<Region>,
        load: Arc<Load>,
        shared: Arc<Shared>,
    ) -> RegionMachine {
        RegionMachine {
            id,
            region,
            load,
            shared,
            spawns: Vec::new(),
            restoring: None,
            holds: false,
        }
    }

    /// The region as applied; `None` while it has no data here.
    #[must_use]
    pub fn region(&self) -> Option<&Region> {
        self.region.as_ref()
    }
}

impl StateMachine for RegionMachine {
    fn apply(
        &mut self,
        commands: &[Command<'_>],
        view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        if std::mem::take(&mut self.holds) {
            // What the call before this one removed is gone from the engine: the view shows it.
            self.shared.index_mut().release(self.id);
        }
        self.spawns.clear();
        self.apply_all(commands, view, batch, replies);
    }

    fn members(&mut self, _: Index, roster: &Roster, batch: &mut Batch) {
        let Some(region) = &mut self.region else { return };
        region.peers = peers_of(roster);
        region.epoch.conf_ver += 1;
        batch.put(Cf::Meta, &record_key(self.id), &encode_record(region));
        self.shared.index_mut().update(region.clone());
    }

    fn spawned(&mut self) -> Vec<Spawn> {
        std::mem::take(&mut self.spawns)
    }

    fn snapshot(&mut self, view: Box<dyn View>) -> Box<dyn SnapshotReader> {
        Box::new(Reader::new(self.region.clone(), view))
    }

    fn clear(&mut self, batch: &mut Batch) {
        let mut index = self.shared.index_mut();
        index.suspend(self.id);
        for range in index.ranges(self.id) {
            delete_data(batch, &range);
        }
        batch.delete(Cf::Meta, &record_key(self.id));
        self.region = None;
        self.holds = false;
        self.restoring = Some(Restoring::default());
    }

    fn restore(&mut self, chunk: &[u8], batch: &mut Batch) -> Result<(), Corrupt> {
        let Some(restoring) = &mut self.restoring else {
            return Err(Corrupt("a chunk of a snapshot that was not begun".to_owned()));
        };
        let Some(begun) = restoring.take(self.id, chunk, batch)? else { return Ok(()) };
        // After a crash in the middle nobody asks again whether it is admitted.
        let range = begun.range.clone();
        if !self.shared.index_mut().reserve(self.id, range, Reason::Snapshot) {
            return Err(Corrupt(format!("keys of region {} are another region's", self.id)));
        }
        delete_data(batch, &begun.range);
        batch.put(Cf::Meta, &record_key(self.id), &encode_record(&begun));
        Ok(())
    }

    fn restored(&mut self, _: Index, _: &mut Batch) -> Result<(), Corrupt> {
        let Some(restoring) = self.restoring.take() else {
            return Err(Corrupt("a snapshot ended that was not begun".to_owned()));
        };
        let (region, size) = restoring.end()?;
        let mut index = self.shared.index_mut();
        index.dismiss(self.id, Reason::Snapshot);
        index.insert(region.clone(), &self.load).map_err(|other| {
            Corrupt(format!("keys of region {} are region {other}'s too", self.id))
        })?;
        self.load.set(size.bytes, size.keys);
        self.region = Some(region);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
