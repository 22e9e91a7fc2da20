//! Measuring a region: how much it has, and where it could be cut.
//!
//! Families are walked one after another. On the way a mark is set every so many bytes, beginning
//! with every key; when there are too many, each second one is dropped. In the end the marks of all
//! families are put in order, so that a cut is off by no more than a few hundredths of the region,
//! and memory does not grow with it.

use std::ops::Bound;

use storage::{Cf, Direction, View};
use types::{ApiVersion, KeyRange};

use super::SplitConfig;
use crate::record::FAMILIES;

/// Most marks of a family.
const MARKS_MAX: usize = 1024;

/// How much a region has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Bytes of keys and values, in all families.
    pub bytes: u64,
    /// Keys, in all families.
    pub keys: u64,
    /// Where it is to be cut, ascending; nowhere if it is not too large.
    pub split_keys: Vec<Vec<u8>>,
    /// Where it can be cut in halves, if it can.
    pub middle: Option<Vec<u8>>,
}

/// A walk through a region, step by step. Each step may have a newer view: what is measured is of
/// no one instant.
#[derive(Debug)]
pub struct SizeScan {
    range: KeyRange,
    api: ApiVersion,
    config: SplitConfig,
    /// The family under way, by its place in [`FAMILIES`].
    nth: usize,
    /// The last key looked at in it.
    behind: Option<Vec<u8>>,
    families: Vec<Marks>,
}

/// What a family has between marks.
#[derive(Debug, Default)]
struct Marks {
    marks: Vec<Mark>,
    /// Bytes from mark to mark, at least.
    spacing: u64,
}

/// Some keys that follow each other.
#[derive(Clone, Debug)]
struct Mark {
    /// The first.
    first: Vec<u8>,
    bytes: u64,
    keys: u64,
}

/// What lies between places where the region can be cut, in all families.
#[derive(Debug)]
struct Piece {
    /// Where it can be cut in front of it; `None` at the start of the region.
    start: Option<Vec<u8>>,
    bytes: u64,
    keys: u64,
}

impl SizeScan {
    /// A walk that begins.
    #[must_use]
    pub fn new(range: KeyRange, api: ApiVersion, config: SplitConfig) -> SizeScan {
        let families = FAMILIES.iter().map(|_| Marks::default()).collect();
        SizeScan { range, api, config, nth: 0, behind: None, families }
    }

    /// Looks at about `bytes_max` more bytes of keys and values; the result when that was all.
    ///
    /// # Errors
    /// If the view cannot be read. The walk is to be begun anew then.
    pub fn step(
        &mut self,
        view: &dyn View,
        bytes_max: u64,
    ) -> Result<Option<Measured>, storage::Error> {
        let mut left = bytes_max.max(1);
        while let Some(&family) = FAMILIES.get(self.nth) {
            if !self.walk(view, family, &mut left)? {
                return Ok(None);
            }
            self.nth += 1;
            self.behind = None;
        }
        Ok(Some(self.measured()))
    }

    /// Returns whether the family was walked to its end.
    fn walk(
        &mut self,
        view: &dyn View,
        family: Cf,
        left: &mut u64,
    ) -> Result<bool, storage::Error> {
        let start = match &self.behind {
            Some(key) => Bound::Excluded(key.clone()),
            None => Bound::Included(self.range.start.clone()),
        };
        let start = start.as_ref().map(Vec::as_slice);
        let end = match self.range.end.as_slice() {
            [] => Bound::Unbounded,
            end => Bound::Excluded(end),
        };
        let marks = &mut self.families[self.nth];
        let mut last = None;
        view.scan(family, (start, end), Direction::Forward, &mut |key, value| {
            if *left == 0 {
                return false;
            }
            let bytes = (key.len() + value.len()) as u64;
            marks.add(key, bytes);
            *left = left.saturating_sub(bytes.max(1));
            if *left == 0 {
                last = Some(key.to_vec());
            }
            true
        })?;
        let is_over = last.is_none();
        self.behind = last.or(self.behind.take());
        Ok(is_over)
    }

    fn measured(&self) -> Measured {
        let mut marks: Vec<&Mark> = self.families.iter().flat_map(|family| &family.marks).collect();
        marks.sort_by(|one, other| one.first.cmp(&other.first));
        let mut pieces: Vec<Piece> = Vec::with_capacity(marks.len());
        for Mark { first, bytes, keys } in marks {
            let start = self.api.boundary(first).filter(|start| *start > self.range.start);
            match pieces.last_mut() {
                Some(piece) if start.is_none() || piece.start == start => {
                    piece.bytes += bytes;
                    piece.keys += keys;
                }
                _ => pieces.push(Piece { start, bytes: *bytes, keys: *keys }),
            }
        }
        let bytes = pieces.iter().map(|piece| piece.bytes).sum();
        let keys = pieces.iter().map(|piece| piece.keys).sum();
        let split_keys = self.cuts(&pieces, (bytes, keys));
        Measured { bytes, keys, split_keys, middle: middle(&pieces, bytes) }
    }

    /// While what is left is too large, a part is cut off in front of it.
    fn cuts(&self, pieces: &[Piece], (mut bytes, mut keys): (u64, u64)) -> Vec<Vec<u8>> {
        let config = &self.config;
        let mut cuts: Vec<Vec<u8>> = Vec::new();
        let mut part = (0, 0);
        for piece in pieces {
            if cuts.len() >= config.batch_max || !config.is_too_large(bytes, keys) {
                break;
            }
            let is_full = part.0 >= config.target_bytes || part.1 >= config.target_keys();
            if is_full && let Some(start) = &piece.start {
                cuts.push(start.clone());
                (bytes, keys) = (bytes - part.0, keys - part.1);
                part = (0, 0);
            }
            part = (part.0 + piece.bytes, part.1 + piece.keys);
        }
        cuts
    }
}

/// The bound next to the half of all bytes.
fn middle(pieces: &[Piece], bytes: u64) -> Option<Vec<u8>> {
    let mut before: u64 = 0;
    let mut best: Option<(u64, &Vec<u8>)> = None;
    for piece in pieces {
        let off = before.abs_diff(bytes / 2);
        if let Some(start) = &piece.start
            && best.is_none_or(|(least, _)| off < least)
        {
            best = Some((off, start));
        }
        before += piece.bytes;
    }
    best.map(|(_, start)| start.clone())
}

impl Marks {
    fn add(&mut self, key: &[u8], bytes: u64) {
        match self.marks.last_mut() {
            Some(mark) if mark.bytes < self.spacing => {
                mark.bytes += bytes;
                mark.keys += 1;
                return;
            }
            _ => {}
        }
        if self.marks.len() >= MARKS_MAX {
            self.thin();
        }
        self.marks.push(Mark { first: key.to_vec(), bytes, keys: 1 });
    }

    /// Joins marks in pairs; new ones are as far apart as these are in the mean.
    fn thin(&mut self) {
        let joined = self.marks.chunks(2).map(|pair| Mark {
            first: pair[0].first.clone(),
            bytes: pair.iter().map(|mark| mark.bytes).sum(),
            keys: pair.iter().map(|mark| mark.keys).sum(),
        });
        self.marks = joined.collect();
        let bytes: u64 = self.marks.iter().map(|mark| mark.bytes).sum();
        self.spacing = bytes / self.marks.len() as u64;
    }
}
