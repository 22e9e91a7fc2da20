//! A load whose history is judged: each key has one writer, who puts rising versions.
//!
//! What must hold, with unknown outcomes taken for what they are:
//!
//! - A read gives no version below the newest that was acknowledged, or seen by another read,
//!   before it began; and none above the newest that was tried before it ended.
//! - In the end a key has the version that was acknowledged last. If the outcome of a later put was
//!   not known, it may have that one.
//!
//! Beside it swappers raise [`Counters`].
//!
//! A put of unknown outcome may still be done at any time, even behind later ones. So a key ends
//! with it: its writer goes on with a fresh one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{Client, Fate};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use types::KeyRange;

use super::cluster::{Cluster, until};
use super::counters::Counters;
use super::node::pause;

/// Writers of a load, each with its own keys.
const WRITERS: u64 = 8;
/// Keys that a writer has at a time.
const KEYS: u64 = 16;
const READERS: u64 = 3;
/// Bytes of a value, about: so large that logs are compacted.
const VALUE: usize = 1_000;
const SWAPPERS: u64 = 3;
/// Begins all keys of ledgers.
const PREFIX: &str = "ledger/";
/// Keys of others between them have this in them.
const FILLER: char = '!';

/// What is known of one key.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The newest acknowledged version; zero for none.
    acknowledged: u64,
    /// The newest that was seen.
    seen: u64,
    /// The newest that was tried.
    tried: u64,
    /// The last one tried may or may not be done.
    is_open: bool,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys that were written to.
    pub keys: u64,
    /// Puts that were acknowledged.
    pub acknowledged: u64,
    /// Puts whose outcome is not known.
    pub unknown: u64,
    /// Puts that were told not to be done, and were repeated.
    pub repeated: u64,
    /// Reads that were judged.
    pub reads: u64,
    /// Reads that failed.
    pub failed_reads: u64,
    /// Numbers that swappers were told to have counted.
    pub swapped: u64,
    /// Swaps whose outcome is not known.
    pub unknown_swaps: u64,
    /// The longest time between two acknowledgements, in milliseconds.
    pub longest_gap_ms: u64,
}

/// The history of a load, as far as it is needed to judge.
#[derive(Default)]
pub struct Ledger {
    known: Mutex<BTreeMap<String, Known>>,
    acknowledged: AtomicU64,
    unknown: AtomicU64,
    repeated: AtomicU64,
    reads: AtomicU64,
    failed_reads: AtomicU64,
    last: Mutex<Option<Instant>>,
    longest_gap: Mutex<Duration>,
    /// What a client was told when something did not go well, in short.
    errors: Mutex<BTreeMap<String, u64>>,
    counters: Counters,
    is_over: AtomicBool,
}

/// A load that runs.
pub struct Load {
    /// What it writes down.
    pub ledger: Arc<Ledger>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts it.
    pub async fn start(cluster: &Cluster) -> Load {
        Load::with(cluster.client().await, Arc::new(Ledger::default()))
    }

    /// Starts it with a client of the caller's.
    pub fn with(client: Client, ledger: Arc<Ledger>) -> Load {
        ledger.is_over.store(false, Ordering::Relaxed);
        *ledger.last.lock() = None;
        let generation = ledger.known.lock().len();
        let mut tasks = Vec::new();
        for writer in 0..WRITERS {
            let (client, ledger) = (client.clone(), Arc::clone(&ledger));
            tasks
                .push(tokio::spawn(async move { ledger.write(&client, writer, generation).await }));
        }
        for reader in 0..READERS {
            let (client, ledger) = (client.clone(), Arc::clone(&ledger));
            tasks.push(tokio::spawn(async move { ledger.read(&client, reader).await }));
        }
        for swapper in 0..SWAPPERS {
            let (client, ledger) = (client.clone(), Arc::clone(&ledger));
            tasks.push(tokio::spawn(async move { ledger.swap(&client, swapper).await }));
        }
        Load { ledger, tasks }
    }

    /// Waits until so many more puts were acknowledged.
    pub async fn more(&self, puts: u64) {
        let goal = self.ledger.acknowledged.load(Ordering::Relaxed) + puts;
        let what = format!("{puts} more puts ({:?})", self.ledger.counts());
        until(&what, async || {
            let failed = self.tasks.iter().any(JoinHandle::is_finished);
            assert!(!failed, "a task of the load has failed: see above");
            (self.ledger.acknowledged.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    /// Ends it, and waits until nothing is under way.
    ///
    /// # Panics
    /// If a read was wrong.
    pub async fn stop(self) -> Arc<Ledger> {
        self.ledger.is_over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("what was read is right");
        }
        self.ledger
    }

    /// Ends it, and judges everything; prints what was counted.
    pub async fn finish(self, cluster: &Cluster) -> Counts {
        let ledger = self.stop().await;
        ledger.judge(cluster).await
    }
}

impl Ledger {
    async fn write(&self, client: &Client, writer: u64, mut generation: usize) {
        let mut keys: Vec<(String, u64)> =
            (0..KEYS).map(|slot| (key(writer, slot, generation), 0)).collect();
        loop {
            for slot in 0..KEYS {
                if self.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let entry = &mut keys[usize::try_from(slot).expect("few")];
                entry.1 += 1;
                if !self.put(client, &entry.0, entry.1).await {
                    generation += 1;
                    *entry = (key(writer, slot, generation), 0);
                }
            }
        }
    }

    /// Puts a version until its fate is known; false if it is unknown for good.
    async fn put(&self, client: &Client, key: &str, version: u64) -> bool {
        self.change(key, |known| known.tried = version);
        loop {
            let Err(error) = client.put(key, value(version)).await else {
                self.change(key, |known| known.acknowledged = version);
                self.acknowledge();
                return true;
            };
            *self.errors.lock().entry(kind(&error)).or_default() += 1;
            match error.fate() {
                Fate::Retry if !self.is_over.load(Ordering::Relaxed) => {
                    self.repeated.fetch_add(1, Ordering::Relaxed);
                    pause(Duration::from_millis(20)).await;
                }
                Fate::Retry => {
                    self.change(key, |known| known.tried = version - 1);
                    return true;
                }
                Fate::Unknown => {
                    self.unknown.fetch_add(1, Ordering::Relaxed);
                    self.change(key, |known| known.is_open = true);
                    return false;
                }
                Fate::Refused => panic!("{key}: {error}"),
            }
        }
    }

    fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        if let Some(last) = self.last.lock().replace(now) {
            let mut longest = self.longest_gap.lock();
            *longest = longest.max(now.saturating_duration_since(last));
        }
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Known)) {
        change(self.known.lock().entry(key.to_owned()).or_default());
    }

    fn known(&self, key: &str) -> Known {
        self.known.lock().get(key).copied().unwrap_or_default()
    }

    async fn read(&self, client: &Client, reader: u64) {
        let mut at = reader.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        while !self.is_over.load(Ordering::Relaxed) {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = {
                let known = self.known.lock();
                let nth = (at >> 33) as usize % known.len().max(1);
                known.keys().nth(nth).cloned()
            };
            let Some(key) = key else {
                pause(Duration::from_millis(5)).await;
                continue;
            };
            if !self.read_one(client, &key).await {
                pause(Duration::from_millis(20)).await;
            }
        }
    }

    async fn swap(&self, client: &Client, swapper: u64) {
        let mut turn = swapper;
        while !self.is_over.load(Ordering::Relaxed) {
            turn += 1;
            if let Err(error) = self.counters.raise(client, turn).await {
                assert_eq!(error.fate(), Fate::Retry, "{error}");
                *self.errors.lock().entry(format!("swap: {}", kind(&error))).or_default() += 1;
                pause(Duration::from_millis(20)).await;
            }
            // They are a side of the load; the puts are the load.
            pause(Duration::from_millis(5)).await;
        }
    }

    /// Reads a key and judges what was read; false if it could not be read.
    async fn read_one(&self, client: &Client, key: &str) -> bool {
        let before = self.known(key);
        match client.get(key).await {
            Ok(found) => {
                self.reads.fetch_add(1, Ordering::Relaxed);
                let judged = self.judge_read(key, before, version(found.as_ref()));
                assert_eq!(judged, Ok(()));
                true
            }
            Err(error) => {
                assert_eq!(error.fate(), Fate::Retry, "{key}: {error}");
                *self.errors.lock().entry(format!("get: {}", kind(&error))).or_default() += 1;
                self.failed_reads.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Begins to read every key that was written, all at the same time, and judges each. Returns
    /// how many could be read.
    pub fn read_all(self: &Arc<Self>, client: &Client) -> JoinHandle<usize> {
        let keys: Vec<String> = self.known.lock().keys().cloned().collect();
        let reads = keys.into_iter().map(|key| {
            let (ledger, client) = (Arc::clone(self), client.clone());
            tokio::spawn(async move { ledger.read_one(&client, &key).await })
        });
        let reads: Vec<JoinHandle<bool>> = reads.collect();
        tokio::spawn(async move {
            let mut done = 0;
            for read in reads {
                done += usize::from(read.await.expect("what was read is right"));
            }
            done
        })
    }

    /// Judges a read that ended, with what was known before it began.
    fn judge_read(&self, key: &str, before: Known, found: u64) -> Result<(), String> {
        let least = before.acknowledged.max(before.seen);
        if found < least {
            return Err(format!("{key}: stale read of {found}, {before:?} before it began"));
        }
        let mut all = self.known.lock();
        let known = all.entry(key.to_owned()).or_default();
        if found > known.tried {
            return Err(format!("{key}: read {found}, which nobody wrote: {known:?}"));
        }
        known.seen = known.seen.max(found);
        Ok(())
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let gap = self.longest_gap.lock().as_millis();
        let (swapped, unknown_swaps) = self.counters.counts();
        Counts {
            keys: self.known.lock().len() as u64,
            acknowledged: of(&self.acknowledged),
            unknown: of(&self.unknown),
            repeated: of(&self.repeated),
            reads: of(&self.reads),
            failed_reads: of(&self.failed_reads),
            swapped,
            unknown_swaps,
            longest_gap_ms: u64::try_from(gap).unwrap_or(u64::MAX),
        }
    }

    /// Reads everything that is there, and compares; prints what was counted.
    ///
    /// # Panics
    /// If anything acknowledged is lost, or anything is there that nobody wrote.
    pub async fn judge(&self, cluster: &Cluster) -> Counts {
        let client = cluster.client().await;
        let range = KeyRange::new(PREFIX, "ledger0");
        let found = until("a scan of everything", async || {
            client.scan(&range, client::ScanOptions::default()).collect().await.ok()
        })
        .await;
        let found = found
            .into_iter()
            .map(|(key, value)| (String::from_utf8_lossy(&key).into_owned(), value))
            .filter(|(key, _)| !key.contains(FILLER))
            .map(|(key, value)| (key, version(Some(&value))))
            .collect();
        let mut wrong = self.wrong(found);
        for key in self.counters.keys() {
            let found = until("a counter", async || client.get(&key).await.ok()).await;
            wrong.extend(self.counters.wrong(&key, found.as_ref()));
        }
        let counts = self.counts();
        assert!(wrong.is_empty(), "{} keys are wrong: {wrong:#?}", wrong.len());
        println!("{}: {counts:?}; {:?}", cluster.options.test, self.errors.lock());
        counts
    }

    /// What is wrong with these keys and versions in the end.
    fn wrong(&self, mut found: BTreeMap<String, u64>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, known) in self.known.lock().iter() {
            let last = found.remove(key).unwrap_or_default();
            let least = known.acknowledged.max(known.seen);
            let most = if known.is_open { known.tried } else { known.acknowledged };
            if last < least || last > most {
                wrong.push(format!("{key} has {last}: {known:?}"));
            }
        }
        wrong.extend(found.keys().map(|key| format!("{key}: nobody wrote it")));
        wrong
    }

    /// How often a client was told that something was not done, or perhaps not.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().clone()
    }
}

/// Keys are spread over the whole range of the ledger.
fn key(writer: u64, slot: u64, generation: usize) -> String {
    let spread = (writer * KEYS + slot).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    format!("{PREFIX}{spread:02x}/{writer}/{slot}/{generation}")
}

fn value(version: u64) -> Bytes {
    format!("{version:08} {:VALUE$}", "").into()
}

/// The version that a value tells; zero if there is none.
fn version(value: Option<&Bytes>) -> u64 {
    let Some(value) = value else { return 0 };
    let text = std::str::from_utf8(value).expect("a value of ours");
    let version = text.split(' ').next().and_then(|version| version.parse().ok());
    let version: u64 = version.expect("a version");
    assert_eq!(*value, self::value(version), "not all of it is as it was written");
    version
}

fn kind(error: &client::Error) -> String {
    let text = format!("{error}");
    // Without what differs each time.
    let text: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(known: Known) -> Ledger {
        let ledger = Ledger::default();
        ledger.change("a", |of| *of = known);
        ledger
    }

    #[test]
    fn reads_that_go_back_or_come_from_nowhere_are_found() {
        let known = Known { acknowledged: 3, seen: 4, tried: 5, is_open: false };
        let read = |found| ledger(known).judge_read("a", known, found);
        read(2).expect_err("an acknowledged put is not seen");
        read(3).expect_err("another read has seen more");
        read(4).expect("what was seen");
        read(5).expect("what is under way");
        read(6).expect_err("nobody wrote it");
        let ledger = ledger(known);
        ledger.judge_read("a", known, 5).expect("what is under way");
        ledger.judge_read("a", ledger.known("a"), 4).expect_err("back from what was read");
    }

    #[test]
    fn keys_that_are_wrong_in_the_end_are_found() {
        let closed = Known { acknowledged: 3, seen: 3, tried: 4, is_open: false };
        let open = Known { is_open: true, ..closed };
        let wrong = |known, found: &[(&str, u64)]| {
            let found = found.iter().map(|&(key, version)| (key.to_owned(), version));
            ledger(known).wrong(found.collect()).len()
        };
        assert_eq!(wrong(closed, &[("a", 3)]), 0);
        assert_eq!(wrong(closed, &[]), 1, "it is lost as a whole");
        assert_eq!(wrong(closed, &[("a", 2)]), 1, "its last put is lost");
        assert_eq!(wrong(closed, &[("a", 4)]), 1, "a put was told not to be done, and is");
        assert_eq!(wrong(open, &[("a", 4)]), 0);
        assert_eq!(wrong(open, &[("a", 5)]), 1, "nobody wrote it");
        assert_eq!(wrong(closed, &[("a", 3), ("b", 1)]), 1, "nobody wrote that key");
        assert_eq!(wrong(Known { seen: 4, ..open }, &[("a", 3)]), 1, "what was read is lost");
    }
}
