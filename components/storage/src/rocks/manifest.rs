//! What RocksDB's manifest says about write-ahead logs: which are needed, and how long those are
//! that were closed and synced.
//!
//! RocksDB deletes a log only after the manifest says that all of it is in tables; so a log that is
//! missing although the manifest needs it is lost, and one that it does not need is never missed.
//! A log that was followed by another is synced, and noted with its length, before any later write
//! is acknowledged as synced.
//!
//! Not here: damage of the manifest itself, which RocksDB refuses when it opens.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::records::{At, BLOCK, Kind, record};

/// The part of a manifest that is about logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Logs with lower numbers are not needed any more.
    pub(super) needed_from: u64,
    /// How many bytes of closed logs were synced, by number.
    pub(super) synced: BTreeMap<u64, u64>,
}

/// The manifest of a directory; nothing if there is no engine in it yet.
pub(super) fn read(dir: &Path) -> io::Result<Option<Manifest>> {
    let name = match fs::read_to_string(dir.join("CURRENT")) {
        Ok(name) => name,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes = fs::read(dir.join(name.trim_end()))?;
    let mut state = State::default();
    for edit in edits(&bytes) {
        state.apply(&edit).ok_or_else(|| {
            let why = format!("{} has a field that is not understood", name.trim_end());
            io::Error::new(io::ErrorKind::InvalidData, why)
        })?;
    }
    Ok(Some(state.finish()))
}

/// The whole edits up to the end, or to the first that is not whole.
fn edits(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut edits = Vec::new();
    let mut parts = Vec::new();
    for block in bytes.chunks(BLOCK) {
        let mut at = 0;
        loop {
            let found = match record(block, at, 0) {
                At::Record(found) => found,
                At::End => break,
                At::Bad => return edits,
            };
            at = found.end;
            if matches!(found.kind, Kind::Full | Kind::First) {
                parts.clear();
            }
            parts.extend_from_slice(found.payload);
            if matches!(found.kind, Kind::Full | Kind::Last) {
                edits.push(std::mem::take(&mut parts));
            }
        }
    }
    edits
}

#[derive(Debug, Default)]
struct State {
    /// By column family, from which log on it needs them.
    families: BTreeMap<u64, u64>,
    needed_from: u64,
    synced: BTreeMap<u64, u64>,
}

impl State {
    /// Follows an edit. Nothing if it has a field that this file does not know.
    fn apply(&mut self, edit: &[u8]) -> Option<()> {
        let mut rest = Fields(edit);
        let mut family = 0;
        let mut log = None;
        let mut is_dropped = false;
        while !rest.0.is_empty() {
            match rest.number()? {
                2 => log = Some(rest.number()?),
                10 => self.needed_from = self.needed_from.max(rest.number()?),
                200 => family = rest.number()?,
                202 => is_dropped = true,
                // Next file, last sequence, previous log, highest family, rest of an atomic group.
                3 | 4 | 9 | 203 | 300 => _ = rest.number()?,
                // Comparator, name of a family.
                1 | 201 => _ = rest.bytes()?,
                // Compaction cursor; a deleted table; a new one.
                5 => (_, _) = (rest.number()?, rest.bytes()?),
                6 => (_, _) = (rest.number()?, rest.number()?),
                103 => rest.table(&mut self.needed_from)?,
                // A log that was closed and synced; those that are gone.
                WAL_ADDITION => self.add(Fields(rest.bytes()?))?,
                WAL_DELETION => {
                    let gone = Fields(rest.bytes()?).number()?;
                    self.needed_from = self.needed_from.max(gone);
                }
                tag if tag > SKIPPABLE => _ = rest.bytes()?,
                _ => return None,
            }
        }
        if is_dropped {
            self.families.remove(&family);
        } else if let Some(log) = log {
            let needed = self.families.entry(family).or_default();
            *needed = log.max(*needed);
        }
        Some(())
    }

    fn add(&mut self, mut fields: Fields<'_>) -> Option<()> {
        let number = fields.number()?;
        loop {
            match fields.number()? {
                1 => return Some(()),
                2 => _ = self.synced.insert(number, fields.number()?),
                _ => return None,
            }
        }
    }

    fn finish(mut self) -> Manifest {
        let lowest = self.families.values().min().copied().unwrap_or(0);
        let needed_from = self.needed_from.max(lowest);
        self.synced.retain(|number, _| *number >= needed_from);
        Manifest { needed_from, synced: self.synced }
    }
}

/// From here on a field that is not known has its length in front.
const SKIPPABLE: u64 = 1 << 13;
const WAL_ADDITION: u64 = SKIPPABLE + 7;
const WAL_DELETION: u64 = SKIPPABLE + 8;

/// What is left of an edit.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A new table: level, number, size, two keys, two sequences, and fields with their length.
    fn table(&mut self, needed_from: &mut u64) -> Option<()> {
        for _ in 0..3 {
            self.number()?;
        }
        self.bytes()?;
        self.bytes()?;
        self.number()?;
        self.number()?;
        loop {
            let tag = self.number()?;
            if tag == 1 {
                return Some(());
            }
            let field = self.bytes()?;
            if tag == 3 {
                let number = field.first_chunk::<8>()?;
                *needed_from = u64::from_le_bytes(*number).max(*needed_from);
            }
        }
    }
}
