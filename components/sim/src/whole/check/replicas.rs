//! Replicas do the same: a slot of a region's log has one command with one answer everywhere, and
//! where the same slots are applied the same data lies.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{GroupId, Index, StoreId};

use super::broken;
use crate::check::Violation;

const CHECK: &str = "replicas are the same";

#[derive(Debug, Default)]
pub(crate) struct Replicas {
    slots: BTreeMap<(GroupId, Index), (Bytes, Bytes)>,
}

impl Replicas {
    /// A store has applied a slot; whether it is the first.
    pub(crate) fn applied(
        &mut self,
        store: StoreId,
        (group, index): (GroupId, Index),
        data: &Bytes,
        reply: &Bytes,
    ) -> Result<bool, Violation> {
        let new = (data.clone(), reply.clone());
        match self.slots.get(&(group, index)) {
            None => {
                self.slots.insert((group, index), new);
                Ok(true)
            }
            Some(known) if *known == new => Ok(false),
            Some((command, answer)) => {
                let what = format!(
                    "slot {index} of {group} on {store}: {data:?} answered {reply:?}, elsewhere \
                     {command:?} answered {answer:?}"
                );
                broken(CHECK, what)
            }
        }
    }

    /// Two stores have a region with the same slots applied.
    pub(crate) fn compared<T: PartialEq + std::fmt::Debug>(
        region: GroupId,
        (one, first): (StoreId, &T),
        (other, second): (StoreId, &T),
    ) -> Result<(), Violation> {
        if first == second {
            return Ok(());
        }
        let what = format!("{region} on {one}: {first:?}, on {other}: {second:?}");
        broken(CHECK, what)
    }
}
