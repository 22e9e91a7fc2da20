//! The log against a plain list of entries, and what is durable against what is said to be.
//!
//! A peer follows a succession of leaders: packets are delayed, repeated, reordered and lost,
//! writes complete late, receipts come late, again, out of order or never, the log is compacted,
//! replaced by snapshots and read back after a crash. After every step `status().log` must answer
//! like a plain list that follows the paper.
//!
//! Durability: after all completed writes the disk agrees with the log up to `stable`, and with
//! every ack, for every interleaving of completions and messages. And when all writes are complete
//! and told, all of the log is stable.

#[path = "log_model/host.rs"]
mod host;
#[path = "log_model/leaders.rs"]
mod leaders;

use std::sync::Arc;

use proptest::prelude::*;
use raft::Config;
use raft_world::{App, Entry, Node, Turn};
use types::{EntryId, Index, Term, Time};

use host::Host;
use leaders::{Leaders, id, index, membership_of, slot, voters};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Op {
    Elect { which: usize, keep: usize, skip: u64 },
    Grow { count: usize, with_membership: bool },
    Commit { upto: usize },
    Append { prev: usize, count: usize, lag: usize },
    Beat,
    Snapshot { lag: usize },
    Deliver { which: usize, again: bool },
    Drain,
    Complete,
    Tell { back: usize },
    Compact { lag: usize },
    Crash { keep: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let small = || 0..4_usize;
    prop_oneof![
        4 => (0..9_usize, 0..4_usize, 0..2_u64)
            .prop_map(|(which, keep, skip)| Op::Elect { which, keep, skip }),
        5 => (1..4_usize, prop::bool::ANY)
            .prop_map(|(count, with_membership)| Op::Grow { count, with_membership }),
        3 => (0..20_usize).prop_map(|upto| Op::Commit { upto }),
        8 => (prop_oneof![0..4_usize, 0..16_usize], 0..9_usize, small())
            .prop_map(|(prev, count, lag)| Op::Append { prev, count, lag }),
        1 => Just(Op::Beat),
        1 => small().prop_map(|lag| Op::Snapshot { lag }),
        10 => (prop_oneof![Just(0), 0..20_usize], prop::bool::weighted(0.3))
            .prop_map(|(which, again)| Op::Deliver { which, again }),
        8 => Just(Op::Drain),
        6 => Just(Op::Complete),
        6 => small().prop_map(|back| Op::Tell { back }),
        2 => small().prop_map(|lag| Op::Compact { lag }),
        1 => small().prop_map(|keep| Op::Crash { keep }),
    ]
}

/// What the leaders do; whether it was theirs to do.
fn lead(leaders: &mut Leaders, op: &Op) -> bool {
    match *op {
        Op::Elect { which, keep, skip } => leaders.elect(which, keep, skip),
        Op::Grow { count, with_membership } => leaders.grow(count, with_membership),
        Op::Commit { upto } => leaders.commit(upto),
        Op::Append { prev, count, lag } => leaders.append(prev, count, lag),
        Op::Beat => leaders.beat(),
        Op::Snapshot { lag } => leaders.snapshot(lag),
        _ => return false,
    }
    true
}

fn follow(host: &mut Host, leaders: &mut Leaders, op: &Op) {
    match *op {
        Op::Deliver { which, again } => {
            if let Some(packet) = leaders.take(which, again) {
                // A snapshot covers what is committed: in any leader's log since it is the same.
                host.receive(&packet, &leaders.log);
            }
        }
        Op::Drain => host.drain(),
        Op::Complete => host.complete(),
        Op::Tell { back } => host.tell(back),
        Op::Compact { lag } => host.compact(lag),
        Op::Crash { keep } => host.crash(keep),
        _ => {}
    }
}

/// The term in this slot, as far as the log goes.
fn term(host: &Host, at: usize) -> Option<Term> {
    if at < host.base { None } else { host.log.get(at).map(|entry| entry.id.term) }
}

/// The last slot up to `from` whose term is at most `term`, down to the base.
fn floor(host: &Host, from: usize, term: Term) -> EntryId {
    let reachable = &host.log[host.base..];
    let fits = |entry: &&Entry| slot(entry.id.index) <= from && entry.id.term <= term;
    reachable.iter().rev().find(fits).unwrap_or(&reachable[0]).id
}

fn check(host: &Host, terms: Term) {
    let status = host.peer.status();
    let log = status.log;
    assert_eq!(log.base(), host.log[host.base].id, "base");
    assert_eq!(Some(log.last()), host.log.last().map(|entry| entry.id), "last");
    assert_eq!((status.term, slot(status.commit)), (host.term, host.commit), "term, commit");
    let (at, membership) = membership_of(&host.log);
    // A membership from before the base is known by the base's slot, or by its own.
    let is_placed = status.membership.0 == at || slot(at) <= host.base;
    assert!(is_placed, "membership of {} instead of {at}", status.membership.0);
    assert_eq!(*status.membership.1, membership, "membership");
    for at in 0..host.log.len() + 2 {
        assert_eq!(log.term(index(at)), term(host, at), "term of {at}");
        for of in (0..=terms.0 + 1).map(Term) {
            let id = EntryId::new(of, index(at));
            assert_eq!(log.contains(id), term(host, at) == Some(of), "contains {id}");
            assert_eq!(log.floor(id), floor(host, at, of), "floor of {id}");
        }
    }
    let is_stable = log.is_installing() || log.stable() >= log.base().index;
    assert!(is_stable && log.stable() <= log.last().index, "stable {}", log.stable());
    if !log.is_installing() {
        let upto = log.stable();
        assert!(host.is_durable_to(slot(upto)), "stable to {upto}, the disk disagrees");
    }
}

/// The same packets for a host of the test world, whose writes are told as they complete.
fn follow_as_node(node: &mut Node, leaders: &mut Leaders, op: &Op, turn: &mut Turn) {
    match *op {
        Op::Deliver { which, again } => {
            if let Some(packet) = leaders.take(which, again) {
                node.receive(NOW, packet, turn).expect("honest input is not refused");
            }
        }
        Op::Drain => node.turn(NOW, turn),
        Op::Complete | Op::Tell { .. } => node.complete_write(NOW, turn),
        Op::Compact { .. } => node.compact(NOW, turn),
        Op::Crash { keep } => {
            node.crash(keep.min(node.disk.queued()));
            node.start(NOW).expect("what was written can be read");
        }
        _ => {}
    }
}

/// Disk, host and core agree up to `stable`, in terms and contents.
fn check_node(node: &Node) {
    let peer = node.peer.as_ref().expect("it was started again");
    let (log, image) = (peer.status().log, &node.disk.image.log);
    assert_eq!((node.log.base, node.log.last()), (log.base(), log.last()), "the host's copy");
    for at in (log.base().index.0 + 1..=log.last().index.0).map(Index) {
        assert_eq!(node.log.term(at), log.term(at), "term of {at}");
        if at <= log.stable() {
            assert_eq!(image.get(at), node.log.get(at), "{at} on disk");
        }
    }
}

const NOW: Time = Time(1_000_000);

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn log_answers_like_a_plain_list(ops in prop::collection::vec(op(), 1..80)) {
        let (mut leaders, mut host) = (Leaders::new(), Host::new());
        for op in &ops {
            if !lead(&mut leaders, op) {
                follow(&mut host, &mut leaders, op);
                check(&host, leaders.term);
            }
        }
        host.settle();
        check(&host, leaders.term);
        let log = host.peer.status().log;
        prop_assert_eq!(log.stable(), log.last().index, "all writes are told");
    }

    #[test]
    fn disk_of_a_node_agrees_up_to_stable(ops in prop::collection::vec(op(), 1..80)) {
        let mut leaders = Leaders::new();
        let config = Arc::new(Config::default());
        let app = App::new(EntryId::default(), voters());
        let mut node = Node::new(id(1), config, 9, app, NOW).expect("a valid beginning");
        let mut turn = Turn::default();
        for op in &ops {
            if !lead(&mut leaders, op) {
                follow_as_node(&mut node, &mut leaders, op, &mut turn);
                check_node(&node);
            }
        }
        node.turn(NOW, &mut turn);
        while node.disk.queued() > 0 {
            node.complete_write(NOW, &mut turn);
            node.turn(NOW, &mut turn);
        }
        check_node(&node);
        let peer = node.peer.as_ref().expect("it was started again");
        prop_assert_eq!(peer.status().log.stable(), peer.status().log.last().index);
    }
}

/// The follower's run of term 1 is longer than the leader's: what differs lies behind the leader's.
#[test]
fn conflict_behind_the_end_of_a_shared_run_is_found() {
    let (mut leaders, mut host) = (Leaders::new(), Host::new());
    leaders.grow(2, false);
    leaders.append(0, 2, 0);
    host.receive(&leaders.take(0, false).expect("just sent"), &leaders.log);
    leaders.elect(0, 1, 0);
    leaders.grow(1, false);
    leaders.append(0, 2, 0);
    host.receive(&leaders.take(0, false).expect("just sent"), &leaders.log);
    check(&host, leaders.term);
    assert_eq!(host.peer.status().log.last(), EntryId::new(Term(2), Index(2)));
}

/// The entry of the membership in force is cut off, and with nothing in its place.
#[test]
fn membership_goes_with_its_entry() {
    let (mut leaders, mut host) = (Leaders::new(), Host::new());
    leaders.grow(1, true);
    leaders.append(0, 1, 0);
    host.receive(&leaders.take(0, false).expect("just sent"), &leaders.log);
    assert_eq!(host.peer.status().membership.0, Index(1));
    leaders.elect(0, 0, 0);
    leaders.grow(1, false);
    leaders.append(0, 1, 0);
    host.receive(&leaders.take(0, false).expect("just sent"), &leaders.log);
    check(&host, leaders.term);
    assert_eq!(host.peer.status().membership, (Index(0), &voters()));
}

/// The race that a receipt without a term would lose: 1@1, 1@2 and 1@3 are written one after the
/// other, and the first receipt comes last.
#[test]
fn receipt_of_an_overwritten_entry_settles_nothing() {
    let (mut leaders, mut host) = (Leaders::new(), Host::new());
    for _ in 0..3 {
        leaders.grow(1, false);
        leaders.append(0, 1, 0);
        host.receive(&leaders.take(0, false).expect("just sent"), &leaders.log);
        host.drain();
        leaders.elect(0, 0, 0);
    }
    host.complete();
    host.tell(0);
    check(&host, leaders.term);
    assert_eq!(host.peer.status().log.stable(), Index(0));
    host.settle();
    assert_eq!(host.peer.status().log.stable(), Index(1));
}
