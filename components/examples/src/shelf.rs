//! Where readers find the state machines of a node.
//!
//! A store keeps its machines to itself. A machine that is to be queried shares its state with
//! whoever made it, [`multiraft::Machines`]; that is all it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use types::GroupId;

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

    /// The state of a group, if it is here.
    #[must_use]
    pub fn get(&self, group: GroupId) -> Option<Arc<Mutex<S>>> {
        self.states.lock().get(&group).cloned()
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
