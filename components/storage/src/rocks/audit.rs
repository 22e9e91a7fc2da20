//! The audit: are the logs what was written, before RocksDB may change anything?
//!
//! RocksDB reads its log up to the first record that makes no sense. That is right for the torn end
//! of a crash, and wrong for a bit that rotted: what follows was acknowledged, and is dropped
//! without a word. So we read the logs first, by these rules, and refuse to open on damage.
//!
//! A log that the manifest does not need any more is not looked at. Of the others:
//!
//! 1. One that the witness or the manifest speaks of must be there.
//! 2. It must be as long as the witness and the manifest say, and its bytes up to where the witness
//!    looked must have the checksum that the witness saw.
//! 3. Nothing before the length that the manifest noted for a closed log may be bad.
//! 4. Behind a bad record there must be no good one of this log in the same file. Values may hold
//!    whole records of logs: those are told from it by the numbers of their changes.
//!
//! What is bad and breaks no rule is a torn end. A closed log may be torn although a later one is
//! there: nothing in the later one was acknowledged as synced, or rule 3 would speak; RocksDB then
//! drops the later one too, so that a prefix remains.
//!
//! # What this cannot see
//!
//! The last record, if it rotted and was written after the witness: it looks like a torn end. The
//! witness is never older than a second of synced writes. And a power loss in the middle of a large
//! unsynced write may leave a hole with good records behind it; that is called damage, to be on the
//! safe side.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::damage::{Damage, DamageKind};
use super::manifest::{self, Manifest};
use super::records::{At, BLOCK, Kind, Record, chain, find, record};
use super::witness::{self, Found, Seen, Witness};

/// What an audit found in logs that are good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The logs that the engine will read, by number.
    pub logs: Vec<AuditedLog>,
    /// Up to which sequence number the witness saw everything durable. Nothing if there was no
    /// witness, as in a new directory or one made by a checkpoint.
    pub witnessed: Option<u64>,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedLog {
    /// Its number.
    pub number: u64,
    /// Its length.
    pub bytes: u64,
    /// How many batches are in it.
    pub batches: u64,
    /// Where its end is torn, if it is: the first byte that does not count.
    pub torn_at: Option<u64>,
}

impl Audit {
    /// Whether the end of a log is torn. Normal after a crash.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.logs.iter().any(|log| log.torn_at.is_some())
    }
}

/// Why an audit did not end well.
#[derive(Debug)]
pub(super) enum Refused {
    Damaged(Damage),
    Unreadable(PathBuf, io::Error),
}

/// Audits the logs in a directory. Changes nothing.
pub(super) fn audit(dir: &Path) -> Result<Audit, Refused> {
    let unreadable = |name: &str| {
        let path = dir.join(name);
        move |error| Refused::Unreadable(path, error)
    };
    let Some(manifest) = manifest::read(dir).map_err(unreadable("MANIFEST"))? else {
        return Ok(Audit::default());
    };
    let witness = match witness::read(dir).map_err(unreadable(witness::NAME))? {
        Found::None => None,
        Found::Witness(witness) => Some(witness),
        Found::Unreadable => {
            let file = dir.join(witness::NAME);
            return Err(Refused::Damaged(Damage { file, offset: 0, kind: DamageKind::Witness }));
        }
    };
    let mut logs = logs(dir).map_err(unreadable(""))?;
    logs.retain(|number, _| *number >= manifest.needed_from);
    check_present(dir, &manifest, witness.as_ref(), &logs)?;

    let mut audit = Audit { logs: Vec::new(), witnessed: witness.as_ref().map(|w| w.sequence) };
    for (number, path) in logs {
        let seen = witness.as_ref().and_then(|witness| witness.logs.get(&number));
        let expected = Expected {
            seen: seen.copied().unwrap_or_default(),
            synced: manifest.synced.get(&number).copied().unwrap_or(0),
        };
        let file = File::open(&path).map_err(|error| Refused::Unreadable(path.clone(), error))?;
        let walk = Walk::over(file, number, expected.seen.bytes)
            .map_err(|error| Refused::Unreadable(path.clone(), error))?;
        if let Some((offset, kind)) = walk.damage(expected) {
            return Err(Refused::Damaged(Damage { file: path, offset, kind }));
        }
        let Walk { bytes, batches, bad, .. } = walk;
        audit.logs.push(AuditedLog { number, bytes, batches, torn_at: bad });
    }
    Ok(audit)
}

/// The logs in a directory by number, whether they are needed or not.
pub(super) fn logs(dir: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut logs = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.extension().filter(|extension| *extension == "log");
        let number = number.and(path.file_stem()).and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number {
            logs.insert(number, path);
        }
    }
    Ok(logs)
}

/// Rule 1.
fn check_present(
    dir: &Path,
    manifest: &Manifest,
    witness: Option<&Witness>,
    logs: &BTreeMap<u64, PathBuf>,
) -> Result<(), Refused> {
    let witnessed = witness.iter().flat_map(|witness| witness.logs.keys());
    let needed = |number: &&u64| **number >= manifest.needed_from;
    let mut missing = witnessed
        .chain(manifest.synced.keys())
        .filter(needed)
        .filter(|number| !logs.contains_key(number));
    match missing.next() {
        None => Ok(()),
        Some(number) => {
            let file = dir.join(format!("{number:06}.log"));
            Err(Refused::Damaged(Damage { file, offset: 0, kind: DamageKind::Missing }))
        }
    }
}

/// Changes that may have numbers and no place in the log, between two batches: each table that is
/// taken in has one.
const UNLOGGED_MAX: u64 = 1 << 16;

/// What is known of a log from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
struct Expected {
    seen: Seen,
    /// The length in the manifest.
    synced: u64,
}

/// One reading of a log.
#[derive(Debug, Default)]
struct Walk {
    number: u64,
    bytes: u64,
    batches: u64,
    /// Where the batch begins of which fragments were read and the last was not.
    open: Option<u64>,
    /// The first byte from which on nothing counts.
    bad: Option<u64>,
    /// A good record behind it.
    good_behind: Option<u64>,
    /// The number of the first change of the last batch that was read.
    sequence: Option<u64>,
    /// Checksum of the bytes that the witness saw.
    crc: u32,
}

impl Walk {
    fn over(mut file: impl Read, number: u64, seen: u64) -> io::Result<Walk> {
        let mut walk = Walk { number, ..Walk::default() };
        let mut block = Vec::with_capacity(BLOCK);
        loop {
            block.clear();
            file.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
            let left = seen.saturating_sub(walk.bytes);
            let summed = usize::try_from(left).unwrap_or(BLOCK).min(block.len());
            walk.crc = chain(walk.crc, &block[..summed]);
            walk.block(&block);
            walk.bytes += block.len() as u64;
            if block.len() < BLOCK {
                break;
            }
        }
        if walk.bad.is_none() {
            walk.bad = walk.open;
        }
        Ok(walk)
    }

    fn block(&mut self, block: &[u8]) {
        let mut at = 0;
        while self.bad.is_none() {
            let here = self.bytes + at as u64;
            match record(block, at, self.number) {
                At::End => return,
                At::Bad => {
                    self.bad = Some(self.open.unwrap_or(here));
                    at += 1;
                }
                At::Record(found) if self.follows(found.kind) => {
                    self.sequence = found.sequence().or(self.sequence);
                    self.take(found.kind, here);
                    at = found.end;
                }
                // The fragments before it, or behind it, are gone.
                At::Record(_) => {
                    self.bad = Some(self.open.unwrap_or(here));
                    self.good_behind = Some(here);
                }
            }
        }
        if self.good_behind.is_none() {
            let may_be = |at: usize, found: Record<'_>| self.goes_on(at, found);
            let behind = find(block, at.min(block.len()), self.number, may_be);
            self.good_behind = behind.map(|at| self.bytes + at as u64);
        }
    }

    /// Whether what looks like a record behind what is bad is one of this log. A value may hold
    /// whole records of a log, so that the end of it that was torn off would look like rot.
    ///
    /// A batch has the number of its first change, which rises by no more than what changes lie
    /// between, and they take room. The fragments that follow its first begin their blocks, where a
    /// value never stands. A note says nothing that could be lost.
    fn goes_on(&self, at: usize, found: Record<'_>) -> bool {
        match found.kind {
            Kind::Middle | Kind::Last => at == 0,
            Kind::Note => false,
            Kind::Full | Kind::First => found.sequence().is_some_and(|sequence| {
                let between = self.bytes + at as u64 - self.bad.unwrap_or(0);
                self.sequence.is_none_or(|last| {
                    (last..=last.saturating_add(between + UNLOGGED_MAX)).contains(&sequence)
                })
            }),
        }
    }

    fn follows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Full | Kind::First | Kind::Note => self.open.is_none(),
            Kind::Middle | Kind::Last => self.open.is_some(),
        }
    }

    fn take(&mut self, kind: Kind, at: u64) {
        match kind {
            Kind::First => self.open = Some(at),
            Kind::Full | Kind::Last => {
                self.open = None;
                self.batches += 1;
            }
            Kind::Middle | Kind::Note => {}
        }
    }

    /// Rules 2 to 4.
    fn damage(&self, expected: Expected) -> Option<(u64, DamageKind)> {
        let Expected { seen, synced } = expected;
        let needed = seen.bytes.max(synced);
        if self.bytes < needed {
            return Some((self.bytes, DamageKind::Short { needed }));
        }
        if self.crc != seen.crc {
            return Some((self.bad.unwrap_or(0), DamageKind::Witnessed { bytes: seen.bytes }));
        }
        let bad = self.bad?;
        if bad < synced {
            return Some((bad, DamageKind::Synced { bytes: synced }));
        }
        self.good_behind.map(|next| (bad, DamageKind::GoodBehind { next }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::tests::encode;
    use super::*;

    fn walk(bytes: &[u8]) -> Walk {
        Walk::over(bytes, 3, 0).unwrap()
    }

    /// A batch whose first change has this number.
    fn batch(sequence: u64) -> Vec<u8> {
        [&sequence.to_le_bytes()[..], b"\x01\0\0\0some change"].concat()
    }

    fn batches(count: usize) -> Vec<u8> {
        (0..count).flat_map(|nth| encode(1, 3, &batch(100 + nth as u64))).collect()
    }

    #[test]
    fn a_log_of_whole_batches_is_good() {
        let walked = walk(&batches(5));
        assert_eq!((walked.batches, walked.bad), (5, None));
    }

    #[test]
    fn a_batch_without_its_last_fragment_is_a_torn_end() {
        let mut bytes = batches(1);
        let first = bytes.len() as u64;
        bytes.extend_from_slice(&encode(2, 3, b"begins"));
        bytes.extend_from_slice(&encode(3, 3, b"goes on"));
        let walked = walk(&bytes);
        assert_eq!((walked.bad, walked.good_behind), (Some(first), None));
        assert!(walked.damage(Expected::default()).is_none());
    }

    #[test]
    fn a_batch_that_begins_inside_another_is_damage() {
        for (kind, next) in [(2, 1), (2, 2), (1, 3), (1, 4)] {
            let mut bytes = encode(kind, 3, b"one");
            bytes.extend_from_slice(&encode(next, 3, b"two"));
            let damage = walk(&bytes).damage(Expected::default());
            assert!(matches!(damage, Some((_, DamageKind::GoodBehind { .. }))), "{kind} {next}");
        }
    }

    #[test]
    fn a_good_record_in_a_later_block_is_found() {
        for behind in [encode(1, 3, &batch(101)), encode(3, 3, b"more"), encode(4, 3, b"end")] {
            let mut bytes = batches(1);
            bytes.resize(BLOCK, 0);
            bytes.extend_from_slice(&behind);
            let damage = walk(&bytes).damage(Expected::default());
            assert_eq!(damage.unwrap().1, DamageKind::GoodBehind { next: BLOCK as u64 });
        }
    }

    #[test]
    fn records_in_a_value_that_was_torn_off_are_no_damage() {
        // Somebody keeps a log as a value: of another database, of this one some time ago, and one
        // that was cut in the middle of a batch.
        let kept = [
            encode(1, 3, &batch(7)),
            encode(1, 3, &batch(99)),
            encode(1, 3, &batch(1 << 40)),
            encode(3, 3, b"goes on"),
            encode(9, 3, b"a note"),
        ]
        .concat();
        let whole = encode(1, 3, &[batch(101), kept].concat());
        let first = batches(2);
        for cut in 1..whole.len() {
            for zeros in [0, 50, BLOCK] {
                let mut bytes = [&first[..], &whole[..cut]].concat();
                bytes.resize(bytes.len() + zeros, 0);
                let walked = walk(&bytes);
                assert_eq!(walked.bad, Some(first.len() as u64), "cut at {cut}");
                assert_eq!(walked.damage(Expected::default()), None, "cut at {cut}, {zeros}");
            }
        }
    }

    #[test]
    fn a_batch_behind_a_bit_that_was_turned_is_found_wherever_it_is() {
        let mut bytes = batches(4);
        let each = bytes.len() / 4;
        for byte in each..2 * each {
            bytes[byte] ^= 0x10;
            let damage = walk(&bytes).damage(Expected::default());
            let next = 2 * each as u64;
            assert_eq!(damage, Some((each as u64, DamageKind::GoodBehind { next })), "{byte}");
            bytes[byte] ^= 0x10;
        }
    }

    #[test]
    fn a_closed_log_must_be_good_up_to_what_was_synced() {
        let bytes = batches(3);
        let torn = walk(&bytes[..bytes.len() - 1]);
        let synced = |synced| Expected { synced, ..Expected::default() };
        let two_thirds = bytes.len() as u64 / 3 * 2;
        assert!(torn.damage(synced(two_thirds)).is_none());
        assert!(torn.damage(synced(two_thirds + 1)).is_some());
    }
}
