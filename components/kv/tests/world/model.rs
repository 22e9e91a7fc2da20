//! What regions are supposed to do, said as plainly as possible: a map for each, and what a command
//! answers, evaluated in the order of the log.

use std::collections::BTreeMap;

use bytes::Bytes;
use kv::Reply;
use kv::command::{Action, Command, Mutation};
use kv::value::Stored;
use storage::Cf;
use types::{ApiVersion, GroupId, KeyRange, PeerRole, Region};

/// A region and everything in it.
#[derive(Clone, Debug)]
pub(crate) struct ModelRegion {
    pub(crate) region: Region,
    pub(crate) data: BTreeMap<(Cf, Bytes), Bytes>,
}

/// All regions of a cluster as if every log was applied to its end.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) regions: BTreeMap<GroupId, ModelRegion>,
}

impl Model {
    /// Appends a command to the log of a region.
    pub(crate) fn propose(&mut self, group: GroupId, command: &Command) -> Reply {
        let of = self.regions.get_mut(&group).expect("the region exists");
        let is_split = matches!(command.action, Action::Split(_));
        let (asked, own) = (command.epoch, of.region.epoch);
        if asked.version != own.version || (is_split && asked.conf_ver != own.conf_ver) {
            return Reply::EpochNotMatch(of.region.clone());
        }
        match &command.action {
            Action::Write(mutations) => {
                let range = &of.region.range;
                if let Some(outside) = mutations.iter().find(|each| !range.contains(&each.key)) {
                    return Reply::KeyNotInRegion(outside.key.clone());
                }
                mutations.iter().for_each(|mutation| of.write(mutation));
                Reply::Done
            }
            Action::Cas(cas) => {
                let Mutation { family, key, .. } = &cas.mutation;
                if !of.region.range.contains(key) {
                    return Reply::KeyNotInRegion(key.clone());
                }
                let stored = of.data.get(&(*family, key.clone()));
                let stored = stored.map(|stored| Stored::decode(stored).expect("a value"));
                let live = stored.filter(|stored| stored.is_live(cas.now_seconds));
                let previous = live.map(|stored| Bytes::copy_from_slice(stored.value));
                let succeeded = previous == cas.expected;
                if succeeded {
                    of.write(&cas.mutation);
                }
                Reply::Cas { succeeded, previous }
            }
            Action::DeleteRange(range) => {
                let gone = KeyRange::new(range.start.to_vec(), range.end.to_vec());
                of.data.retain(|(family, key), _| {
                    !range.families.contains(family) || !gone.contains(key)
                });
                Reply::Done
            }
            Action::Split(children) => {
                let parts = kv::split::parts_of(&of.region, children, ApiVersion::V1Ttl);
                let parts = match parts {
                    Ok(parts) => parts,
                    Err(why) => return Reply::Refused(why.to_owned()),
                };
                self.split(group, &parts);
                Reply::Split(parts)
            }
        }
    }

    fn split(&mut self, group: GroupId, parts: &[Region]) {
        let whole = self.regions.remove(&group).expect("the region exists");
        let mut left = whole.data.len();
        for part in parts {
            let within = |(_, key): &(Cf, Bytes)| part.range.contains(key);
            let data: BTreeMap<_, _> = (whole.data.iter())
                .filter(|(at, _)| within(at))
                .map(|(at, stored)| (at.clone(), stored.clone()))
                .collect();
            left -= data.len();
            self.regions.insert(part.id, ModelRegion { region: part.clone(), data });
        }
        assert_eq!(left, 0, "parts that do not cover the whole");
    }

    /// Regions cover all keys, each once.
    pub(crate) fn check_cover(&self) {
        let mut ranges: Vec<&KeyRange> =
            self.regions.values().map(|each| &each.region.range).collect();
        ranges.sort();
        assert_eq!(ranges[0].start, b"");
        assert_eq!(ranges[ranges.len() - 1].end, b"");
        for pair in ranges.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
    }
}

impl ModelRegion {
    fn write(&mut self, mutation: &Mutation) {
        let at = (mutation.family, mutation.key.clone());
        if mutation.is_delete() {
            self.data.remove(&at);
        } else {
            self.data.insert(at, mutation.stored.clone());
        }
    }

    /// Whether it may be cut.
    pub(crate) fn is_at_rest(&self) -> bool {
        let rests = |role| matches!(role, PeerRole::Voter | PeerRole::Learner);
        self.region.peers.iter().all(|peer| rests(peer.role))
    }
}
