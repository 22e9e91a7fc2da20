//! One leadership: what was observed since it began. It ends with it.
//!
//! Locks are taken in this order: `controller`, `telling`, `table`, `heard`, `stores`, `config`,
//! `expected`, `streams`.
//! Each is held for a bounded batch of work, and never across an await, so that questions about
//! routes do not wait behind heartbeats.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
use proto::crib::placement::v1;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tonic::Status;
use types::{StoreId, Term, Time};

use super::heard::unreached;
use super::{Heard, SeatWatch};
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

/// What one leadership has observed.
pub(crate) struct Lead {
    pub(crate) term: Term,
    /// As it was when the stores were last looked at.
    config: RwLock<Arc<SchedulerConfig>>,
    pub(crate) clock: Clock,
    pub(crate) since: Time,
    pub(crate) table: RwLock<RegionTable>,
    /// Held by whoever tells the table anything, and by who needs it to stand still meanwhile.
    pub(super) telling: Mutex<()>,
    /// Regions of the table have changed.
    pub(super) news: Notify,
    pub(super) controller: Mutex<Controller>,
    /// As they were when they were last looked at: the scheduler's view.
    pub(super) stores: RwLock<Arc<BTreeMap<StoreId, StoreInfo>>>,
    pub(crate) heard: RwLock<BTreeMap<StoreId, Heard>>,
    /// How many regions there should be, as of when the stores were last looked at.
    expected: Mutex<Option<u64>>,
    pub(super) streams: Mutex<BTreeMap<StoreId, Outbox>>,
    /// Ids at hand. Held while more are asked for, so that they are asked for once.
    pub(super) ids: tokio::sync::Mutex<VecDeque<u64>>,
    /// What was found out about placement's own seats last, and of a member that is not heard.
    seats: Mutex<(SeatFinding, Option<String>)>,
    /// What was seen of those who hold them. Locked alone.
    pub(super) seat_watch: Mutex<SeatWatch>,
    pub(crate) events: broadcast::Sender<v1::Event>,
    over: watch::Sender<bool>,
}

/// The table, to which nothing is told while this is held.
pub(crate) struct Still<'a> {
    table: RwLockReadGuard<'a, RegionTable>,
    _telling: MutexGuard<'a, ()>,
}

impl Deref for Still<'_> {
    type Target = RegionTable;

    fn deref(&self) -> &RegionTable {
        &self.table
    }
}

impl Lead {
    pub(super) fn new(config: &Config, state: &State, term: Term, clock: Clock) -> Lead {
        let lead = Lead {
            term,
            config: RwLock::new(Arc::new(config.scheduler.clone())),
            clock,
            since: clock.now(),
            table: RwLock::default(),
            telling: Mutex::default(),
            news: Notify::new(),
            controller: Mutex::new(Controller::new()),
            stores: RwLock::default(),
            heard: RwLock::default(),
            expected: Mutex::default(),
            streams: Mutex::default(),
            ids: tokio::sync::Mutex::default(),
            seats: Mutex::new((SeatFinding::Fine, None)),
            seat_watch: Mutex::default(),
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
            if let Some(found) = find(&self.routes()) {
                return found;
            }
            news.await;
        }
    }

    /// The table, for a question about routes: short, and asked often.
    ///
    /// It does not wait for a plan, nor for a report that does, nor for reports of figures, which
    /// are told while it reads. What it waits for is the report of a few regions that have changed.
    pub(crate) fn routes(&self) -> RwLockReadGuard<'_, RegionTable> {
        self.table.read_recursive()
    }

    /// The table, for what compares its figures: nothing is told meanwhile.
    pub(crate) fn still(&self) -> Still<'_> {
        let telling = self.telling.lock();
        Still { table: self.table.read_recursive(), _telling: telling }
    }

    pub(super) fn found_seats(&self, finding: &SeatFinding, unheard: Option<String>) {
        *self.seats.lock() = (finding.clone(), unheard);
    }

    /// What was found out about placement's own seats last.
    pub(crate) fn seats(&self) -> SeatFinding {
        self.seats.lock().0.clone()
    }

    /// Of a member of placement that is not heard though its store is, in words.
    pub(crate) fn unheard_member(&self) -> Option<String> {
        self.seats.lock().1.clone()
    }

    /// The settings of planning. How many replicas regions are to have is what was decided last.
    pub(crate) fn config(&self) -> Arc<SchedulerConfig> {
        Arc::clone(&self.config.read())
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
        config: &'a SchedulerConfig,
    ) -> Cluster<'a> {
        Cluster {
            table,
            stores,
            config,
            now: self.clock.now(),
            since: self.since,
            expected: *self.expected.lock(),
        }
    }

    /// Looks at all stores and settings anew, and tells of stores whose state has changed.
    pub(super) fn look_at_stores(&self, state: &State) {
        if let Some(cluster) = &state.cluster {
            let replicas = usize::try_from(cluster.replicas).unwrap_or(usize::MAX);
            let labels = cluster.location_labels.as_ref();
            let now = self.config();
            if now.replicas != replicas || labels.is_some_and(|set| *set != now.location_labels) {
                let mut config = SchedulerConfig { replicas, ..(*now).clone() };
                if let Some(labels) = labels {
                    config.location_labels.clone_from(labels);
                }
                *self.config.write() = Arc::new(config);
            }
        }
        let now = self.clock.now();
        let new: BTreeMap<StoreId, StoreInfo> = {
            let heard = self.heard.read();
            let infos = state.stores.iter();
            let mut new: BTreeMap<StoreId, StoreInfo> =
                infos.map(|(&id, store)| (id, self.info(id, store, &heard, now))).collect();
            *self.expected.lock() = expected(&new, &heard);
            for (by, of) in unreached(&new, &heard, &self.config()) {
                if let (Some(by), Some(of)) = (new.get_mut(&by), StoreId::new(of.store_id)) {
                    by.unreached.push(of);
                }
            }
            new
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
        let config = self.config();
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
            unreached: Vec::new(),
        }
    }
}

/// How many regions there should be, by what stores say that they lead; not known before all of
/// them were heard of.
fn expected(
    stores: &BTreeMap<StoreId, StoreInfo>,
    heard: &BTreeMap<StoreId, Heard>,
) -> Option<u64> {
    let here = stores.values().filter(|store| store.state != StoreState::Removed);
    let leaders = |store: &StoreInfo| heard.get(&store.id).map(|heard| heard.stats.leaders);
    // They may say anything.
    here.map(leaders).try_fold(0, |sum: u64, leaders| Some(sum.saturating_add(leaders?)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use types::{ClusterId, GroupId, KeyRange};

    use super::*;
    use crate::driver::Said;
    use crate::table::tests::report;

    fn lead() -> Lead {
        let id = StoreId::new(1).expect("not zero");
        let config = Config::new(ClusterId::new(7).expect("not zero"), id, Vec::new());
        Lead::new(&config, &State::default(), Term(1), Clock::new())
    }

    /// Regions that touch, by rising key.
    fn regions(count: u64) -> Vec<crate::table::RegionReport> {
        let key = |at: u64| if at == 0 { Vec::new() } else { at.to_be_bytes().to_vec() };
        let one = |at| report(at + 1, (&key(at), &key(at + 1)), (1, 1), 1);
        (0..count).map(one).collect()
    }

    #[test]
    fn settings_of_the_cluster_count_for_more_than_those_of_its_leader() {
        let lead = lead();
        assert_eq!((lead.config().replicas, lead.config().location_labels.len()), (3, 0));
        let mut cluster = crate::state::Cluster {
            id: ClusterId::new(7).expect("not zero"),
            api_version: types::ApiVersion::V2,
            replicas: 5,
            regions: Vec::new(),
            seats: 1,
            location_labels: Some(vec!["zone".to_owned()]),
        };
        let state = |cluster: &crate::state::Cluster| State {
            cluster: Some(cluster.clone()),
            ..State::default()
        };
        lead.look_at_stores(&state(&cluster));
        let config = lead.config();
        assert_eq!((config.replicas, &config.location_labels[..]), (5, &["zone".to_owned()][..]));
        // Nobody has said it: as it was.
        cluster.location_labels = None;
        lead.look_at_stores(&state(&cluster));
        assert_eq!(lead.config().location_labels, ["zone"]);
    }

    #[test]
    fn what_stores_say_that_they_lead_is_added_up_whatever_it_is() {
        let id = |id| StoreId::new(id).expect("not zero");
        let stores: BTreeMap<StoreId, StoreInfo> =
            (1..=3).map(|of| (id(of), StoreInfo::new(id(of), StoreState::Up))).collect();
        let heard = |of, leaders| {
            let stats = v1::StoreStats { leaders, ..v1::StoreStats::default() };
            let said = Said { address: "a:1".to_owned(), life: 1, stats, unreached: Vec::new() };
            (id(of), Heard::new(Time::ZERO, said))
        };
        let some = [heard(1, u64::MAX), heard(2, 7)].into();
        assert_eq!(expected(&stores, &some), None, "one was not heard of");
        let all = [heard(1, u64::MAX), heard(2, 7), heard(3, u64::MAX)].into();
        assert_eq!(expected(&stores, &all), Some(u64::MAX));
    }

    #[test]
    fn question_passes_a_report_that_waits_for_a_plan() {
        let lead = lead();
        lead.table.write().report(Time::ZERO, report(1, (b"", b""), (1, 1), 1));
        // A plan is being made for as long as this is held.
        let plan = lead.table.read();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| drop(lead.table.write()));
            // Who is not let past it waits, is seen to, and ends all the same.
            while lead.table.try_read().is_some() {
                std::thread::yield_now();
            }
            let asks = scope.spawn(|| lead.routes().len());
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            while !asks.is_finished() && std::time::Instant::now() < deadline {
                std::thread::yield_now();
            }
            let is_answered = asks.is_finished();
            assert!(!waits.is_finished(), "the report is not to be taken in a plan");
            drop(plan);
            assert_eq!(asks.join().expect("it is answered"), 1);
            assert!(is_answered, "the question waited behind the report");
        });
    }

    #[test]
    fn figures_are_told_while_somebody_asks_and_not_while_somebody_plans() {
        let lead = lead();
        let known = report(1, (b"", b""), (1, 1), 1);
        lead.table.write().report(Time::ZERO, known.clone());
        let told = crate::table::RegionReport { bytes: 99.into(), ..known };
        let bytes = || lead.routes().bytes();
        std::thread::scope(|scope| {
            let plan = lead.still();
            let question = lead.routes();
            let tells = scope.spawn(|| {
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                std::pin::pin!(lead.report([told])).poll(&mut context).is_pending()
            });
            // Whoever is not to be let past waits for the plan, which is seen to by its lock.
            let deadline = std::time::Instant::now() + Duration::from_millis(50);
            while !tells.is_finished() && std::time::Instant::now() < deadline {
                std::thread::yield_now();
            }
            assert_eq!((tells.is_finished(), plan.bytes()), (false, 1));
            drop(plan);
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            while bytes() == 1 && std::time::Instant::now() < deadline {
                std::thread::yield_now();
            }
            assert_eq!((question.bytes(), bytes()), (99, 99), "it waited behind the question");
            drop(question);
            let _turns = tells.join().expect("it ends");
        });
    }

    #[test]
    fn report_of_many_regions_lets_others_in_between() {
        let lead = lead();
        let mut telling = std::pin::pin!(lead.report(regions(1_000)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut known = 0;
        while telling.as_mut().poll(&mut context).is_pending() {
            let now = lead.routes().len();
            assert!(now > known && now - known <= 16, "{known} regions, then {now}");
            known = now;
        }
        assert_eq!(known, 1_000);
    }

    #[tokio::test]
    async fn who_waits_for_a_region_has_it_with_the_report() {
        let lead = lead();
        lead.report([report(1, (b"", b"m"), (1, 1), 1)]).await;
        let range_of = |key: &'static [u8]| {
            move |table: &RegionTable| {
                table.by_key(key).map(|entry| (entry.id(), entry.region().range.clone()))
            }
        };
        let first = (GroupId::new(1).expect("not zero"), KeyRange::new("", "m"));
        assert_eq!(lead.found(range_of(b"a")).await, first);
        let told = async {
            // Of no use to who waits.
            lead.report([report(1, (b"", b"m"), (1, 1), 2)]).await;
            lead.report([report(2, (b"m", b""), (1, 1), 1)]).await;
        };
        let both = async { tokio::join!(biased; lead.found(range_of(b"x")), told) };
        let (found, ()) = timeout(Duration::from_secs(60), both).await.expect("it is woken");
        assert_eq!(found, (GroupId::new(2).expect("not zero"), KeyRange::new("m", "")));
    }
}
