//! Stores on one thread and virtual time, carried out step by step: what is held back stays where
//! it is until a test lets it go.
//!
//! Not here: chance, clocks that differ, store liveness (the simulation has them).

mod look;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use multiraft::apply::{Applier, ApplyOutput, Work};
use multiraft::courier::{Courier, CourierEffects};
use multiraft::shard::{Effects, Event, Fetch, Shard, ShardWrite, SnapshotEffect, Token};
use multiraft::{
    Beginning, Config, Grant, Machines, Opened, Outcome, Parcel, Pledges, Roster, SnapshotBody,
    Standing,
};
use storage::{Crash, Durability, Engine, MemoryDisk, MemoryEngine};
use types::{ClusterId, EntryId, GroupId, Index, PeerId, StoreId, Term, Time};

use crate::ledger::Ledgers;

/// The one group of most tests.
pub(crate) const GROUP: u64 = 1;

pub(crate) fn group(id: u64) -> GroupId {
    GroupId::new(id).expect("ids of a test are not zero")
}

pub(crate) fn peer(id: u64) -> PeerId {
    PeerId::new(id).expect("ids of a test are not zero")
}

pub(crate) fn store(id: u64) -> StoreId {
    StoreId::new(id).expect("ids of a test are not zero")
}

pub(crate) type Sent = (u64, u64, Parcel);

const BEAT_EVERY: Duration = Duration::from_millis(100);

/// Some stores, and the network between them.
pub(crate) struct World {
    now: Time,
    config: Arc<Config>,
    nodes: BTreeMap<u64, Node>,
    wire: VecDeque<Sent>,
    /// Everything that was ever sent.
    pub sent: Vec<Sent>,
    /// Pairs of which the first is not heard by the second.
    cut: BTreeSet<(u64, u64)>,
    /// The same for messages of groups alone.
    hushed: BTreeSet<(u64, u64)>,
    /// Frames of snapshots, other than offers, are lost.
    pub loses_frames: bool,
    /// The next chunk of a snapshot arrives with a bit turned.
    pub corrupts_next: bool,
    /// All parcels arrive twice, and the later ones first.
    pub is_wild: bool,
    /// When stores that hear each other exchange beats next, which renew what is pledged.
    pub beats_at: Option<Time>,
    answers: BTreeMap<u64, Vec<Outcome>>,
    next_token: u64,
    /// What each store told of who leads which group, in order; `None` if the group is gone.
    pub standings: Vec<(u64, GroupId, Option<Standing>)>,
    /// What readers of each store's groups were told last.
    pub leases: BTreeMap<(u64, GroupId), Option<Grant>>,
}

pub(crate) struct Node {
    disk: MemoryDisk,
    machines: Ledgers,
    up: Option<Running>,
    /// Writes of the log wait.
    pub holds_writes: bool,
    /// The apply lane stands still.
    pub holds_apply: bool,
    /// Entries that are read back come later.
    pub holds_fetches: bool,
}

struct Running {
    engine: Arc<dyn Engine>,
    shard: Shard,
    applier: Applier,
    courier: Courier,
    writes: VecDeque<ShardWrite>,
    fetches: Vec<Fetch>,
    pledges: Arc<Pledges>,
    attached: usize,
}

fn config() -> Config {
    let raft = raft::Config {
        election_timeout: Duration::from_millis(300),
        campaign_after: Duration::from_millis(300),
        campaign_spread: Duration::from_millis(300),
        heartbeat_interval: Duration::from_millis(50),
        restart_wait: Duration::from_millis(300),
        ..raft::Config::default()
    };
    Config {
        raft: Arc::new(raft),
        compact_bytes: 64,
        compact_entries: 8,
        lag_bytes_max: 256,
        cache_bytes: 1,
        apply_slice_bytes: 64,
        snapshot_chunk_bytes: 100,
        snapshot_patience: Duration::from_secs(1),
        undetermined_after: Duration::from_secs(2),
        command_bytes_max: 1 << 10,
        ..Config::default()
    }
}

pub(crate) fn open(disk: &MemoryDisk, cluster: u64, id: u64) -> Result<Opened, String> {
    let engine = MemoryEngine::open(disk.clone()).expect("a memory disk opens");
    let (engine, machines): (Arc<dyn Engine>, Arc<dyn Machines>) =
        (Arc::new(engine), Arc::new(Ledgers::of(store(id))));
    let identity = (ClusterId::new(cluster).expect("not zero"), store(id));
    multiraft::open(&Arc::new(config()), &engine, &machines, identity, Time(1))
        .map_err(|why| format!("{why:?}"))
}

impl Node {
    fn new(id: u64) -> Node {
        Node {
            disk: MemoryDisk::new(),
            machines: Ledgers::of(store(id)),
            up: None,
            holds_writes: false,
            holds_apply: false,
            holds_fetches: false,
        }
    }
}

impl World {
    /// So many stores without groups.
    pub(crate) fn empty(stores: u64) -> World {
        let mut world = World {
            now: Time(1),
            config: Arc::new(config()),
            nodes: (1..=stores).map(|id| (id, Node::new(id))).collect(),
            wire: VecDeque::new(),
            sent: Vec::new(),
            cut: BTreeSet::new(),
            hushed: BTreeSet::new(),
            loses_frames: false,
            corrupts_next: false,
            is_wild: false,
            beats_at: None,
            answers: BTreeMap::new(),
            next_token: 1,
            standings: Vec::new(),
            leases: BTreeMap::new(),
        };
        (1..=stores).for_each(|id| world.start(id));
        world
    }

    /// A group of voters 11, 12 and 13 on stores 1 to 3, led from store 1; four stores in all.
    pub(crate) fn led() -> World {
        let mut world = World::empty(4);
        world.create(GROUP, &[(11, 1), (12, 2), (13, 3)]);
        world.run(50);
        world.ask(1, |group, token| Event::Campaign { group, token });
        world.run(200);
        assert!(world.leads(1), "store 1 leads");
        world
    }

    pub(crate) fn create(&mut self, id: u64, peers: &[(u64, u64)]) {
        for &(_, at) in peers {
            self.create_on(at, id, peers);
        }
    }

    /// Tells one store to host its peer of a new group.
    pub(crate) fn create_on(&mut self, at: u64, id: u64, peers: &[(u64, u64)]) -> Token {
        let voters: Vec<_> = peers.iter().map(|&(p, s)| (peer(p), store(s))).collect();
        let roster = Roster::of_voters(&voters).expect("voters");
        let (own, _) = *voters.iter().find(|(_, home)| *home == store(at)).expect("one is here");
        let beginning =
            Box::new(Beginning { peer: own, at: EntryId::new(Term(1), Index(1)), roster });
        let token = self.token();
        self.handle(at, Event::Create { group: group(id), token, beginning });
        token
    }

    pub(crate) fn node(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&id).expect("the store exists")
    }

    fn running(&mut self, id: u64) -> &mut Running {
        self.node(id).up.as_mut().expect("the store runs")
    }

    pub(crate) fn engine(&self, id: u64) -> Arc<dyn Engine> {
        Arc::clone(&self.nodes[&id].up.as_ref().expect("the store runs").engine)
    }

    /// Opens the store; returns the groups that were set aside.
    pub(crate) fn start_with_damage(&mut self, id: u64) -> Vec<(GroupId, String)> {
        let (now, config) = (self.now, Arc::clone(&self.config));
        let node = self.node(id);
        let engine: Arc<dyn Engine> =
            Arc::new(MemoryEngine::open(node.disk.clone()).expect("it opens"));
        let machines: Arc<dyn Machines> = Arc::new(node.machines.clone());
        let identity = (ClusterId::new(7).expect("not zero"), store(id));
        let mut opened =
            multiraft::open(&config, &engine, &machines, identity, now).expect("the store opens");
        let session = opened.life << 32;
        let courier = Courier::new(config, Arc::clone(&engine), machines, session, now);
        node.up = Some(Running {
            engine,
            shard: opened.shards.pop().expect("there is one worker"),
            applier: opened.appliers.pop().expect("there is one applier"),
            courier,
            writes: VecDeque::new(),
            fetches: Vec::new(),
            pledges: opened.pledges,
            attached: 0,
        });
        opened.damaged
    }

    pub(crate) fn start(&mut self, id: u64) {
        assert_eq!(self.start_with_damage(id), []);
    }

    /// Power is lost; so many of the unsynced writes survive.
    pub(crate) fn crash(&mut self, id: u64, keep: usize) {
        let node = self.node(id);
        node.up = None;
        node.disk.crash(Crash::Keep(keep));
        self.wire.retain(|&(_, to, _)| to != id);
    }

    pub(crate) fn isolate(&mut self, id: u64) {
        let others: Vec<u64> = self.nodes.keys().copied().filter(|&other| other != id).collect();
        self.cut.extend(others.iter().flat_map(|&other| [(id, other), (other, id)]));
    }

    /// Two stores do not hear each other.
    pub(crate) fn part(&mut self, one: u64, other: u64) {
        self.cut.extend([(one, other), (other, one)]);
    }

    /// Two stores hear each other, but not each other's groups.
    pub(crate) fn hush(&mut self, one: u64, other: u64) {
        self.hushed.extend([(one, other), (other, one)]);
    }

    pub(crate) fn pledges(&mut self, id: u64) -> Arc<Pledges> {
        Arc::clone(&self.running(id).pledges)
    }

    /// Time passes at one store alone, whose clock is read before its pulse gets a beat of another
    /// and whose effects are carried out after that.
    pub(crate) fn wake_beside_a_beat(&mut self, id: u64, ms: u64, beat_of: u64) {
        self.now = self.now.after(Duration::from_millis(ms));
        let now = self.now;
        let up = self.running(id);
        if up.shard.deadline().is_some_and(|at| at <= now) {
            up.shard.wake(now);
        }
        let _ = up.pledges.renew(now, store(beat_of));
        self.turn(id);
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn token(&mut self) -> Token {
        self.next_token += 1;
        self.answers.insert(self.next_token, Vec::new());
        Token(self.next_token)
    }

    pub(crate) fn handle(&mut self, id: u64, event: Event) {
        let now = self.now;
        self.running(id).shard.handle(now, event);
        self.turn(id);
    }

    /// Lets time pass; everything that is not held goes its way.
    pub(crate) fn run(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.now = self.now.after(Duration::from_millis(10));
            let now = self.now;
            let ids: Vec<u64> = self.nodes.keys().copied().collect();
            for id in ids {
                let Some(up) = &mut self.node(id).up else { continue };
                if up.shard.deadline().is_some_and(|at| at <= now) {
                    up.shard.wake(now);
                }
                let mut out = CourierEffects::default();
                if up.courier.deadline().is_some_and(|at| at <= now) {
                    up.courier.tick(now, &mut out).expect("the disk is well");
                }
                self.carry_courier(id, out);
                self.turn(id);
            }
            self.settle();
            if self.beats_at.is_some_and(|at| self.now >= at) {
                self.beats_at = Some(self.now.after(BEAT_EVERY));
                self.beat();
            }
        }
    }

    fn beat(&mut self) {
        let up: Vec<(u64, Arc<Pledges>)> = (self.nodes.iter())
            .filter_map(|(&id, node)| Some((id, Arc::clone(&node.up.as_ref()?.pledges))))
            .collect();
        for (from, here) in &up {
            for (to, there) in up.iter().filter(|(to, _)| to != from) {
                if !self.cut.contains(&(*from, *to)) {
                    let pledge = there.renew(self.now, store(*from));
                    if !self.cut.contains(&(*to, *from)) {
                        here.heard(store(*to), pledge, self.now);
                    }
                }
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..2_000 {
            let next = if self.is_wild { self.wire.pop_back() } else { self.wire.pop_front() };
            let Some((from, to, parcel)) = next else { return };
            if self.is_wild {
                self.deliver(from, to, parcel.clone());
            }
            self.deliver(from, to, parcel);
        }
        panic!("messages without end");
    }

    /// A parcel arrives, now or again.
    pub(crate) fn deliver(&mut self, from: u64, to: u64, mut parcel: Parcel) {
        let now = self.now;
        if self.nodes[&to].up.is_none() || self.cut.contains(&(from, to)) {
            return;
        }
        if let Parcel::Snapshot(frame) = &mut parcel
            && let SnapshotBody::Chunk(chunk) = &mut frame.body
            && std::mem::take(&mut self.corrupts_next)
        {
            let mut data = chunk.data.to_vec();
            data[0] ^= 1;
            chunk.data = data.into();
        }
        let (loses_frames, is_hushed) = (self.loses_frames, self.hushed.contains(&(from, to)));
        let up = self.running(to);
        match parcel {
            Parcel::Groups(_) if is_hushed => {}
            Parcel::Groups(envelopes) => {
                for envelope in envelopes {
                    up.shard.handle(now, Event::Deliver { from: store(from), envelope });
                }
            }
            Parcel::Snapshot(frame) => match &frame.body {
                SnapshotBody::Offer(offer) => {
                    let offer = Box::new(offer.clone());
                    up.shard.handle(now, Event::Offered { from: store(from), frame, offer });
                }
                _ if loses_frames => {}
                _ => {
                    let mut out = CourierEffects::default();
                    up.courier.on_frame(now, store(from), frame, &mut out).expect("a well disk");
                    self.carry_courier(to, out);
                }
            },
            Parcel::Liveness(_) => {}
        }
        self.turn(to);
    }

    /// Lets the store do what it can without time passing.
    pub(crate) fn turn(&mut self, id: u64) {
        let now = self.now;
        loop {
            let mut effects = Effects::new();
            self.running(id).shard.drain(now, &mut effects);
            let is_idle = effects.is_empty();
            self.carry_out(id, effects);
            let node = self.node(id);
            let (writes, applies) = (!node.holds_writes, !node.holds_apply);
            let wrote = writes && self.write_one(id);
            let applied = applies && self.apply_one(id);
            let fetched = !self.node(id).holds_fetches && self.fetch_all(id);
            if is_idle && !wrote && !applied && !fetched {
                return;
            }
        }
    }

    fn carry_out(&mut self, id: u64, effects: Effects) {
        let now = self.now;
        self.leases.extend(effects.leases.into_iter().map(|(group, grant)| ((id, group), grant)));
        for (to, envelopes) in effects.sends {
            self.send(id, to.get(), Parcel::Groups(envelopes));
        }
        for (token, outcome) in effects.replies {
            self.answer(token, outcome);
        }
        let standings = effects.standings.into_iter();
        self.standings.extend(standings.map(|(group, standing)| (id, group, standing)));
        let up = self.running(id);
        up.writes.extend(effects.write);
        for task in effects.apply {
            up.attached += usize::from(matches!(task.work, Work::Entries { entries: Some(_), .. }));
            up.applier.push(task);
        }
        up.fetches.extend(effects.fetches);
        for effect in effects.snapshots {
            let mut out = CourierEffects::default();
            let up = self.running(id);
            match effect {
                SnapshotEffect::Receive { from, frame, offer } => {
                    up.courier.receive(now, from, frame, offer, &mut out).expect("a well disk");
                }
                SnapshotEffect::Answer(store, frame) => out.sends.push((store, frame)),
                SnapshotEffect::Discard(group) => up.courier.reject(group).expect("a well disk"),
                SnapshotEffect::Taken(group) => up.courier.taken_over(group),
            }
            self.carry_courier(id, out);
        }
    }

    fn carry_courier(&mut self, id: u64, out: CourierEffects) {
        let now = self.now;
        for (to, frame) in out.sends {
            self.send(id, to.get(), Parcel::Snapshot(frame));
        }
        for event in out.events {
            self.running(id).shard.handle(now, event);
        }
    }

    fn send(&mut self, from: u64, to: u64, parcel: Parcel) {
        self.sent.push((from, to, parcel.clone()));
        self.wire.push_back((from, to, parcel));
    }

    fn answer(&mut self, token: Token, outcome: Outcome) {
        self.answers.get_mut(&token.0).expect("a token that was given").push(outcome);
    }

    /// The oldest write becomes durable.
    pub(crate) fn write_one(&mut self, id: u64) -> bool {
        let now = self.now;
        let up = self.running(id);
        let Some(write) = up.writes.pop_front() else { return false };
        up.engine.write(&write.batch, Durability::Synced).expect("the disk is well");
        up.shard.handle(now, Event::Persisted(write.number));
        true
    }

    /// One slice of the apply lane.
    pub(crate) fn apply_one(&mut self, id: u64) -> bool {
        let now = self.now;
        let up = self.running(id);
        if up.applier.is_idle() {
            return false;
        }
        let mut output = ApplyOutput::default();
        up.applier.run(1, &mut output).expect("the lane goes on");
        for applied in output.applied {
            up.shard.handle(now, Event::Applied(Box::new(applied)));
        }
        for begun in output.snapshots {
            let mut out = CourierEffects::default();
            self.running(id).courier.begin(now, begun, &mut out);
            self.carry_courier(id, out);
        }
        for (_, token, index, reply) in output.replies {
            self.answer(token, Outcome::Applied { index, reply });
        }
        true
    }

    /// What is to be read back is read.
    pub(crate) fn fetch_all(&mut self, id: u64) -> bool {
        let now = self.now;
        let up = self.running(id);
        let fetches = std::mem::take(&mut up.fetches);
        let any = !fetches.is_empty();
        for fetch in fetches {
            let fetched = multiraft::fetch(&*up.engine, fetch);
            up.shard.handle(now, Event::Fetched(Box::new(fetched)));
        }
        any
    }
}
