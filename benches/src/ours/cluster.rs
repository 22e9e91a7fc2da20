//! Three stores of peers that hand each other bundles by value.
//!
//! Pass    every store takes its whole inbox, steps each message, then drains each group it touched
//!         once. What it sends is seen in the next pass. Passes repeat until no mail is left.
//! Drain   send, put up the write, apply. The disk is memory, so a write is done at once; the
//!         receipt is stepped and the group drained again. A group without input is never asked.
//! Timers  a heap of deadlines, re-armed lazily: a deadline that has moved later is put back.
//!
//! A bundle carries the messages of a pass for one store, and behind them the entries of all its
//! appends: no message owns memory.
//!
//! Invariant: between rounds no mail is left and no peer is dirty.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use raft::{
    Body, Boot, Config, Content, Input, Membership, Message, Outbox, Own, Peer, Placed, RoleStatus,
    Run,
};
use types::{EntryId, Index, PeerId, Term, Time};

use super::log::{Log, Payload, Slot};
use crate::contender::{Cluster, ELECTION_TIMEOUT, HEARTBEAT_INTERVAL, REPLICAS, Tally, touch};

/// A log is truncated when it holds this many applied entries.
const LOG_LENGTH_MAX: usize = 256;

struct Envelope {
    group: usize,
    from: PeerId,
    message: Message,
    /// How many of the bundle's entries are this message's.
    entries: usize,
}

/// Mail for one store.
struct Bundle<P> {
    envelopes: Vec<Envelope>,
    entries: Vec<Slot<P>>,
}

struct Node<P> {
    peer: Peer,
    log: Log<P>,
}

struct Store<P> {
    id: PeerId,
    nodes: Vec<Node<P>>,
    inbox: Bundle<P>,
    dirty: Vec<usize>,
    is_dirty: Vec<bool>,
    out: Outbox,
    runs: Vec<Run>,
    tally: Tally,
}

/// See the module's comment.
pub(super) struct OurCluster<P> {
    now: Time,
    stores: Vec<Store<P>>,
    mail: Vec<Bundle<P>>,
    timers: BinaryHeap<Reverse<(Time, usize, usize)>>,
    /// Whether a failure detector between the stores is at work.
    is_watched: bool,
}

impl<P: Payload> OurCluster<P> {
    pub(super) fn new(groups: usize) -> Self {
        let config = Arc::new(Config {
            election_timeout: ELECTION_TIMEOUT,
            campaign_after: ELECTION_TIMEOUT,
            campaign_spread: ELECTION_TIMEOUT,
            heartbeat_interval: HEARTBEAT_INTERVAL,
            restart_wait: ELECTION_TIMEOUT,
            ..Config::default()
        });
        let ids = [1, 2, 3].map(|id| PeerId::new(id).expect("not zero"));
        let membership = Membership::of_voters(&ids).expect("three voters");
        let stores = ids.iter().map(|&id| Store::new(id, groups, &config, &membership)).collect();
        let mail = ids.iter().map(|_| Bundle::new()).collect();
        let timers = BinaryHeap::new();
        let mut cluster = Self { now: Time(1), stores, mail, timers, is_watched: false };
        for group in 0..groups {
            let now = cluster.now;
            let store = &mut cluster.stores[group % REPLICAS];
            store.step(group, now, Input::Campaign);
            store.drain(group, now, &mut cluster.mail);
            cluster.run();
        }
        cluster.settle();
        cluster
    }

    /// Truncates every log down to its last applied entry.
    pub(super) fn compact_all(&mut self) {
        let now = self.now;
        for store in &mut self.stores {
            for group in 0..store.nodes.len() {
                store.compact(group, now);
                store.nodes[group].log.shrink();
            }
        }
    }

    /// The peers, and the logs, for which `wanted(group, store)` holds.
    pub(super) fn into_parts(
        self,
        wanted: impl Fn(usize, usize) -> bool,
    ) -> (Vec<Option<Peer>>, Vec<Option<Log<P>>>) {
        (self.stores.into_iter().enumerate())
            .flat_map(|(id, store)| {
                store.nodes.into_iter().enumerate().map(move |(group, node)| (group, id, node))
            })
            .filter(|(group, id, _)| wanted(*group, *id))
            .map(|(_, _, node)| (Some(node.peer), Some(node.log)))
            .unzip()
    }

    /// Passes until no mail is left.
    fn run(&mut self) {
        while self.mail.iter().any(|bundle| !bundle.envelopes.is_empty()) {
            for (store, bundle) in self.stores.iter_mut().zip(&mut self.mail) {
                std::mem::swap(&mut store.inbox, bundle);
            }
            for store in &mut self.stores {
                store.pass(self.now, &mut self.mail);
            }
        }
    }

    /// The failure detector of each store vouches for the two others: said once, and again only
    /// when it changes.
    fn watch(&mut self) {
        if std::mem::replace(&mut self.is_watched, true) {
            return;
        }
        let ids: Vec<PeerId> = self.stores.iter().map(|store| store.id).collect();
        for (at, store) in self.stores.iter_mut().enumerate() {
            for group in 0..store.nodes.len() {
                for &peer in ids.iter().filter(|&&peer| peer != ids[at]) {
                    store.step(group, self.now, Input::Support { peer, held: true });
                }
                store.drain(group, self.now, &mut self.mail);
                if let Some(deadline) = store.nodes[group].peer.deadline() {
                    self.timers.push(Reverse((deadline, at, group)));
                }
            }
        }
        self.run();
    }

    /// Time passes; whoever asked to be called is called.
    fn pass_time(&mut self, until: Time) {
        while let Some(&Reverse((due, at, group))) = self.timers.peek()
            && due <= until
        {
            self.timers.pop();
            self.now = self.now.max(due);
            let store = &mut self.stores[at];
            let moved = store.nodes[group].peer.deadline().filter(|&deadline| deadline > due);
            if moved.is_none() {
                store.step(group, self.now, Input::Timer);
                store.drain(group, self.now, &mut self.mail);
                self.run();
            }
            if let Some(deadline) = self.stores[at].nodes[group].peer.deadline() {
                self.timers.push(Reverse((deadline, at, group)));
            }
        }
        self.now = until;
    }

    fn check_level(&self) {
        for group in 0..self.stores[0].nodes.len() {
            let leader = self.stores[group % REPLICAS].nodes[group].peer.status();
            assert_eq!(leader.role, RoleStatus::Leader, "group {group} lost its leader");
            for store in &self.stores {
                let applied = store.nodes[group].peer.status().reported;
                assert_eq!(applied, leader.log.last().index, "group {group} is not level");
            }
        }
    }
}

impl<P: Payload> Cluster for OurCluster<P> {
    fn propose_round(&mut self, per_drain: usize, payload: &[u8]) {
        // Drains of one leader are told apart by time; a real clock moves on its own.
        self.now = self.now.after(Duration::from_micros(1));
        for group in 0..self.stores[0].nodes.len() {
            let store = &mut self.stores[group % REPLICAS];
            store.propose(group, self.now, per_drain, payload);
            store.drain(group, self.now, &mut self.mail);
        }
        self.run();
    }

    fn settle(&mut self) {
        self.check_level();
    }

    fn heartbeat_round(&mut self) {
        self.now = self.now.after(HEARTBEAT_INTERVAL);
        for group in 0..self.stores[0].nodes.len() {
            let store = &mut self.stores[group % REPLICAS];
            store.step(group, self.now, Input::Timer);
            store.drain(group, self.now, &mut self.mail);
        }
        self.run();
    }

    fn idle_minute(&mut self) {
        self.watch();
        self.pass_time(self.now.after(Duration::from_secs(60)));
        self.check_level();
    }

    fn tally(&self) -> Tally {
        self.stores.iter().map(|store| store.tally).sum()
    }
}

impl<P> Bundle<P> {
    fn new() -> Self {
        Self { envelopes: Vec::new(), entries: Vec::new() }
    }
}

impl<P: Payload> Store<P> {
    fn new(id: PeerId, groups: usize, config: &Arc<Config>, membership: &Membership) -> Self {
        let base = EntryId::new(Term(1), Index(1));
        let node = |seed| {
            let mut boot = Boot::empty(id, seed);
            (boot.term, boot.base, boot.last) = (base.term, base, base.index);
            (boot.commit, boot.applied) = (base.index, base.index);
            boot.membership = (base.index, membership);
            let peer = Peer::restore(config.clone(), &boot, Time(1)).expect("a fresh beginning");
            Node { peer, log: Log::new(base.index) }
        };
        Self {
            id,
            nodes: (0..groups).map(|group| node(group as u64 * 3 + id.get())).collect(),
            inbox: Bundle::new(),
            dirty: Vec::new(),
            is_dirty: vec![false; groups],
            out: Outbox::new(),
            runs: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// A local input, none of which places payloads.
    fn step(&mut self, group: usize, now: Time, input: Input<'_>) {
        let node = &mut self.nodes[group];
        let placed = node.peer.step(now, input, &mut self.out).expect("nothing here is refused");
        if let Placed::Own(id, own) = placed {
            assert_eq!(own, Own::Empty, "memberships do not change here");
            node.log.push(Slot { term: id.term, payload: None });
        }
    }

    fn propose(&mut self, group: usize, now: Time, count: usize, payload: &[u8]) {
        let node = &mut self.nodes[group];
        let bytes = (count * payload.len()) as u64;
        let input = Input::Propose { count: count as u64, bytes };
        let placed = node.peer.step(now, input, &mut self.out);
        assert!(matches!(placed, Ok(Placed::Payloads(_))), "the leader takes proposals");
        let term = node.peer.status().term;
        for _ in 0..count {
            node.log.push(Slot { term, payload: Some(P::of(payload)) });
        }
    }

    fn pass(&mut self, now: Time, mail: &mut [Bundle<P>]) {
        let mut inbox = std::mem::replace(&mut self.inbox, Bundle::new());
        let mut entries = inbox.entries.drain(..);
        for envelope in inbox.envelopes.drain(..) {
            let group = envelope.group;
            self.receive(now, envelope, &mut entries);
            if !std::mem::replace(&mut self.is_dirty[group], true) {
                self.dirty.push(group);
            }
        }
        drop(entries);
        self.inbox = inbox;
        while let Some(group) = self.dirty.pop() {
            self.is_dirty[group] = false;
            self.drain(group, now, mail);
        }
    }

    fn receive(
        &mut self,
        now: Time,
        envelope: Envelope,
        entries: &mut std::vec::Drain<'_, Slot<P>>,
    ) {
        let Envelope { group, from, message, entries: count } = envelope;
        let node = &mut self.nodes[group];
        let Body::Append { prev, .. } = message.body else {
            return self.step(group, now, Input::Message { from, message, content: Content::None });
        };
        let first = prev.index.next();
        self.runs.clear();
        for (at, slot) in (first.0..).map(Index).zip(&entries.as_slice()[..count]) {
            if self.runs.last().is_none_or(|run| run.term != slot.term) {
                self.runs.push(Run { first: at, term: slot.term });
            }
        }
        let content = Content::Entries { runs: &self.runs, memberships: &[] };
        let input = Input::Message { from, message, content };
        let placed = node.peer.step(now, input, &mut self.out).expect("leaders are honest");
        let mut own = entries.take(count);
        if let Placed::Payloads(range) = placed {
            if node.log.len() > 0 {
                node.log.cut(range.start);
            }
            let known = usize::try_from(range.start.since(first)).expect("short");
            own.by_ref().skip(known).for_each(|slot| node.log.push(slot));
        }
        own.for_each(drop);
    }

    fn drain(&mut self, group: usize, now: Time, mail: &mut [Bundle<P>]) {
        loop {
            let node = &mut self.nodes[group];
            if !node.peer.is_dirty() {
                break;
            }
            node.peer.drain(now, &node.log, &mut self.out);
            self.tally.messages += self.out.sends.len() as u64;
            for &(to, message) in &self.out.sends {
                let bundle = &mut mail[usize::try_from(to.get() - 1).expect("three stores")];
                let before = bundle.entries.len();
                if let Body::Append { prev, last, .. } = message.body
                    && last > prev.index
                {
                    let range = node.log.range(prev.index.next()..last.next());
                    bundle.entries.extend(range.map(|slot| Slot {
                        term: slot.term,
                        payload: slot.payload.as_ref().map(P::pass_on),
                    }));
                }
                let entries = bundle.entries.len() - before;
                bundle.envelopes.push(Envelope { group, from: self.id, message, entries });
            }
            let commit = self.out.commit.clone();
            if !commit.is_empty() {
                for payload in node.log.range(commit).filter_map(|slot| slot.payload.as_ref()) {
                    self.tally.applied += 1;
                    self.tally.checksum = self.tally.checksum.wrapping_add(touch(payload.bytes()));
                }
            }
            let write = self.out.write.take();
            self.out.clear();
            if let Some(write) = write {
                self.step(group, now, Input::Persisted(write.receipt));
            }
        }
        if self.nodes[group].log.len() >= LOG_LENGTH_MAX {
            self.compact(group, now);
        }
    }

    fn compact(&mut self, group: usize, now: Time) {
        let applied = self.nodes[group].peer.status().reported;
        let node = &mut self.nodes[group];
        if applied > node.peer.status().log.base().index {
            node.log.compact(applied);
            self.step(group, now, Input::Compacted(applied));
        }
    }
}
