//! A region's state read out, and taken over on another store.
//!
//! ```text
//!   begin: the region's record · pairs of default · of lock · of write · end: how many they were
//! ```
//!
//! A chunk is read when it is asked for, behind the last key of the one before it; so a reader
//! holds a view and a key, however large the region is.

use std::collections::VecDeque;
use std::ops::Bound;

use bytes::Bytes;
use multiraft::{Corrupt, SnapshotReader};
use prost::Message as _;
use proto::crib::kv::v1;
use proto::crib::kv::v1::snapshot_chunk::Kind;
use storage::{Batch, Cf, Direction, View};
use types::{GroupId, Region};

use crate::record::{
    FAMILIES, Malformed, encode_header, family_from_proto, family_to_proto, from_proto, to_proto,
};
use crate::regions::Amount;

/// Bytes of a pair in a chunk beside its key and value, about.
const PAIR_OVERHEAD: usize = 12;

/// Reads out a region.
pub(super) struct Reader {
    view: Box<dyn View>,
    /// `None` if there is nothing to read out.
    region: Option<Region>,
    stage: Stage,
    pairs: u64,
}

/// What comes next.
enum Stage {
    Begin,
    /// Pairs of the first of these families, behind this key.
    Pairs(VecDeque<Cf>, Option<Bytes>),
    Done,
}

impl Reader {
    pub(super) fn new(region: Option<Region>, view: Box<dyn View>) -> Reader {
        Reader { view, region, stage: Stage::Begin, pairs: 0 }
    }
}

impl SnapshotReader for Reader {
    fn header(&self) -> Bytes {
        self.region.as_ref().map_or(Bytes::new(), encode_header)
    }

    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, storage::Error> {
        let Some(region) = &self.region else {
            return Err(storage::Error::Invalid("a snapshot of a region without data".to_owned()));
        };
        let kind = match &mut self.stage {
            Stage::Begin => {
                self.stage = Stage::Pairs(FAMILIES.into(), None);
                Kind::Begin(to_proto(region))
            }
            Stage::Pairs(families, behind) => loop {
                let Some(&family) = families.front() else {
                    self.stage = Stage::Done;
                    break Kind::End(v1::SnapshotEnd { pairs: self.pairs });
                };
                let pairs = read_pairs(&*self.view, region, family, behind.as_ref(), bytes)?;
                if let Some(last) = pairs.last() {
                    *behind = Some(last.key.clone());
                    self.pairs += pairs.len() as u64;
                    let family = family_to_proto(family).into();
                    break Kind::Pairs(v1::SnapshotPairs { family, pairs });
                }
                families.pop_front();
                *behind = None;
            },
            Stage::Done => return Ok(None),
        };
        Ok(Some(v1::SnapshotChunk { kind: Some(kind) }.encode_to_vec().into()))
    }
}

/// Pairs of a region behind a key: at least one, if there are any, and then as many as fit.
fn read_pairs(
    view: &dyn View,
    region: &Region,
    family: Cf,
    behind: Option<&Bytes>,
    bytes_max: usize,
) -> Result<Vec<v1::SnapshotPair>, storage::Error> {
    let start = match behind {
        Some(key) => Bound::Excluded(key.as_ref()),
        None => Bound::Included(region.range.start.as_slice()),
    };
    let end = match region.range.end.as_slice() {
        [] => Bound::Unbounded,
        end => Bound::Excluded(end),
    };
    let mut pairs = Vec::new();
    let mut bytes = 0;
    view.scan(family, (start, end), Direction::Forward, &mut |key, value| {
        bytes += key.len() + value.len() + PAIR_OVERHEAD;
        if bytes > bytes_max && !pairs.is_empty() {
            return false;
        }
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        pairs.push(v1::SnapshotPair { key, value });
        true
    })?;
    Ok(pairs)
}

/// A snapshot that is being taken over.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    region: Option<Region>,
    size: Amount,
    /// The last pair, by the order of families.
    last: Option<(usize, Bytes)>,
    is_whole: bool,
}

impl Restoring {
    /// Takes a chunk. Returns the region when it begins: room is to be made for it.
    ///
    /// # Errors
    /// If it cannot come here.
    pub(super) fn take(
        &mut self,
        id: GroupId,
        chunk: &[u8],
        batch: &mut Batch,
    ) -> Result<Option<Region>, Corrupt> {
        let chunk = v1::SnapshotChunk::decode(Bytes::copy_from_slice(chunk));
        let kind = chunk.map_err(Malformed::from)?.kind;
        match (kind, &self.region) {
            (Some(Kind::Begin(record)), None) => {
                let region = from_proto(record)?;
                if region.id != id {
                    return Err(Corrupt(format!("a snapshot of {} for {id}", region.id)));
                }
                self.region = Some(region.clone());
                Ok(Some(region))
            }
            (Some(Kind::Pairs(pairs)), Some(_)) if !self.is_whole => {
                self.take_pairs(pairs, batch)?;
                Ok(None)
            }
            (Some(Kind::End(end)), Some(_)) if !self.is_whole => {
                if end.pairs != self.size.keys {
                    let found = self.size.keys;
                    return Err(Corrupt(format!("{found} pairs of a snapshot of {}", end.pairs)));
                }
                self.is_whole = true;
                Ok(None)
            }
            (_, _) => Err(Corrupt("a chunk of a snapshot out of its order".to_owned())),
        }
    }

    /// The region, and what it has.
    ///
    /// # Errors
    /// If something is missing.
    pub(super) fn end(self) -> Result<(Region, Amount), Corrupt> {
        match self.region {
            Some(region) if self.is_whole => Ok((region, self.size)),
            _ => Err(Corrupt("a snapshot without its end".to_owned())),
        }
    }

    fn take_pairs(&mut self, pairs: v1::SnapshotPairs, batch: &mut Batch) -> Result<(), Corrupt> {
        let Some(region) = &self.region else { return Ok(()) };
        let family = family_from_proto(pairs.family)?;
        let nth = FAMILIES.iter().position(|&other| other == family);
        let nth = nth.ok_or_else(|| Corrupt("pairs of no family".to_owned()))?;
        for v1::SnapshotPair { key, value } in pairs.pairs {
            let here = (nth, key);
            if self.last.as_ref().is_some_and(|last| *last >= here) {
                return Err(Corrupt("the keys of a snapshot do not rise".to_owned()));
            }
            if !region.range.contains(&here.1) {
                return Err(Corrupt("a key of a snapshot outside of its region".to_owned()));
            }
            batch.put(family, &here.1, &value);
            self.size.add(here.1.len() + value.len());
            self.last = Some(here);
        }
        Ok(())
    }
}
