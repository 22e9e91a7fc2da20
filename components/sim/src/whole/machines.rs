//! The machines of a store: placement's group its own, all others are regions, and what those apply
//! is told to the checkers.

use std::sync::Arc;

use bytes::Bytes;
use kv::Regions;
use multiraft::{Command, Corrupt, Machines, Roster, SnapshotReader, Spawn, StateMachine};
use parking_lot::Mutex;
use placement::StateView;
use storage::{Batch, Engine, View};
use types::{GroupId, Index, StoreId};

use super::bugs::Planted;
use super::check::Checks;
use super::host::Opening;

pub(crate) struct HostMachines {
    store: StoreId,
    regions: Arc<Regions>,
    placement: Arc<dyn Machines>,
    checks: Arc<Mutex<Checks>>,
    bug: Option<Planted>,
}

/// A region's machine that is watched.
struct Watched {
    group: GroupId,
    store: StoreId,
    inner: Box<dyn StateMachine>,
    regions: Arc<Regions>,
    checks: Arc<Mutex<Checks>>,
    bug: Option<Planted>,
}

impl HostMachines {
    pub(crate) fn new(
        store: StoreId,
        regions: &Arc<Regions>,
        view: &Arc<StateView>,
        with: &Opening<'_>,
    ) -> HostMachines {
        HostMachines {
            store,
            regions: Arc::clone(regions),
            placement: placement::machines(view),
            checks: Arc::clone(with.checks),
            bug: with.bug,
        }
    }

    fn of(&self, group: GroupId) -> &dyn Machines {
        if group == placement::GROUP { &*self.placement } else { &*self.regions }
    }
}

impl Machines for HostMachines {
    fn open(
        &self,
        group: GroupId,
        engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt> {
        let inner = self.of(group).open(group, engine)?;
        if group == placement::GROUP {
            return Ok(inner);
        }
        Ok(Box::new(Watched {
            group,
            store: self.store,
            inner,
            regions: Arc::clone(&self.regions),
            checks: Arc::clone(&self.checks),
            bug: self.bug,
        }))
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        self.of(group).destroy(group, batch);
    }

    fn destroyed(&self, group: GroupId) {
        self.checks.lock().destroyed += 1;
        self.of(group).destroyed(group);
    }

    fn admit(&self, group: GroupId, header: &[u8], reserve: bool) -> bool {
        let admits = self.of(group).admit(group, header, reserve);
        self.checks.lock().not_admitted += u64::from(!admits);
        admits || self.bug == Some(Planted::AdmittedAnyway)
    }

    fn dismiss(&self, group: GroupId) {
        self.of(group).dismiss(group);
    }

    fn format(&self) -> u32 {
        self.regions.format()
    }
}

impl StateMachine for Watched {
    fn applied(&self, recorded: Index) -> Index {
        self.inner.applied(recorded)
    }

    fn apply(
        &mut self,
        commands: &[Command<'_>],
        view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        let first = replies.len();
        let state = self.regions.get(self.group);
        let region = state.as_ref().map(|state| &state.region);
        let altered: Option<Vec<Bytes>> = self.bug.map(|bug| {
            let alter = |command: &Command<'_>| bug.command(self.store, command.data, region);
            commands.iter().map(alter).collect()
        });
        match &altered {
            None => self.inner.apply(commands, view, batch, replies),
            Some(altered) => {
                let pairs = commands.iter().zip(altered);
                let altered: Vec<Command<'_>> =
                    pairs.map(|(command, data)| Command { index: command.index, data }).collect();
                self.inner.apply(&altered, view, batch, replies);
            }
        }
        for (command, reply) in commands.iter().zip(&replies[first..]) {
            if let Some(bug) = self.bug {
                bug.in_batch(self.store, command.data, reply, batch);
            }
            let slot = (self.group, command.index);
            self.checks.lock().applied(self.store, slot, command.data, reply);
        }
    }

    fn members(&mut self, index: Index, roster: &Roster, batch: &mut Batch) {
        self.inner.members(index, roster, batch);
    }

    fn spawned(&mut self) -> Vec<Spawn> {
        self.inner.spawned()
    }

    fn persist(&mut self, applied: Index, batch: &mut Batch) -> Index {
        self.inner.persist(applied, batch)
    }

    fn snapshot(&mut self, view: Box<dyn View>) -> Box<dyn SnapshotReader> {
        self.inner.snapshot(view)
    }

    fn clear(&mut self, batch: &mut Batch) {
        self.inner.clear(batch);
    }

    fn restore(&mut self, chunk: &[u8], batch: &mut Batch) -> Result<(), Corrupt> {
        self.inner.restore(chunk, batch)
    }

    fn restored(&mut self, applied: Index, batch: &mut Batch) -> Result<(), Corrupt> {
        self.inner.restored(applied, batch)
    }
}
