//! The witness: a small file that says how far the logs were durable, at most a second ago.
//!
//! RocksDB cannot tell a bit that rotted in the middle of its log from the torn end of one, and
//! goes on without what follows. The witness is the second opinion: for each log how many bytes of
//! it were on the disk, and their checksum.
//!
//! ```text
//! file    slot 0 (4096)  slot 1 (4096)
//! slot    mark (8)  generation (8)  sequence (8)  logs (4)  log…  crc (4)
//! log     number (8)  bytes (8)  crc (4)
//! ```
//!
//! Slots are written in turn, so a torn write costs the newer one and the other still counts. The
//! first is written by renaming a whole file. Numbers are little endian, checksums CRC-32C.
//!
//! Invariant: a slot is written after the bytes it speaks of were synced.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::records::chain;

/// Its name in the directory of the engine.
pub(super) const NAME: &str = "WITNESS";

const SLOT: usize = 4096;
const MARK: &[u8; 8] = b"CRIBWIT1";
const HEAD: usize = 8 + 8 + 8 + 4;
const ENTRY: usize = 8 + 8 + 4;

/// How many logs a slot has room for. Of more, the newest count: an older one was closed and
/// synced, and RocksDB keeps its length in the manifest.
const LOGS_MAX: usize = (SLOT - HEAD - 4) / ENTRY;

/// What a slot says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Witness {
    /// Rises with each.
    pub(super) generation: u64,
    /// The engine's sequence number up to which everything was durable.
    pub(super) sequence: u64,
    /// The logs, by number.
    pub(super) logs: BTreeMap<u64, Seen>,
}

/// How much of a log was durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    /// Of these bytes.
    pub(super) crc: u32,
}

/// What is in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A new directory, or one that was made by a checkpoint.
    None,
    Witness(Witness),
    /// A file of which no slot can be read. No crash leaves one.
    Unreadable,
}

/// Reads the newest slot.
pub(super) fn read(dir: &Path) -> io::Result<Found> {
    let bytes = match fs::read(dir.join(NAME)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::None),
        Err(error) => return Err(error),
    };
    let newest = bytes.chunks(SLOT).filter_map(decode).max_by_key(|witness| witness.generation);
    Ok(newest.map_or(Found::Unreadable, Found::Witness))
}

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct WitnessFile {
    file: File,
}

impl WitnessFile {
    /// Replaces what is in a directory by a file with this one slot, durably.
    pub(super) fn create(dir: &Path, first: &Witness) -> io::Result<WitnessFile> {
        let fresh = dir.join("WITNESS.new");
        let mut file = File::create(&fresh)?;
        let mut bytes = vec![0; 2 * SLOT];
        let at = slot(first.generation);
        bytes[at..at + SLOT].copy_from_slice(&encode(first));
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, dir.join(NAME))?;
        File::open(dir)?.sync_all()?;
        Ok(WitnessFile { file: OpenOptions::new().write(true).open(dir.join(NAME))? })
    }

    /// Writes a slot, durably.
    pub(super) fn write(&self, witness: &Witness) -> io::Result<()> {
        self.file.write_all_at(&encode(witness), slot(witness.generation) as u64)?;
        self.file.sync_data()
    }
}

fn slot(generation: u64) -> usize {
    if generation.is_multiple_of(2) { 0 } else { SLOT }
}

fn encode(witness: &Witness) -> Vec<u8> {
    let skipped = witness.logs.len().saturating_sub(LOGS_MAX);
    let logs = witness.logs.iter().skip(skipped);
    let count = u32::try_from(logs.len()).unwrap_or(u32::MAX);
    let mut bytes = MARK.to_vec();
    bytes.extend_from_slice(&witness.generation.to_le_bytes());
    bytes.extend_from_slice(&witness.sequence.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    for (number, seen) in logs {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&seen.bytes.to_le_bytes());
        bytes.extend_from_slice(&seen.crc.to_le_bytes());
    }
    let crc = chain(0, &bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.resize(SLOT, 0);
    bytes
}

fn decode(slot: &[u8]) -> Option<Witness> {
    let rest = slot.strip_prefix(MARK)?;
    let (generation, rest) = rest.split_first_chunk::<8>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let (entries, rest) = rest.split_at_checked(count.checked_mul(ENTRY)?)?;
    let (crc, _) = rest.split_first_chunk::<4>()?;
    if chain(0, &slot[..HEAD + entries.len()]) != u32::from_le_bytes(*crc) {
        return None;
    }
    let logs = entries.chunks_exact(ENTRY).filter_map(|entry| {
        let (number, entry) = entry.split_first_chunk::<8>()?;
        let (bytes, entry) = entry.split_first_chunk::<8>()?;
        let (crc, _) = entry.split_first_chunk::<4>()?;
        let (bytes, crc) = (u64::from_le_bytes(*bytes), u32::from_le_bytes(*crc));
        Some((u64::from_le_bytes(*number), Seen { bytes, crc }))
    });
    Some(Witness {
        generation: u64::from_le_bytes(*generation),
        sequence: u64::from_le_bytes(*sequence),
        logs: logs.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(generation: u64) -> Witness {
        let seen = Seen { bytes: 100 * generation, crc: 7 };
        Witness { generation, sequence: 10 * generation, logs: BTreeMap::from([(4, seen)]) }
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), Found::None);
        let file = WitnessFile::create(dir.path(), &witness(1)).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Found::Witness(witness(1)));
        file.write(&witness(2)).unwrap();
        file.write(&witness(3)).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Found::Witness(witness(3)));
        // A write that tears at any byte leaves the other slot.
        let whole = encode(&witness(5));
        for torn in 0..HEAD + ENTRY + 4 {
            let mut half = encode(&witness(3));
            half[..torn].copy_from_slice(&whole[..torn]);
            file.file.write_all_at(&half, SLOT as u64).unwrap();
            let Found::Witness(found) = read(dir.path()).unwrap() else { panic!("{torn}") };
            assert!(found == witness(2) || found == witness(3), "{torn}");
        }
    }

    #[test]
    fn two_bad_slots_are_damage_and_not_an_empty_directory() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), vec![0; 2 * SLOT]).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Found::Unreadable);
    }

    #[test]
    fn more_logs_than_fit_leave_the_newest() {
        let mut many = witness(1);
        many.logs = (0..1000).map(|number| (number, Seen { bytes: number, crc: 1 })).collect();
        let read = decode(&encode(&many)).unwrap();
        assert_eq!(read.logs.len(), LOGS_MAX);
        assert_eq!(read.logs.keys().last(), Some(&999));
    }
}
