//! The table against an oracle: a cluster whose regions split, merge and change, and whose reports
//! arrive in any order, some twice.

use std::time::Duration;

use proptest::prelude::*;
use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId, Term, Time};

use super::{Change, Figure, RegionReport, RegionTable, Reported, Stale};

pub(crate) fn report(id: u64, range: (&[u8], &[u8]), epoch: (u64, u64), term: u64) -> RegionReport {
    let peer = |at: u64| RegionPeer {
        id: PeerId::new(id * 10 + at).expect("not zero"),
        store: StoreId::new(at).expect("not zero"),
        role: PeerRole::Voter,
    };
    let region = Region {
        id: GroupId::new(id).expect("not zero"),
        range: KeyRange::new(range.0, range.1),
        epoch: Epoch { version: epoch.0, conf_ver: epoch.1 },
        peers: (1..=3).map(peer).collect(),
    };
    RegionReport {
        region,
        leader: peer(term % 3 + 1),
        term: Term(term),
        down: Vec::new(),
        pending: Vec::new(),
        bytes: Figure::from(id),
        keys: Figure::default(),
        written_per_second: Figure::default(),
        read_per_second: Figure::default(),
    }
}

fn stale(reported: Reported) -> Stale {
    match reported {
        Reported::Stale(why) => why,
        Reported::Taken { .. } => panic!("it was taken"),
    }
}

#[test]
fn older_reports_are_refused_with_a_reason() {
    let mut table = RegionTable::new();
    let taken = table.report(Time::ZERO, report(1, (b"", b""), (5, 5), 7));
    assert_eq!(taken, Reported::Taken { changes: vec![Change::New], removed: Vec::new() });
    let say = |report| stale(table.clone_for_test().report(Time::ZERO, report)).to_string();
    assert_eq!(say(report(1, (b"", b""), (5, 4), 9)), "epoch 5:4 is older than the known 5:5");
    assert_eq!(say(report(1, (b"", b""), (5, 5), 6)), "term 6 is lower than the known 7");
    let overlap = "g1 of version 5, which is not older, has some of its keys";
    assert_eq!(say(report(2, (b"a", b"c"), (5, 1), 9)), overlap);
    assert_eq!(say(report(1, (b"a", b""), (5, 6), 9)), "version 5 is known with other keys");
    assert_eq!(say(report(3, (b"c", b"a"), (9, 1), 9)), "it has no keys");
}

#[test]
fn newer_region_removes_those_it_overlaps() {
    let mut table = RegionTable::new();
    table.report(Time::ZERO, report(1, (b"", b"m"), (1, 1), 1));
    table.report(Time::ZERO, report(2, (b"m", b""), (1, 1), 1));
    assert!(table.is_whole());
    let taken = table.report(Time::ZERO, report(3, (b"g", b"t"), (2, 1), 1));
    let removed = [1, 2].map(|id| GroupId::new(id).expect("not zero")).to_vec();
    assert_eq!(taken, Reported::Taken { changes: vec![Change::New], removed });
    let holes = table.holes(&KeyRange::default(), 10);
    assert_eq!(holes, [KeyRange::new("", "g"), KeyRange::new("t", "")]);
    assert!(!table.is_whole() && table.is_consistent());
}

#[test]
fn neighbours_are_found_by_key() {
    let mut table = RegionTable::new();
    table.report(Time::ZERO, report(1, (b"", b"g"), (1, 1), 1));
    table.report(Time::ZERO, report(2, (b"g", b"m"), (1, 1), 1));
    table.report(Time::ZERO, report(3, (b"p", b""), (1, 1), 1));
    let id = |entry: Option<&super::RegionEntry>| entry.map(|entry| entry.id().get());
    assert_eq!(
        [b"a", b"g", b"n", b"p"].map(|key| id(table.by_key(key))),
        [Some(1), Some(2), None, Some(3)]
    );
    assert_eq!(id(table.before_key(b"h")), Some(1));
    assert_eq!(id(table.before_key(b"q")), None, "there is a hole before it");
    let scanned = table.scan(&KeyRange::new("h", "z"), 10);
    assert_eq!(scanned.iter().map(|entry| entry.id().get()).collect::<Vec<_>>(), [2, 3]);
}

impl RegionTable {
    fn clone_for_test(&self) -> RegionTable {
        let mut copy = RegionTable::new();
        self.from_id(None).for_each(|entry| {
            copy.report(entry.at(), entry.report.clone());
        });
        copy
    }
}

#[test]
fn figures_alone_are_retold_and_everything_else_is_not() {
    let mut table = RegionTable::new();
    let known = report(1, (b"", b""), (1, 1), 1);
    assert!(!table.retell(Time::ZERO, &known), "it is not known");
    table.report(Time::ZERO, known.clone());
    let told = RegionReport {
        bytes: Figure::from(70),
        keys: Figure::from(71),
        written_per_second: Figure::from(72),
        read_per_second: Figure::from(73),
        ..known.clone()
    };
    assert!(table.retell(Time(9), &told));
    let entry = table.by_id(known.region.id).expect("it is known");
    assert_eq!((&entry.report, entry.at()), (&told, Time(9)));
    assert_eq!((table.bytes(), table.tally_of(known.leader.store).bytes), (70, 70));
    assert!(table.is_consistent());

    let peer = known.region.peers[0];
    let others = [
        RegionReport { term: Term(2), ..known.clone() },
        RegionReport { leader: peer, ..known.clone() },
        RegionReport { down: vec![(peer.id, Duration::from_secs(1))], ..known.clone() },
        RegionReport { pending: vec![peer.id], ..known.clone() },
        report(1, (b"a", b""), (1, 1), 1),
        report(1, (b"", b""), (1, 2), 1),
    ];
    for other in others {
        assert!(!table.retell(Time(10), &other), "{other:?}");
    }
    assert_eq!(table.by_id(known.region.id).expect("it is known").at(), Time(9));
}

#[derive(Clone, Debug)]
enum Act {
    Split(usize, u8),
    Merge(usize),
    Members(usize),
    Elect(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, key)| Act::Split(at, key)),
        any::<usize>().prop_map(Act::Merge),
        any::<usize>().prop_map(Act::Members),
        any::<usize>().prop_map(Act::Elect),
    ]
}

/// What the acts leave, and every report on the way there.
fn history(acts: Vec<Act>) -> (Vec<RegionReport>, Vec<RegionReport>) {
    let mut live = vec![report(1, (b"", b""), (1, 1), 1)];
    let (mut all, mut last_id) = (live.clone(), 1);
    for act in acts {
        match act {
            Act::Split(at, key) => {
                let at = at % live.len();
                let key = vec![key];
                let parent = &mut live[at];
                if !parent.region.range.contains(&key) || parent.region.range.start == key {
                    continue;
                }
                last_id += 1;
                parent.region.epoch.version += 1;
                let (version, term) = (parent.region.epoch.version, 1);
                let child = report(last_id, (&key, &parent.region.range.end), (version, 1), term);
                parent.region.range.end = key;
                all.extend([parent.clone(), child.clone()]);
                live.insert(at + 1, child);
            }
            Act::Merge(at) if live.len() > 1 => {
                let at = at % (live.len() - 1);
                let gone = live.remove(at + 1);
                let into = &mut live[at];
                into.region.epoch.version =
                    into.region.epoch.version.max(gone.region.epoch.version) + 1;
                into.region.range.end = gone.region.range.end;
                all.push(into.clone());
            }
            Act::Merge(_) => {}
            Act::Members(at) => {
                let at = at % live.len();
                live[at].region.epoch.conf_ver += 1;
                all.push(live[at].clone());
            }
            Act::Elect(at) => {
                let at = at % live.len();
                let old = &live[at];
                let mut new = report(1, (b"", b""), (1, 1), old.term.0 + 1);
                let on = new.leader.store;
                new.region = old.region.clone();
                new.leader = new.region.peer_on(on).expect("all have three");
                new.bytes = old.bytes.clone();
                live[at] = new;
                all.push(live[at].clone());
            }
        }
    }
    (live, all)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_reports_leads_to_the_newest_regions(
        acts in proptest::collection::vec(act(), 0..40),
        order in proptest::collection::vec((any::<usize>(), any::<u32>()), 0..120),
    ) {
        let (live, all) = history(acts);
        let (mut table, mut anew) = (RegionTable::new(), RegionTable::new());
        for (at, figure) in order {
            let mut report = all[at % all.len()].clone();
            report.bytes = Figure::from(u64::from(figure));
            let now = Time(figure.into());
            // Where figures alone are retold, the other table takes the region in anew.
            if table.retell(now, &report) {
                anew.remove(report.region.id);
            } else {
                table.report(now, report.clone());
            }
            anew.report(now, report);
            prop_assert!(table.is_consistent());
            prop_assert!(table.from_id(None).eq(anew.from_id(None)));
        }
        // In the end every leader reports; what is older may still arrive after that.
        for newest in &live {
            table.report(Time::ZERO, newest.clone());
        }
        for late in &all {
            table.report(Time::ZERO, late.clone());
        }
        prop_assert!(table.is_consistent() && table.is_whole());
        let found = table.scan(&KeyRange::default(), usize::MAX);
        let known: Vec<RegionReport> = found.into_iter().map(|e| e.report.clone()).collect();
        prop_assert_eq!(known, live);
    }
}
