//! Every key that regions write for themselves. Data lies under the engine keys of clients.
//!
//! | column family | key | value |
//! |---|---|---|
//! | meta | `R` region | `RegionRecord`: its range, epoch and peers, as applied |
//! | default, lock, write | engine key of a raw key | a stored value, see [`crate::value`] |
//!
//! The region is its id in eight bytes, big endian. Records begin with a capital letter, as all
//! keys of state machines in that family do; small letters are the store's own.

use storage::{Batch, Cf};
use types::{GroupId, KeyRange};

use crate::record::FAMILIES;

/// Most bytes of an engine key. The end of all keys, as engines need one to delete up to, is behind
/// every key of that length.
pub const ENGINE_KEY_BYTES_MAX: usize = 16 << 10;

/// How the key of a region's record begins.
const RECORD: u8 = b'R';

/// Where the record of a region lies, in the family meta.
#[must_use]
pub fn record_key(region: GroupId) -> [u8; 9] {
    let mut key = [RECORD; 9];
    key[1..].copy_from_slice(&region.get().to_be_bytes());
    key
}

/// All records: the first key, and the first behind them.
pub(crate) const RECORDS: ([u8; 1], [u8; 1]) = ([RECORD], [RECORD + 1]);

/// The region whose record lies under a key of the family meta; `None` if it is not of this form.
#[must_use]
pub fn record_of(key: &[u8]) -> Option<GroupId> {
    let (&RECORD, id) = key.split_first()? else { return None };
    GroupId::new(u64::from_be_bytes(id.try_into().ok()?))
}

/// Deletes the keys of a range in a family.
pub(crate) fn delete_range(batch: &mut Batch, family: Cf, range: &KeyRange) {
    if range.end.is_empty() {
        batch.delete_range(family, &range.start, &[0xff; ENGINE_KEY_BYTES_MAX + 1]);
    } else {
        batch.delete_range(family, &range.start, &range.end);
    }
}

/// Deletes all data of a range.
pub(crate) fn delete_data(batch: &mut Batch, range: &KeyRange) {
    for family in FAMILIES {
        delete_range(batch, family, range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_key_is_read_as_written() {
        let region = GroupId::new(0x0102).unwrap();
        assert_eq!(record_key(region), *b"R\0\0\0\0\0\0\x01\x02");
        assert_eq!(record_of(&record_key(region)), Some(region));
        for key in
            [&b"R"[..], b"R\0\0\0\0\0\0\0\0", b"R\0\0\0\0\0\0\0\x01\x01", b"r\0\0\0\0\0\0\0\x01"]
        {
            assert_eq!(record_of(key), None);
        }
    }
}
