//! A cluster in virtual time: stores that carry orders out late, lose them or get them twice.
//!
//! It has the truth about every region; the table has what was reported. After every order it is
//! checked that no store has two peers of a region and that a quorum of voters is up; after every
//! tick, that nothing is under way beyond the limits ([`Judge`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use placement::scheduler::{
    Cluster, Controller, Order, OrderStep, SchedulerConfig, StoreInfo, StoreState,
};
use placement::table::{Figure, RegionReport, RegionTable, Reported};
use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId, Term, Time};

use crate::scheduler::judge::Judge;

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) struct Truth {
    pub(crate) region: Region,
    pub(crate) leader: PeerId,
    pub(crate) term: u64,
    pub(crate) bytes: u64,
    filling: BTreeMap<PeerId, Time>,
}

enum Event {
    Carry(Order),
    Report(GroupId),
}

pub(crate) struct World {
    pub(crate) table: RegionTable,
    pub(crate) stores: BTreeMap<StoreId, StoreInfo>,
    pub(crate) config: SchedulerConfig,
    pub(crate) now: Time,
    pub(crate) controller: Controller,
    pub(crate) truth: BTreeMap<GroupId, Truth>,
    /// Silent since then.
    pub(crate) dead: BTreeMap<StoreId, Time>,
    /// Of a hundred orders so many are lost, and as many doubled.
    pub(crate) lost_percent: u64,
    /// How long one tick is.
    pub(crate) pace: Duration,
    /// What carried-out orders did.
    pub(crate) judge: Judge,
    /// How long it takes until each region has reported without being asked to; never if zero.
    pub(crate) beat: Duration,
    /// Where the regions that report are.
    beats_at: Option<GroupId>,
    events: BTreeMap<(Time, u64), Event>,
    sequence: u64,
    next_peer: u64,
    seed: u64,
}

pub(crate) fn store(id: u64) -> StoreId {
    StoreId::new(id).expect("not zero")
}

pub(crate) fn group(id: u64) -> GroupId {
    GroupId::new(id).expect("not zero")
}

fn key(at: u64, of: u64) -> Vec<u8> {
    if at == 0 || at == of { Vec::new() } else { at.to_be_bytes().to_vec() }
}

impl World {
    /// Stores 1 to `stores`. Region i of `regions` has the stores that `place` names, the first of
    /// which leads.
    pub(crate) fn new(stores: u64, regions: u64, place: impl Fn(u64) -> Vec<u64>) -> World {
        let mut world = World {
            table: RegionTable::new(),
            stores: BTreeMap::new(),
            config: SchedulerConfig::default(),
            now: Time::ZERO.after(Duration::from_secs(1000)),
            controller: Controller::new(),
            truth: BTreeMap::new(),
            dead: BTreeMap::new(),
            lost_percent: 0,
            pace: Duration::from_millis(500),
            judge: Judge::default(),
            beat: Duration::ZERO,
            beats_at: None,
            events: BTreeMap::new(),
            sequence: 0,
            next_peer: 1_000_000_000,
            seed: 0x9e37_79b9_7f4a_7c15,
        };
        (1..=stores).for_each(|id| world.add_store(id));
        for at in 0..regions {
            let peer = |(nth, on): (usize, u64)| RegionPeer {
                id: PeerId::new(at * 10 + nth as u64 + 1).expect("not zero"),
                store: store(on),
                role: PeerRole::Voter,
            };
            let peers: Vec<RegionPeer> = place(at).into_iter().enumerate().map(peer).collect();
            let leader = peers[0].id;
            let range = KeyRange::new(key(at, regions), key(at + 1, regions));
            let region = Region { id: group(at + 1000), range, epoch: Epoch::FIRST, peers };
            let filling = BTreeMap::new();
            let truth = Truth { region, leader, term: 1, bytes: 64 * MIB, filling };
            world.truth.insert(group(at + 1000), truth);
        }
        let ids: Vec<GroupId> = world.truth.keys().copied().collect();
        ids.into_iter().for_each(|id| world.report(id));
        world
    }

    pub(crate) fn add_store(&mut self, id: u64) {
        let empty = StoreInfo::new(store(id), StoreState::Up);
        let info = StoreInfo { capacity: 4 << 40, available: 4 << 40, ..empty };
        self.stores.insert(store(id), info);
    }

    fn chance(&mut self, of: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % of.max(1)
    }

    fn later(&mut self, millis: u64, event: Event) {
        self.sequence += 1;
        let at = self.now.after(Duration::from_millis(millis));
        self.events.insert((at, self.sequence), event);
    }

    fn send(&mut self, order: Order) {
        if self.chance(100) < self.lost_percent {
            return;
        }
        if self.chance(100) < self.lost_percent {
            let late = 10_000 + self.chance(10_000);
            self.later(late, Event::Carry(order.clone()));
        }
        let delay = 20 + self.chance(200);
        self.later(delay, Event::Carry(order));
    }

    pub(crate) fn with<T>(&mut self, ask: impl FnOnce(&mut Controller, &Cluster) -> T) -> T {
        let cluster = Cluster {
            table: &self.table,
            stores: &self.stores,
            config: &self.config,
            now: self.now,
            since: Time::ZERO,
            expected: None,
        };
        ask(&mut self.controller, &cluster)
    }

    /// For that long.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now.after(span);
        while self.now < end {
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.now = self.now.after(self.pace);
        self.beat_stores();
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= self.now
        {
            match entry.remove() {
                Event::Carry(order) => self.carry(&order),
                Event::Report(region) => self.report(region),
            }
        }
        self.beat_regions();
        let ids: Vec<PeerId> = (0..self.controller.ids_wanted(&self.config))
            .map(|_| {
                self.next_peer += 1;
                PeerId::new(self.next_peer).expect("not zero")
            })
            .collect();
        self.controller.offer_ids(ids);
        let orders = self.with(Controller::tick);
        orders.into_iter().for_each(|order| self.send(order));
        self.judge.check_limits(&self.controller, &self.stores, &self.config);
    }

    /// The next regions report: as many as are due in one tick. Then their sizes differ a little.
    fn beat_regions(&mut self) {
        let ticks = self.beat.as_millis().div_ceil(self.pace.as_millis());
        let Some(share) = (self.truth.len() as u128).checked_div(ticks) else { return };
        let share = usize::try_from(share).expect("few") + 1;
        let from = self.beats_at.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.truth.range((from, Bound::Unbounded)).take(share);
        let next: Vec<GroupId> = next.map(|(id, _)| *id).collect();
        self.beats_at = next.last().copied().filter(|_| next.len() == share);
        for id in next {
            self.truth.get_mut(&id).expect("known").bytes = 62 * MIB + id.get() * 7_919 % 5 * MIB;
            self.report(id);
        }
    }

    fn beat_stores(&mut self) {
        for (id, info) in &mut self.stores {
            info.silent = self.dead.get(id).map_or(Duration::ZERO, |since| self.now.since(*since));
            info.used = self.table.tally_of(*id).bytes;
            info.available = info.capacity.saturating_sub(info.used);
            if !matches!(info.state, StoreState::Draining | StoreState::Removed) {
                info.state = match info.silent {
                    span if span >= self.config.down_after => StoreState::Down,
                    span if span >= self.config.silent_after => StoreState::Disconnected,
                    _ => StoreState::Up,
                };
            }
        }
    }

    pub(crate) fn kill(&mut self, id: u64) {
        self.dead.insert(store(id), self.now);
        self.tell_of(id);
    }

    pub(crate) fn revive(&mut self, id: u64) {
        self.dead.remove(&store(id));
        self.tell_of(id);
    }

    /// Regions that a store has are reported anew, by a new leader if theirs is silent.
    fn tell_of(&mut self, id: u64) {
        let has = |truth: &&Truth| truth.region.peer_on(store(id)).is_some();
        let ids: Vec<GroupId> = self.truth.values().filter(has).map(|t| t.region.id).collect();
        for region in ids {
            // Once at the election, once when replicas are given up.
            self.later(2_000, Event::Report(region));
            let given_up = u64::try_from(self.config.down_after.as_millis()).expect("short");
            self.later(given_up + 1_000, Event::Report(region));
        }
    }

    fn report(&mut self, id: GroupId) {
        let (now, dead) = (self.now, &self.dead);
        let Some(truth) = self.truth.get_mut(&id) else { return };
        truth.filling.retain(|_, until| *until > now);
        let is_dead = |peer: &RegionPeer| dead.contains_key(&peer.store);
        let mut leader = truth.region.peer(truth.leader).expect("the leader is a member");
        if is_dead(&leader) {
            let voters = truth.region.peers.iter().filter(|peer| peer.role == PeerRole::Voter);
            let (up, down): (Vec<_>, Vec<_>) = voters.copied().partition(|peer| !is_dead(peer));
            if up.len() <= down.len() {
                return;
            }
            leader = up[0];
            truth.leader = leader.id;
            truth.term += 1;
        }
        let silent = |peer: &RegionPeer| Some((peer.id, now.since(*dead.get(&peer.store)?)));
        let report = RegionReport {
            region: truth.region.clone(),
            leader,
            term: Term(truth.term),
            down: truth.region.peers.iter().filter_map(silent).collect(),
            pending: truth.filling.keys().copied().collect(),
            bytes: Figure::from(truth.bytes),
            keys: Figure::from(1000),
            written_per_second: Figure::default(),
            read_per_second: Figure::default(),
        };
        let reported = self.table.report(now, report);
        assert!(matches!(reported, Reported::Taken { .. }), "the truth is refused: {reported:?}");
        if let Some(order) = self.with(|controller, cluster| controller.on_report(cluster, id)) {
            self.send(order);
        }
    }

    fn carry(&mut self, order: &Order) {
        let (now, dead) = (self.now, &self.dead);
        let Some(truth) = self.truth.get_mut(&order.region) else { return };
        let leads = truth.region.peer(truth.leader).is_some_and(|peer| peer.store == order.store);
        if !leads || dead.contains_key(&order.store) || truth.region.epoch != order.epoch {
            return;
        }
        match &order.step {
            OrderStep::TransferLeader { to } => {
                if truth.leader == to.id || dead.contains_key(&to.store) {
                    return;
                }
                self.judge.leader_moved(order.region, (order.store, to.store));
                truth.leader = to.id;
                truth.term += 1;
            }
            OrderStep::ChangePeers { set, remove } => {
                let before = truth.region.peers.clone();
                for peer in set {
                    match truth.region.peers.iter_mut().find(|old| old.id == peer.id) {
                        Some(old) => {
                            assert!(!truth.filling.contains_key(&peer.id), "promoted too early");
                            old.role = peer.role;
                        }
                        None => {
                            let seconds = 2 + truth.bytes / (32 * MIB);
                            let until = now.after(Duration::from_secs(seconds));
                            truth.filling.insert(peer.id, until);
                            truth.region.peers.push(*peer);
                        }
                    }
                }
                for peer in remove {
                    assert_ne!(peer.id, truth.leader, "the leader removes itself");
                    truth.region.peers.retain(|old| old.id != peer.id);
                    truth.filling.remove(&peer.id);
                }
                let steps = (set.len() + remove.len()) as u64;
                truth.region.epoch.conf_ver += if steps > 1 { 2 } else { 1 };
                check_members(&truth.region, dead);
                let around = (&self.stores, &self.config);
                self.judge.members_changed(around, &before, &truth.region);
            }
            OrderStep::Split { keys } => {
                assert_eq!(keys.len(), 1, "the model splits in two");
                truth.region.range.end.clone_from(&keys[0]);
                truth.region.epoch.version += 1;
            }
        }
        self.later(50, Event::Report(order.region));
        if !self.truth[&order.region].filling.is_empty() {
            let seconds = 2 + self.truth[&order.region].bytes / (32 * MIB);
            self.later(seconds * 1000 + 100, Event::Report(order.region));
        }
    }

    /// Leaders and replicas of stores that are up, most and least.
    pub(crate) fn spread(&self) -> ((u64, u64), (u64, u64)) {
        let up = self.stores.values().filter(|info| info.state == StoreState::Up);
        let tallies: Vec<_> = up.map(|info| self.table.tally_of(info.id)).collect();
        let of = |counts: Vec<u64>| {
            let most = counts.iter().copied().max().unwrap_or(0);
            (counts.into_iter().min().unwrap_or(0), most)
        };
        (
            of(tallies.iter().map(|tally| tally.leaders).collect()),
            of(tallies.iter().map(|tally| tally.regions).collect()),
        )
    }

    /// What is asserted of every world that has come to rest.
    pub(crate) fn assert_quiet(&mut self, span: Duration) {
        let before = self.controller.ended().map(|ended| ended.operator.id).max();
        self.run(span);
        let running: Vec<_> = self.controller.running().collect();
        assert!(running.is_empty(), "still at work: {running:?}");
        let newest = self.controller.ended().map(|ended| ended.operator.id).max();
        assert_eq!(newest, before, "something was moved in a cluster at rest");
        assert!(self.controller.ledger().is_empty(), "nothing runs, something is under way");
        assert!(self.table.is_consistent());
    }
}

fn check_members(region: &Region, dead: &BTreeMap<StoreId, Time>) {
    let stores: BTreeSet<StoreId> = region.peers.iter().map(|peer| peer.store).collect();
    assert_eq!(stores.len(), region.peers.len(), "two peers on a store: {region:?}");
    let voters = region.peers.iter().filter(|peer| peer.role == PeerRole::Voter);
    let (down, up): (Vec<&RegionPeer>, Vec<_>) =
        voters.partition(|peer| dead.contains_key(&peer.store));
    assert!(up.len() > down.len(), "no quorum is up: {region:?}");
}
