//! A model of a cluster: what its stores could do if each had a machine to itself.
//!
//! ```text
//!  caller ─hop─► cores of the leader ─┬─► its log disk ───────────────────────┐
//!    ▲                                ├─hop─► cores ─► log disk ─hop─► leader ─┤ two of three
//!    │                                └─hop─► cores ─► log disk ─hop─► leader ─┘
//!    └────────────────────── hop ◄──────────────────────────────────────────────┘
//! ```
//!
//! Events in virtual time, from a seed: the same seed gives the same outcome to the last digit.
//! Each store has cores, which take what comes first and finish it, and a disk for its log, which
//! syncs for a stated time all that had gathered when the sync began. A put costs CPU at the leader
//! and at both followers, a get at the leader alone; where two of three have synced it, a put is
//! answered, and what the third does is done all the same. Callers have one operation at a time and
//! begin the next with the answer.
//!
//! Not here, so that the curve is what sharding alone allows: bandwidth, memory, compaction, reads
//! from disk, callers' own CPU, batches that get larger under load, stores that fail, regions that
//! split or move while they are loaded.
//!
//! Modules: `deal` says which stores have and lead a region, `store` is one machine.

mod deal;
mod store;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use load::{Dice, Zipf};

pub use deal::{Deal, Placed};
use store::Store;

/// Replicas of a region.
pub const REPLICAS: usize = 3;
/// With so many of them on disk a put is committed.
const MAJORITY: u8 = 2;
/// A step that visits every key once if the number of keys is no multiple of it: frequent keys lie
/// far apart, as hashes of names do.
const SCATTER: u64 = 2_654_435_761;

/// Nanoseconds of virtual time.
type Nanos = u64;
/// The number of an operation.
type Op = usize;

/// CPU that one operation takes of the processes of a cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A put, at the store that leads.
    pub put_leader: Duration,
    /// A put, at each that follows.
    pub put_follower: Duration,
    /// A get, at the store that leads.
    pub get: Duration,
}

/// What callers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new value for a key.
    Put,
    /// The value of a key, by the lease of the leader.
    Get,
}

/// Which keys they prefer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// None.
    Uniform,
    /// A few, by the zipfian distribution of `load`, scattered over all regions.
    Zipfian,
}

/// A cluster and its load.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Stores; at least [`REPLICAS`].
    pub stores: usize,
    /// Cores of each.
    pub cores: usize,
    /// How long its log disk takes to sync.
    pub sync: Duration,
    /// How long a message takes between any two processes.
    pub hop: Duration,
    /// Regions, of the same number of keys each.
    pub regions: usize,
    /// Keys; as many as regions at least.
    pub keys: u64,
    /// Who has and leads the regions.
    pub deal: Deal,
    /// Callers.
    pub callers: usize,
    /// What they ask for.
    pub operation: Operation,
    /// Of which keys.
    pub pick: Pick,
    /// What that costs.
    pub costs: Costs,
    /// How long nothing is counted.
    pub warm: Duration,
    /// How long it is counted then.
    pub span: Duration,
}

/// What came of it, in the span that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Operations that were answered.
    pub operations: u64,
    /// In a second.
    pub per_second: f64,
    /// 99 of a hundred took no longer, in microseconds; no number if nothing was answered.
    pub p99_us: f64,
    /// CPU that each store has used.
    pub busy: Vec<Duration>,
    /// Where the regions were.
    pub placed: Placed,
}

impl Outcome {
    /// Which part of each store's cores was busy.
    #[must_use]
    pub fn busy_shares(&self, settings: &Settings) -> Vec<f64> {
        let all = settings.span.as_secs_f64() * settings.cores as f64;
        self.busy.iter().map(|busy| busy.as_secs_f64() / all).collect()
    }
}

/// Lets a cluster work.
///
/// # Panics
/// If there are fewer stores than replicas, or no cores, regions or keys.
#[must_use]
pub fn run(settings: &Settings, seed: u64) -> Outcome {
    assert!(settings.cores > 0 && settings.regions > 0, "nothing can be done without");
    assert!(settings.keys >= settings.regions as u64, "every region has a key");
    let mut world = World::new(settings, seed);
    for caller in 0..settings.callers {
        world.begin(caller);
    }
    while let Some(Reverse((at, _, event))) = world.events.pop() {
        if at >= world.until {
            break;
        }
        world.now = at;
        world.step(event);
    }
    world.outcome()
}

/// What happens next, somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// An operation has come to the store that leads its region.
    Asked(Op),
    /// A store has done its part on its cores.
    Worked(Op, usize),
    /// A put has come to a follower.
    Appended(Op, usize),
    /// A store's disk has synced all that it was given before.
    Synced(usize),
    /// The leader knows of one more store that has a put on disk.
    Durable(Op),
    /// The caller has the answer.
    Answered(Op),
}

/// An operation under way.
struct Call {
    caller: usize,
    region: usize,
    begun: Nanos,
    /// Stores that have it on disk, as far as the leader knows.
    durable: u8,
}

struct World<'a> {
    settings: &'a Settings,
    now: Nanos,
    from: Nanos,
    until: Nanos,
    hop: Nanos,
    placed: Placed,
    stores: Vec<Store>,
    calls: Vec<Call>,
    /// By time; of the same time in the order in which they were made.
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    made: u64,
    dice: Dice,
    zipf: Zipf,
    took: Vec<Nanos>,
}

impl<'a> World<'a> {
    fn new(settings: &'a Settings, seed: u64) -> World<'a> {
        let from = nanos(settings.warm);
        let until = from + nanos(settings.span);
        let (cores, sync) = (settings.cores, nanos(settings.sync));
        let placed = settings.deal.placed(settings.stores, settings.regions, seed);
        World {
            settings,
            now: 0,
            from,
            until,
            hop: nanos(settings.hop),
            placed,
            stores: (0..settings.stores).map(|_| Store::new(cores, sync, (from, until))).collect(),
            calls: Vec::new(),
            events: BinaryHeap::new(),
            made: 0,
            dice: Dice::new(seed, 1),
            zipf: Zipf::new(settings.keys),
            took: Vec::new(),
        }
    }

    fn at(&mut self, at: Nanos, event: Event) {
        self.made += 1;
        self.events.push(Reverse((at, self.made, event)));
    }

    /// A caller begins its next operation.
    fn begin(&mut self, caller: usize) {
        let keys = self.settings.keys;
        let key = match self.settings.pick {
            Pick::Uniform => self.dice.below(keys),
            Pick::Zipfian => {
                let scattered = u128::from(self.zipf.rank(&mut self.dice)) * u128::from(SCATTER);
                narrow(scattered % u128::from(keys))
            }
        };
        let region = narrow(u128::from(key) * self.settings.regions as u128 / u128::from(keys));
        let region = usize::try_from(region).expect("below the number of regions");
        self.calls.push(Call { caller, region, begun: self.now, durable: 0 });
        self.at(self.now + self.hop, Event::Asked(self.calls.len() - 1));
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Asked(op) => {
                let costs = &self.settings.costs;
                let cost = match self.settings.operation {
                    Operation::Put => costs.put_leader,
                    Operation::Get => costs.get,
                };
                self.work(op, self.leader(op), cost);
            }
            Event::Appended(op, store) => self.work(op, store, self.settings.costs.put_follower),
            Event::Worked(op, _) if self.settings.operation == Operation::Get => {
                self.at(self.now + self.hop, Event::Answered(op));
            }
            Event::Worked(op, store) => {
                if store == self.leader(op) {
                    for follower in self.placed.followers(self.calls[op].region) {
                        self.at(self.now + self.hop, Event::Appended(op, follower));
                    }
                }
                if let Some(synced) = self.stores[store].log.write(self.now, op) {
                    self.at(synced, Event::Synced(store));
                }
            }
            Event::Synced(store) => {
                let (durable, next) = self.stores[store].log.synced(self.now);
                for op in durable {
                    let way = if store == self.leader(op) { 0 } else { self.hop };
                    self.at(self.now + way, Event::Durable(op));
                }
                if let Some(synced) = next {
                    self.at(synced, Event::Synced(store));
                }
            }
            Event::Durable(op) => {
                self.calls[op].durable += 1;
                if self.calls[op].durable == MAJORITY {
                    self.at(self.now + self.hop, Event::Answered(op));
                }
            }
            Event::Answered(op) => {
                let Call { caller, begun, .. } = self.calls[op];
                if self.now >= self.from {
                    self.took.push(self.now - begun);
                }
                self.begin(caller);
            }
        }
    }

    fn leader(&self, op: Op) -> usize {
        self.placed.leader(self.calls[op].region)
    }

    fn work(&mut self, op: Op, store: usize, cost: Duration) {
        let done = self.stores[store].work(self.now, nanos(cost));
        self.at(done, Event::Worked(op, store));
    }

    fn outcome(mut self) -> Outcome {
        self.took.sort_unstable();
        let operations = self.took.len() as u64;
        let p99 = self.took.get(self.took.len() * 99 / 100);
        Outcome {
            operations,
            per_second: operations as f64 / self.settings.span.as_secs_f64(),
            p99_us: p99.map_or(f64::NAN, |&took| took as f64 / 1e3),
            busy: self.stores.iter().map(|store| Duration::from_nanos(store.busy())).collect(),
            placed: self.placed,
        }
    }
}

fn nanos(duration: Duration) -> Nanos {
    narrow(duration.as_nanos())
}

fn narrow(value: u128) -> u64 {
    u64::try_from(value).expect("within the range of what is modelled")
}
