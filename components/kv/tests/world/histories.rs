//! Random histories of regions on three stores, against the model.

use bytes::Bytes;
use kv::RegionState;
use kv::command::{Action, Cas, Command, DeleteRange, Mutation, NewRegion};
use kv::value::Stored;
use proptest::prelude::*;
use storage::Cf;
use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId};

use crate::world::cluster::Cluster;
use crate::world::host::Host;
use crate::world::rosters::roster;

const STORES: u64 = 3;
/// Longest log of a group: a host counts in a byte.
const SLOTS_MAX: usize = 200;

/// A step. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    /// Of a group: keys, and what is written to them (0 deletes); how far its epoch is behind.
    Write {
        group: usize,
        keys: Vec<(u8, u8)>,
        behind: u64,
    },
    /// Of a group: key, value it may expect, new value.
    Cas {
        group: usize,
        key: u8,
        expected: u8,
        new: u8,
    },
    DeleteRange {
        group: usize,
        start: u8,
        end: u8,
    },
    Split {
        group: usize,
        cuts: Vec<u8>,
        behind: u64,
    },
    /// Roles by store: 0 gone, 1 voter, 2 learner, 3 incoming, 4 demoting.
    Members {
        group: usize,
        roles: [u8; 3],
    },
    Garbage {
        group: usize,
        bytes: Vec<u8>,
    },
    Apply {
        store: u64,
        group: usize,
        count: usize,
    },
    Send {
        group: usize,
        from: u64,
        to: u64,
        chunk: usize,
        crash: Option<(usize, usize)>,
    },
    Restart {
        store: u64,
        keep: usize,
    },
    Destroy {
        store: u64,
        group: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (group, store) = (0usize..16, 1..=STORES);
    let key = 0u8..40;
    let behind = prop_oneof![5 => Just(0u64), 1 => 1u64..3];
    let crash = prop::option::of((0usize..4, 0usize..4));
    prop_oneof![
        6 => (group.clone(), prop::collection::vec((key.clone(), 0u8..5), 1..4), behind.clone())
            .prop_map(|(group, keys, behind)| Step::Write { group, keys, behind }),
        4 => (group.clone(), key.clone(), 0u8..4, 0u8..4)
            .prop_map(|(group, key, expected, new)| Step::Cas { group, key, expected, new }),
        1 => (group.clone(), key.clone(), key.clone())
            .prop_map(|(group, start, end)| Step::DeleteRange { group, start, end }),
        2 => (group.clone(), prop::collection::vec(key.clone(), 1..4), behind)
            .prop_map(|(group, cuts, behind)| Step::Split { group, cuts, behind }),
        2 => (group.clone(), [0u8..5, 0u8..5, 0u8..5])
            .prop_map(|(group, roles)| Step::Members { group, roles }),
        1 => (group.clone(), prop::collection::vec(any::<u8>(), 0..12))
            .prop_map(|(group, bytes)| Step::Garbage { group, bytes }),
        10 => (store.clone(), group.clone(), 1usize..8)
            .prop_map(|(store, group, count)| Step::Apply { store, group, count }),
        3 => (group.clone(), store.clone(), store.clone(), 1usize..64, crash)
            .prop_map(|(group, from, to, chunk, crash)| {
                Step::Send { group, from, to, chunk, crash }
            }),
        1 => (store.clone(), 0usize..6).prop_map(|(store, keep)| Step::Restart { store, keep }),
        1 => (store, group).prop_map(|(store, group)| Step::Destroy { store, group }),
    ]
}

/// A cluster, and ids that nobody had yet.
struct History {
    cluster: Cluster,
    next_id: u64,
}

fn store(id: u64) -> StoreId {
    StoreId::new(id).expect("not zero")
}

/// Keys of several lengths, so that cuts fall between, on and beside them.
fn key(number: u8) -> Bytes {
    let mut key = vec![b'a' + number / 2];
    if number % 2 == 1 {
        key.push(0);
    }
    key.into()
}

fn mutation(at: u8, value: u8) -> Mutation {
    let family = if at.is_multiple_of(7) { Cf::Write } else { Cf::Default };
    // Some expire: the clock of those who compare is 10.
    let expires = (value == 3).then_some(u64::from(at));
    match value {
        0 => Mutation::delete(family, key(at)),
        value => Mutation::put(family, key(at), Stored { expires, value: &[value] }),
    }
}

impl History {
    fn new() -> History {
        let cluster = Cluster::new((1..=STORES).map(store));
        let mut history = History { cluster, next_id: 100 };
        let cut = key(20).to_vec();
        for range in [KeyRange::new("", cut.clone()), KeyRange::new(cut, "")] {
            let id = GroupId::new(history.fresh()).expect("not zero");
            let peers = (1..=STORES)
                .map(|home| RegionPeer {
                    id: PeerId::new(history.fresh()).expect("not zero"),
                    store: store(home),
                    role: PeerRole::Voter,
                })
                .collect();
            let region = Region { id, range, epoch: Epoch::FIRST, peers };
            assert_eq!(history.cluster.bear(&region).len(), 3);
        }
        history
    }

    fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// One of the groups whose log is not full; if all are, nothing happens.
    fn group(&self, nth: usize) -> Option<GroupId> {
        let id = *self.cluster.model.regions.keys().nth(nth % self.cluster.model.regions.len())?;
        (self.cluster.logs[&id].len() < SLOTS_MAX).then_some(id)
    }

    fn propose(&mut self, group: GroupId, behind: u64, action: Action) {
        let mut epoch = self.cluster.model.regions[&group].region.epoch;
        epoch.version = epoch.version.saturating_sub(behind);
        self.cluster.propose(group, &Command { epoch, action });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Apply { store: home, group, count } => {
                let Some(group) = self.group(group) else { return };
                if self.cluster.hosts[&store(home)].has(group) {
                    self.cluster.apply(store(home), group, count);
                }
            }
            Step::Send { group, from, to, chunk, crash } => {
                let Some(group) = self.group(group) else { return };
                let (from, to) = (store(from), store(to));
                let leads = |state: &RegionState| state.region.peer_on(from).is_some();
                let state = self.cluster.hosts[&from].regions.get(group);
                if from != to && state.is_some_and(|state| leads(&state)) {
                    let _ = self.cluster.send(group, (from, to), chunk, crash);
                }
            }
            Step::Restart { store: home, keep } => {
                let host = self.cluster.hosts.get_mut(&store(home)).expect("exists");
                host.restart(keep);
                // The crash may have come between a record and its group.
                host.regions.sweep(&*host.engine, &[]).expect("writes");
                self.cluster.check(store(home));
            }
            Step::Destroy { store: home, group } => {
                let Some(group) = self.group(group) else { return };
                let home = store(home);
                if self.cluster.hosts[&home].has(group) && self.is_all_elsewhere(home) {
                    self.cluster.hosts.get_mut(&home).expect("exists").destroy(group);
                    self.cluster.check(home);
                }
            }
            step => self.ask(step),
        }
    }

    /// Steps that append to a log.
    fn ask(&mut self, step: Step) {
        match step {
            Step::Write { group, keys, behind } => {
                let Some(group) = self.group(group) else { return };
                let keys = keys.into_iter().map(|(at, value)| mutation(at, value)).collect();
                self.propose(group, behind, Action::Write(keys));
            }
            Step::Cas { group, key: at, expected, new } => {
                let Some(group) = self.group(group) else { return };
                let expected = (expected > 0).then(|| Bytes::copy_from_slice(&[expected]));
                let mutation = mutation(at, new);
                let cas = Cas { mutation, expected, now_seconds: 10 };
                self.propose(group, 0, Action::Cas(cas));
            }
            Step::DeleteRange { group, start, end } => {
                let Some(group) = self.group(group) else { return };
                let families = if start % 2 == 0 { vec![Cf::Default] } else { kv::FAMILIES.into() };
                let end = if end == 0 { Bytes::new() } else { key(end) };
                let range = DeleteRange { families, start: key(start), end };
                self.propose(group, 0, Action::DeleteRange(range));
            }
            Step::Split { group, cuts, behind } => {
                let Some(group) = self.group(group) else { return };
                let peers = self.cluster.model.regions[&group].region.peers.len();
                let mut children = Vec::new();
                for cut in cuts {
                    let region = GroupId::new(self.fresh()).expect("not zero");
                    let id = |_| PeerId::new(self.fresh()).expect("not zero");
                    let peers = (0..peers).map(id).collect();
                    children.push(NewRegion { end: key(cut), region, peers });
                }
                // Most cuts rise, as those of whoever measured do.
                children.sort_by(|one, other| one.end.cmp(&other.end));
                self.propose(group, behind, Action::Split(children));
                self.cluster.model.check_cover();
            }
            Step::Members { group, roles } => {
                let Some(group) = self.group(group) else { return };
                let of = &self.cluster.model.regions[&group];
                let was = of.region.peers.clone();
                // Whatever has begun is completed first.
                let roles = if of.is_at_rest() { roles } else { [1, 1, 1] };
                let peers = self.peers(&was, roles);
                // Somebody who has the data stays.
                let stays = |peer: &RegionPeer| {
                    was.iter().any(|was| was.id == peer.id)
                        && self.cluster.hosts[&peer.store].has(group)
                };
                // Whoever comes anew has gone before.
                let comes_back = |peer: &RegionPeer| {
                    was.iter().all(|was| was.id != peer.id)
                        && self.cluster.hosts[&peer.store].has(group)
                };
                if !peers.iter().any(stays) || peers.iter().any(comes_back) {
                    return;
                }
                if let Some(roster) = roster(&peers) {
                    self.cluster.change(group, roster, peers);
                }
            }
            Step::Garbage { group, bytes } => {
                let Some(group) = self.group(group) else { return };
                if Command::decode(&bytes.clone().into()).is_err() {
                    self.cluster.propose_bytes(group, bytes.into());
                }
            }
            Step::Apply { .. }
            | Step::Send { .. }
            | Step::Restart { .. }
            | Step::Destroy { .. } => {
                unreachable!("taken by the caller")
            }
        }
    }

    /// Whether nothing is lost if a store loses a region: Raft would see to that.
    fn is_all_elsewhere(&self, home: StoreId) -> bool {
        self.cluster.logs.iter().all(|(&group, log)| {
            let has = |host: &Host| {
                let region = &self.cluster.model.regions[&group].region;
                host.id != home
                    && region.peer_on(host.id).is_some()
                    && host.has(group)
                    && host.applied(group) == log.len()
            };
            self.cluster.hosts.values().any(has)
        })
    }

    fn peers(&mut self, was: &[RegionPeer], roles: [u8; 3]) -> Vec<RegionPeer> {
        let mut peers = Vec::new();
        for (nth, role) in roles.into_iter().enumerate() {
            let role = match role {
                0 => continue,
                1 => PeerRole::Voter,
                2 => PeerRole::Learner,
                3 => PeerRole::Incoming,
                _ => PeerRole::Demoting,
            };
            let home = store(nth as u64 + 1);
            let known = was.iter().find(|peer| peer.store == home).map(|peer| peer.id);
            let id = known.unwrap_or_else(|| PeerId::new(self.fresh()).expect("not zero"));
            peers.push(RegionPeer { id, store: home, role });
        }
        peers.sort_by_key(|peer| peer.id);
        // Without an old half nobody is on the way in.
        let has_old = |peer: &RegionPeer| matches!(peer.role, PeerRole::Voter | PeerRole::Demoting);
        if !peers.iter().any(has_old) {
            peers.iter_mut().for_each(|peer| peer.role = PeerRole::Voter);
        }
        peers
    }

    /// Everything is applied, and every store gets what it lacks.
    fn settle(&mut self) {
        for round in 0..40 {
            let groups: Vec<GroupId> = self.cluster.model.regions.keys().copied().collect();
            for home in (1..=STORES).map(store) {
                for &group in &groups {
                    while self.cluster.hosts[&home].has(group)
                        && self.cluster.hosts[&home].applied(group)
                            < self.cluster.logs[&group].len()
                    {
                        self.cluster.apply(home, group, 5);
                    }
                }
            }
            for &group in &groups {
                let len = self.cluster.logs[&group].len();
                let whole = |home: &StoreId| {
                    let host = &self.cluster.hosts[home];
                    host.has(group) && host.applied(group) == len
                };
                let stores: Vec<StoreId> = (1..=STORES).map(store).collect();
                let peer_on = |home: &StoreId| {
                    self.cluster.model.regions[&group].region.peer_on(*home).is_some()
                };
                let member = stores.iter().find(|home| whole(home) && peer_on(home));
                let Some(&from) = member.or_else(|| stores.iter().find(|home| whole(home))) else {
                    continue;
                };
                for to in stores {
                    // Whoever is no member any more hears of it, and goes.
                    let region = &self.cluster.model.regions[&group].region;
                    let is_gone = round < 20 && to != from && region.peer_on(to).is_none();
                    if is_gone && self.cluster.hosts[&to].has(group) {
                        self.cluster.hosts.get_mut(&to).expect("exists").destroy(group);
                    }
                    if !self.cluster.hosts[&to].has(group) {
                        let _ = self.cluster.send(group, (from, to), 32, None);
                    }
                }
            }
        }
    }

    /// Every store has all regions, and all of their data: the stores are the same.
    fn check_settled(&self) {
        let all = KeyRange::default();
        for host in self.cluster.hosts.values() {
            self.cluster.check(host.id);
            let regions: Vec<GroupId> = self.cluster.model.regions.keys().copied().collect();
            assert_eq!(host.groups(), regions, "on {}", host.id);
            for family in kv::FAMILIES {
                let mut wanted: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
                for of in self.cluster.model.regions.values() {
                    let pairs = of.data.iter().filter(|((cf, _), _)| *cf == family);
                    wanted.extend(pairs.map(|((_, key), value)| (key.to_vec(), value.to_vec())));
                }
                wanted.sort();
                assert_eq!(host.data(family, &all), wanted, "on {}", host.id);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 192,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn replicas_are_what_the_model_is(steps in prop::collection::vec(step(), 1..120)) {
        let mut history = History::new();
        for step in steps {
            history.take(step);
        }
        history.cluster.model.check_cover();
        history.settle();
        history.check_settled();
    }
}
