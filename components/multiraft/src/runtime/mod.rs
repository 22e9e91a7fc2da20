//! A store: threads around the shards.
//!
//! ```text
//!   Handle, Inbox ──Mail──► worker 1…N   steps its shard; sends at once
//!                             │  │ │
//!             ShardWrite ◄────┘  │ └──► ApplyTask ──► applier 1…M   state machines, callers
//!                 ▼              │                       │
//!             log writer         └──► carrier  ◄─────────┘  snapshots, old entries
//!         one batch, one sync
//!         for all workers            pulse     store liveness, with a sync of its own
//! ```
//!
//! Each thread owns what it works on; they share queues. A worker never waits for a disk, a state
//! machine or a network: its groups' heartbeats depend on nothing but itself.
//!
//! Queues between the threads have no length of their own. What bounds them is what goes in:
//! [`Config::proposed_bytes_max`] for callers, [`Config::inbox_bytes_max`] for messages that carry
//! entries and for what the disk has not taken, windows of the core for what is committed, a number
//! for beats. Other messages are small, and their senders wait for answers.
//!
//! When the engine fails (not when it is full), the store stops: [`OnFatal`] is told why, nobody is
//! acknowledged any more, and whoever waits hears that nobody knows. A full disk is waited for.

mod applying;
mod carrier;
mod clock;
mod fate;
mod handle;
mod histogram;
mod leases;
mod log_writer;
mod patient;
mod pending;
mod pulse;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, unbounded};
use storage::Engine;
use types::{ClusterId, GroupId, StoreId, Time};

pub use fate::OnFatal;
pub use handle::Handle;
pub use histogram::{BOUNDS, Histogram, Times};
pub use pending::{Awaited, Pending};

use crate::apply::ApplyTask;
use crate::boot::{self, OpenError, Opened};
use crate::config::Config;
use crate::observer::Observer;
use crate::pledges::Pledges;
use crate::shard::{Event, SnapshotEffect};
use crate::state_machine::Machines;
use crate::transport::{Inbox, Transport};
use carrier::Cargo;
use fate::Fate;
use leases::Leases;
use log_writer::Submitted;
use pending::Waiters;
use pulse::Beat;

/// What a store stands on.
#[derive(Clone)]
pub struct Parts {
    /// Settings.
    pub config: Config,
    /// Cluster and store. They are noted on a new disk and compared with what an old one says.
    pub identity: (ClusterId, StoreId),
    /// Its engine. Nobody else writes to the family `raft`; in `meta`, state machines have the keys
    /// that begin with a capital letter.
    pub engine: Arc<dyn Engine>,
    /// Its state machines.
    pub machines: Arc<dyn Machines>,
    /// Its network.
    pub transport: Arc<dyn Transport>,
    /// Who watches its groups, if anybody.
    pub observer: Option<Arc<dyn Observer>>,
    /// What happens when it cannot go on; `None` ends the process at once.
    pub on_fatal: Option<OnFatal>,
}

/// A store that runs. Stops when it is dropped.
pub struct Store {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    damaged: Vec<(GroupId, String)>,
    life: u64,
}

/// What reaches a worker.
pub(crate) enum Mail {
    /// Something happened.
    Event(Event),
    /// Messages arrived, with so many bytes of entries.
    Heavy(Vec<Event>, usize),
    /// Several things happened.
    Events(Vec<Event>),
    /// The store stops.
    Stop,
}

/// What the threads of a store share.
pub(crate) struct Shared {
    config: Arc<Config>,
    engine: Arc<dyn Engine>,
    machines: Arc<dyn Machines>,
    transport: Arc<dyn Transport>,
    observer: Option<Arc<dyn Observer>>,
    workers: Vec<Sender<Mail>>,
    waiters: Vec<Waiters>,
    /// Those of each worker's groups.
    leases: Vec<Leases>,
    pledges: Arc<Pledges>,
    log: Sender<Submitted>,
    appliers: Vec<Sender<Vec<ApplyTask>>>,
    carrier: Sender<Cargo>,
    pulse: Sender<Beat>,
    inbox_bytes: AtomicUsize,
    /// Bytes of log that were given to the log writer and are not written.
    writing_bytes: AtomicUsize,
    /// Threads that wait for room on the disk now, whoever found some meanwhile.
    full_waits: AtomicUsize,
    /// When one of them found some last: until then no write could end, so none of them hangs.
    room_since: AtomicU64,
    fate: Fate,
    pub(crate) counters: Counters,
}

/// What a store counted since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) syncs: AtomicUsize,
    pub(crate) sync_times: Histogram,
    pub(crate) log_writes: AtomicUsize,
    pub(crate) log_bytes: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
    pub(crate) envelopes: AtomicUsize,
    pub(crate) received: AtomicUsize,
    pub(crate) proposals: AtomicUsize,
    pub(crate) applied: AtomicU64,
    pub(crate) snapshots_sent: AtomicU64,
    pub(crate) snapshots_received: AtomicU64,
    pub(crate) snapshots_failed: AtomicU64,
}

/// What a store counted since it was opened, at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes of the log, each with one sync for all groups that had something to write.
    pub syncs: usize,
    /// How long those took, from the first byte to the end of the sync.
    pub sync_times: Times,
    /// Writes of workers that were gathered into them.
    pub log_writes: usize,
    /// Bytes of those writes.
    pub log_bytes: usize,
    /// Messages that arrived and were dropped, as too much waited.
    pub dropped: usize,
    /// Messages of groups that were sent.
    pub envelopes: usize,
    /// Messages of groups that arrived.
    pub received: usize,
    /// Commands that callers have proposed here, whatever came of them.
    pub proposals: usize,
    /// Entries that were applied.
    pub applied: u64,
    /// How often all that peers here had pledged to leaders on another store became void: then
    /// groups at rest have no lease there until each was asked once.
    pub pledges_void: u64,
    /// Snapshots whose receiver has all of it.
    pub snapshots_sent: u64,
    /// Snapshots that arrived as a whole.
    pub snapshots_received: u64,
    /// Sessions of snapshots that were refused or given up, both ways.
    pub snapshots_failed: u64,
}

impl Store {
    /// Opens a store and starts its threads.
    ///
    /// # Errors
    /// As [`OpenError`] says; nothing runs then.
    pub fn open(parts: Parts) -> Result<Store, OpenError> {
        let config = Arc::new(parts.config);
        let now = clock::now();
        let Opened { life, remembered, outlived, shards, appliers, damaged, stores, pledges } =
            boot::open(&config, &parts.engine, &parts.machines, parts.identity, now)?;
        for (group, why) in &damaged {
            tracing::error!(group = %group, why, "group set aside");
        }
        let (workers, mails): (Vec<_>, Vec<_>) = shards.iter().map(|_| unbounded()).unzip();
        let (lanes, tasks): (Vec<_>, Vec<_>) = appliers.iter().map(|_| unbounded()).unzip();
        let (log, submitted) = unbounded();
        let (carrier, cargo) = unbounded();
        let (pulse, beats) = unbounded();
        let proposed = Arc::new(AtomicUsize::new(0));
        let waiters = shards
            .iter()
            .map(|_| Waiters::new(Arc::clone(&proposed), config.proposed_bytes_max))
            .collect();
        let leases = shards.iter().map(|_| Leases::default()).collect();
        let on_fatal = parts.on_fatal.unwrap_or_else(|| Arc::new(fate::abort));
        let shared = Arc::new(Shared {
            config,
            engine: parts.engine,
            machines: parts.machines,
            transport: parts.transport,
            observer: parts.observer,
            workers,
            waiters,
            leases,
            pledges,
            log,
            appliers: lanes,
            carrier,
            pulse,
            inbox_bytes: AtomicUsize::new(0),
            writing_bytes: AtomicUsize::new(0),
            full_waits: AtomicUsize::new(0),
            room_since: AtomicU64::new(0),
            fate: Fate::new(on_fatal),
            counters: Counters::default(),
        });
        let mut threads = Threads { shared: &shared, list: Vec::new() };
        for ((nth, shard), mail) in shards.into_iter().enumerate().zip(mails) {
            threads.spawn("worker", move |shared| worker::run(&shared, nth, shard, &mail));
        }
        for (applier, tasks) in appliers.into_iter().zip(tasks) {
            threads.spawn("applier", move |shared| applying::run(&shared, applier, &tasks));
        }
        threads.spawn("log-writer", move |shared| log_writer::run(&shared, &submitted));
        threads.spawn("carrier", move |shared| carrier::run(&shared, life, &cargo));
        threads.spawn("pulse", move |shared| {
            pulse::run(&shared, &remembered, &stores, outlived, &beats);
        });
        let threads = threads.list;
        Ok(Store { shared, threads, damaged, life })
    }

    /// For callers: cheap to clone, of any thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.shared))
    }

    /// Where a network hands in what arrives.
    #[must_use]
    pub fn inbox(&self) -> Arc<dyn Inbox> {
        Arc::new(self.handle())
    }

    /// Groups that were set aside when the store was opened, since what is stored of them
    /// contradicts itself, and why. Nobody answers in their names, and what they have stays until
    /// they are destroyed ([`Handle::destroy`]), their peer is removed, or a later peer comes. To
    /// mend such a replica: remove its peer from the group, and add one with another id. A group of
    /// which not even its peer can be read never comes back to this store.
    #[must_use]
    pub fn damaged(&self) -> &[(GroupId, String)] {
        &self.damaged
    }

    /// How often this store was opened, this time included.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.life
    }

    /// Stops the threads. Whoever waits is answered; what was acknowledged is durable.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.shared.fate.stop();
        for worker in &self.shared.workers {
            let _ = worker.send(Mail::Stop);
        }
        for lane in &self.shared.appliers {
            let _ = lane.send(Vec::new());
        }
        let _ = self.shared.log.send(Submitted::Stop);
        let _ = self.shared.carrier.send(Cargo::Stop);
        let _ = self.shared.pulse.send(Beat::Stop);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        self.shared.waiters.iter().for_each(Waiters::abandon);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.join();
    }
}

struct Threads<'a> {
    shared: &'a Arc<Shared>,
    list: Vec<JoinHandle<()>>,
}

impl Threads<'_> {
    fn spawn(&mut self, name: &str, run: impl FnOnce(Arc<Shared>) + Send + 'static) {
        let shared = Arc::clone(self.shared);
        let body = move || {
            // A thread that panics takes the store with it, also where panics do not abort.
            let _guard = Guard(Arc::clone(&shared));
            run(shared);
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        self.list.push(thread.expect("the system gives us a thread"));
    }
}

struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fatal("a thread of the store panicked");
        }
    }
}

impl Shared {
    /// The store cannot go on: whoever waits hears that nobody knows.
    fn fatal(&self, why: &str) {
        self.fate.fatal(why);
        self.waiters.iter().for_each(Waiters::abandon);
    }

    /// Whether somebody waits for room on the disk.
    fn is_full(&self) -> bool {
        self.full_waits.load(Ordering::Acquire) > 0
    }

    /// Since when nobody waits for room, of those who did; asked after [`Shared::is_full`].
    fn room_since(&self) -> Time {
        Time(self.room_since.load(Ordering::Relaxed))
    }

    fn worker_of(&self, group: GroupId) -> usize {
        boot::shard_of(group, self.workers.len())
    }

    /// Hands an event to the worker whose group it is about, or to all.
    fn post(&self, event: Event) {
        match event.group() {
            Some(group) => {
                let _ = self.workers[self.worker_of(group)].send(Mail::Event(event));
            }
            None => match event {
                Event::Lost(store) => self.broadcast(|| Event::Lost(store)),
                Event::Support { store, held } => {
                    self.broadcast(|| Event::Support { store, held });
                }
                _ => unreachable!("an event is about a group, or about a store"),
            },
        }
    }

    fn broadcast(&self, event: impl Fn() -> Event) {
        for worker in &self.workers {
            // A worker that is gone needs no news.
            let _ = worker.send(Mail::Event(event()));
        }
    }

    fn snapshot(&self, effect: SnapshotEffect) {
        let _ = self.carrier.send(Cargo::Effect(effect));
    }
}
