//! The physical format of RocksDB's logs (write-ahead log and manifest), read without RocksDB.
//!
//! A log is a row of blocks of 32 KiB. A record lies within one block: checksum (4), length (2),
//! kind (1), for recycled files the log's number (4), payload. A batch that is longer than what is
//! left of a block becomes a first, middle and last fragment. What is left of a block and too short
//! for a header is zero. The checksum is CRC-32C over kind, number and payload, masked.
//!
//! Not here: what damage means. This file says where records are and where they stop making sense.

use crc32c::{crc32c, crc32c_append};

/// The length of a block.
pub(super) const BLOCK: usize = 32 * 1024;

const HEADER: usize = 7;
const HEADER_RECYCLED: usize = 11;
static ZEROS: [u8; BLOCK] = [0; BLOCK];
const MASK: u32 = 0xa282_ead8;

/// What a record is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Full,
    First,
    Middle,
    Last,
    /// About the log itself: compression, sizes of timestamps, the log before.
    Note,
}

/// A record in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) payload: &'a [u8],
    /// Where in the block the next one begins.
    pub(super) end: usize,
}

/// What is at a place of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At<'a> {
    Record(Record<'a>),
    /// The block has no more records, as it should.
    End,
    /// No record, and not the end.
    Bad,
}

/// What is at `at` of a block; `number` is the log's. A block shorter than [`BLOCK`] is the last.
pub(super) fn record(block: &[u8], at: usize, number: u64) -> At<'_> {
    let rest = &block[at..];
    if rest.is_empty() || (block.len() == BLOCK && rest.len() < HEADER) {
        return At::End;
    }
    let Some((header, _)) = rest.split_first_chunk::<HEADER>() else { return At::Bad };
    let &[c0, c1, c2, c3, l0, l1, kind] = header;
    let Some((meaning, size)) = meaning(kind) else {
        // A recycled log needs more room for a header, so what it leaves free can be longer.
        let is_rest = block.len() == BLOCK && rest.len() < HEADER_RECYCLED;
        let is_end = is_rest && rest.iter().all(|byte| *byte == 0);
        return if is_end { At::End } else { At::Bad };
    };
    let end = size + usize::from(u16::from_le_bytes([l0, l1]));
    let Some(payload) = rest.get(size..end) else { return At::Bad };
    if size == HEADER_RECYCLED && rest[HEADER..size] != number.to_le_bytes()[..4] {
        return At::Bad;
    }
    if u32::from_le_bytes([c0, c1, c2, c3]) != mask(crc32c(&rest[HEADER - 1..end])) {
        return At::Bad;
    }
    At::Record(Record { kind: meaning, payload, end: at + end })
}

impl Record<'_> {
    /// Of the beginning of a batch: the number of its first change.
    pub(super) fn sequence(&self) -> Option<u64> {
        let is_beginning = matches!(self.kind, Kind::Full | Kind::First);
        let (sequence, _) = self.payload.split_first_chunk::<8>()?;
        is_beginning.then(|| u64::from_le_bytes(*sequence))
    }
}

/// The first place from `from` on where a record is that may be one by what else is known of it,
/// whatever lies before it.
pub(super) fn find(
    block: &[u8],
    from: usize,
    number: u64,
    may_be: impl Fn(usize, Record<'_>) -> bool,
) -> Option<usize> {
    // What is torn off is mostly zeros, and comparing them is quick.
    let rest = &block[from..];
    if *rest == ZEROS[..rest.len()] {
        return None;
    }
    (from..block.len()).find(|at| {
        block.get(at + HEADER - 1).is_some_and(|kind| meaning(*kind).is_some())
            && matches!(record(block, *at, number), At::Record(found) if may_be(*at, found))
    })
}

/// The checksum of what was summed up so far and of more bytes.
pub(super) fn chain(crc: u32, bytes: &[u8]) -> u32 {
    crc32c_append(crc, bytes)
}

fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(MASK)
}

fn meaning(kind: u8) -> Option<(Kind, usize)> {
    Some(match kind {
        1 => (Kind::Full, HEADER),
        2 => (Kind::First, HEADER),
        3 => (Kind::Middle, HEADER),
        4 => (Kind::Last, HEADER),
        5 => (Kind::Full, HEADER_RECYCLED),
        6 => (Kind::First, HEADER_RECYCLED),
        7 => (Kind::Middle, HEADER_RECYCLED),
        8 => (Kind::Last, HEADER_RECYCLED),
        // Compression, timestamp sizes, predecessor: each in both forms, if it has two.
        9 | 10 | 130 => (Kind::Note, HEADER),
        11 | 131 => (Kind::Note, HEADER_RECYCLED),
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A record of a kind, as RocksDB would write it.
    pub(crate) fn encode(kind: u8, number: u64, payload: &[u8]) -> Vec<u8> {
        let mut summed = vec![kind];
        if meaning(kind).unwrap().1 == HEADER_RECYCLED {
            summed.extend_from_slice(&number.to_le_bytes()[..4]);
        }
        summed.extend_from_slice(payload);
        let mut bytes = mask(crc32c(&summed)).to_le_bytes().to_vec();
        bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&summed);
        bytes
    }

    #[test]
    fn every_kind_is_read_back() {
        for kind in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 130, 131] {
            let bytes = encode(kind, 77, b"payload");
            let At::Record(record) = record(&bytes, 0, 77) else { panic!("{kind}") };
            assert_eq!((record.payload, record.end), (&b"payload"[..], bytes.len()));
        }
    }

    #[test]
    fn a_record_of_another_log_is_none() {
        assert_eq!(record(&encode(5, 76, b"old"), 0, 77), At::Bad);
    }

    #[test]
    fn any_flipped_bit_of_a_record_is_seen() {
        let bytes = encode(1, 0, b"some payload");
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(record(&bad, 0, 0), At::Bad, "bit {bit}");
        }
    }

    #[test]
    fn what_is_left_of_a_block_is_its_end() {
        let mut block = encode(1, 0, &vec![7; BLOCK - HEADER - 5]);
        block.resize(BLOCK, 0);
        assert_eq!(record(&block, BLOCK - 5, 0), At::End);
        assert_eq!(record(&block[..BLOCK - 2], BLOCK - 5, 0), At::Bad);
    }

    #[test]
    fn records_behind_damage_are_found() {
        let mut bytes = encode(1, 0, b"one");
        let second = bytes.len();
        bytes.extend_from_slice(&encode(1, 0, b"two"));
        bytes[4] = 0xff;
        assert_eq!(find(&bytes, 1, 0, |_, _| true), Some(second));
        assert_eq!(find(&bytes, 1, 0, |at, _| at < second), None);
        assert_eq!(find(&bytes[..second], 1, 0, |_, _| true), None);
    }

    #[test]
    fn beginnings_of_batches_have_numbers() {
        let batch = [&77_u64.to_le_bytes()[..], b"\x01\0\0\0put"].concat();
        for (kind, sequence) in [(1, Some(77)), (2, Some(77)), (3, None), (4, None), (9, None)] {
            let bytes = encode(kind, 0, &batch);
            let At::Record(record) = record(&bytes, 0, 0) else { panic!("{kind}") };
            assert_eq!(record.sequence(), sequence, "{kind}");
        }
    }
}
