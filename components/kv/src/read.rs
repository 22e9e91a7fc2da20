//! Reads of raw keys: pure functions of a view, a region and a clock.
//!
//! The view is taken after the right to read was granted, and then the region is compared with what
//! it is now ([`crate::Regions::check_still`]); what is read from the view afterwards is right. So
//! is a single key read without a view, if the region is compared after that ([`get_now`]).
//! Values that have expired are absent. Keys are engine keys, in and out.
//!
//! Not here: transactions, whose keys have another form.

use std::ops::Bound;

use storage::{Cf, Direction, Engine, View};
use types::{Escaped, KeyRange, Region};

use crate::value::Stored;

/// Reads in a region at an instant.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The engine, as it is then.
    pub view: &'a dyn View,
    /// The region.
    pub region: &'a Region,
    /// The clock, in seconds since 1970.
    pub now_seconds: u64,
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the client wrote.
    pub value: Vec<u8>,
    /// Seconds until it expires; `None` for never.
    pub ttl_seconds: Option<u64>,
}

/// What is scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The engine keys; those outside of the region are left out. Of a range in reverse the start
    /// is still the lower bound, which is in it, and the end the upper one, which is not.
    pub range: KeyRange,
    /// Whether from below or from above.
    pub direction: Direction,
    /// Most pairs.
    pub pairs_max: usize,
    /// Most bytes of keys and values, but for the first pair, which may be larger.
    pub bytes_max: usize,
    /// What is given out.
    pub values: Values,
}

/// What a scan gives out of each pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Key and value.
    Whole,
    /// The key, and an empty value.
    Left,
}

/// What a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Engine keys and values, in the order of the scan.
    pub pairs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Why there are not more.
    pub end: PageEnd,
}

/// Why a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEnd {
    /// The range, or the region, has no more.
    Range,
    /// There are as many pairs as were asked for.
    Pairs,
    /// There are as many bytes as were allowed, and more pairs. A client that takes a short answer
    /// for the end of a region must not be given this one.
    Bytes,
}

/// What was found, and under which engine key.
pub type FoundAt = (Vec<u8>, Found);

/// The value of a key as the engine has it now, without the cost of a view.
///
/// # Errors
/// As [`Reader::get`].
pub fn get_now(
    engine: &dyn Engine,
    region: &Region,
    (family, key): (Cf, &[u8]),
    now_seconds: u64,
) -> Result<Option<Found>, storage::Error> {
    found(region, key, now_seconds, || engine.get(family, key))
}

fn found(
    region: &Region,
    key: &[u8],
    now_seconds: u64,
    get: impl FnOnce() -> Result<Option<Vec<u8>>, storage::Error>,
) -> Result<Option<Found>, storage::Error> {
    if !region.range.contains(key) {
        let why = format!("key {} is not in {}", Escaped(key), region.range);
        return Err(storage::Error::Invalid(why));
    }
    let Some(bytes) = get()? else { return Ok(None) };
    let stored = decode(key, &bytes)?.live_at(now_seconds);
    Ok(stored.map(|stored| Found {
        value: stored.value.to_vec(),
        ttl_seconds: stored.ttl_seconds(now_seconds),
    }))
}

impl Reader<'_> {
    /// The value of a key; `None` if it is absent.
    ///
    /// # Errors
    /// If it cannot be read, or is not the region's.
    pub fn get(&self, family: Cf, key: &[u8]) -> Result<Option<Found>, storage::Error> {
        found(self.region, key, self.now_seconds, || self.view.get(family, key))
    }

    /// The keys that are there, with their values, in the order asked; `None` if keys and values
    /// have more than `bytes_max` bytes together.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn get_all<'k>(
        &self,
        family: Cf,
        keys: impl IntoIterator<Item = &'k [u8]>,
        bytes_max: usize,
    ) -> Result<Option<Vec<FoundAt>>, storage::Error> {
        let mut pairs = Vec::new();
        let mut bytes = 0;
        for key in keys {
            let Some(found) = self.get(family, key)? else { continue };
            bytes += key.len() + found.value.len();
            if bytes > bytes_max {
                return Ok(None);
            }
            pairs.push((key.to_vec(), found));
        }
        Ok(Some(pairs))
    }

    /// Pairs of a range, as far as the region has it.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn scan(&self, family: Cf, scan: &Scan) -> Result<Page, storage::Error> {
        let mut page = Page { pairs: Vec::new(), end: PageEnd::Range };
        if scan.pairs_max == 0 {
            if !self.region.range.intersection(&scan.range).is_empty() {
                page.end = PageEnd::Pairs;
            }
            return Ok(page);
        }
        let mut bytes = 0;
        self.walk(family, &scan.range, scan.direction, &mut |key, value| {
            let value = match scan.values {
                Values::Whole => value,
                Values::Left => &[],
            };
            bytes += key.len() + value.len();
            if bytes > scan.bytes_max && !page.pairs.is_empty() {
                page.end = PageEnd::Bytes;
                return false;
            }
            page.pairs.push((key.to_vec(), value.to_vec()));
            if page.pairs.len() == scan.pairs_max {
                page.end = PageEnd::Pairs;
                return false;
            }
            true
        })?;
        Ok(page)
    }

    /// Shows every pair of a range, as far as the region has it, in the order of the keys.
    ///
    /// # Errors
    /// If they cannot be read; some may have been shown.
    pub fn visit(
        &self,
        family: Cf,
        range: &KeyRange,
        show: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), storage::Error> {
        self.walk(family, range, Direction::Forward, &mut |key, value| {
            show(key, value);
            true
        })
    }

    /// Shows pairs until it is told that it is enough.
    fn walk(
        &self,
        family: Cf,
        range: &KeyRange,
        direction: Direction,
        show: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), storage::Error> {
        let range = self.region.range.intersection(range);
        if range.is_empty() {
            return Ok(());
        }
        let start = Bound::Included(range.start.as_slice());
        let end = match range.end.as_slice() {
            [] => Bound::Unbounded,
            end => Bound::Excluded(end),
        };
        let mut failed = None;
        self.view.scan(
            family,
            (start, end),
            direction,
            &mut |key, value| match decode(key, value) {
                Ok(stored) => match stored.live_at(self.now_seconds) {
                    Some(Stored { value, .. }) => show(key, value),
                    None => true,
                },
                Err(why) => {
                    failed = Some(why);
                    false
                }
            },
        )?;
        failed.map_or(Ok(()), Err)
    }
}

fn decode<'b>(key: &[u8], bytes: &'b [u8]) -> Result<Stored<'b>, storage::Error> {
    let damage = |why| storage::Error::Corrupt(format!("under key {}: {why}", Escaped(key)));
    Stored::decode(bytes).map_err(damage)
}

#[cfg(test)]
mod tests;
