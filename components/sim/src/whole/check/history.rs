//! What clients asked and were told, and what was done in which order.
//!
//! Every write that a region applies has a place in the life of its key: the version of the region,
//! and the slot. These orders are the witness: the history is right if each key's operations, put
//! at their places, tell the same story, and no operation stands before one that had ended when it
//! began. `ends` checks that.
//!
//! Invariant: a value is written by one operation, so what is read names its write.

use std::collections::BTreeMap;

use bytes::Bytes;
use kv::Reply;
use kv::command::Action;
use kv::value::Stored;
use types::{GroupId, Index, KeyRange};

/// An operation.
pub(crate) type OpId = usize;
/// A place in the life of a key: version, slot, and which of a slot's mutations; doubled, so that
/// what reads can stand behind a place and before the next.
pub(super) type At = (u64, Index);

/// What a client does to keys.
#[derive(Clone, Debug)]
pub(crate) enum Did {
    Put { key: Vec<u8>, value: u64 },
    Delete { key: Vec<u8> },
    Cas { key: Vec<u8>, value: u64 },
    DeleteRange { keys: Vec<Vec<u8>> },
    Read { keys: Vec<Vec<u8>> },
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// Done in this slot of this region.
    Done(GroupId, Index),
    /// Compared in this slot, and perhaps set; what was there.
    Cas { at: (GroupId, Index), succeeded: bool, previous: Option<u64> },
    /// What the keys have.
    Read(BTreeMap<Vec<u8>, u64>),
    /// Nothing was done.
    Refused,
}

#[derive(Debug)]
pub(super) struct Op {
    pub(super) client: usize,
    pub(super) did: Did,
    pub(super) begun: u64,
    /// `None` for what nobody knows the end of.
    pub(super) end: Option<(u64, End)>,
}

/// A write as it was applied.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) slot: (GroupId, Index),
    /// Which value, if it names one, though it may not have been set.
    pub(super) named: Option<u64>,
    pub(super) set: Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    To(Option<u64>),
    /// Compared with what was expected: whether it was set, and what was there.
    Cas {
        value: u64,
        expected: Option<u64>,
        succeeded: bool,
        previous: Option<u64>,
    },
}

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(super) ops: Vec<Op>,
    pub(super) log: BTreeMap<Vec<u8>, BTreeMap<At, Effect>>,
    pub(super) slots: BTreeMap<(GroupId, Index), At>,
    stamp: u64,
}

/// The operation's number in a value that a client wrote.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.get(..8)?.try_into().ok()?))
}

fn stored_number(stored: &Bytes) -> Option<u64> {
    Stored::decode(stored).ok().and_then(|stored| number(stored.value))
}

impl History {
    fn stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    pub(crate) fn begin(&mut self, client: usize, did: Did) -> OpId {
        let begun = self.stamp();
        self.ops.push(Op { client, did, begun, end: None });
        self.ops.len() - 1
    }

    pub(crate) fn end(&mut self, op: OpId, end: End) {
        let stamp = self.stamp();
        self.ops[op].end = Some((stamp, end));
    }

    /// A slot was applied for the first time anywhere. `range` is what the region has.
    pub(crate) fn applied(
        &mut self,
        (group, version, index): (GroupId, u64, Index),
        action: &Action,
        reply: &Reply,
        range: Option<KeyRange>,
    ) {
        let (at, slot) = ((version, index), (group, index));
        self.slots.insert(slot, at);
        let mut note = |key: &[u8], named: Option<u64>, set: Set| {
            let place = self.log.entry(key.to_vec()).or_default();
            place.insert(at, Effect { slot, named, set });
        };
        match (action, reply) {
            (Action::Write(mutations), Reply::Done) => {
                for mutation in mutations {
                    let value = stored_number(&mutation.stored);
                    note(&mutation.key, value, Set::To(value));
                }
            }
            (Action::Cas(cas), Reply::Cas { succeeded, previous }) => {
                let number = |value: &Option<Bytes>| value.as_ref().and_then(|v| number(v));
                let Some(value) = stored_number(&cas.mutation.stored) else { return };
                let set = Set::Cas {
                    value,
                    expected: number(&cas.expected),
                    succeeded: *succeeded,
                    previous: number(previous),
                };
                note(&cas.mutation.key, Some(value), set);
            }
            (Action::DeleteRange(wanted), Reply::Done) => {
                let wanted = KeyRange::new(wanted.start.as_ref(), wanted.end.as_ref());
                let range = range.unwrap_or_default().intersection(&wanted);
                let keys: Vec<Vec<u8>> =
                    self.log.keys().filter(|key| range.contains(key)).cloned().collect();
                for key in keys {
                    let place = self.log.entry(key).or_default();
                    place.insert(at, Effect { slot, named: None, set: Set::To(None) });
                }
            }
            _ => {}
        }
    }
}
