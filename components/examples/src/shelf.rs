//! Where readers find the state machines of a node.
//!
//! A store keeps its machines to itself. A machine that is to be queried shares its state with
//! whoever made it, [`multiraft::Machines`]; that is all it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use types::GroupId;

use crate::failed::Failed;

/// States of machines, by group.
pub struct Shelf<S> {
    states: Mutex<BTreeMap<GroupId, Arc<Mutex<S>>>>,
}

impl<S> Shelf<S> {
    /// The state of a group that is opened; one that was there before is forgotten.
    pub fn put(&self, group: GroupId, state: S) -> Arc<Mutex<S>> {
        let state = Arc::new(Mutex::new(state));
        self.states.lock().insert(group, Arc::clone(&state));
        state
    }

    /// Looks at the state of a group.
    ///
    /// # Errors
    /// If it is not here.
    pub fn with<T>(&self, group: GroupId, look: impl FnOnce(&mut S) -> T) -> Result<T, Failed> {
        let state = self.states.lock().get(&group).cloned();
        let state = state.ok_or_else(|| Failed(format!("group {group} is not here")))?;
        Ok(look(&mut state.lock()))
    }

    /// The group is gone.
    pub fn remove(&self, group: GroupId) {
        self.states.lock().remove(&group);
    }
}

impl<S> Default for Shelf<S> {
    fn default() -> Shelf<S> {
        Shelf { states: Mutex::default() }
    }
}
