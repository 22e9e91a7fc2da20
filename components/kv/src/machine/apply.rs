//! Commands into a batch.
//!
//! A command is done wholly or not at all, and whether it is depends on the region and the data
//! before it alone. Order of checks: its form, the epoch, its keys. What a retry after an answer
//! that was lost would do twice is refused by the epoch (splits), or is the same the second time
//! (writes).

use bytes::Bytes;
use multiraft::{Beginning, Spawn};
use storage::{Batch, Cf, View};
use types::{EntryId, Epoch, Index, KeyRange, Region, Term};

use super::RegionMachine;
use super::overlay::Overlay;
use super::roster::roster_of;
use crate::command::{Action, Cas, Command, DeleteRange, Mutation, NewRegion};
use crate::keys::{delete_data, delete_range, record_key};
use crate::record::encode_record;
use crate::regions::Amount;
use crate::reply::Reply;
use crate::split::parts_of;
use crate::value::Stored;

/// Where the logs of new regions begin, on every store.
const BEGINNING: EntryId = EntryId::new(Term(1), Index(1));

/// What the commands of a call are applied to.
struct Writes<'a> {
    view: &'a dyn View,
    batch: &'a mut Batch,
    /// If one of them reads.
    overlay: Option<Overlay>,
}

impl RegionMachine {
    pub(super) fn apply_all(
        &mut self,
        commands: &[multiraft::Command<'_>],
        view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        let commands: Vec<_> =
            commands.iter().map(|command| Command::decode(command.data)).collect();
        let is_reading = |command: &Command| matches!(command.action, Action::Cas(_));
        let reads = commands.iter().flatten().any(is_reading);
        let mut writes = Writes { view, batch, overlay: reads.then(Overlay::default) };
        for command in commands {
            let reply = match command {
                Ok(command) => self.perform(command, &mut writes).unwrap_or_else(|reply| reply),
                Err(why) => Reply::Refused(why.0),
            };
            replies.push(reply.encode());
        }
    }

    /// The answer; as an error if nothing was done.
    fn perform(&mut self, command: Command, writes: &mut Writes<'_>) -> Result<Reply, Reply> {
        let region = self.region.as_ref().ok_or(Reply::Uninitialized)?;
        let Epoch { version, conf_ver } = region.epoch;
        let is_split = matches!(command.action, Action::Split(_));
        if command.epoch.version != version || (is_split && command.epoch.conf_ver != conf_ver) {
            return Err(Reply::EpochNotMatch(region.clone()));
        }
        match command.action {
            Action::Write(mutations) => self.write(mutations, writes),
            Action::Cas(cas) => self.compare_and_set(cas, writes),
            Action::DeleteRange(range) => {
                delete(&region.range, &range, writes);
                Ok(Reply::Done)
            }
            Action::Split(children) => self.split(&children, writes.batch),
        }
    }

    fn write(&self, mutations: Vec<Mutation>, writes: &mut Writes<'_>) -> Result<Reply, Reply> {
        for mutation in &mutations {
            self.check_key(&mutation.key)?;
        }
        let (mut written, mut added) = (Amount::default(), Amount::default());
        for mutation in mutations {
            let bytes = mutation.key.len() + mutation.stored.len();
            written.add(bytes);
            if !mutation.is_delete() {
                added.add(bytes);
            }
            writes.put(mutation);
        }
        self.load.wrote(written, added);
        Ok(Reply::Done)
    }

    fn compare_and_set(&self, cas: Cas, writes: &mut Writes<'_>) -> Result<Reply, Reply> {
        let Cas { mutation, expected, now_seconds } = cas;
        self.check_key(&mutation.key)?;
        let previous = writes.get_live(mutation.family, &mutation.key, now_seconds);
        let succeeded = previous == expected;
        if succeeded {
            self.write(vec![mutation], writes)?;
        }
        Ok(Reply::Cas { succeeded, previous })
    }

    fn split(&mut self, children: &[NewRegion], batch: &mut Batch) -> Result<Reply, Reply> {
        let Some(region) = &mut self.region else { return Err(Reply::Uninitialized) };
        let refused = |why: &str| Reply::Refused(why.to_owned());
        let config = self.shared.config;
        let parts = parts_of(region, children, config.api).map_err(refused)?;
        let (parent, children) = parts.split_last().expect("a split has parts");
        let mut spawns = Vec::with_capacity(children.len());
        for child in children {
            let roster = roster_of(child).ok_or_else(|| refused("its members are changing"))?;
            if let Some(peer) = roster.peer_on(config.store) {
                let beginning = Beginning { peer, at: BEGINNING, roster };
                spawns.push(Spawn { group: child.id, beginning });
            }
        }
        // All children have peers on the same stores: those of their parent.
        let begin_here = !spawns.is_empty();
        for child in children {
            if begin_here {
                batch.put(Cf::Meta, &record_key(child.id), &encode_record(child));
            } else {
                // The peer here was removed, and has not heard of it.
                delete_data(batch, &child.range);
                self.holds = true;
            }
        }
        batch.put(Cf::Meta, &record_key(parent.id), &encode_record(parent));
        self.shared.index_mut().split(parent, children, begin_here);
        *region = parent.clone();
        self.spawns.extend(spawns);
        Ok(Reply::Split(parts))
    }

    fn check_key(&self, key: &Bytes) -> Result<(), Reply> {
        let has = |region: &Region| region.range.contains(key);
        let is_here = self.region.as_ref().is_some_and(has);
        if is_here { Ok(()) } else { Err(Reply::KeyNotInRegion(key.clone())) }
    }
}

/// Deletes what a region has of a range.
fn delete(own: &KeyRange, wanted: &DeleteRange, writes: &mut Writes<'_>) {
    let range = own.intersection(&KeyRange::new(wanted.start.as_ref(), wanted.end.as_ref()));
    if range.is_empty() {
        return;
    }
    for &family in &wanted.families {
        delete_range(writes.batch, family, &range);
        if let Some(overlay) = &mut writes.overlay {
            overlay.delete_range(family, &range);
        }
    }
}

impl Writes<'_> {
    fn put(&mut self, mutation: Mutation) {
        let is_delete = mutation.is_delete();
        let Mutation { family, key, stored } = mutation;
        if is_delete {
            self.batch.delete(family, &key);
        } else {
            self.batch.put(family, &key, &stored);
        }
        if let Some(overlay) = &mut self.overlay {
            overlay.write(family, key, (!is_delete).then_some(stored));
        }
    }

    /// The value of a key, without what is stored before it, if it has not expired.
    fn get_live(&self, family: Cf, key: &Bytes, now_seconds: u64) -> Option<Bytes> {
        let overlay = self.overlay.as_ref().expect("made for calls that read");
        // A replica that cannot read what is stored must not go on without it.
        let stored = overlay.get(self.view, family, key).expect("the engine can be read")?;
        let Stored { value, .. } = Stored::decode(&stored)
            .expect("what is stored was checked before it was written")
            .live_at(now_seconds)?;
        Some(stored.slice_ref(value))
    }
}
