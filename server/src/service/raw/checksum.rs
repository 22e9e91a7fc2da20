//! Checksums of ranges: by them clients tell whether two copies hold the same.
//!
//! The sum of a pair is the CRC-64 of ECMA-182, as in XZ, over the client's key and then its value;
//! that of a range is all of them by exclusive or. So it depends neither on the order nor on where
//! regions are cut, and clients join those of many regions. Times to live are not part of it; a
//! value that has expired is not there.

use crc::{CRC_64_XZ, Crc, Table};
use kv::read::Reader;
use storage::Cf;
use types::{ApiVersion, KeyRange};

/// Sixteen bytes at a time: a region has many.
static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_XZ);

/// The sum of some ranges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checksum {
    /// Of all pairs.
    pub(super) crc64_xor: u64,
    /// How many those are.
    pub(super) pairs: u64,
    /// Bytes of their keys and values, as clients have them.
    pub(super) bytes: u64,
}

impl Checksum {
    /// Adds one pair.
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let mut digest = CRC.digest();
        digest.update(key);
        digest.update(value);
        self.crc64_xor ^= digest.finalize();
        self.pairs += 1;
        self.bytes += (key.len() + value.len()) as u64;
    }
}

/// The sum of the pairs that a region has of these engine ranges; of a pair in two of them, twice.
///
/// # Errors
/// If they cannot be read.
pub(super) fn of(
    reader: &Reader<'_>,
    api: ApiVersion,
    family: Cf,
    ranges: &[KeyRange],
) -> Result<Checksum, storage::Error> {
    let mut sum = Checksum::default();
    for range in ranges {
        reader.visit(family, range, &mut |key, value| {
            // Keys of another form are none that a client wrote.
            if let Some(key) = api.client_key(key) {
                sum.add(&key, value);
            }
        })?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use storage::{Batch, Durability, Engine as _, MemoryDisk, MemoryEngine};
    use types::{Epoch, GroupId, Region};

    use super::*;

    #[test]
    fn sum_of_a_pair_is_the_one_of_the_standard_over_key_and_value() {
        // The check value of the algorithm's catalogue, over "123456789".
        let mut sum = Checksum::default();
        sum.add(b"1234", b"56789");
        let expected = Checksum { crc64_xor: 0x995d_c9bb_df19_39fa, pairs: 1, bytes: 9 };
        assert_eq!(sum, expected);
        sum.add(b"1234", b"56789");
        assert_eq!(sum, Checksum { crc64_xor: 0, pairs: 2, bytes: 18 });
    }

    /// The sum over a region, in two ranges cut at `cut`.
    fn sum(region: (&[u8], &[u8]), cut: &[u8]) -> Checksum {
        let engine = MemoryEngine::open(MemoryDisk::new()).unwrap();
        let mut batch = Batch::new();
        for (key, expires) in [("a", None), ("b", Some(99)), ("c", Some(101)), ("d", None)] {
            let stored = kv::value::Stored { expires, value: key.as_bytes() }.encode();
            batch.put(Cf::Default, key.as_bytes(), &stored);
        }
        engine.write(&batch, Durability::Buffered).unwrap();
        let region = Region {
            id: GroupId::new(1).unwrap(),
            range: KeyRange::new(region.0, region.1),
            epoch: Epoch::FIRST,
            peers: Vec::new(),
        };
        let view = engine.view();
        let reader = Reader { view: &*view, region: &region, now_seconds: 100 };
        let ranges = [KeyRange::new("", cut), KeyRange::new(cut, "")];
        of(&reader, ApiVersion::V1Ttl, Cf::Default, &ranges).unwrap()
    }

    #[test]
    fn parts_of_a_range_and_of_the_key_space_add_up_and_the_expired_are_left_out() {
        let whole = sum((b"", b""), b"b");
        let mut expected = Checksum::default();
        [b"a", b"c", b"d"].iter().for_each(|key| expected.add(*key, *key));
        assert_eq!(whole, expected);
        assert_eq!(sum((b"", b""), b"d"), whole);
        let (low, high) = (sum((b"", b"c"), b"b"), sum((b"c", b""), b"d"));
        assert_eq!(low.crc64_xor ^ high.crc64_xor, whole.crc64_xor);
        assert_eq!((low.pairs, high.pairs, whole.bytes), (1, 2, 6));
    }
}
