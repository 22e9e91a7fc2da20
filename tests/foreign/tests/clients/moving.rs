//! The Rust client while its map of the cluster goes stale: regions split, leaders move, a node
//! crashes. What it was told must be so, whatever it had to ask again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use foreign::{Api, Cluster};
use tikv_client::RawClient;

use crate::rust::{client, scan_all};

/// Regions that split soon.
const SMALL: [&str; 3] =
    ["region.split-size=64KiB", "region.target-size=32KiB", "region.check-interval=200ms"];
/// What must have happened under the clients.
const REGIONS: usize = 16;
const MOVES: u64 = 24;
/// So many keys are written at most; the cluster stands still if that is not enough.
const KEYS_MAX: u64 = 40_000;
const WRITERS: u64 = 4;
const LISTERS: u64 = 3;

/// What happened that is of interest beside what is asserted.
#[derive(Default)]
struct Tally {
    written: AtomicU64,
    read: AtomicU64,
    appended: AtomicU64,
    errors: AtomicU64,
    is_enough: AtomicBool,
}

impl Tally {
    fn failed(&self, what: &str, error: &tikv_client::Error) {
        if self.errors.fetch_add(1, Relaxed) < 10 {
            foreign::say(&format!("the client gave up: {what}: {error}"));
        }
    }
}

/// All over the range: neighbours are not written after one another.
fn key(number: u64) -> Vec<u8> {
    format!("row/{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).into_bytes()
}

/// Each key has one value, so that a write which comes late changes nothing.
fn value(number: u64) -> Vec<u8> {
    format!("{number}/").repeat(1 + 900 / 6).into_bytes()
}

/// Writes keys of its own, and reads now and then one that it has written. Returns those that were
/// acknowledged, and those of which nobody knows.
async fn write(client: RawClient, tally: Arc<Tally>, writer: u64) -> BTreeMap<u64, bool> {
    let mut is_known = BTreeMap::new();
    for number in (0..KEYS_MAX / WRITERS).map(|round| round * WRITERS + writer) {
        if tally.is_enough.load(Relaxed) {
            break;
        }
        let done = client.put(key(number), value(number)).await;
        if let Err(error) = &done {
            tally.failed("put", error);
        }
        is_known.insert(number, done.is_ok());
        tally.written.fetch_add(1, Relaxed);
        let others = is_known.len() as u64 - 1;
        let back = number - WRITERS * (others % 50);
        match client.get(key(back)).await {
            Ok(found) if is_known[&back] => {
                assert_eq!(found, Some(value(back)), "key {back}, while writing {number}");
                tally.read.fetch_add(1, Relaxed);
            }
            Ok(_) => {}
            Err(error) => tally.failed("get", &error),
        }
    }
    is_known
}

/// Appends entries to a list that others append to as well. Returns those that were acknowledged.
async fn append(client: RawClient, tally: Arc<Tally>, lister: u64) -> Vec<String> {
    let client = client.with_atomic_for_cas();
    let mut acknowledged = Vec::new();
    let mut tried = 0;
    let mut seen: Option<Vec<u8>> = None;
    while !tally.is_enough.load(Relaxed) {
        let entry = format!("{lister}.{tried} ");
        tried += 1;
        let mut list = seen.clone().unwrap_or_default();
        list.extend(entry.as_bytes());
        match client.compare_and_swap("list".to_owned(), seen.clone(), list.clone()).await {
            Ok((_, true)) => {
                acknowledged.push(entry);
                tally.appended.fetch_add(1, Relaxed);
                seen = Some(list);
            }
            Ok((now, false)) => seen = now,
            Err(error) => tally.failed("compare and swap", &error),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    acknowledged
}

/// Ends the writers, also if something went wrong.
struct End<'a>(&'a Tally);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_enough.store(true, Relaxed);
    }
}

/// Moves leaders from store to store until enough has happened; returns how many moves were taken
/// up, and how many regions there are.
fn meddle(cluster: &Cluster, tally: &Tally) -> (u64, usize) {
    let _end = End(tally);
    let stores = cluster.stores();
    let mut moves = 0;
    for round in 0.. {
        let regions = cluster.regions();
        if regions.len() >= REGIONS && moves >= MOVES || tally.written.load(Relaxed) >= KEYS_MAX {
            return (moves, regions.len());
        }
        // A new leader of placement knows none at first.
        let Some(region) = regions.get((round * 7 + 1) % regions.len().max(1)) else { continue };
        let Some(leader) = region.leader else { continue };
        let to = stores.iter().copied().find(|&store| store > leader).unwrap_or(stores[0]);
        moves += u64::from(cluster.transfer_leader(region.id, to));
    }
    unreachable!("rounds have no end")
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_swaps_hold_while_regions_split_and_leaders_move() {
    let cluster = Arc::new(Cluster::start(Api::V2, &SMALL));
    let tally = Arc::new(Tally::default());
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        writers.push(tokio::spawn(write(client(&cluster).await, Arc::clone(&tally), writer)));
    }
    let mut listers = Vec::new();
    for lister in 0..LISTERS {
        listers.push(tokio::spawn(append(client(&cluster).await, Arc::clone(&tally), lister)));
    }
    let (meddled, counted) = (Arc::clone(&cluster), Arc::clone(&tally));
    let meddler = tokio::task::spawn_blocking(move || meddle(&meddled, &counted));
    let mut is_known = BTreeMap::new();
    for writer in writers {
        is_known.extend(writer.await.unwrap());
    }
    let mut acknowledged = Vec::new();
    for lister in listers {
        acknowledged.extend(lister.await.unwrap());
    }
    let (moves, regions) = meddler.await.unwrap();
    foreign::say(&format!(
        "{} puts, {} reads, {} appends; {regions} regions, {moves} moves of leaders; the client \
         gave up {} times",
        tally.written.load(Relaxed),
        tally.read.load(Relaxed),
        tally.appended.load(Relaxed),
        tally.errors.load(Relaxed),
    ));
    assert!(regions >= REGIONS && moves >= MOVES, "{regions} regions, {moves} moves");

    let later = client(&cluster).await;
    check_rows(&later, &is_known).await;
    let list = later.get("list".to_owned()).await.unwrap().unwrap_or_default();
    check_list(&String::from_utf8(list).unwrap(), &acknowledged);
}

/// Every acknowledged row is there once; of the others, whole ones or none.
async fn check_rows(client: &RawClient, is_known: &BTreeMap<u64, bool>) {
    let rows = scan_all(client, b"row/", b"row0", 500).await.unwrap();
    let rows: BTreeMap<Vec<u8>, Vec<u8>> = {
        let count = rows.len();
        let rows: BTreeMap<_, _> = rows.into_iter().collect();
        assert_eq!(rows.len(), count, "keys came twice");
        rows
    };
    for (&number, &is_known) in is_known {
        match rows.get(&key(number)) {
            Some(found) => assert_eq!(found, &value(number), "key {number}"),
            None => assert!(!is_known, "key {number} was acknowledged and is not there"),
        }
    }
    assert!(rows.len() <= is_known.len(), "there are keys that nobody wrote");
}

/// What was acknowledged is in the list once, and nothing is twice.
fn check_list(list: &str, acknowledged: &[String]) {
    let mut count: BTreeMap<&str, u32> = BTreeMap::new();
    for entry in list.split_inclusive(' ') {
        *count.entry(entry).or_default() += 1;
    }
    for entry in acknowledged {
        assert_eq!(count.get(entry.as_str()), Some(&1), "{entry} in {list}");
    }
    assert!(count.values().all(|&count| count == 1), "{list}");
    assert!(!acknowledged.is_empty());
}

/// Rows that are written between two crashes.
const ROWS: u64 = 150;

/// This client gives up at once when it cannot connect to a store that it needs the address of: its
/// caller comes again here, as an application would.
async fn put_at_last(client: &RawClient, number: u64, tally: &Tally) {
    while let Err(error) = client.put(key(number), value(number)).await {
        tally.failed("put", &error);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tally.written.fetch_add(1, Relaxed);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_outlive_each_node() {
    let mut cluster = Cluster::start(Api::V2, &[]);
    cluster.split_at(&["row/4", "row/8", "row/c"]);
    let client = client(&cluster).await;
    let tally = Tally::default();
    let mut number = 0;
    for store in cluster.stores() {
        for is_whole in [true, false] {
            if !is_whole {
                cluster.kill(store);
            }
            for _ in 0..ROWS {
                put_at_last(&client, number, &tally).await;
                number += 1;
            }
        }
        cluster.revive(store);
    }
    let (written, errors) = (tally.written.load(Relaxed), tally.errors.load(Relaxed));
    foreign::say(&format!("{written} puts over three crashes; the client gave up {errors} times"));
    let later = crate::rust::client(&cluster).await;
    let rows = scan_all(&later, b"row/", b"row0", 100).await.unwrap();
    let mut expected: Vec<_> = (0..number).map(|number| (key(number), value(number))).collect();
    expected.sort();
    assert_eq!(rows.len(), expected.len());
    assert!(rows == expected, "rows differ");
}
