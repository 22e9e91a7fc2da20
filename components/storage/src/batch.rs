//! What one atomic write changes: a list of operations in one flat buffer.
//!
//! A batch is plain bytes until an engine carries it out, so that pure code can build one, batches
//! of many groups can be joined by copying, and both engines are given the very same thing.
//!
//! Layout of an operation: kind (1), column family (1), length of the first part (4, little
//! endian), first part, length of the second (4), second part. First and second are key and value
//! of a put, key and nothing of a delete, start and end of a range deletion.

use crate::cf::Cf;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_RANGE: u8 = 3;

/// Operations to be carried out together or not at all, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    count: usize,
}

/// One operation of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// The key has this value from now on.
    Put(Cf, &'a [u8], &'a [u8]),
    /// The key is gone.
    Delete(Cf, &'a [u8]),
    /// All keys from the first on and before the second are gone.
    DeleteRange(Cf, &'a [u8], &'a [u8]),
}

impl Op<'_> {
    /// Where it writes, and how many bytes its keys and value have.
    #[must_use]
    pub fn size(&self) -> (Cf, usize) {
        match self {
            Op::Put(cf, first, second) | Op::DeleteRange(cf, first, second) => {
                (*cf, first.len() + second.len())
            }
            Op::Delete(cf, key) => (*cf, key.len()),
        }
    }
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Sets a key.
    pub fn put(&mut self, cf: Cf, key: &[u8], value: &[u8]) {
        self.push(PUT, cf, key, value);
    }

    /// Deletes a key; one that is not there is no error.
    pub fn delete(&mut self, cf: Cf, key: &[u8]) {
        self.push(DELETE, cf, key, &[]);
    }

    /// Deletes the keys in `start..end`. Nothing if the range is empty.
    pub fn delete_range(&mut self, cf: Cf, start: &[u8], end: &[u8]) {
        if start < end {
            self.push(DELETE_RANGE, cf, start, end);
        }
    }

    /// Appends the operations of another batch.
    pub fn append(&mut self, other: &Batch) {
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
    }

    /// The operations in order.
    pub fn iter(&self) -> impl Iterator<Item = Op<'_>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (&[kind, cf], tail) = rest.split_first_chunk::<2>()?;
            let (first, tail) = take(tail);
            let (second, tail) = take(tail);
            rest = tail;
            let cf = Cf::from_number(cf).expect("written by `push`");
            Some(match kind {
                PUT => Op::Put(cf, first, second),
                DELETE => Op::Delete(cf, first),
                _ => Op::DeleteRange(cf, first, second),
            })
        })
    }

    /// How many operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of keys and values, with about nine of overhead an operation.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// The operations in the layout of this module.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Operations from bytes that come from elsewhere. Nothing if they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Batch> {
        let mut rest = bytes;
        let mut count = 0;
        while !rest.is_empty() {
            let (&[kind, cf], tail) = rest.split_first_chunk::<2>()?;
            if !(PUT..=DELETE_RANGE).contains(&kind) {
                return None;
            }
            Cf::from_number(cf)?;
            let (_, tail) = checked_take(tail)?;
            (_, rest) = checked_take(tail)?;
            count += 1;
        }
        Some(Batch { bytes: bytes.to_vec(), count })
    }

    fn push(&mut self, kind: u8, cf: Cf, first: &[u8], second: &[u8]) {
        self.bytes.extend_from_slice(&[kind, cf.number()]);
        for part in [first, second] {
            let len = u32::try_from(part.len()).expect("keys and values are far below 4 GiB");
            self.bytes.extend_from_slice(&len.to_le_bytes());
            self.bytes.extend_from_slice(part);
        }
        self.count += 1;
    }
}

fn take(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (len, tail) = bytes.split_first_chunk::<4>().expect("written by `push`");
    tail.split_at(u32::from_le_bytes(*len) as usize)
}

fn checked_take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, tail) = bytes.split_first_chunk::<4>()?;
    tail.split_at_checked(u32::from_le_bytes(*len) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_are_checked() {
        let mut batch = Batch::new();
        batch.put(Cf::Lock, b"key", b"value");
        batch.delete_range(Cf::Raft, b"a", b"b");
        assert_eq!(Batch::from_bytes(batch.as_bytes()), Some(batch.clone()));
        for end in 1..batch.bytes() {
            let whole = batch.iter().next().map(|_| 2 + 4 + 3 + 4 + 5);
            assert_eq!(Batch::from_bytes(&batch.as_bytes()[..end]).is_some(), Some(end) == whole);
        }
        assert_eq!(Batch::from_bytes(&[9, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Batch::from_bytes(&[1, 9, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn operations_come_out_as_they_went_in() {
        let mut one = Batch::new();
        one.put(Cf::Default, b"k", b"v");
        one.delete(Cf::Raft, b"");
        let mut two = Batch::new();
        two.delete_range(Cf::Meta, b"a", b"c");
        two.delete_range(Cf::Meta, b"c", b"a");
        one.append(&two);
        let ops: Vec<Op<'_>> = one.iter().collect();
        assert_eq!(
            ops,
            [
                Op::Put(Cf::Default, b"k", b"v"),
                Op::Delete(Cf::Raft, b""),
                Op::DeleteRange(Cf::Meta, b"a", b"c")
            ]
        );
        assert_eq!(one.len(), 3);
        one.clear();
        assert!(one.is_empty() && one.iter().next().is_none());
    }
}
