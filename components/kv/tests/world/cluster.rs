//! Stores, the logs of their groups, and what must hold of them at every moment.

use std::collections::BTreeMap;

use bytes::Bytes;
use kv::command::Command;
use kv::{FAMILIES, Regions, Reply};
use multiraft::{Machines as _, Roster};
use types::{Escaped, GroupId, KeyRange, Region, RegionPeer, StoreId};

use super::host::{Applied, Host, Slot};
use super::model::{Model, ModelRegion};

/// A cluster without Raft: what a log has is committed.
#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) hosts: BTreeMap<StoreId, Host>,
    pub(crate) logs: BTreeMap<GroupId, Vec<Slot>>,
    pub(crate) model: Model,
    /// What each slot answers, wherever it is applied.
    expected: BTreeMap<(GroupId, usize), Reply>,
    /// Each region as it is behind each number of slots.
    history: BTreeMap<(GroupId, usize), ModelRegion>,
}

impl Cluster {
    pub(crate) fn new(stores: impl IntoIterator<Item = StoreId>) -> Cluster {
        let hosts = stores.into_iter().map(|id| (id, Host::new(id))).collect();
        Cluster { hosts, ..Cluster::default() }
    }

    /// A region that the cluster is born with. Returns which stores took it.
    pub(crate) fn bear(&mut self, region: &Region) -> Vec<StoreId> {
        self.logs.insert(region.id, Vec::new());
        let born = ModelRegion { region: region.clone(), data: BTreeMap::new() };
        self.model.regions.insert(region.id, born);
        self.remember(region.id);
        let mut took = Vec::new();
        for RegionPeer { store, .. } in &region.peers {
            let Some(host) = self.hosts.get_mut(store) else { continue };
            if host.regions.prepare(&*host.engine, region).expect("writes") {
                host.begin(region.id);
                took.push(*store);
            }
        }
        took
    }

    pub(crate) fn propose(&mut self, group: GroupId, command: &Command) {
        let slot = self.logs[&group].len();
        let before: Vec<GroupId> = self.model.regions.keys().copied().collect();
        let reply = self.model.propose(group, command);
        self.expected.insert((group, slot), reply);
        self.append(group, Slot::Command(command.encode()));
        let now: Vec<GroupId> = self.model.regions.keys().copied().collect();
        for child in now.into_iter().filter(|id| !before.contains(id)) {
            self.logs.insert(child, Vec::new());
            self.remember(child);
        }
        self.remember(group);
    }

    /// Bytes that are no command.
    pub(crate) fn propose_bytes(&mut self, group: GroupId, bytes: Bytes) {
        self.append(group, Slot::Command(bytes));
        self.remember(group);
    }

    /// A membership; `peers` is how the region shows it.
    pub(crate) fn change(&mut self, group: GroupId, roster: Roster, peers: Vec<RegionPeer>) {
        let of = self.model.regions.get_mut(&group).expect("the region exists");
        of.region.peers = peers;
        of.region.epoch.conf_ver += 1;
        self.append(group, Slot::Members(roster));
        self.remember(group);
    }

    /// Applies up to `count` slots in one call.
    pub(crate) fn apply(&mut self, store: StoreId, group: GroupId, count: usize) -> Applied {
        let host = self.hosts.get_mut(&store).expect("the store exists");
        let first = host.applied(group);
        let log = &self.logs[&group];
        let last = log.len().min(first + count);
        if first == last {
            return Applied::default();
        }
        let applied = host.apply(group, &log[first..last]);
        for (slot, reply) in &applied.replies {
            let reply = Reply::decode(reply).expect("a reply");
            if let Some(expected) = self.expected.get(&(group, *slot)) {
                assert_eq!(reply, *expected, "{group} slot {slot} on {store}");
            }
        }
        self.check(store);
        applied
    }

    /// Sends a snapshot; `Err` if it is not admitted, or has nothing new. Stops behind `chunks_max`
    /// chunks, and then the receiver restarts with `keep` of its writes and begins anew.
    pub(crate) fn send(
        &mut self,
        group: GroupId,
        (from, to): (StoreId, StoreId),
        chunk_bytes: usize,
        crash: Option<(usize, usize)>,
    ) -> Result<usize, &'static str> {
        let sender = self.hosts.get_mut(&from).expect("the store exists");
        let (header, chunks, covers) = sender.snapshot(group, chunk_bytes);
        let receiver = self.hosts.get_mut(&to).expect("the store exists");
        if receiver.has(group) && receiver.applied(group) >= covers {
            return Err("nothing new");
        }
        if !receiver.regions.admit(group, &header, false) {
            return Err("not admitted");
        }
        assert!(receiver.regions.admit(group, &header, true), "taken in between");
        if let Some((chunks_max, keep)) = crash {
            // What was staged and decided is durable before an install begins.
            receiver.engine.flush(storage::Cf::Meta).expect("writes");
            receiver.install(group, (&chunks, covers), chunks_max.min(chunks.len() - 1));
            receiver.restart(keep);
        }
        receiver.install(group, (&chunks, covers), usize::MAX);
        // It would be installed again after a crash.
        receiver.engine.flush(storage::Cf::Meta).expect("writes");
        self.check(to);
        Ok(chunks.len())
    }

    /// What must hold on a store: what the index shows is what is on disk, its regions do not
    /// overlap, and each has the data that its log says, no more and no less.
    pub(crate) fn check(&self, store: StoreId) {
        let host = &self.hosts[&store];
        check_apart(&host.regions);
        Cluster::check_no_leftovers(host);
        for group in host.groups() {
            let applied = host.applied(group);
            let expected = &self.history[&(group, applied)];
            let state = host.regions.get(group).expect("a group that is here serves");
            assert_eq!(state.region, expected.region, "{group} at {applied} on {store}");
            let record = host.engine.get(storage::Cf::Meta, &kv::record_key(group));
            let record = record.expect("reads").expect("a record");
            assert_eq!(kv::decode_record(&record), Ok(expected.region.clone()));
            for family in FAMILIES {
                let found = host.data(family, &expected.region.range);
                let wanted: Vec<_> = (expected.data.iter())
                    .filter(|((cf, _), _)| *cf == family)
                    .map(|((_, key), stored)| (key.to_vec(), stored.to_vec()))
                    .collect();
                assert_eq!(found, wanted, "{group} at {applied} on {store}");
            }
        }
    }

    /// No store has a key that is in none of its regions.
    fn check_no_leftovers(host: &Host) {
        for family in FAMILIES {
            for (key, _) in host.data(family, &KeyRange::default()) {
                let found = host.regions.find(&key);
                assert!(found.is_some(), "{:?} is nobody's on {}", Escaped(&key), host.id);
            }
        }
    }

    fn append(&mut self, group: GroupId, slot: Slot) {
        self.logs.get_mut(&group).expect("the group exists").push(slot);
    }

    fn remember(&mut self, group: GroupId) {
        let at = (group, self.logs[&group].len());
        self.history.insert(at, self.model.regions[&group].clone());
    }
}

/// Of two regions on a store, none has a key of the other, and a key is found in its region.
fn check_apart(regions: &Regions) {
    let all = regions.all();
    for (nth, state) in all.iter().enumerate() {
        for other in &all[..nth] {
            let (one, other) = (&state.region, &other.region);
            assert!(!one.range.overlaps(&other.range), "{one:?} and {other:?}");
        }
        let found = regions.find(&state.region.range.start).expect("somebody has the key");
        assert_eq!(found.region.id, state.region.id);
    }
}
