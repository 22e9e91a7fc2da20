//! Tables of the memory engine: the bytes of a file that exists only in a [`MemoryDisk`].
//!
//! A table is a mark, the number of the column family, and a [`Batch`] of rising puts, so reading
//! one back means to check it and to carry it out.

use std::path::PathBuf;

use super::disk::MemoryDisk;
use crate::batch::{Batch, Op};
use crate::cf::Cf;
use crate::engine::TableWriter;
use crate::error::Error;

const MARK: &[u8] = b"cribwork memory table 1\n";

/// Writes a table in memory and puts it on the disk when it is finished.
pub(super) struct MemoryTable {
    disk: MemoryDisk,
    path: PathBuf,
    cf: Cf,
    pairs: Batch,
    last: Option<Vec<u8>>,
}

impl MemoryTable {
    pub(super) fn new(disk: MemoryDisk, cf: Cf, path: PathBuf) -> MemoryTable {
        MemoryTable { disk, path, cf, pairs: Batch::new(), last: None }
    }
}

impl TableWriter for MemoryTable {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if self.last.as_deref().is_some_and(|last| last >= key) {
            return Err(Error::Invalid("keys of a table must rise".into()));
        }
        self.last = Some(key.to_vec());
        self.pairs.put(self.cf, key, value);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<u64, Error> {
        if self.pairs.is_empty() {
            return Err(Error::Invalid("a table needs a pair".into()));
        }
        let mut bytes = MARK.to_vec();
        bytes.push(self.cf.number());
        bytes.extend_from_slice(self.pairs.as_bytes());
        let size = bytes.len() as u64;
        self.disk.write_file(&self.path, bytes)?;
        Ok(size)
    }
}

/// The pairs of a table, if the bytes are one of this column family.
pub(super) fn decode(cf: Cf, bytes: &[u8]) -> Result<Batch, Error> {
    let no = |why: &str| Error::Corrupt(format!("no table: {why}"));
    let rest = bytes.strip_prefix(MARK).ok_or_else(|| no("it has another mark"))?;
    let (&number, rest) = rest.split_first().ok_or_else(|| no("it ends too early"))?;
    if Cf::from_number(number) != Some(cf) {
        return Err(Error::Invalid("the table is of another column family".into()));
    }
    let pairs = Batch::from_bytes(rest).ok_or_else(|| no("its pairs make no sense"))?;
    let mut last: Option<&[u8]> = None;
    for op in pairs.iter() {
        let Op::Put(_, key, _) = op else { return Err(no("it deletes")) };
        if last.is_some_and(|last| last >= key) {
            return Err(no("its keys do not rise"));
        }
        last = Some(key);
    }
    Ok(pairs)
}

/// The first and the last key.
pub(super) fn span(pairs: &Batch) -> Option<(&[u8], &[u8])> {
    let mut keys = pairs.iter().filter_map(|op| match op {
        Op::Put(_, key, _) => Some(key),
        Op::Delete(..) | Op::DeleteRange(..) => None,
    });
    let first = keys.next()?;
    Some((first, keys.last().unwrap_or(first)))
}
