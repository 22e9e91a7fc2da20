//! A run: load and faults side by side, then calm, a last look at everything, and the verdict.
//!
//! ```text
//!  connect ─► divide ─► writers, readers │ script ─► heal ─► wait ─► scan ─► check ─► report
//! ```
//!
//! Keys of a run begin with a text that no run had before: it starts from nothing.
//!
//! Invariant: all records are of one clock, and every operation that was begun has one.
//!
//! Beside the readers that were asked for there are patient ones, each of which reads seldom, and
//! all at different times. Their client looks for no other leader while it waits: so while a store
//! stands still, reads gather there that were asked after others had acknowledged writes, and are
//! the first thing that it finds when it goes on. A lease that is believed for too long shows
//! there. Reads from before the pause would not show it: they may be answered as of then.

mod hands;

use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Client, Error, Options, ScanOptions};
use types::KeyRange;

use self::hands::{Hand, Shared};
use crate::faults::{Harm, Mark, Nemesis, Nodes, Stage, is_well};
use crate::history::{Asked, Key, Record, Told, Value};
use crate::regions::Regions;
use crate::report::{End, Report, Setup};
use crate::script::{self, Fault};
use crate::workload::{Fresh as _, Reader, Writer};

/// Before all keys of all runs.
const PREFIX: &str = "verify/";
/// Tasks that share a client, with its connections and what it knows of regions.
const TASKS_PER_CLIENT: usize = 4;
/// Patient readers, how long after each other they begin, and then the time of a round.
const PATIENT_READERS: u32 = 128;
const PATIENT_STEP: Duration = Duration::from_millis(50);
const PATIENT_ROUND: Duration = Duration::from_millis(6_400);
/// How long an attempt of the others may take, and an operation.
const ATTEMPT: Duration = Duration::from_secs(1);
const BUDGET: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a cluster without faults may take to answer, before it is taken to be stuck.
const CALM_MAX: Duration = Duration::from_secs(90);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Nodes of the cluster.
    pub endpoints: Vec<String>,
    /// How to connect: form of keys and certificates; times are set here.
    pub options: Options,
    /// Of everything that is drawn.
    pub seed: u64,
    /// How long the load goes on.
    pub duration: Duration,
    /// Clients that write, at a time.
    pub writers: u32,
    /// Clients that read.
    pub readers: u32,
    /// Keys in use at a time, beside the log.
    pub keys: u32,
    /// Bytes of a value, about.
    pub value_bytes: usize,
    /// Regions to begin with.
    pub regions: usize,
    /// What is done to the cluster.
    pub faults: Vec<Fault>,
}

/// What came out of it.
#[derive(Debug)]
pub struct Outcome {
    /// Everything that clients asked and were told.
    pub records: Vec<Record>,
    /// What it says about the cluster.
    pub report: Report,
}

/// Runs it. `said` hears of each fault.
///
/// # Errors
/// If the cluster cannot be reached in the beginning. Later failures are part of the outcome.
pub async fn run(
    settings: &Settings,
    nodes: Option<Arc<dyn Nodes>>,
    said: &(dyn Fn(&Mark) + Sync),
) -> Result<Outcome, Error> {
    let length = millis(settings.duration);
    let script = script::of(settings.seed, &settings.faults, length);
    run_under(settings, async |stage| Nemesis::new(&stage, nodes).run(&script, said).await).await
}

/// Runs the load while the caller does harm, of the kinds that the settings say.
///
/// # Errors
/// If the cluster cannot be reached in the beginning. Later failures are part of the outcome.
pub async fn run_under(
    settings: &Settings,
    harm: impl AsyncFnOnce(Stage) -> Harm,
) -> Result<Outcome, Error> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let name = since.map_or(0, |since| since.as_millis());
    let prefix = format!("{PREFIX}{name:x}/");
    let client = connect(settings, ATTEMPT, BUDGET).await?;
    let regions = Regions::new(client.clone(), &prefix);
    let divided = regions.divide(settings.regions).await?;
    let begun = Instant::now();
    let shared = Arc::new(Shared::new(begun, prefix.clone(), settings.value_bytes));
    let tasks = start(settings, &shared).await?;
    let Harm { marks, mut broken, wrong } = harm(Stage::new(regions, begun)).await;
    tokio::time::sleep(settings.duration.saturating_sub(begun.elapsed())).await;
    let load_end = shared.now();
    shared.end();
    let mut records = Vec::new();
    for task in tasks {
        match task.await {
            Ok(hand) => records.extend(hand.records),
            Err(error) => broken.push(error.to_string()),
        }
    }
    let end = last_look(settings, &shared, &prefix, &mut records).await;
    let setup = Setup {
        seed: settings.seed,
        duration_ms: millis(settings.duration),
        writers: settings.writers,
        readers: settings.readers,
        regions: divided,
        wanted: settings.faults.clone(),
        load_end,
        broken,
        wrong,
    };
    let errors = shared.errors();
    let judged = tokio::task::spawn_blocking(move || {
        let report = Report::of(setup, &records, end.as_ref(), marks, errors);
        Outcome { records, report }
    });
    judged.await.map_err(|error| Error::Invalid(format!("the check ended: {error}")))
}

async fn connect(
    settings: &Settings,
    attempt: Duration,
    budget: Duration,
) -> Result<Client, Error> {
    let options = Options {
        attempt_timeout: attempt,
        connect_timeout: ATTEMPT,
        budget,
        // What may have been done is an outcome of its own here.
        resend_writes: false,
        ..settings.options.clone()
    };
    Client::connect(&settings.endpoints, options).await
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

type Task = tokio::task::JoinHandle<Hand>;

async fn start(settings: &Settings, shared: &Arc<Shared>) -> Result<Vec<Task>, Error> {
    let mut tasks = Vec::new();
    let count = settings.keys.max(2) / 2;
    let owned = (count / settings.writers.max(1)).max(1);
    let mut client = connect(settings, ATTEMPT, BUDGET).await?;
    for nth in 0..settings.writers {
        if (nth as usize + 1).is_multiple_of(TASKS_PER_CLIENT) {
            client = connect(settings, ATTEMPT, BUDGET).await?;
        }
        let seed = settings.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(nth));
        let writer = Writer::new(seed, count, owned, &**shared);
        let hand = Hand::new(client.clone(), Arc::clone(shared));
        tasks.push(tokio::spawn(hand.write_all(writer)));
    }
    let patient = connect(settings, PATIENCE, PATIENCE * 2).await?;
    for nth in 0..settings.readers + PATIENT_READERS {
        let seed = settings.seed.wrapping_mul(1_000_033).wrapping_add(u64::from(nth));
        let reader = Reader::new(seed, count);
        if let Some(step) = nth.checked_sub(settings.readers) {
            let hand = Hand::new(patient.clone(), Arc::clone(shared));
            let rounds = hand.read_seldom(reader, PATIENT_STEP * step, PATIENT_ROUND);
            tasks.push(tokio::spawn(rounds));
            continue;
        }
        if (nth as usize + 1).is_multiple_of(TASKS_PER_CLIENT) {
            client = connect(settings, ATTEMPT, BUDGET).await?;
        }
        let hand = Hand::new(client.clone(), Arc::clone(shared));
        tasks.push(tokio::spawn(hand.read_all(reader)));
    }
    Ok(tasks)
}

/// Reads everything when all is calm, also as records: of each key what is there, or that nothing
/// is. None if the cluster does not answer.
async fn last_look(
    settings: &Settings,
    shared: &Shared,
    prefix: &str,
    records: &mut Vec<Record>,
) -> Option<End> {
    let begun = Instant::now();
    let range = KeyRange::new(prefix.as_bytes(), format!("{prefix}g").as_bytes());
    let mut last = None;
    while begun.elapsed() < CALM_MAX {
        let looked = async {
            let client = connect(settings, PATIENCE / 3, PATIENCE).await?;
            let is_calm = is_well(&client).await;
            let call = shared.now();
            let pairs = client.scan(&range, ScanOptions::default()).collect().await?;
            Ok::<_, Error>((is_calm, call, pairs))
        };
        match looked.await {
            Ok((is_calm, call, pairs)) => {
                last = Some((is_calm, call, shared.now(), pairs));
                if is_calm {
                    break;
                }
            }
            Err(error) => shared.failed("scan", &error),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (is_calm, call, ret, pairs) = last?;
    let mut end = End { is_calm, found: Vec::new(), foreign: Vec::new() };
    for (key, value) in pairs {
        let name = String::from_utf8_lossy(&key).into_owned();
        match name.strip_prefix(prefix).map(str::parse::<Key>) {
            Some(Ok(key)) => end.found.push((key, Value::read(&value, shared.value_bytes))),
            _ => end.foreign.push(name),
        }
    }
    note_end(shared.client(), (call, ret), &end.found, records);
    Some(end)
}

/// The last look as reads.
fn note_end(
    client: u32,
    (call, ret): (u64, u64),
    found: &[(Key, Value)],
    records: &mut Vec<Record>,
) {
    let mut keys: Vec<Key> = records.iter().map(|record| record.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut found: Vec<(Key, Value)> = found.to_vec();
    found.sort_unstable();
    for (seq, key) in (0..).zip(keys) {
        let at = found.partition_point(|(other, _)| *other < key);
        let value = found.get(at).filter(|(other, _)| *other == key).map(|(_, value)| *value);
        let (asked, told) = (Asked::Read, Told::Found(value));
        records.push(Record { client, seq, key, call, ret: Some(ret), asked, told });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_look_is_a_read_of_every_key_also_of_those_that_are_not_there() {
        let value = Value { version: 1, client: 1, seq: 1 };
        let put = |key, told| Record {
            client: 1,
            seq: 1,
            key,
            call: 0,
            ret: Some(5),
            asked: Asked::Put(value),
            told,
        };
        let mut records = vec![
            put(Key::Owned(2), Told::No),
            put(Key::Owned(1), Told::Done),
            put(Key::Owned(2), Told::No),
        ];
        note_end(9, (10, 20), &[(Key::Owned(1), value)], &mut records);
        let read = |seq, key, found| Record {
            client: 9,
            seq,
            key,
            call: 10,
            ret: Some(20),
            asked: Asked::Read,
            told: Told::Found(found),
        };
        let expected = [read(0, Key::Owned(1), Some(value)), read(1, Key::Owned(2), None)];
        assert_eq!(records[3..], expected);
    }
}
