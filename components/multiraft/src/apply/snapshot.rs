//! States as a whole: installed, read out, and what of the log is not needed beside them.

use raft::SnapshotWanted;
use storage::{Durability, Engine};
use types::{EntryId, GroupId, Index, PeerId, StoreId};

use super::{AppliedRoster, Applier, ApplyError, Done, Machine, SnapshotBegun, write};
use crate::disk;
use crate::message::SnapshotOffer;

impl Applier {
    /// Begins anew with staged chunks. May be called again after a crash in the middle.
    pub(super) fn install(
        &mut self,
        (group, peer): (GroupId, PeerId),
        offer: &SnapshotOffer,
    ) -> Result<Done, ApplyError> {
        if !self.groups.contains(&group) {
            let machine = self.open(group)?;
            let roster = AppliedRoster::unknown();
            self.groups.insert(group, Machine { machine, applied: EntryId::default(), roster });
        }
        let roster = self.restore(group, offer)?;
        disk::put_applied(&mut self.batch, group, offer.covers);
        disk::drop_entries(&mut self.batch, group, offer.covers);
        disk::put_roster(&mut self.batch, group, &roster);
        disk::put_live(&mut self.batch, group, peer, None);
        disk::discard_chunks(&mut self.batch, group);
        self.write(Durability::Buffered)?;
        Ok(Done::Installed(Box::new(roster), offer.covers))
    }

    fn restore(
        &mut self,
        group: GroupId,
        offer: &SnapshotOffer,
    ) -> Result<AppliedRoster, ApplyError> {
        let bad = |why: String| ApplyError::Group(group, why);
        let view = self.engine.view();
        let Applier { engine, groups, batch, on_full, .. } = self;
        let machine = groups.get_mut(&group).expect("inserted by the caller");
        machine.machine.clear(batch);
        let mut failed = None;
        disk::scan_chunks(&*view, group, &mut |chunk| {
            let restored = (machine.machine.restore(chunk, batch).map_err(|why| bad(why.0)))
                .and_then(|()| write(&**engine, batch, Durability::Buffered, on_full));
            failed = restored.err();
            failed.is_none()
        })
        .map_err(ApplyError::Engine)?;
        if let Some(why) = failed {
            return Err(why);
        }
        let index = offer.covers.index;
        machine.machine.restored(index, batch).map_err(|why| bad(why.0))?;
        machine.applied = offer.covers;
        machine.roster = AppliedRoster {
            index: offer.roster.0,
            roster: offer.roster.1.clone(),
            removed: offer.removed.clone(),
        };
        Ok(machine.roster.clone())
    }

    /// Returns where the log begins afterwards: no further than the machine's state is durable.
    pub(super) fn compact(&mut self, group: GroupId, upto: EntryId) -> Result<EntryId, ApplyError> {
        let Applier { groups, batch, engine, .. } = self;
        let base = disk::base(&**engine, group).map_err(ApplyError::Engine)?.unwrap_or_default();
        let Some(machine) = groups.get_mut(&group) else { return Ok(base) };
        let applied = machine.applied.index;
        let durable = machine.machine.persist(applied, batch);
        let durable = durable.min(applied);
        if upto.index.min(durable) <= base.index {
            return Ok(base);
        }
        let upto = match upto.index <= durable {
            true => upto,
            false => entry_id(&**engine, group, durable)?,
        };
        disk::drop_entries(batch, group, upto);
        Ok(upto)
    }

    pub(super) fn begin_snapshot(
        &mut self,
        (group, peer): (GroupId, PeerId),
        wanted: &SnapshotWanted,
        store: StoreId,
    ) -> Result<SnapshotBegun, ApplyError> {
        let view = self.engine.view();
        let format = self.machines.format();
        let machine = self.machine(group)?;
        assert!(machine.applied.index >= wanted.at_least, "compacted more than was applied");
        let reader = machine.machine.snapshot(view);
        let offer = SnapshotOffer {
            term: wanted.term,
            covers: machine.applied,
            stamp: wanted.stamp.0,
            roster: (machine.roster.index, machine.roster.roster.clone()),
            removed: machine.roster.removed.clone(),
            format,
            header: reader.header(),
        };
        Ok(SnapshotBegun { group, peer, to: wanted.to, store, offer, reader })
    }
}

/// What is in a slot of the log, which is there.
fn entry_id(engine: &dyn Engine, group: GroupId, at: Index) -> Result<EntryId, ApplyError> {
    let read = disk::read_entries(&*engine.view(), group, &(at..at.next()), 0);
    let missing = || format!("entry {at} is missing");
    match read {
        Ok(entries) => match entries.first() {
            Some(entry) => Ok(entry.id),
            None => Err(ApplyError::Group(group, missing())),
        },
        Err(disk::ReadError::Engine(why)) => Err(ApplyError::Engine(why)),
        Err(disk::ReadError::Damaged(why)) => Err(ApplyError::Group(group, why)),
    }
}
