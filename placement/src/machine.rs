//! The state on an engine: the state machine of placement's group, and what others see of it.
//!
//! ```text
//! commands ─► State::apply ─► records of what changed ─► the batch
//!                        └──► StateView: an Arc of the state as applied here, and word of changes
//! ```
//!
//! Everything is in the engine, so nothing needs to be persisted apart from it. A view may be ahead
//! of the disk of this store by what a crash would take; it is never ahead of what is committed.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use multiraft::{Command, Corrupt, Machines, Roster, SnapshotReader, StateMachine};
use parking_lot::RwLock;
use prost::Message as _;
use proto::crib::placement::v1::{StateChunk, StateRecord};
use storage::{Batch, Cf, Direction, Engine, View};
use tokio::sync::watch;
use types::{GroupId, Index};

use crate::state::keys::{self, Key};
use crate::state::{Member, State};

/// The replicated state as it is applied on this node.
#[derive(Debug)]
pub struct StateView {
    state: RwLock<Arc<State>>,
    version: watch::Sender<u64>,
}

impl Default for StateView {
    fn default() -> StateView {
        StateView { state: RwLock::default(), version: watch::Sender::new(0) }
    }
}

impl StateView {
    /// A view of nothing yet; [`open_state`] fills it.
    #[must_use]
    pub fn new() -> Arc<StateView> {
        Arc::new(StateView::default())
    }

    /// The state as it is applied here. Cheap; it does not change any more.
    #[must_use]
    pub fn get(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Word of changes: the number rises with each. Who is slow sees the last one only.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn publish(&self, state: &State) {
        *self.state.write() = Arc::new(state.clone());
        self.version.send_modify(|version| *version += 1);
    }
}

/// The state machine of placement's group, with what it has in the engine. `view` shows what it
/// applies from now on.
///
/// # Errors
/// If a record cannot be read.
pub fn open_state(
    engine: &Arc<dyn Engine>,
    view: &Arc<StateView>,
) -> Result<Box<dyn StateMachine>, Corrupt> {
    let mut state = State::default();
    each_record(&*engine.view(), &mut |key, value| state.load(key, value).map_err(|why| why.0))
        .map_err(Corrupt)?;
    view.publish(&state);
    Ok(Box::new(Machine { state, view: Arc::clone(view) }))
}

/// Removes everything that the state machine has in the engine: `Machines::destroy` of
/// [`crate::GROUP`].
pub fn destroy_state(batch: &mut Batch) {
    batch.delete_range(Cf::Meta, keys::START, keys::END);
}

/// The machines of a store as far as placement's group goes; no other group is to be asked for.
#[must_use]
pub fn machines(view: &Arc<StateView>) -> Arc<dyn Machines> {
    Arc::new(PlacementMachines(Arc::clone(view)))
}

struct PlacementMachines(Arc<StateView>);

impl Machines for PlacementMachines {
    fn open(
        &self,
        group: GroupId,
        engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt> {
        if group != crate::GROUP {
            return Err(Corrupt(format!("{group} is not placement's")));
        }
        open_state(engine, &self.0)
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        if group == crate::GROUP {
            destroy_state(batch);
        }
    }

    /// Whoever lost its seat knows nothing any more: what it knew would become out of date.
    fn destroyed(&self, group: GroupId) {
        if group == crate::GROUP {
            self.0.publish(&State::default());
        }
    }
}

struct Machine {
    state: State,
    view: Arc<StateView>,
}

impl StateMachine for Machine {
    fn apply(
        &mut self,
        commands: &[Command<'_>],
        _view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        let mut changed = BTreeSet::new();
        for command in commands {
            let reply = self.state.apply(command.data, &mut changed);
            replies.push(reply.encode().into());
        }
        self.write(&changed, batch);
    }

    fn members(&mut self, _index: Index, roster: &Roster, batch: &mut Batch) {
        let membership = roster.membership();
        let members = roster.iter().map(|(of, store)| {
            let votes = membership.is_voter(of.id);
            (of.id, Member { store, votes })
        });
        if self.state.set_members(members) {
            self.write(&BTreeSet::from([Key::Members]), batch);
        }
    }

    fn snapshot(&mut self, view: Box<dyn View>) -> Box<dyn SnapshotReader> {
        Box::new(Reader { view, next: keys::START.to_vec() })
    }

    fn clear(&mut self, batch: &mut Batch) {
        destroy_state(batch);
        self.state = State::default();
    }

    fn restore(&mut self, chunk: &[u8], batch: &mut Batch) -> Result<(), Corrupt> {
        let chunk = StateChunk::decode(chunk).map_err(|why| Corrupt(why.to_string()))?;
        for StateRecord { key, value } in chunk.records {
            self.state.load(&key, &value).map_err(|why| Corrupt(why.0))?;
            batch.put(Cf::Meta, &key, &value);
        }
        Ok(())
    }

    fn restored(&mut self, _applied: Index, _batch: &mut Batch) -> Result<(), Corrupt> {
        self.view.publish(&self.state);
        Ok(())
    }
}

impl Machine {
    fn write(&self, changed: &BTreeSet<Key>, batch: &mut Batch) {
        for &key in changed {
            if let Some(record) = self.state.record(key) {
                batch.put(Cf::Meta, &key.encode(), &record);
            }
        }
        if !changed.is_empty() {
            self.view.publish(&self.state);
        }
    }
}

struct Reader {
    view: Box<dyn View>,
    /// Where the next chunk begins.
    next: Vec<u8>,
}

impl SnapshotReader for Reader {
    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, storage::Error> {
        let mut chunk = StateChunk::default();
        let mut size = 0;
        let bounds = (Bound::Included(self.next.as_slice()), Bound::Excluded(keys::END));
        self.view.scan(Cf::Meta, bounds, Direction::Forward, &mut |key, value| {
            size += key.len() + value.len();
            let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            chunk.records.push(StateRecord { key, value });
            size < bytes
        })?;
        let Some(last) = chunk.records.last() else { return Ok(None) };
        // The first key behind it.
        self.next = [&last.key, &b"\0"[..]].concat();
        Ok(Some(chunk.encode_to_vec().into()))
    }
}

/// Takes a key and its value, or says why not.
type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), String>;

fn each_record(view: &dyn View, each: Each<'_>) -> Result<(), String> {
    let bounds = (Bound::Included(keys::START), Bound::Excluded(keys::END));
    let mut done = Ok(());
    view.scan(Cf::Meta, bounds, Direction::Forward, &mut |key, value| {
        done = each(key, value);
        done.is_ok()
    })
    .map_err(|why| why.to_string())?;
    done
}

#[cfg(test)]
mod tests;
