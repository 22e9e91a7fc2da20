//! What a peer costs at rest and while nothing but beats and proposals pass: bytes and allocations.
//!
//! A host keeps 100,000 peers, nearly all of them idle followers. Such a peer is one struct without
//! heap memory of its own, a beat touches no allocator on either side, and a proposal costs the
//! three cores together nothing that grows with the number of proposals. Counted with a counting
//! allocator, by thread, so that tests may run side by side.

use std::ops::Range;
use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use raft::{
    Body, Boot, Change, Config, Content, Input, LogSizes, Membership, Message, Outbox, Peer,
    RoleStatus, Run, Seat, Stamp,
};
use types::{EntryId, Index, PeerId, Term, Time};

/// Bytes of one entry, as the host says.
const ENTRY_BYTES: u64 = 100;

/// Follower of a group of three, struct included.
const FOLLOWER_BYTES_MAX: usize = 264;
/// Leader of a group of three, struct and heap.
const LEADER_BYTES_MAX: usize = 568;

struct Even;

impl LogSizes for Even {
    fn fit(&self, entries: Range<Index>, bytes_max: u64) -> (Index, u64) {
        let count = entries.end.since(entries.start).min(bytes_max / ENTRY_BYTES);
        (Index(entries.start.0 + count), count * ENTRY_BYTES)
    }
}

fn id(n: u64) -> PeerId {
    PeerId::new(n).expect("tests name peers from 1")
}

/// Peers with buffers that are kept, as in a host at work. Every write is durable at once.
struct Group {
    peers: Vec<(Peer, Outbox)>,
    now: Time,
}

impl Group {
    fn new(config: &Arc<Config>, voters: u64) -> Group {
        let ids: Vec<PeerId> = (1..=voters).map(id).collect();
        let membership = Membership::of_voters(&ids).expect("a handful of voters");
        let first = EntryId::new(Term(1), Index(1));
        let peer = |&id: &PeerId| {
            let boot = Boot {
                term: first.term,
                commit: first.index,
                applied: first.index,
                base: first,
                membership: (first.index, &membership),
                last: first.index,
                ..Boot::empty(id, id.get())
            };
            let peer = Peer::restore(config.clone(), &boot, Time(0)).expect("a valid beginning");
            (peer, Outbox::new())
        };
        Group { peers: ids.iter().map(peer).collect(), now: Time(1_000_000_000) }
    }

    /// A group led by the first peer, with some entries committed, applied and compacted by all.
    fn led(config: &Arc<Config>, voters: u64) -> Group {
        let mut group = Group::new(config, voters);
        group.feed(0, Input::Campaign);
        group.settle();
        assert_eq!(group.leader().status().role, RoleStatus::Leader);
        for _ in 0..100 {
            group.propose();
        }
        group.beat();
        group.compact();
        assert!(group.peers.iter().all(|(peer, _)| peer.status().log.base().index > Index(100)));
        group
    }

    fn leader(&self) -> &Peer {
        &self.peers[0].0
    }

    /// Feeds a peer. All entries are alike, so no copy of its log is kept.
    fn feed(&mut self, at: usize, input: Input<'_>) {
        let (peer, out) = &mut self.peers[at];
        let placed = peer.step(self.now, input, out);
        assert!(placed.is_ok(), "nothing is refused in an honest group: {placed:?}");
    }

    /// One entry of a leader's own term.
    fn append(&mut self, at: usize, from: PeerId, term: Term, prev: EntryId) {
        let last = prev.index.next();
        let body = Body::Append { prev, last, commit: Index(0), stamp: Stamp(0) };
        let runs = [Run { first: last, term }];
        let content = Content::Entries { runs: &runs, memberships: &[] };
        self.feed(at, Input::Message { from, message: Message { term, body }, content });
        self.complete(at);
    }

    /// Drains a peer and completes its write, and forgets what else it wants.
    fn complete(&mut self, at: usize) {
        let (peer, out) = &mut self.peers[at];
        peer.drain(self.now, &Even, out);
        let write = out.write.take();
        out.clear();
        if let Some(write) = write {
            self.feed(at, Input::Persisted(write.receipt));
        }
    }

    fn propose(&mut self) {
        self.feed(0, Input::Propose { count: 1, bytes: ENTRY_BYTES });
        self.settle();
    }

    /// One round of beats.
    fn beat(&mut self) {
        self.now = self.leader().deadline().expect("a leader beats");
        self.feed(0, Input::Timer);
        self.settle();
    }

    fn compact(&mut self) {
        for at in 0..self.peers.len() {
            let reported = self.peers[at].0.status().reported;
            self.feed(at, Input::Compacted(reported));
        }
    }

    /// Carries messages and completes writes until nothing is left to do.
    fn settle(&mut self) {
        while (0..self.peers.len()).any(|at| self.turn(at)) {}
    }

    /// Drains one peer and carries out what it asks for. Whether that was anything.
    fn turn(&mut self, at: usize) -> bool {
        let (peer, out) = &mut self.peers[at];
        if !peer.is_dirty() && out.is_empty() {
            return false;
        }
        peer.drain(self.now, &Even, out);
        let from = peer.status().id;
        let mut mine = std::mem::take(out);
        if let Some(write) = mine.write.take() {
            self.feed(at, Input::Persisted(write.receipt));
        }
        for &(to, message) in &mine.sends {
            let to = self.slot(to);
            match message.body {
                Body::Append { prev, last, .. } if last > prev.index => {
                    let status = self.peers[at].0.status();
                    let runs = [Run { first: prev.index.next(), term: status.log.last().term }];
                    let newest = [(status.membership.0, status.membership.1.clone())];
                    let is_sent = newest[0].0 > prev.index;
                    let memberships = if is_sent { &newest[..] } else { &[] };
                    let content = Content::Entries { runs: &runs, memberships };
                    self.feed(to, Input::Message { from, message, content });
                }
                _ => {
                    self.feed(to, Input::Message { from, message, content: Content::None });
                }
            }
        }
        // What steps have added meanwhile goes where it was going.
        let added = std::mem::replace(&mut self.peers[at].1, mine);
        let out = &mut self.peers[at].1;
        out.clear();
        out.sends.extend_from_slice(&added.sends);
        true
    }

    fn slot(&self, peer: PeerId) -> usize {
        self.peers.iter().position(|(other, _)| other.status().id == peer).expect("a member")
    }
}

/// Runs a group under the counter and keeps one peer: what is left is that peer's own.
fn live_heap_of(build: impl FnOnce(&Arc<Config>) -> Peer) -> (Peer, AllocationInfo) {
    let config = Arc::new(Config::default());
    let mut kept = None;
    let info = measure(|| kept = Some(build(&config)));
    (kept.expect("built above"), info)
}

#[test]
fn counter_counts() {
    let info = measure(|| drop(std::hint::black_box(Box::new(7_u64))));
    assert_eq!((info.count_total, info.bytes_total), (1, 8));
}

#[test]
fn idle_follower_is_one_struct_without_heap() {
    let (peer, info) = live_heap_of(|config| Group::led(config, 3).peers.swap_remove(1).0);
    let status = peer.status();
    assert_eq!((status.role, status.leader), (RoleStatus::Follower, Some(id(1))));
    assert_eq!(status.log.base(), status.log.last());
    assert_eq!((info.count_current, info.bytes_current), (0, 0));
    assert!(size_of::<Peer>() <= FOLLOWER_BYTES_MAX, "{} bytes", size_of::<Peer>());
}

/// Also one that has campaigned, followed many leaders whose terms are all in its log at once, and
/// seen the membership change.
#[test]
fn follower_with_a_past_rests_without_heap() {
    let (peer, info) = live_heap_of(|config| {
        let mut group = Group::led(config, 3);
        group.feed(1, Input::Support { peer: id(1), held: true });
        group.feed(0, Input::Change(&[Change::Set(id(3), Seat::Learner)]));
        group.settle();
        assert!(group.peers[1].0.status().membership.0 > Index(100));
        for term in 10..30 {
            let prev = group.peers[1].0.status().log.last();
            group.append(1, id(1 + term % 2 * 2), Term(term), prev);
        }
        let (peer, _) = &group.peers[1];
        let log = peer.status().log;
        assert_eq!((log.last().term, log.stable()), (Term(29), log.last().index));
        let commit = log.last().index;
        let message = Message { term: Term(29), body: Body::Commit { commit } };
        group.feed(1, Input::Message { from: id(3), message, content: Content::None });
        group.complete(1);
        group.feed(1, Input::Compacted(commit));
        group.peers.swap_remove(1).0
    });
    let log = peer.status().log;
    assert_eq!((log.base(), log.last().term), (log.last(), Term(29)));
    assert_eq!((info.count_current, info.bytes_current), (0, 0));
}

#[test]
fn idle_leader_of_three_stays_small() {
    let (peer, info) = live_heap_of(|config| Group::led(config, 3).peers.swap_remove(0).0);
    assert_eq!(peer.status().role, RoleStatus::Leader);
    let heap = usize::try_from(info.bytes_current).expect("more was allocated than freed");
    let total = size_of::<Peer>() + heap;
    assert!(heap > 0, "a leader keeps progress");
    assert!(total <= LEADER_BYTES_MAX, "{total} bytes: {} and {heap}", size_of::<Peer>());
}

#[test]
fn beat_round_allocates_nothing() {
    for voters in [3, 5] {
        let mut group = Group::led(&Arc::new(Config::default()), voters);
        group.beat();
        let acked =
            |group: &Group| group.leader().status().peers().map(|peer| peer.progress.acked).min();
        let before = acked(&group);
        let info = measure(|| {
            for _ in 0..10 {
                group.beat();
            }
        });
        assert!(acked(&group) > before, "the beats were answered");
        assert_eq!(info.count_total, 0, "{voters} voters: {info:?}");
    }
}

#[test]
fn proposals_allocate_nothing_that_grows_with_them() {
    const PROPOSALS: u64 = 1_000;
    let mut group = Group::led(&Arc::new(Config::default()), 3);
    let before = group.leader().status().commit;
    let info = measure(|| {
        for _ in 0..PROPOSALS {
            group.propose();
        }
    });
    assert_eq!(group.leader().status().commit.since(before), PROPOSALS);
    let allowed = 3;
    assert!(info.count_total <= allowed, "{PROPOSALS} proposals at three peers: {info:?}");
}

#[test]
fn status_allocates_nothing() {
    let group = Group::led(&Arc::new(Config::default()), 3);
    let mut seen = 0;
    let info = measure(|| {
        for (peer, _) in &group.peers {
            let status = peer.status();
            seen += status.peers().filter(|peer| peer.progress.matched > Index(0)).count();
            seen += usize::from(status.log.contains(status.log.last()));
            seen += usize::from(peer.lease(group.now).is_some());
            seen += usize::from(peer.deadline().is_some());
        }
    });
    assert_eq!(seen, 2 + 3 + 1 + 3);
    assert_eq!(info.count_total, 0, "{info:?}");
}
