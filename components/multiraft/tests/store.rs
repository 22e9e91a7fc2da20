//! Whole stores with threads in one process, over the engine in memory.

#[path = "store/cluster.rs"]
mod cluster;
#[path = "store/ledger.rs"]
mod ledger;

use std::sync::Arc;
use std::time::Duration;

use cluster::{Cluster, GROUPS, group, peer, store};
use multiraft::{Body, Envelope, Inbox, Outcome, Parcel, Payload, Refusal};
use raft::{Change, Seat};
use types::{EntryId, Index, Term};

#[test]
fn commands_of_many_groups_are_applied_on_all_stores_in_the_same_order() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(GROUPS);
    for id in 1..=GROUPS {
        for nth in 0..20 {
            cluster.write(id, &format!("{id}-{nth}"));
        }
    }
    for id in 1..=GROUPS {
        cluster.wait_equal(id, &[1, 2, 3], 20);
    }
}

#[test]
fn stores_that_lose_power_go_on_from_what_they_acknowledged() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(8);
    for round in 0..6 {
        for id in 1..=8 {
            cluster.write(id, &format!("{round}"));
        }
        cluster.power_loss(round % 3 + 1);
    }
    for id in 1..=8 {
        cluster.wait_equal(id, &[1, 2, 3], 6);
    }
    for down in 1..=3 {
        cluster.power_loss(down);
    }
    for id in 1..=8 {
        cluster.write(id, "after");
        cluster.wait_equal(id, &[1, 2, 3], 7);
    }
}

/// 400 commands for the first group: its log does not reach back to its beginning.
fn write_more_than_logs_keep(cluster: &Cluster) {
    for nth in 0..400 {
        cluster.write(1, &format!("{nth} {}", "x".repeat(500)));
    }
}

#[test]
fn newcomer_is_caught_up_by_a_snapshot_and_the_removed_one_is_destroyed() {
    let mut cluster = Cluster::start(4);
    cluster.create_groups(2);
    write_more_than_logs_keep(&cluster);
    cluster.change(1, vec![(Change::Set(peer(14), Seat::Learner), Some(store(4)))]);
    cluster.wait_equal(1, &[1, 2, 3, 4], 400);
    let changes =
        vec![(Change::Set(peer(14), Seat::Voter), None), (Change::Remove(peer(11)), None)];
    cluster.change(1, changes);
    cluster.wait_gone(1, 1);
    cluster.write(1, "last");
    cluster.wait_equal(1, &[2, 3, 4], 401);
}

#[test]
fn failed_sync_stops_the_store_and_acknowledges_nothing() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(1);
    cluster.write(1, "before");
    let leader = cluster.leader(1);
    cluster.fail_next_sync(leader);
    let outcome = cluster.handle(leader).propose(group(1), "lost".into()).wait();
    assert!(!matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    cluster.wait_failed(leader);
    let others: Vec<u64> = (1..=3).filter(|&id| id != leader).collect();
    cluster.stop(leader);
    cluster.write(1, "after");
    // The followers may have it: then it was committed, though nobody was told.
    cluster.wait_equal_among(1, &others, &["before", "after"], &["lost"]);
}

#[test]
fn full_disk_is_waited_for_and_nothing_is_lost() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(1);
    cluster.write(1, "before");
    let leader = cluster.leader(1);
    cluster.set_room(leader, Some(0));
    cluster.write(1, "others take over");
    assert_ne!(cluster.leader(1), leader);
    cluster.set_room(leader, None);
    cluster.write(1, "after");
    cluster.wait_equal(1, &[1, 2, 3], 3);
}

#[test]
fn store_without_room_gives_up_what_it_leads_though_no_write_of_a_group_is_on_its_way() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(1);
    cluster.write(1, "before");
    let leader = cluster.leader(1);
    cluster.set_room(leader, Some(0));
    cluster.wait_full(leader);
    cluster.write(1, "others take over");
    assert_ne!(cluster.leader(1), leader);
    cluster.set_room(leader, None);
    cluster.wait_equal(1, &[1, 2, 3], 2);
}

#[test]
fn peer_of_a_store_without_room_is_removed_and_goes_once_there_is_room() {
    for leads in [true, false] {
        let mut cluster = Cluster::start(3);
        cluster.create_groups(1);
        cluster.write(1, "before");
        let full = (1..=3).find(|&id| (id == cluster.leader(1)) == leads).expect("there are both");
        cluster.set_room(full, Some(0));
        cluster.wait_full(full);
        cluster.write(1, "led by one with room");
        cluster.change(1, vec![(Change::Remove(peer(10 + full)), None)]);
        cluster.write(1, "after");
        let others: Vec<u64> = (1..=3).filter(|&id| id != full).collect();
        cluster.wait_equal(1, &others, 3);
        cluster.set_room(full, None);
        cluster.wait_gone(1, full);
    }
}

#[test]
fn snapshot_that_its_machine_refuses_stops_the_store_and_is_installed_by_the_next_machine() {
    let mut cluster = Cluster::start(4);
    cluster.create_groups(1);
    write_more_than_logs_keep(&cluster);
    cluster.ways(4).refuses_chunks = true;
    cluster.change(1, vec![(Change::Set(peer(14), Seat::Learner), Some(store(4)))]);
    let why = cluster.wait_failed(4);
    assert!(why.contains("g1: no chunk makes sense"), "{why}");
    cluster.write(1, "the others go on");
    cluster.ways(4).refuses_chunks = false;
    cluster.power_loss(4);
    cluster.wait_equal(1, &[1, 2, 3, 4], 401);
}

#[test]
fn longer_promises_of_earlier_lives_are_kept_on_disk_until_they_are_outlived() {
    let mut cluster = Cluster::start(1);
    let usual = cluster.promised(1);
    let set = |timeout: Duration| {
        move |config: &mut multiraft::Config| {
            let raft = Arc::make_mut(&mut config.raft);
            raft.election_timeout = timeout;
            raft.campaign_after = timeout;
            raft.restart_wait = timeout;
        }
    };
    let long = 1_000 * usual;
    cluster.start_again_with(1, set(long));
    assert_eq!(cluster.promised(1), long);
    cluster.start_again_with(1, set(usual));
    assert_eq!(cluster.promised(1), long, "it has just begun");
    cluster.start_again_with(1, set(usual));
    assert_eq!(cluster.promised(1), long, "the life between was too short");
    let mut cluster = Cluster::start(1);
    cluster.start_again_with(1, set(2 * usual));
    cluster.start_again_with(1, set(usual));
    cluster.wait_promised(1, usual);
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(1);
    let leader = cluster.leader(1);
    let handle = cluster.handle(leader);
    let none = handle.propose(group(99), "x".into()).wait();
    assert_eq!(none, Outcome::Refused(Refusal::NoGroup(group(99))));
    let large = handle.propose(group(1), vec![0; 9 << 20].into()).wait();
    assert!(matches!(large, Outcome::Refused(Refusal::TooLarge { .. })), "{large:?}");
    let follower = if leader == 1 { 2 } else { 1 };
    let elsewhere = cluster.handle(follower).propose(group(1), "x".into()).wait();
    let Outcome::Refused(Refusal::NotLeader(Some((_, home)))) = elsewhere else {
        panic!("{elsewhere:?}")
    };
    assert_eq!(home, Some(store(leader)));
}

#[test]
fn idle_groups_send_nothing_and_find_leaders_when_a_store_dies() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(32);
    for id in 1..=32 {
        cluster.write(id, "x");
    }
    cluster.wait_asleep(32);
    cluster.stop(2);
    for id in 1..=32 {
        cluster.wait_leader_among(id, &[1, 3]);
    }
}

#[test]
fn destroyed_group_stays_gone_and_its_name_can_be_used_by_a_later_peer() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(1);
    cluster.write(1, "x");
    for id in 1..=3 {
        assert_eq!(cluster.handle(id).destroy(group(1)).wait(), Outcome::Done);
    }
    let again = cluster.create(1, &[(11, 1), (12, 2), (13, 3)]);
    assert!(matches!(again, Outcome::Refused(Refusal::Destroyed(_))), "{again:?}");
    assert_eq!(cluster.create(1, &[(21, 1), (22, 2), (23, 3)]), Outcome::Done);
    cluster.write(1, "y");
    cluster.wait_equal(1, &[1, 2, 3], 1);
}

#[test]
fn group_that_a_command_spawned_takes_requests_as_soon_as_that_is_answered() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(1);
    cluster.write(1, "first");
    // Every other child belongs to another worker, and another lane, than its parent.
    for child in 2..=21 {
        let members = (1..=3).map(|at| format!(" {}@{at}", child * 10 + at)).collect::<String>();
        let command = bytes::Bytes::from(format!("spawn {child}{members}"));
        let at = cluster.leader(1);
        match cluster.handle(at).propose_spawn(group(1), command.clone()).wait() {
            Outcome::Applied { .. } => {
                let outcome = cluster.handle(at).campaign(group(child)).wait();
                let none = Outcome::Refused(Refusal::NoGroup(group(child)));
                assert_ne!(outcome, none, "its worker had not heard of it");
            }
            // Another store leads by now, or may.
            _ => cluster.write(1, std::str::from_utf8(&command).expect("text")),
        }
        cluster.write(child, "second");
    }
    for child in 2..=21 {
        cluster.wait_equal(child, &[1, 2, 3], 2);
        cluster.wait_told_to_lead(child, cluster.leader(child));
    }
}

#[test]
fn proposals_beyond_the_bytes_of_the_store_are_refused_and_taken_later() {
    let mut cluster = Cluster::start_with(1, |config| {
        config.command_bytes_max = 4 << 10;
        config.proposed_bytes_max = 8 << 10;
    });
    assert_eq!(cluster.create(1, &[(11, 1)]), Outcome::Done);
    cluster.write(1, "before");
    // Nothing is committed while there is no room.
    cluster.set_room(1, Some(0));
    let handle = cluster.handle(1);
    let command = bytes::Bytes::from(vec![b'x'; 3 << 10]);
    let waiting = [(); 2].map(|()| handle.propose(group(1), command.clone()));
    let refused = handle.propose(group(1), command.clone()).wait();
    assert!(matches!(refused, Outcome::Refused(Refusal::Busy(_) | Refusal::Full)), "{refused:?}");
    cluster.set_room(1, None);
    for pending in waiting {
        let outcome = pending.wait();
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    }
    let outcome = handle.propose(group(1), command).wait();
    assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    cluster.wait_equal(1, &[1], 4);
}

#[test]
fn appends_beyond_the_bytes_of_the_inbox_are_lost_and_come_again() {
    let mut cluster = Cluster::start_with(3, |config| {
        config.command_bytes_max = 4 << 10;
        config.inbox_bytes_max = 4 << 10;
    });
    cluster.create_groups(1);
    cluster.write(1, "before");
    let leader = cluster.leader(1);
    let follower = leader % 3 + 1;
    let before = cluster.handle(follower).counts().dropped;
    // Of an earlier term: they change nothing, whether they come or not.
    let prev = EntryId::new(Term(1), Index(1));
    let append = || {
        let id = EntryId::new(Term(1), Index(2));
        let stamp = raft::Stamp(0);
        let body = raft::Body::Append { prev, last: id.index, commit: Index(1), stamp };
        let payload = Payload::Command(vec![b'x'; 3 << 10].into());
        let entry = multiraft::Entry { id, payload };
        let body = Body::Raft(raft::Message { term: Term(1), body }, vec![entry]);
        Envelope { group: group(1), from: peer(10 + leader), to: peer(10 + follower), body }
    };
    let parcel = Parcel::Groups(vec![append(), append()]);
    cluster.handle(follower).deliver(store(leader), parcel);
    assert!(cluster.handle(follower).counts().dropped > before, "both together are too much");
    // More than fits at a time, all of it in the end.
    let handle = cluster.handle(leader);
    let command = |nth: u64| bytes::Bytes::from(format!("{nth:03}{}", "x".repeat(1_000)));
    let pending: Vec<_> = (0..60).map(|nth| handle.propose(group(1), command(nth))).collect();
    for pending in pending {
        let outcome = pending.wait();
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    }
    cluster.wait_equal(1, &[1, 2, 3], 61);
}

#[test]
fn entries_that_wait_for_room_on_the_disk_are_bounded_over_all_groups() {
    let mut cluster = Cluster::start_with(3, |config| {
        config.command_bytes_max = 4 << 10;
        config.inbox_bytes_max = 16 << 10;
        config.proposed_bytes_max = 8 << 10;
    });
    cluster.create_groups(1);
    cluster.write(1, "before");
    let leader = cluster.leader(1);
    let follower = leader % 3 + 1;
    cluster.set_room(follower, Some(0));
    let before = cluster.handle(follower).counts().dropped;
    let handle = cluster.handle(leader);
    let command = |nth: u64| bytes::Bytes::from(format!("{nth:03}{}", "x".repeat(1_000)));
    // With one of three the others go on. What it cannot write it does not take.
    let mut nth = 0;
    while cluster.handle(follower).counts().dropped == before {
        assert!(nth < 1_000, "a megabyte waits for a disk without room");
        let outcome = handle.propose(group(1), command(nth)).wait();
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
        nth += 1;
    }
    cluster.set_room(follower, None);
    let entries = usize::try_from(nth).expect("few") + 1;
    cluster.wait_equal(1, &[1, 2, 3], entries);
}

#[test]
fn beats_that_wait_for_room_on_the_disk_are_so_many_at_most() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(1);
    cluster.write(1, "before");
    cluster.set_room(3, Some(0));
    cluster.wait_full(3);
    let before = cluster.handle(3).counts().dropped;
    let beat = || Parcel::Liveness(multiraft::Liveness::default());
    let lost = (0..1_000_000).find(|_| {
        cluster.handle(3).deliver(store(2), beat());
        cluster.handle(3).counts().dropped > before
    });
    assert!(lost.is_some(), "a million wait");
    cluster.set_room(3, None);
    cluster.write(1, "after");
    cluster.wait_equal(1, &[1, 2, 3], 2);
}

#[test]
fn store_that_stops_while_writes_arrive_answers_all_and_keeps_what_it_acknowledged() {
    let mut cluster = Cluster::start(1);
    assert_eq!(cluster.create(1, &[(11, 1)]), Outcome::Done);
    cluster.write(1, "before");
    let handle = cluster.handle(1);
    let (told, tells) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        let mut kept = Vec::new();
        for nth in 0_u64.. {
            let command = format!("command {nth}");
            let pending = handle.propose(group(1), command.clone().into());
            if nth == 200 {
                told.send(()).expect("the test waits");
            }
            if nth % 10 == 0 {
                match pending.wait() {
                    Outcome::Applied { .. } => kept.push(command),
                    Outcome::Refused(Refusal::Stopping) => return kept,
                    Outcome::Refused(_) | Outcome::Undetermined => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        unreachable!("the store stops")
    });
    tells.recv().expect("the writer lives");
    cluster.stop(1);
    let kept = writer.join().expect("every request ends");
    assert!(!kept.is_empty());
    cluster.power_loss(1);
    cluster.write(1, "after");
    let found = cluster.commands(1, 1);
    for command in &kept {
        let times = found.iter().filter(|found| *found == command.as_bytes()).count();
        assert_eq!(times, 1, "{command} was acknowledged");
    }
}

#[test]
fn state_read_under_a_lease_has_what_was_answered_whoever_led() {
    let mut cluster = Cluster::start(3);
    cluster.create_groups(1);
    let mut reads = 0;
    for written in 1..=300 {
        if written % 10 == 0 {
            let leader = cluster.leader(1);
            let next = peer(10 + leader % 3 + 1);
            let _ = cluster.handle(leader).transfer(group(1), next).wait();
        }
        cluster.write(1, &written.to_string());
        for at in 1..=3 {
            let handle = cluster.handle(at);
            if handle.lease(group(1)).is_some() {
                let seen = cluster.commands(at, 1).len();
                assert!(seen >= written, "store {at} has {seen} of {written}");
                reads += 1;
            }
        }
    }
    assert!(reads > 100, "{reads} reads");
}
