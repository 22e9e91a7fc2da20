//! Three stores of `RawNode`s that hand each other messages by value.
//!
//! Pass    every store takes its whole inbox, steps each message, then drains each group it touched
//!         once. What it sends is seen in the next pass. Passes repeat until no mail is left.
//! Drain   `ready` -> send, apply, append, send what had to wait for the append -> `advance` ->
//!         send, apply -> `advance_apply`. A group without input is never asked.
//!
//! Invariant: between rounds no mail is left and no node has a ready.

use raft_rs::eraftpb::{Entry, EntryType, Message, MessageType};
use raft_rs::{Config, RawNode, StateRole};
use slog::{Discard, Logger, o};

use super::Settings;
use super::store::LogStore;
use crate::contender::{Cluster, ELECTION_TIMEOUT, HEARTBEAT_INTERVAL, REPLICAS, Tally, touch};

/// A log is truncated when it holds this many applied entries.
const LOG_LENGTH_MAX: u64 = 256;

/// Groups that are ticked before their mail is handled: keeps an idle sweep inside the cache.
const SWEEP: usize = 512;

struct Envelope {
    group: usize,
    message: Message,
}

type Mail = [Vec<Envelope>; REPLICAS];

struct Store<S: LogStore> {
    nodes: Vec<RawNode<S>>,
    inbox: Vec<Envelope>,
    /// Groups stepped in this pass, each once.
    dirty: Vec<usize>,
    is_dirty: Vec<bool>,
    tally: Tally,
}

/// See the module's comment.
pub(super) struct PeerCluster<S: LogStore> {
    settings: Settings,
    stores: [Store<S>; REPLICAS],
    mail: Mail,
}

impl<S: LogStore> PeerCluster<S> {
    pub(super) fn new(settings: Settings, groups: usize) -> Self {
        let logger = Logger::root(Discard, o!());
        let stores = [1, 2, 3].map(|id| Store {
            nodes: (0..groups).map(|_| node(settings, id, &logger)).collect(),
            inbox: Vec::new(),
            dirty: Vec::new(),
            is_dirty: vec![false; groups],
            tally: Tally::default(),
        });
        let mut cluster = Self { settings, stores, mail: [const { Vec::new() }; REPLICAS] };
        for group in 0..groups {
            let store = &mut cluster.stores[group % REPLICAS];
            store.nodes[group].campaign().expect("a fresh voter may campaign");
            store.drain(group, &mut cluster.mail);
            cluster.run();
        }
        cluster.settle();
        cluster
    }

    /// Truncates every log down to its last applied entry.
    pub(super) fn compact_all(&mut self) {
        for node in self.stores.iter_mut().flat_map(|store| &mut store.nodes) {
            let applied = node.raft.raft_log.applied();
            node.mut_store().compact(applied);
        }
    }

    /// Gives back what leaders keep for appends in flight; allocated anew with the next append.
    pub(super) fn free_inflight_buffers(&mut self) {
        for node in self.stores.iter_mut().flat_map(|store| &mut store.nodes) {
            node.raft.maybe_free_inflight_buffers();
        }
    }

    /// The nodes for which `wanted(group, store)` holds; the others are dropped.
    pub(super) fn into_nodes(
        self,
        wanted: impl Fn(usize, usize) -> bool,
    ) -> Vec<Option<RawNode<S>>> {
        let mut nodes = Vec::new();
        for (store_id, store) in self.stores.into_iter().enumerate() {
            let all = store.nodes.into_iter().enumerate();
            nodes.extend(all.filter(|(group, _)| wanted(*group, store_id)).map(|(_, n)| Some(n)));
        }
        nodes
    }

    /// Passes until no mail is left.
    fn run(&mut self) {
        while self.mail.iter().any(|mail| !mail.is_empty()) {
            for (store, mail) in self.stores.iter_mut().zip(&mut self.mail) {
                std::mem::swap(&mut store.inbox, mail);
            }
            for store in &mut self.stores {
                store.pass(&mut self.mail);
            }
        }
    }

    fn tick(&mut self) {
        let groups = self.stores[0].nodes.len();
        for start in (0..groups).step_by(SWEEP) {
            for store in &mut self.stores {
                for group in start..groups.min(start + SWEEP) {
                    let is_woken = store.nodes[group].tick();
                    // The documented loop asks `has_ready` in any case; `drain` does.
                    if is_woken || !self.settings.is_tuned {
                        store.drain(group, &mut self.mail);
                    }
                }
            }
            self.run();
        }
    }

    fn check_level(&self) {
        for group in 0..self.stores[0].nodes.len() {
            let leader = &self.stores[group % REPLICAS].nodes[group].raft;
            assert_eq!(leader.state, StateRole::Leader, "group {group} lost its leader");
            for store in &self.stores {
                let applied = store.nodes[group].raft.raft_log.applied();
                assert_eq!(applied, leader.raft_log.last_index(), "group {group} is not level");
            }
        }
    }
}

impl<S: LogStore> Cluster for PeerCluster<S> {
    fn propose_round(&mut self, per_drain: usize, payload: &[u8]) {
        for group in 0..self.stores[0].nodes.len() {
            let store = &mut self.stores[group % REPLICAS];
            let node = &mut store.nodes[group];
            if self.settings.is_tuned {
                node.step(proposal(per_drain, payload)).expect("the leader takes proposals");
            } else {
                for _ in 0..per_drain {
                    node.propose(Vec::new(), payload.to_vec()).expect("the leader takes proposals");
                }
            }
            store.drain(group, &mut self.mail);
        }
        self.run();
    }

    fn settle(&mut self) {
        if self.settings.skip_bcast_commit {
            self.heartbeat_round();
        }
        self.check_level();
    }

    fn heartbeat_round(&mut self) {
        for group in 0..self.stores[0].nodes.len() {
            let store = &mut self.stores[group % REPLICAS];
            store.nodes[group].ping();
            store.drain(group, &mut self.mail);
        }
        self.run();
    }

    fn idle_minute(&mut self) {
        for _ in 0..60 * self.settings.ticks_per_second {
            self.tick();
        }
        self.check_level();
    }

    fn tally(&self) -> Tally {
        self.stores.iter().map(|store| store.tally).sum()
    }
}

impl<S: LogStore> Store<S> {
    fn pass(&mut self, mail: &mut Mail) {
        for Envelope { group, message } in self.inbox.drain(..) {
            self.nodes[group].step(message).expect("peers know each other");
            if !std::mem::replace(&mut self.is_dirty[group], true) {
                self.dirty.push(group);
            }
        }
        while let Some(group) = self.dirty.pop() {
            self.is_dirty[group] = false;
            self.drain(group, mail);
        }
    }

    /// Handles one ready, if there is one.
    fn drain(&mut self, group: usize, mail: &mut Mail) {
        let node = &mut self.nodes[group];
        if !node.has_ready() {
            return;
        }
        let tally = &mut self.tally;
        let mut ready = node.ready();
        post(group, ready.take_messages(), mail, tally);
        apply(&ready.take_committed_entries(), tally);
        let entries = ready.take_entries();
        if !entries.is_empty() {
            node.mut_store().append(entries);
        }
        if let Some(hard_state) = ready.hs() {
            node.mut_store().set_hard_state(hard_state.clone());
        }
        post(group, ready.take_persisted_messages(), mail, tally);
        let mut light = node.advance_append(ready);
        if let Some(commit) = light.commit_index() {
            node.mut_store().set_commit(commit);
        }
        post(group, light.take_messages(), mail, tally);
        apply(&light.take_committed_entries(), tally);
        node.advance_apply();

        let applied = node.raft.raft_log.applied();
        let first = node.store().first_index().expect("a log in memory can be read");
        if applied >= first + LOG_LENGTH_MAX {
            node.mut_store().compact(applied);
        }
    }
}

fn node<S: LogStore>(settings: Settings, id: u64, logger: &Logger) -> RawNode<S> {
    let ticks = |duration: std::time::Duration| {
        let seconds = usize::try_from(duration.as_secs()).expect("a timeout is short");
        seconds * settings.ticks_per_second
    };
    let config = Config {
        id,
        election_tick: ticks(ELECTION_TIMEOUT),
        heartbeat_tick: ticks(HEARTBEAT_INTERVAL),
        max_size_per_msg: 1 << 20,
        max_inflight_msgs: 256,
        check_quorum: true,
        pre_vote: true,
        batch_append: true,
        skip_bcast_commit: settings.skip_bcast_commit,
        ..Config::default()
    };
    RawNode::new(&config, S::with_voters(vec![1, 2, 3]), logger).expect("the config is valid")
}

/// Many proposals in one message: not what `RawNode::propose` offers, but what `step` accepts.
fn proposal(count: usize, payload: &[u8]) -> Message {
    let entry = || Entry { data: payload.to_vec(), ..Entry::default() };
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgPropose);
    message.entries = (0..count).map(|_| entry()).collect();
    message
}

fn post(group: usize, messages: Vec<Message>, mail: &mut Mail, tally: &mut Tally) {
    tally.messages += messages.len() as u64;
    for message in messages {
        let store = usize::try_from(message.to - 1).expect("there are three stores");
        mail[store].push(Envelope { group, message });
    }
}

fn apply(entries: &[Entry], tally: &mut Tally) {
    for entry in entries {
        // A new leader's own entry is empty and belongs to nobody.
        if entry.data.is_empty() || entry.get_entry_type() != EntryType::EntryNormal {
            continue;
        }
        tally.applied += 1;
        tally.checksum = tally.checksum.wrapping_add(touch(&entry.data));
    }
}
