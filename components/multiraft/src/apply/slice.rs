//! Entries into a state machine: one slice of one group.

use std::collections::VecDeque;
use std::ops::Range;

use types::{GroupId, Index, PeerId};

use super::{Applied, AppliedRoster, Applier, ApplyError, ApplyOutput, ApplyTask, Done, Work};
use crate::disk;
use crate::entry::{Entry, Payload};
use crate::shard::{Beginning, Token};
use crate::state_machine::{Command, Spawn};

impl Applier {
    pub(super) fn apply_slice(
        &mut self,
        (group, peer): (GroupId, PeerId),
        range: Range<Index>,
        entries: Option<Vec<Entry>>,
        mut tokens: VecDeque<(Index, Token)>,
        out: &mut ApplyOutput,
    ) -> Result<Option<ApplyTask>, ApplyError> {
        let entries = match entries {
            Some(entries) => entries,
            None => disk::read_entries(&*self.engine.view(), group, &range, self.slice_bytes)
                .map_err(|why| ApplyError::Group(group, why.to_string()))?,
        };
        let mut bytes = 0;
        let mut count = 0;
        for entry in &entries {
            if count > 0 && bytes + entry.payload.bytes() > self.slice_bytes {
                break;
            }
            bytes += entry.payload.bytes();
            count += 1;
            // What a machine is told of a membership follows the commands before it, and what they
            // wrote is to be seen by those behind it.
            if matches!(entry.payload, Payload::Roster(_)) {
                break;
            }
        }
        let slice = &entries[..count];
        let (roster, spawned) = self.apply(group, slice, &mut tokens, out)?;
        let Some(last) = slice.last() else {
            return Err(ApplyError::Group(group, format!("entry {} is missing", range.start)));
        };
        let index = last.id.index;
        out.entries += count as u64;
        let spawned_from = slice.first().filter(|_| spawned).map(|first| first.id);
        let done = Done::Upto { index, bytes, roster: roster.map(Box::new), spawned_from };
        out.applied.push(Applied { group, peer, done });
        if index.next() == range.end {
            return Ok(None);
        }
        let mut entries = entries;
        entries.drain(..count);
        let entries = (!entries.is_empty()
            && entries.len() as u64 == range.end.since(index.next()))
        .then_some(entries);
        let work = Work::Entries { range: index.next()..range.end, entries, tokens };
        Ok(Some(ApplyTask { group, peer, work }))
    }

    /// Applies entries into the batch; returns the roster if it changed, and whether groups came
    /// into being.
    fn apply(
        &mut self,
        group: GroupId,
        slice: &[Entry],
        tokens: &mut VecDeque<(Index, Token)>,
        out: &mut ApplyOutput,
    ) -> Result<(Option<AppliedRoster>, bool), ApplyError> {
        let view = self.engine.view();
        let Applier { groups, batch, replies, .. } = self;
        let Some(machine) = groups.get_mut(&group) else {
            return Err(ApplyError::Group(group, "it has no state machine".to_owned()));
        };
        let mut commands = Vec::with_capacity(slice.len());
        let mut changed = false;
        for entry in slice {
            if entry.id.index != machine.applied.index.next() {
                let why = format!("entry {} after {}", entry.id, machine.applied);
                return Err(ApplyError::Group(group, why));
            }
            machine.applied = entry.id;
            match &entry.payload {
                Payload::Empty => {}
                Payload::Command(data) => commands.push(Command { index: entry.id.index, data }),
                // A machine that goes back to an older state of its own meets rosters again.
                Payload::Roster(roster) if entry.id.index > machine.roster.index => {
                    machine.roster.change(entry.id.index, roster);
                    changed = true;
                }
                Payload::Roster(_) => {}
            }
        }
        replies.clear();
        let mut spawns = Vec::new();
        if !commands.is_empty() {
            machine.machine.apply(&commands, &*view, batch, replies);
            assert_eq!(replies.len(), commands.len(), "a state machine answers every command");
            spawns = machine.machine.spawned();
        }
        if let Some(Entry { id, payload: Payload::Roster(roster) }) = slice.last() {
            machine.machine.members(id.index, roster, batch);
        }
        for (command, reply) in commands.iter().zip(replies.drain(..)) {
            while tokens.front().is_some_and(|&(index, _)| index <= command.index) {
                let (index, token) = tokens.pop_front().expect("looked at above");
                assert_eq!(index, command.index, "callers wait for commands alone");
                out.replies.push((group, token, index, reply.clone()));
            }
        }
        disk::put_applied(batch, group, machine.applied);
        if changed {
            disk::put_roster(batch, group, &machine.roster);
        }
        let roster = changed.then(|| machine.roster.clone());
        let spawned = !spawns.is_empty();
        for spawn in spawns {
            self.spawn(spawn, out)?;
        }
        Ok((roster, spawned))
    }

    /// A group begins with the batch. What is known of it on this store decides whether it does;
    /// what its shard knows beyond that, the shard settles when it hears of it.
    fn spawn(&mut self, spawn: Spawn, out: &mut ApplyOutput) -> Result<(), ApplyError> {
        let Spawn { group, beginning } = spawn;
        let Beginning { peer, at, roster } = &beginning;
        let found = disk::life(&*self.engine, group).map_err(ApplyError::Engine)?;
        if let Some((buried, true)) = found
            && buried >= *peer
        {
            // It left before it came.
            self.machines.destroy(group, &mut self.batch);
            self.gone.push(group);
            return Ok(());
        }
        let base = disk::base(&*self.engine, group).map_err(ApplyError::Engine)?;
        if base.is_some_and(|base| base.index > Index(0)) {
            // A machine that goes back to an older state of its own brings it into being again.
            return Ok(());
        }
        // A peer without state keeps its name. Without one the shard gives it: what it has written
        // and is not on the disk yet must not be overwritten. Until then the roster tells.
        if matches!(found, Some((_, true))) {
            disk::put_live(&mut self.batch, group, *peer, None);
        }
        disk::put_base(&mut self.batch, group, *at);
        disk::put_applied(&mut self.batch, group, *at);
        let first = AppliedRoster::first(at.index, roster.clone());
        disk::put_roster(&mut self.batch, group, &first);
        let (peer, done) = (*peer, Done::Spawned(Box::new(beginning)));
        out.applied.push(Applied { group, peer, done });
        Ok(())
    }
}
