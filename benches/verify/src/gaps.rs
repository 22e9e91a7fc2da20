//! When operations succeeded, and for how long none did: overall, of writes, and for each part of
//! the keys.
//!
//! The parts are sixteenths of the range of keys, not regions: those come and go while one looks.
//! A gap at the beginning or the end of the load counts as one between two successes.

use serde::Serialize;

use crate::history::{Asked, Record, Told};

/// Width of a bar of the picture, in nanoseconds.
const BAR: u64 = 100_000_000;
/// Parts of the range of keys.
const PARTS: usize = 16;

/// A time without success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// When it began, in milliseconds from the beginning of the load.
    pub from_ms: u64,
    /// How long it was.
    pub ms: u64,
}

/// The longest gap of a part of the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartGap {
    /// How keys of the part begin: a hexadecimal digit.
    pub part: String,
    /// Its longest gap.
    pub gap: Gap,
}

/// When operations succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Successes {
    /// The longest gap of all.
    pub longest: Gap,
    /// The longest gap of writes.
    pub longest_of_writes: Gap,
    /// The longest gap of each part of the keys.
    pub parts: Vec<PartGap>,
    /// Successes in each tenth of a second.
    pub bars: Vec<u32>,
}

/// Looks at a load that went on from one time to another, in nanoseconds.
#[must_use]
pub fn measure(records: &[Record], from: u64, to: u64) -> Successes {
    let is_success = |record: &&Record| !matches!(record.told, Told::No | Told::Maybe);
    let mut done: Vec<(u64, &Record)> = records
        .iter()
        .filter(is_success)
        .filter_map(|record| Some((record.ret?, record)))
        .filter(|&(ret, _)| ret >= from && ret <= to)
        .collect();
    done.sort_unstable_by_key(|&(ret, _)| ret);
    let bars = usize::try_from(to.saturating_sub(from).div_ceil(BAR)).unwrap_or(0);
    let mut successes = Successes { bars: vec![0; bars], ..Successes::default() };
    for &(ret, _) in &done {
        let at = usize::try_from((ret - from) / BAR).unwrap_or(0);
        if let Some(bar) = successes.bars.get_mut(at) {
            *bar += 1;
        }
    }
    let all = done.iter().map(|&(ret, _)| ret);
    successes.longest = longest(all, from, to);
    let writes = done.iter().filter(|(_, record)| record.asked != Asked::Read);
    successes.longest_of_writes = longest(writes.map(|&(ret, _)| ret), from, to);
    for part in 0..PARTS {
        let its = done.iter().filter(|(_, record)| usize::from(record.key.spread() >> 4) == part);
        let gap = longest(its.map(|&(ret, _)| ret), from, to);
        successes.parts.push(PartGap { part: format!("{part:x}"), gap });
    }
    successes
}

/// The longest time between two of these, which rise.
fn longest(times: impl Iterator<Item = u64>, from: u64, to: u64) -> Gap {
    let mut longest = (0, from);
    let mut last = from;
    for time in times.chain([to]) {
        let gap = time.saturating_sub(last);
        if gap > longest.0 {
            longest = (gap, last);
        }
        last = time;
    }
    Gap { from_ms: longest.1.saturating_sub(from) / 1_000_000, ms: longest.0 / 1_000_000 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Key, Value};

    const MS: u64 = 1_000_000;

    fn at(ms: u64, key: Key, told: Told) -> Record {
        let value = Value { version: 1, client: 1, seq: 1 };
        let asked = if told == Told::Done { Asked::Put(value) } else { Asked::Read };
        Record { client: 1, seq: 1, key, call: 0, ret: Some(ms * MS), asked, told }
    }

    #[test]
    fn gaps_are_between_successes_and_at_both_ends() {
        let read = Told::Found(None);
        let key = Key::Owned(1);
        let records = [
            at(300, key, read),
            at(100, key, Told::Done),
            at(350, key, Told::No),
            at(2_000, key, read),
        ];
        let found = measure(&records, 0, 1_000 * MS);
        assert_eq!(found.longest, Gap { from_ms: 300, ms: 700 });
        assert_eq!(found.longest_of_writes, Gap { from_ms: 100, ms: 900 });
        assert_eq!(found.bars, [0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        let digit = format!("{:x}", key.spread() >> 4);
        for part in found.parts {
            let expected = if part.part == digit { 700 } else { 1_000 };
            assert_eq!(part.gap.ms, expected, "{}", part.part);
        }
    }

    #[test]
    fn nothing_is_one_gap() {
        assert_eq!(measure(&[], 5 * MS, 9 * MS).longest, Gap { from_ms: 0, ms: 4 });
    }
}
