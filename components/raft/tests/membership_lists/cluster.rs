//! A few test hosts with links that deliver at once and disks that write at once.
//!
//! Checked all along: what a leader knows of a member that stays never falls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use raft::{Change, Config, Input, Membership, Refused, RoleStatus};
use raft_world::{App, Node, Packet, Turn};
use types::{EntryId, Index, PeerId, Term, Time};

pub(crate) fn id(n: u64) -> PeerId {
    PeerId::new(n).expect("tests name peers from 1")
}

/// Beats until everyone must have heard everything, elections and snapshots included.
const ROUNDS: u32 = 60;

pub(crate) struct Cluster {
    nodes: BTreeMap<PeerId, Node>,
    packets: VecDeque<Packet>,
    now: Time,
    config: Arc<Config>,
    /// What a leader knew: by leader, its term and member, the slot matched.
    matched: BTreeMap<(PeerId, Term, PeerId), Index>,
}

impl Cluster {
    /// Hosts of the members and of others that know nothing. If `compacted`, the members' log
    /// begins somewhere, so that newcomers need a snapshot.
    pub(crate) fn new(members: &Membership, hosts: u64, compacted: bool) -> Cluster {
        let config = Arc::new(Config::default());
        let first = if compacted { EntryId::new(Term(1), Index(10)) } else { EntryId::default() };
        let host = |n| {
            let is_member = members.get(id(n)).is_some();
            let app = if is_member {
                App::new(first, members.clone())
            } else {
                App::new(EntryId::default(), Membership::unknown())
            };
            let node = Node::new(id(n), config.clone(), n, app, Time(0));
            (id(n), node.expect("a valid beginning"))
        };
        let nodes = (1..=hosts).map(host).collect();
        let now = Time(1_000_000_000);
        Cluster { nodes, packets: VecDeque::new(), now, config, matched: BTreeMap::new() }
    }

    pub(crate) fn elect(&mut self, peer: PeerId) {
        self.feed(peer, Input::Campaign).expect("a voter may campaign");
        self.settle();
        assert_eq!(self.leader(), peer);
    }

    /// The leader of the latest term. One that was cut off may not have noticed.
    fn leader(&self) -> PeerId {
        let leads = |node: &&Node| status(node).role == RoleStatus::Leader;
        let leader = self.nodes.values().filter(leads).max_by_key(|node| status(node).term);
        leader.expect("somebody leads").id
    }

    /// Asks the leader for a change; its whole state before and after comes back too.
    pub(crate) fn change(&mut self, changes: &[Change]) -> (Result<(), Refused>, String, String) {
        let leader = self.leader();
        let describe = |cluster: &Cluster| format!("{:?}", cluster.nodes[&leader].peer);
        let before = describe(self);
        let result = self.feed(leader, Input::Change(changes));
        (result, before, describe(self))
    }

    pub(crate) fn propose(&mut self) {
        let (leader, mut turn) = (self.leader(), Turn::default());
        let node = self.nodes.get_mut(&leader).expect("a host");
        // A leader on its way out takes none.
        let _ = node.propose(self.now, &["a", "b"], &mut turn);
        self.packets.extend(turn.packets);
    }

    /// Lets time pass, beat by beat, until everything there is to say is said.
    pub(crate) fn run(&mut self) {
        for _ in 0..ROUNDS {
            self.settle();
            self.now = self.now.after(self.config.heartbeat_interval);
            let due: Vec<PeerId> = (self.nodes.values())
                .filter(|node| deadline(node).is_some_and(|deadline| deadline <= self.now))
                .map(|node| node.id)
                .collect();
            for peer in due {
                self.feed(peer, Input::Timer).expect("time is not refused");
            }
        }
        self.settle();
    }

    fn feed(&mut self, peer: PeerId, input: Input<'_>) -> Result<(), Refused> {
        let mut turn = Turn::default();
        let node = self.nodes.get_mut(&peer).expect("a host");
        let result = node.step(self.now, input, &mut turn);
        self.packets.extend(turn.packets);
        result
    }

    /// Drains, writes and delivers until nothing moves.
    fn settle(&mut self) {
        loop {
            for node in self.nodes.values_mut() {
                let mut turn = Turn::default();
                node.turn(self.now, &mut turn);
                while node.disk.queued() > 0 {
                    node.complete_write(self.now, &mut turn);
                    node.turn(self.now, &mut turn);
                }
                self.packets.extend(turn.packets);
            }
            self.watch();
            if self.packets.is_empty() {
                return;
            }
            for packet in std::mem::take(&mut self.packets) {
                self.deliver(packet);
            }
        }
    }

    fn deliver(&mut self, packet: Packet) {
        let (from, to, is_snapshot) = (packet.from, packet.to, packet.is_snapshot());
        if let Some(node) = self.nodes.get_mut(&to) {
            let mut turn = Turn::default();
            node.receive(self.now, packet, &mut turn).expect("honest input is not refused");
            self.packets.extend(turn.packets);
        }
        if is_snapshot {
            self.feed(from, Input::SnapshotEnded(to)).expect("owed, so not refused");
        }
    }

    /// What a leader knows of a member never falls.
    fn watch(&mut self) {
        for node in self.nodes.values() {
            let status = status(node);
            // Those who left may come back with nothing.
            let gone = |key: &(PeerId, Term, PeerId)| {
                key.0 == node.id && status.membership.1.get(key.2).is_none()
            };
            self.matched.retain(|key, _| !gone(key));
            for peer in status.peers() {
                let known = self.matched.entry((node.id, status.term, peer.id)).or_default();
                let now = peer.progress.matched;
                assert!(now >= *known, "{} matched {now} after {known} at {}", peer.id, node.id);
                *known = now;
            }
        }
    }

    /// Every member has this membership and the whole log, and the change is over.
    pub(crate) fn check(&self, expected: &Membership) {
        let leader = &self.nodes[&self.leader()];
        assert!(expected.is_voter(leader.id), "{} leads {expected}", leader.id);
        assert_eq!(status(leader).commit, status(leader).log.last().index, "all is committed");
        for member in expected.iter() {
            let theirs = status(&self.nodes[&member.id]);
            assert_eq!(theirs.membership.1, expected, "at {}", member.id);
            assert!(!theirs.membership.1.is_joint());
            assert_eq!(theirs.log.last(), status(leader).log.last(), "log of {}", member.id);
        }
        let matched = status(leader).peers().map(|peer| peer.progress.matched).min();
        let last = status(leader).log.last().index;
        assert!(matched.is_none_or(|matched| matched == last), "the leader knows that");
    }
}

fn status(node: &Node) -> raft::Status<'_> {
    node.peer.as_ref().expect("nobody is down").status()
}

fn deadline(node: &Node) -> Option<Time> {
    node.peer.as_ref().expect("nobody is down").deadline()
}
