//! The log path alone: entries on their way to the disk, beside a bare engine and a bare file.
//!
//! ours     entries are encoded into a shard's batch, that is joined into the batch of the log
//!          writer, and an engine writes it with one sync.
//! bare     RocksDB writes the same entries, encoded before, with one sync.
//! file     the same bytes appended to a file with one `fdatasync`.
//!
//! Entries a second, and CPU of the thread for each entry: that says the same on a busy machine.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cpu_time::ThreadTime;
use multiraft::{Entry, Payload, wire};
use storage::{Batch, Cf, Durability, Engine, RocksEngine};
use types::{EntryId, Index, Term};

use super::Settings;
use super::bare::{Bare, entry_key};
use crate::report::Better;
use crate::table::Row;

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

/// Runs all sizes of batches over one and many groups.
pub fn run(settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    for groups in GROUPS {
        for entries in ENTRIES.into_iter().filter(|&entries| groups == 1 || entries > 1) {
            if settings.is_selected(&name(groups, entries)) {
                rows.extend(measure(settings, groups, entries));
            }
        }
    }
    rows
}

fn name(groups: u64, entries: usize) -> String {
    format!("log/groups={groups}/entries={entries}")
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
    let mut measured: [Measured; 3] = Default::default();
    for turn in 0..=turns {
        let now = [
            measure_one(span, &mut || ours.append(entries)),
            measure_one(span, &mut || bare.append(entries)),
            measure_one(span, &mut || append(&mut file, &bytes)),
        ];
        if turn > 0 {
            for (all, (rate, cpu_us)) in measured.iter_mut().zip(now) {
                all.rates.push(rate * entries as f64);
                all.cpus_us.push(cpu_us / entries as f64);
            }
        }
    }
    eprintln!("  log, {entries} entries over {groups} groups done");
    let [ours, bare, file] = measured;
    let name = name(groups, entries);
    let mut rows = ours.beside(&bare, &format!("{name}/rocksdb"));
    rows.extend(ours.beside(&file, &format!("{name}/file")));
    rows
}

/// Of one side, turn by turn.
#[derive(Default)]
struct Measured {
    rates: Vec<f64>,
    cpus_us: Vec<f64>,
}

impl Measured {
    fn beside(&self, peer: &Measured, name: &str) -> Vec<Row> {
        let row = |what, unit, better, ours: &Vec<f64>, peer: &Vec<f64>| Row {
            name: format!("{name}/{what}"),
            unit,
            better,
            ours: ours.clone(),
            peer: peer.clone(),
        };
        vec![
            row("entries", "1/s", Better::Higher, &self.rates, &peer.rates),
            row("cpu", "µs", Better::Lower, &self.cpus_us, &peer.cpus_us),
        ]
    }
}

fn append(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).expect("the disk takes bytes");
    file.sync_data().expect("the disk syncs");
}

/// How often a second, and the CPU of this thread each time.
fn measure_one(span: Duration, work: &mut dyn FnMut()) -> (f64, f64) {
    let (start, cpu) = (Instant::now(), ThreadTime::now());
    let mut count = 0.0;
    while start.elapsed() < span {
        work();
        count += 1.0;
    }
    let cpu_us = cpu.elapsed().as_secs_f64() * 1e6;
    (count / start.elapsed().as_secs_f64(), cpu_us / count)
}
