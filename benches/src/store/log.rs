//! The log path alone: entries on their way to the disk, beside a bare engine and a bare file.
//!
//! ours     entries are encoded into a shard's batch with one hard state for each group, that is
//!          joined into the batch of the log writer, and an engine writes it with one sync.
//! bare     RocksDB writes the same entries, encoded before, with one sync.
//! file     the same bytes appended to a file with one `fdatasync`.
//!
//! The two that are the peers are two rows each.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use multiraft::{Entry, Payload, wire};
use storage::{Batch, Cf, Durability, Engine, RocksEngine};
use types::{EntryId, Index, Term};

use super::Settings;
use super::bare::{Bare, entry_key};
use super::table::Row;
use crate::report::Better;

const BYTES: usize = 256;
const ENTRIES: [usize; 4] = [1, 8, 64, 512];
const GROUPS: [u64; 2] = [1, 48];

struct Ours {
    engine: RocksEngine,
    groups: u64,
    written: u64,
    command: Bytes,
    shard: Batch,
    joined: Batch,
}

impl Ours {
    fn append(&mut self, entries: usize) {
        let Ours { engine, groups, written, command, shard, joined } = self;
        shard.clear();
        joined.clear();
        // A group's entries follow one another, as a shard drains group by group.
        let count = entries as u64;
        for number in 1..=(*groups).min(count) {
            shard.put(Cf::Raft, &hard_state_key(number), &[8, 2, 16, 1, 24, 0]);
            let mut nth = number;
            while nth <= count {
                let index = *written / *groups + nth / *groups + 1;
                let id = EntryId::new(Term(2), Index(index));
                let entry = Entry { id, payload: Payload::Command(command.clone()) };
                shard.put(Cf::Raft, &entry_key(number, index), &wire::entry_value(&entry));
                nth += *groups;
            }
        }
        *written += count.next_multiple_of(*groups);
        joined.append(shard);
        engine.write(joined, Durability::Synced).expect("the engine writes");
    }
}

fn hard_state_key(group: u64) -> [u8; 9] {
    let mut key = [0; 9];
    key[..8].copy_from_slice(&group.to_be_bytes());
    key
}

/// Runs all sizes of batches over one and many groups.
pub fn run(settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    for groups in GROUPS {
        for entries in ENTRIES.into_iter().filter(|&entries| groups == 1 || entries > 1) {
            rows.extend(measure(settings, groups, entries));
        }
    }
    rows
}

fn measure(settings: &Settings, groups: u64, entries: usize) -> Vec<Row> {
    let (turns, span_ms) = if settings.is_quick { (5, 150) } else { (15, 300) };
    let span = Duration::from_millis(span_ms);
    let dir = tempfile::tempdir_in(&settings.dir).expect("the disk takes files");
    let command = Bytes::from(vec![7; BYTES]);
    let id = EntryId::new(Term(2), Index(9));
    let entry = wire::entry_value(&Entry { id, payload: Payload::Command(command.clone()) });
    let opened = RocksEngine::open(&dir.path().join("ours"), &storage::Config::default());
    let (engine, _audit) = opened.expect("the engine opens");
    let (shard, joined) = (Batch::new(), Batch::new());
    let mut ours = Ours { engine, groups, written: 0, command, shard, joined };
    let mut bare = Bare::open(&dir.path().join("bare"), groups, &[], &entry);
    let mut file = File::create(dir.path().join("file")).expect("the disk takes a file");
    let bytes = vec![7; (entry.len() + entry_key(1, 1).len()) * entries];
    let mut rates: [Vec<f64>; 3] = Default::default();
    for turn in 0..=turns {
        let measured = [
            rate(span, &mut || ours.append(entries)),
            rate(span, &mut || bare.append(entries)),
            rate(span, &mut || append(&mut file, &bytes)),
        ];
        if turn > 0 {
            rates.iter_mut().zip(measured).for_each(|(all, one)| all.push(one * entries as f64));
        }
    }
    eprintln!("  log, {entries} entries over {groups} groups done");
    let [ours, bare, file] = rates;
    let row = |what: &str, peer| Row {
        name: format!("log/groups={groups}/entries={entries}/{what}"),
        unit: "1/s",
        better: Better::Higher,
        ours: ours.clone(),
        peer,
    };
    vec![row("rocksdb", bare), row("file", file)]
}

fn append(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).expect("the disk takes bytes");
    file.sync_data().expect("the disk syncs");
}

/// How often a second.
fn rate(span: Duration, work: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    let mut count = 0.0;
    while start.elapsed() < span {
        work();
        count += 1.0;
    }
    count / start.elapsed().as_secs_f64()
}
