//! What writers and readers do with their hands: ask, and write down what they were told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use client::{Client, Error, Fate};
use parking_lot::Mutex;

use crate::history::{Asked, Key, Record, Told, Value};
use crate::workload::{Fresh, Next, Reader, Writer};

/// Keys that were written last: readers look for them often, since there an old answer shows.
const RECENT_MAX: usize = 32;
/// Kinds of errors that are told apart.
const ERRORS_MAX: usize = 50;
/// After what was told not to be done.
const PAUSE: Duration = Duration::from_millis(20);

/// What all clients of a run share.
pub(super) struct Shared {
    begun: Instant,
    prefix: String,
    pub(super) value_bytes: usize,
    is_over: AtomicBool,
    clients: AtomicU32,
    owned: AtomicU32,
    recent: Mutex<VecDeque<Key>>,
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Shared {
    pub(super) fn new(begun: Instant, prefix: String, value_bytes: usize) -> Shared {
        Shared {
            begun,
            prefix,
            value_bytes,
            is_over: AtomicBool::new(false),
            clients: AtomicU32::new(0),
            owned: AtomicU32::new(0),
            recent: Mutex::default(),
            errors: Mutex::default(),
        }
    }

    /// The time of all records.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// No operation is begun any more.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn written(&self, key: Key) {
        let mut recent = self.recent.lock();
        if recent.len() == RECENT_MAX {
            recent.pop_front();
        }
        recent.push_back(key);
    }

    pub(super) fn failed(&self, what: &str, error: &Error) {
        let text = format!("{what}: {error}");
        // Without what differs each time.
        let text: String = text.chars().filter(|c| !c.is_ascii_digit()).take(120).collect();
        let mut errors = self.errors.lock();
        if errors.len() < ERRORS_MAX || errors.contains_key(&text) {
            *errors.entry(text).or_default() += 1;
        }
    }

    /// What did not go well, and how often.
    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().clone()
    }
}

impl Fresh for Shared {
    fn client(&self) -> u32 {
        self.clients.fetch_add(1, Ordering::Relaxed)
    }

    fn owned(&self) -> Key {
        Key::Owned(self.owned.fetch_add(1, Ordering::Relaxed))
    }

    fn owned_count(&self) -> u32 {
        self.owned.load(Ordering::Relaxed)
    }

    fn recent(&self, nth: usize) -> Option<Key> {
        let recent = self.recent.lock();
        let nth = nth.checked_rem(recent.len())?;
        recent.get(nth).copied()
    }
}

/// A client at work.
pub(super) struct Hand {
    client: Client,
    shared: Arc<Shared>,
    /// What it was told.
    pub(super) records: Vec<Record>,
}

impl Hand {
    pub(super) fn new(client: Client, shared: Arc<Shared>) -> Hand {
        Hand { client, shared, records: Vec::new() }
    }

    /// Writes until the run is over.
    pub(super) async fn write_all(mut self, mut writer: Writer) -> Hand {
        while !self.shared.is_over() {
            let (key, asked) = match writer.next() {
                Next::Put(key, value) => (key, Asked::Put(value)),
                Next::Swap(key) => {
                    let (client, seq) = (writer.client(), writer.seq());
                    match self.ask(client, seq, key, Asked::Read).await {
                        Told::Found(found) => (key, writer.swap(found)),
                        _ => continue,
                    }
                }
            };
            let (client, seq) = (writer.client(), writer.seq());
            let told = self.ask(client, seq, key, asked).await;
            writer.told(key, told, &*self.shared);
            if matches!(told, Told::Done | Told::Swapped(_)) {
                self.shared.written(key);
            }
        }
        self
    }

    /// Reads until the run is over.
    pub(super) async fn read_all(mut self, mut reader: Reader) -> Hand {
        let client = self.shared.client();
        let mut seq = 0;
        while !self.shared.is_over() {
            seq += 1;
            let key = reader.next(&*self.shared);
            self.ask(client, seq, key, Asked::Read).await;
        }
        self
    }

    /// Reads first at this time of the run, and then once a round, until the run is over.
    pub(super) async fn read_seldom(
        mut self,
        mut reader: Reader,
        first: Duration,
        round: Duration,
    ) -> Hand {
        let client = self.shared.client();
        let (mut due, mut seq) = (first, 0);
        loop {
            while self.shared.begun.elapsed() < due && !self.shared.is_over() {
                tokio::time::sleep(PAUSE).await;
            }
            if self.shared.is_over() {
                return self;
            }
            seq += 1;
            let key = reader.next(&*self.shared);
            self.ask(client, seq, key, Asked::Read).await;
            due += round;
        }
    }

    /// Asks, and writes down what it was told.
    async fn ask(&mut self, client: u32, seq: u32, key: Key, asked: Asked) -> Told {
        let name = format!("{}{key}", self.shared.prefix);
        let bytes = self.shared.value_bytes;
        let call = self.shared.now();
        let answer = match asked {
            Asked::Read => {
                self.client.get(&name).await.map(|found| Told::Found(read(found, bytes)))
            }
            Asked::Put(value) => {
                self.client.put(&name, value.stored(bytes)).await.map(|()| Told::Done)
            }
            Asked::Swap { expected, new } => {
                let expected = expected.map(|expected| expected.stored(bytes).into());
                let swap = self.client.compare_and_swap(&name, expected, new.stored(bytes)).await;
                swap.map(|swap| match swap.is_swapped {
                    true => Told::Swapped(read(swap.previous, bytes)),
                    false => Told::Unequal(read(swap.previous, bytes)),
                })
            }
        };
        let ret = self.shared.now();
        let told = match &answer {
            Ok(told) => *told,
            Err(error) => {
                let what = match asked {
                    Asked::Read => "read",
                    Asked::Put(_) => "put",
                    Asked::Swap { .. } => "swap",
                };
                self.shared.failed(what, error);
                match error.fate() {
                    Fate::Unknown => Told::Maybe,
                    Fate::Retry | Fate::Refused => Told::No,
                }
            }
        };
        let ret = (told != Told::Maybe).then_some(ret);
        self.records.push(Record { client, seq, key, call, ret, asked, told });
        if answer.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        told
    }
}

fn read(found: Option<bytes::Bytes>, bytes: usize) -> Option<Value> {
    found.map(|found| Value::read(&found, bytes))
}
