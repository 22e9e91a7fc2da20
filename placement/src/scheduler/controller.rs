//! The controller: looks at regions, lets the schedulers plan, and sees operators through.
//!
//! ```text
//! tick ─▶ operators: out of time? order due?
//!      ─▶ regions to be looked at at once, then those of stores that drain or are lost,
//!         then the next slice of all: repair
//!      ─▶ evict-leader, balance-leader, balance-region
//! on_report ─▶ the region's operator goes on: next order
//! ```
//!
//! Every loop is bounded by the settings, so that a tick takes as long with a million regions as
//! with a thousand. What is left over is for the next tick.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use types::{GroupId, PeerId, StoreId, Time};

use super::balance::{self, Cursors, Move, Round, next};
use super::checker::{self, Finding, NO_ID, Overdue};
use super::load::Ledger;
use super::operator::{Ended, Operator, Origin, Outcome};
use super::places::Places;
use super::ranking::Ranking;
use super::reasons::Reasons;
use super::running::{Running, Tally};
use super::step::{Order, Step};
use super::{Cluster, SchedulerConfig, plan};
use crate::table::RegionEntry;

/// Regions of one store that drains or is lost, looked at per tick.
const STORE_SLICE: usize = 256;

/// Plans, and sees plans through. Knows nothing of the cluster but what it is shown in each call.
#[derive(Debug, Default)]
pub struct Controller {
    pub(super) running: Running,
    pub(super) reasons: Reasons,
    cursors: Cursors,
    /// Regions to be looked at at once.
    urgent: BTreeSet<GroupId>,
    /// Where the patrol goes on.
    patrol: Option<GroupId>,
    /// Where the patrol of a store that drains or is lost goes on.
    emptying: BTreeMap<StoreId, GroupId>,
    /// Since when memberships have been between two.
    joint: BTreeMap<GroupId, Time>,
    /// Learners that are being filled without an operator, and since when that is known.
    filling: BTreeMap<GroupId, (PeerId, Time)>,
    /// Where a replica of a region was not filled in time, until the region is well.
    unfilled: BTreeMap<GroupId, StoreId>,
    /// Rising, as they are handed out.
    ids: VecDeque<PeerId>,
}

impl Controller {
    /// A controller that has planned nothing.
    #[must_use]
    pub fn new() -> Controller {
        Controller::default()
    }

    /// How many ids of new peers it would like to be offered: as many as it may begin to add
    /// before it is asked again. Without ids no replica is added.
    #[must_use]
    pub fn ids_wanted(&self, config: &SchedulerConfig) -> usize {
        let free = |limit: usize, origin| limit.saturating_sub(self.running.count(origin));
        let free = free(config.repairs_max, Origin::Repair)
            + free(config.region_moves_max, Origin::BalanceRegion);
        free.saturating_sub(self.ids.len())
    }

    /// Later ids than those that were offered went to other regions: these are not used any more.
    pub fn forget_ids(&mut self) {
        self.ids.clear();
    }

    /// Ids that no peer has or had, rising, later than all before. Those left over when leadership
    /// ends are lost, which is fine.
    pub fn offer_ids(&mut self, ids: impl IntoIterator<Item = PeerId>) {
        self.ids.extend(ids);
    }

    /// Plans, a bounded amount. Returns the orders that are due, for the stores named in them.
    /// Called every 100 ms to 1 s.
    pub fn tick(&mut self, cluster: &Cluster) -> Vec<Order> {
        self.running.wake(cluster.now);
        let due: Vec<GroupId> = self.running.due(cluster).collect();
        let mut orders: Vec<Order> = Vec::new();
        orders.extend(due.into_iter().filter_map(|id| self.running.advance(cluster, id)));
        let held = if cluster.config.is_paused {
            Some("planning is paused".to_owned())
        } else {
            cluster.unprepared()
        };
        self.reasons.held = held;
        if self.reasons.held.is_some() {
            return orders;
        }
        let last = self.running.last_id();
        self.repair(cluster);
        self.evict(cluster);
        self.balance_leaders(cluster);
        self.balance_regions(cluster);
        let fresh = self.running.all().filter(|operator| operator.id > last);
        let fresh: Vec<GroupId> = fresh.map(|operator| operator.region).collect();
        orders.extend(fresh.into_iter().filter_map(|id| self.running.advance(cluster, id)));
        orders
    }

    /// A report of this region was taken, or the region was removed. Returns the order that is due.
    pub fn on_report(&mut self, cluster: &Cluster, region: GroupId) -> Option<Order> {
        let Some(entry) = cluster.table.by_id(region) else {
            self.joint.remove(&region);
            self.filling.remove(&region);
            self.unfilled.remove(&region);
            self.urgent.remove(&region);
            return self.running.advance(cluster, region);
        };
        if entry.is_joint() {
            self.joint.entry(region).or_insert(cluster.now);
        } else {
            self.joint.remove(&region);
        }
        if self.running.of(region).is_some() {
            return self.running.advance(cluster, region);
        }
        if cluster.is_healthy(entry) {
            self.unfilled.remove(&region);
        } else {
            self.urgent.insert(region);
        }
        None
    }

    /// The orders that are due for the regions that a store leads: when its stream begins anew.
    pub fn orders_for(&mut self, cluster: &Cluster, store: StoreId) -> Vec<Order> {
        let is_led = |operator: &&Operator| {
            cluster.table.by_id(operator.region).is_some_and(|entry| entry.leader_store() == store)
        };
        let led: Vec<GroupId> = self.running.all().filter(is_led).map(|op| op.region).collect();
        led.into_iter()
            .filter_map(|region| {
                self.running.forget_sending(region);
                self.running.advance(cluster, region)
            })
            .collect()
    }

    /// The operators that run, by region.
    pub fn running(&self) -> impl Iterator<Item = &Operator> {
        self.running.all()
    }

    /// The operator of a region.
    #[must_use]
    pub fn operator_of(&self, region: GroupId) -> Option<&Operator> {
        self.running.of(region)
    }

    /// How many operators have ended, since this controller began.
    pub fn tally(&self) -> &Tally {
        self.running.tally()
    }

    /// The operators that have ended, the newest first, as far as they are remembered.
    pub fn ended(&self) -> impl Iterator<Item = &Ended> {
        self.running.ended()
    }

    /// What is under way, by store.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.running.ledger
    }

    /// Gives an operator up. What it has done stays; whether it was there is returned.
    pub fn cancel(&mut self, cluster: &Cluster, operator: u64, why: &str) -> bool {
        let found = self.running.all().find(|one| one.id == operator).map(|one| one.region);
        if let Some(region) = found {
            self.running.end(cluster, region, Outcome::Cancelled(why.to_owned()));
        }
        found.is_some()
    }

    pub(super) fn launch(
        &mut self,
        cluster: &Cluster,
        entry: &RegionEntry,
        origin: Origin,
        (reason, steps): (String, Vec<Step>),
    ) -> u64 {
        let id = self.running.next_id();
        let operator = Operator {
            id,
            region: entry.id(),
            epoch: entry.region().epoch,
            origin,
            reason,
            steps,
            at: 0,
            started_at: cluster.now,
            step_at: cluster.now,
            sent_at: None,
            before: entry.peers().to_vec(),
            effects: Vec::new(),
        };
        self.running.start(cluster, operator);
        id
    }

    /// Whether a plan of this origin may be made for a region now.
    fn is_free(&self, region: GroupId, origin: Origin) -> bool {
        let outranked = self.running.of(region);
        let outranked =
            outranked.is_none_or(|running| running.origin.priority() < origin.priority());
        outranked && self.running.rests_until(region).is_none()
    }

    fn repair(&mut self, cluster: &Cluster) {
        let places = Places::of(cluster);
        let urgent: Vec<GroupId> =
            self.urgent.iter().copied().take(cluster.config.patrol_regions).collect();
        for region in urgent {
            if self.repairs_left(cluster) == 0 {
                self.reasons.refuse(Origin::Repair, "as many as may be are under way");
                break;
            }
            self.urgent.remove(&region);
            self.look_at(cluster, &places, region);
        }
        self.patrol_emptying(cluster, &places);
        let slice = cluster.config.patrol_regions;
        let ids: Vec<GroupId> =
            cluster.table.from_id(self.patrol).take(slice).map(RegionEntry::id).collect();
        self.patrol = if ids.len() < slice { None } else { ids.last().copied().map(next) };
        for region in ids {
            if self.repairs_left(cluster) == 0 {
                // So that the slice is not lost.
                self.patrol = Some(region);
                break;
            }
            self.look_at(cluster, &places, region);
        }
    }

    fn patrol_emptying(&mut self, cluster: &Cluster, places: &Places) {
        let empties = |id: &StoreId| {
            cluster.store(*id).is_some_and(|store| {
                store.is_lost(cluster.config) || store.state == super::StoreState::Draining
            })
        };
        self.emptying.retain(|id, _| empties(id));
        self.cursors.keep(|id| cluster.store(id).is_some());
        let stores: Vec<StoreId> = cluster.stores.keys().copied().filter(empties).collect();
        for store in stores {
            let from = self.emptying.get(&store).copied();
            let ids = cluster.table.regions_of(store, from).take(STORE_SLICE);
            let ids: Vec<GroupId> = ids.map(RegionEntry::id).collect();
            let mut stopped = ids.last().copied().filter(|_| ids.len() == STORE_SLICE).map(next);
            for region in ids {
                if self.repairs_left(cluster) == 0 {
                    stopped = Some(region);
                    break;
                }
                self.look_at(cluster, places, region);
            }
            match stopped {
                Some(region) => self.emptying.insert(store, region),
                None => self.emptying.remove(&store),
            };
        }
    }

    fn repairs_left(&self, cluster: &Cluster) -> usize {
        cluster.config.repairs_max.saturating_sub(self.running.count(Origin::Repair))
    }

    fn look_at(&mut self, cluster: &Cluster, places: &Places, region: GroupId) {
        let Some(entry) = cluster.table.by_id(region) else { return };
        if !self.is_free(region, Origin::Repair) {
            return;
        }
        // The learner of a move for balance is not an orphan: only a loss is worth giving that up.
        let is_moving = self.running.of(region).is_some();
        if is_moving && !entry.voters().any(|peer| cluster.is_lost(entry, peer)) {
            return;
        }
        let overdue = self.overdue(cluster, entry);
        let ids = &mut self.ids;
        let mut new_peer = || ids.pop_front();
        let around = (&self.running.ledger, places);
        match checker::check(cluster, around, entry, overdue, &mut new_peer) {
            Finding::Fine => {}
            Finding::Mend { reason, steps } => {
                self.launch(cluster, entry, Origin::Repair, (reason, steps));
            }
            Finding::Stuck { why, .. } => self.reasons.refuse(Origin::Repair, &why),
        }
    }

    /// What of a region without an operator has lasted for too long by now. A learner has as much
    /// time as an operator gives one, from when it was first looked at.
    fn overdue(&mut self, cluster: &Cluster, entry: &RegionEntry) -> Overdue {
        let (now, config, region) = (cluster.now, cluster.config, entry.id());
        let joint = self.joint.get(&region);
        let joint = joint.is_some_and(|since| now.since(*since) >= config.joint_after);
        let learner = match entry.learner().filter(|peer| !entry.is_current(peer.id)) {
            Some(peer) => {
                let filling = self.filling.entry(region).or_insert((peer.id, now));
                if filling.0 != peer.id {
                    *filling = (peer.id, now);
                }
                let most = Step::AddLearner(peer).timeout(entry.report.bytes.get(), config);
                let is_over = now.since(filling.1) >= most;
                if is_over {
                    self.unfilled.insert(region, peer.store);
                }
                is_over
            }
            None => {
                self.filling.remove(&region);
                false
            }
        };
        Overdue { joint, learner, unfilled: self.unfilled.get(&region).copied() }
    }

    fn evict(&mut self, cluster: &Cluster) {
        let limit =
            cluster.config.evictions_max.saturating_sub(self.running.count(Origin::EvictLeader));
        let mut cursors = std::mem::take(&mut self.cursors);
        // A repair that runs moves the leader itself, if it has to.
        let is_busy = |region| !self.is_free(region, Origin::EvictLeader);
        let round = Round { cluster, ledger: &self.running.ledger, is_busy: &is_busy };
        let (moves, refusals) = balance::evict(&round, &mut cursors, limit);
        self.cursors = cursors;
        for why in refusals {
            self.reasons.refuse(Origin::EvictLeader, why);
        }
        for chosen in moves {
            self.take_up(cluster, Origin::EvictLeader, chosen);
        }
    }

    fn balance_leaders(&mut self, cluster: &Cluster) {
        self.balance(cluster, Origin::BalanceLeader, cluster.config.leader_moves_max);
    }

    fn balance_regions(&mut self, cluster: &Cluster) {
        self.balance(cluster, Origin::BalanceRegion, cluster.config.region_moves_max);
    }

    /// One move after another, each with those before it counted, until there is none or no more
    /// may be under way.
    fn balance(&mut self, cluster: &Cluster, origin: Origin, limit: usize) {
        let (mut planned, mut verdict) = (0, "as many moves as may be are under way".to_owned());
        let mut ranking = None;
        while self.running.count(origin) < limit {
            let ledger = &self.running.ledger;
            let ranking = ranking.get_or_insert_with(|| Ranking::of(cluster, ledger, origin));
            let mut cursors = std::mem::take(&mut self.cursors);
            let is_busy = |region| !self.is_free(region, origin);
            let round = Round { cluster, ledger, is_busy: &is_busy };
            let chosen = match origin {
                Origin::BalanceLeader => balance::balance_leader(&round, &mut cursors, ranking),
                _ => balance::balance_region(&round, &mut cursors, ranking),
            };
            self.cursors = cursors;
            let taken = chosen.and_then(|chosen| {
                let is_taken = self.take_up(cluster, origin, chosen);
                if is_taken { Ok(()) } else { Err(NO_ID.to_owned()) }
            });
            if let Err(why) = taken {
                verdict = why;
                break;
            }
            planned += 1;
            let newest = self.running.newest().map_or(&[][..], |newest| &newest.effects);
            for (id, _) in newest {
                ranking.touch(cluster, &self.running.ledger, *id);
            }
        }
        self.reasons.conclude(origin, cluster.now, planned, &verdict);
    }

    fn take_up(&mut self, cluster: &Cluster, origin: Origin, chosen: Move) -> bool {
        let (region, reason, steps) = match chosen {
            Move::Leader { region, to, reason } => (region, reason, vec![Step::TransferLeader(to)]),
            Move::Replica { region, old, to, reason } => {
                let Some(entry) = cluster.table.by_id(region) else { return false };
                let Some(id) = self.ids.pop_front() else { return false };
                let heir = plan::heir(cluster, &self.running.ledger, entry).ok();
                (region, reason, plan::replace(entry, old, (to, id), heir))
            }
        };
        let Some(entry) = cluster.table.by_id(region) else { return false };
        self.launch(cluster, entry, origin, (reason, steps));
        true
    }
}
