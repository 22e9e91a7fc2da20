//! One state: every replica applies the same command in the same slot, each command in one slot;
//! what was acknowledged is there for ever, what was refused never is.

use std::collections::{BTreeMap, BTreeSet};

use types::{GroupId, Index};

use super::Violation;

const SAME: &str = "same state everywhere";
const KEPT: &str = "nothing acknowledged is lost";
const REFUSED: &str = "nothing refused is applied";

#[derive(Debug, Default)]
pub(crate) struct States {
    slots: BTreeMap<(GroupId, Index), Vec<u8>>,
    /// In which slot each command was first applied.
    places: BTreeMap<Vec<u8>, (GroupId, Index)>,
    acknowledged: BTreeMap<GroupId, BTreeMap<Index, Vec<u8>>>,
    refused: BTreeSet<Vec<u8>>,
}

impl States {
    pub(crate) fn applied(
        &mut self,
        group: GroupId,
        index: Index,
        command: &[u8],
    ) -> Result<(), Violation> {
        let text = String::from_utf8_lossy(command);
        let first = self.slots.entry((group, index)).or_insert_with(|| command.to_vec());
        if first != command {
            let other = String::from_utf8_lossy(first);
            let what = format!("slot {index} of {group} is {other} and {text}");
            return Err(Violation { check: SAME, what });
        }
        let place = *self.places.entry(command.to_vec()).or_insert((group, index));
        if place != (group, index) {
            let what = format!("{text} is in slot {} and in slot {index} of {group}", place.1);
            return Err(Violation { check: SAME, what });
        }
        if self.refused.contains(command) {
            return Err(Violation { check: REFUSED, what: format!("{text} of {group}") });
        }
        Ok(())
    }

    pub(crate) fn acknowledged(
        &mut self,
        group: GroupId,
        index: Index,
        command: Vec<u8>,
    ) -> Result<(), Violation> {
        if self.slots.get(&(group, index)) != Some(&command) {
            let text = String::from_utf8_lossy(&command);
            let what = format!("{text} was acknowledged in slot {index} of {group}, unapplied");
            return Err(Violation { check: KEPT, what });
        }
        self.acknowledged.entry(group).or_default().insert(index, command);
        Ok(())
    }

    pub(crate) fn refused(&mut self, command: Vec<u8>) -> Result<(), Violation> {
        if self.places.contains_key(&command) {
            let what = String::from_utf8_lossy(&command).into_owned();
            return Err(Violation { check: REFUSED, what });
        }
        self.refused.insert(command);
        Ok(())
    }

    /// Whether a command was refused.
    pub(crate) fn is_refused(&self, command: &[u8]) -> bool {
        self.refused.contains(command)
    }

    /// The last slot of a group that was acknowledged.
    pub(crate) fn last_acknowledged(&self, group: GroupId) -> Index {
        let last = self.acknowledged.get(&group).and_then(|slots| slots.keys().next_back());
        last.copied().unwrap_or_default()
    }

    /// The state of a replica: nothing but what was applied, and everything acknowledged.
    pub(crate) fn replica(
        &self,
        group: GroupId,
        state: &[(Index, Vec<u8>)],
    ) -> Result<(), Violation> {
        for (index, command) in state {
            if self.slots.get(&(group, *index)) != Some(command) {
                let text = String::from_utf8_lossy(command);
                let what = format!("slot {index} of {group} holds {text}, which was not applied");
                return Err(Violation { check: SAME, what });
            }
        }
        let held: BTreeMap<Index, &Vec<u8>> =
            state.iter().map(|(index, command)| (*index, command)).collect();
        for (index, command) in self.acknowledged.get(&group).into_iter().flatten() {
            if held.get(index) != Some(&command) {
                let text = String::from_utf8_lossy(command);
                let what = format!("slot {index} of {group}, {text}, is not in a replica");
                return Err(Violation { check: KEPT, what });
            }
        }
        Ok(())
    }
}
