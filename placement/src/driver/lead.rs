//! One leadership: what was observed since it began. It ends with it.
//!
//! Locks are taken in this order: `controller`, `table`, `heard`, `stores`, `streams`. Each is held
//! for a bounded batch of work, and never across an await, so that questions about routes do not
//! wait behind heartbeats.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use proto::crib::placement::v1;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tonic::Status;
use types::{StoreId, Term, Time};

use crate::clock::{Clock, wall_ms};
use crate::config::Config;
use crate::scheduler::seats::SeatFinding;
use crate::scheduler::{Cluster, Controller, SchedulerConfig, StoreInfo, StoreState};
use crate::state::{Life, State};
use crate::table::RegionTable;

/// Events that a watcher may be behind.
const EVENTS_MAX: usize = 1_024;

/// Where orders for a store go.
pub(crate) type Outbox = mpsc::Sender<Result<v1::ReportResponse, Status>>;

/// What was heard of a store.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) at: Time,
    pub(crate) life: u64,
    pub(crate) stats: v1::StoreStats,
}

/// What one leadership has observed.
pub(crate) struct Lead {
    pub(crate) term: Term,
    pub(crate) config: SchedulerConfig,
    pub(crate) clock: Clock,
    pub(crate) since: Time,
    pub(crate) table: RwLock<RegionTable>,
    /// Regions of the table have changed.
    pub(super) news: Notify,
    pub(super) controller: Mutex<Controller>,
    /// As they were when they were last looked at: the scheduler's view.
    pub(super) stores: RwLock<Arc<BTreeMap<StoreId, StoreInfo>>>,
    pub(crate) heard: RwLock<BTreeMap<StoreId, Heard>>,
    pub(super) streams: Mutex<BTreeMap<StoreId, Outbox>>,
    /// Ids at hand. Held while more are asked for, so that they are asked for once.
    pub(super) ids: tokio::sync::Mutex<VecDeque<u64>>,
    /// What was found out about placement's own seats last.
    seats: Mutex<SeatFinding>,
    pub(crate) events: broadcast::Sender<v1::Event>,
    over: watch::Sender<bool>,
}

impl Lead {
    pub(super) fn new(config: &Config, state: &State, term: Term, clock: Clock) -> Lead {
        let mut scheduler = config.scheduler.clone();
        if let Some(cluster) = &state.cluster {
            scheduler.replicas = usize::try_from(cluster.replicas).unwrap_or(usize::MAX);
        }
        let lead = Lead {
            term,
            config: scheduler,
            clock,
            since: clock.now(),
            table: RwLock::default(),
            news: Notify::new(),
            controller: Mutex::new(Controller::new()),
            stores: RwLock::default(),
            heard: RwLock::default(),
            streams: Mutex::default(),
            ids: tokio::sync::Mutex::default(),
            seats: Mutex::new(SeatFinding::Fine),
            events: broadcast::Sender::new(EVENTS_MAX),
            over: watch::Sender::new(false),
        };
        lead.look_at_stores(state);
        lead
    }

    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Becomes true when this leadership ends.
    pub(crate) fn over(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }

    /// What `find` finds in the table, as soon as it does.
    pub(crate) async fn found<T>(&self, find: impl Fn(&RegionTable) -> Option<T>) -> T {
        loop {
            // From here on no report is missed.
            let news = self.news.notified();
            if let Some(found) = find(&self.table.read()) {
                return found;
            }
            news.await;
        }
    }

    pub(super) fn found_seats(&self, finding: &SeatFinding) {
        self.seats.lock().clone_from(finding);
    }

    /// What was found out about placement's own seats last.
    pub(crate) fn seats(&self) -> SeatFinding {
        self.seats.lock().clone()
    }

    pub(crate) fn stores(&self) -> Arc<BTreeMap<StoreId, StoreInfo>> {
        Arc::clone(&self.stores.read())
    }

    /// Tells whoever watches. Texts are for people.
    pub(crate) fn tell(&self, kind: &str, region: u64, text: String) {
        let event = v1::Event { at_ms: wall_ms(), region_id: region, kind: kind.to_owned(), text };
        // Nobody may be watching.
        let _ = self.events.send(event);
    }

    /// The cluster as planning sees it, with what its caller has locked.
    pub(super) fn cluster<'a>(
        &'a self,
        table: &'a RegionTable,
        stores: &'a BTreeMap<StoreId, StoreInfo>,
    ) -> Cluster<'a> {
        Cluster {
            table,
            stores,
            config: &self.config,
            now: self.clock.now(),
            since: self.since,
            expected: self.expected(stores),
        }
    }

    /// How many regions there should be, by what stores say that they lead; not known before all of
    /// them were heard of.
    fn expected(&self, stores: &BTreeMap<StoreId, StoreInfo>) -> Option<u64> {
        let heard = self.heard.read();
        let here = stores.values().filter(|store| store.state != StoreState::Removed);
        here.map(|store| heard.get(&store.id).map(|heard| heard.stats.leaders)).sum()
    }

    /// Looks at all stores anew, and tells of those whose state has changed.
    pub(super) fn look_at_stores(&self, state: &State) {
        let now = self.clock.now();
        let new: BTreeMap<StoreId, StoreInfo> = {
            let heard = self.heard.read();
            state
                .stores
                .iter()
                .map(|(&id, store)| (id, self.info(id, store, &heard, now)))
                .collect()
        };
        let old = std::mem::replace(&mut *self.stores.write(), Arc::new(new));
        let new = self.stores();
        for (id, store) in &*new {
            let before = old.get(id).map(|old| old.state);
            if before.is_some_and(|before| before != store.state) {
                self.tell("store", 0, format!("store {} is {}", id.get(), store.state));
            }
        }
    }

    fn info(
        &self,
        id: StoreId,
        store: &crate::state::Store,
        heard: &BTreeMap<StoreId, Heard>,
        now: Time,
    ) -> StoreInfo {
        let heard = heard.get(&id);
        // A new leader has heard of nobody: silence begins with it.
        let silent = now.since(heard.map_or(self.since, |heard| heard.at));
        let config = &self.config;
        let state = match store.life {
            Life::Removed => StoreState::Removed,
            Life::Draining => StoreState::Draining,
            Life::Live if silent >= config.down_after => StoreState::Down,
            Life::Live if silent >= config.silent_after => StoreState::Disconnected,
            Life::Live if heard.is_none() => StoreState::Joining,
            Life::Live => StoreState::Up,
        };
        let stats = heard.map(|heard| heard.stats).unwrap_or_default();
        StoreInfo {
            id,
            state,
            silent,
            labels: store.labels.clone(),
            capacity: stats.capacity_bytes,
            available: stats.available_bytes,
            used: stats.used_bytes,
            snapshots_sending: stats.snapshots_sending,
            snapshots_receiving: stats.snapshots_receiving,
            is_stopping: stats.is_stopping,
            is_full: stats.is_full,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use types::{ClusterId, GroupId, KeyRange};

    use super::*;
    use crate::table::tests::report;

    #[tokio::test]
    async fn who_waits_for_a_region_has_it_with_the_report() {
        let id = |id| StoreId::new(id).expect("not zero");
        let config = Config::new(ClusterId::new(7).expect("not zero"), id(1), Vec::new());
        let lead = Lead::new(&config, &State::default(), Term(1), Clock::new());
        lead.report(vec![report(1, (b"", b"m"), (1, 1), 1)]);
        let range_of = |key: &'static [u8]| {
            move |table: &RegionTable| {
                table.by_key(key).map(|entry| (entry.id(), entry.region().range.clone()))
            }
        };
        let first = (GroupId::new(1).expect("not zero"), KeyRange::new("", "m"));
        assert_eq!(lead.found(range_of(b"a")).await, first);
        let told = async {
            // Of no use to who waits.
            lead.report(vec![report(1, (b"", b"m"), (1, 1), 2)]);
            tokio::task::yield_now().await;
            lead.report(vec![report(2, (b"m", b""), (1, 1), 1)]);
        };
        let both = async { tokio::join!(biased; lead.found(range_of(b"x")), told) };
        let (found, ()) = timeout(Duration::from_secs(60), both).await.expect("it is woken");
        assert_eq!(found, (GroupId::new(2).expect("not zero"), KeyRange::new("m", "")));
    }
}
