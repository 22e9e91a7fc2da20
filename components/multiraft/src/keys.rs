//! Every key that a store writes for itself. Data of state machines has keys of its own.
//!
//! | column family | key | value |
//! |---|---|---|
//! | meta | `i` | `Identity` |
//! | meta | `e` | `OwnEpoch` of store liveness |
//! | meta | `s` store | `Support` lent to that store |
//! | meta | `g` group | `GroupRecord` |
//! | meta | `a` group | `ApplyState` |
//! | meta | `b` group | `LogBase` |
//! | meta | `r` group | `AppliedRoster` |
//! | meta | `c` group chunk | a chunk of a snapshot that arrives |
//! | raft | group `0` | `HardState` |
//! | raft | group `1` slot | `Entry` |
//!
//! Numbers are eight bytes, big endian, so that the order of keys is that of groups and slots.

use types::{GroupId, Index, StoreId};

/// Identity of the store.
pub(crate) const IDENTITY: &[u8] = b"i";
/// This store's own epoch.
pub(crate) const OWN_EPOCH: &[u8] = b"e";
/// Longest key here.
const LEN_MAX: usize = 17;

/// A key, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    bytes: [u8; LEN_MAX],
    len: usize,
}

/// What a key of the meta family is about, with its group or store as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meta {
    /// Support lent to a store.
    Support = b's' as isize,
    /// The record of a group.
    Group = b'g' as isize,
    /// How far a group has applied.
    Apply = b'a' as isize,
    /// Where a group's log begins.
    Base = b'b' as isize,
    /// The membership applied last.
    Roster = b'r' as isize,
    /// Chunks of a snapshot that arrives.
    Chunk = b'c' as isize,
}

impl Key {
    fn new(parts: &[&[u8]]) -> Key {
        let mut key = Key { bytes: [0; LEN_MAX], len: 0 };
        for part in parts {
            key.bytes[key.len..key.len + part.len()].copy_from_slice(part);
            key.len += part.len();
        }
        key
    }

    /// The bytes of the key.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A key of the meta family about a group.
pub(crate) fn of_group(meta: Meta, group: GroupId) -> Key {
    Key::new(&[&[meta as u8], &group.get().to_be_bytes()])
}

/// Support lent to a store.
pub(crate) fn support(store: StoreId) -> Key {
    Key::new(&[&[Meta::Support as u8], &store.get().to_be_bytes()])
}

/// A chunk of a snapshot that arrives.
pub(crate) fn chunk(group: GroupId, nth: u64) -> Key {
    Key::new(&[&[Meta::Chunk as u8], &group.get().to_be_bytes(), &nth.to_be_bytes()])
}

/// All chunks of a group: start and end.
pub(crate) fn chunks(group: GroupId) -> (Key, Key) {
    (
        chunk(group, 0),
        Key::new(&[&[Meta::Chunk as u8], &(group.get().wrapping_add(1)).to_be_bytes()]),
    )
}

/// All keys of one kind in the meta family: start and end.
pub(crate) fn all(meta: Meta) -> ([u8; 1], [u8; 1]) {
    ([meta as u8], [meta as u8 + 1])
}

/// The number behind the kind of a meta key; `None` if it is not of this form.
pub(crate) fn number(key: &[u8]) -> Option<u64> {
    let (bytes, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    rest.is_empty().then(|| u64::from_be_bytes(*bytes))
}

/// Term, vote and commit index of a group.
pub(crate) fn hard_state(group: GroupId) -> Key {
    Key::new(&[&group.get().to_be_bytes(), &[0]])
}

/// A slot of a group's log.
pub(crate) fn entry(group: GroupId, index: Index) -> Key {
    Key::new(&[&group.get().to_be_bytes(), &[1], &index.0.to_be_bytes()])
}

/// Everything behind the last slot of a group's log.
pub(crate) fn entries_end(group: GroupId) -> Key {
    Key::new(&[&group.get().to_be_bytes(), &[2]])
}

/// What a key of the raft family is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RaftKey {
    /// A hard state.
    HardState(GroupId),
    /// A slot.
    Entry(GroupId, Index),
}

/// Reads a key of the raft family; `None` if it is none.
pub(crate) fn raft_key(key: &[u8]) -> Option<RaftKey> {
    let (group, rest) = key.split_first_chunk::<8>()?;
    let group = GroupId::new(u64::from_be_bytes(*group))?;
    match rest.split_first()? {
        (0, []) => Some(RaftKey::HardState(group)),
        (1, slot) => Some(RaftKey::Entry(group, Index(u64::from_be_bytes(slot.try_into().ok()?)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_written_and_sort_by_group_then_slot() {
        let group = GroupId::new(7).unwrap();
        let next = GroupId::new(8).unwrap();
        let keys = [
            hard_state(group),
            entry(group, Index(1)),
            entry(group, Index(300)),
            entries_end(group),
            hard_state(next),
        ];
        assert!(keys.windows(2).all(|pair| pair[0].as_slice() < pair[1].as_slice()));
        assert_eq!(raft_key(keys[0].as_slice()), Some(RaftKey::HardState(group)));
        assert_eq!(raft_key(keys[2].as_slice()), Some(RaftKey::Entry(group, Index(300))));
        assert_eq!(raft_key(keys[3].as_slice()), None);
        assert_eq!(number(of_group(Meta::Apply, group).as_slice()), Some(7));
        assert_eq!(number(b"i"), None);
        let (start, end) = chunks(group);
        let one = chunk(group, u64::MAX);
        assert!(start.as_slice() < one.as_slice() && one.as_slice() < end.as_slice());
    }
}
