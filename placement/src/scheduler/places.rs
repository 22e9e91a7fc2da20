//! The places in which a replica could be put, as a tree of location labels.
//!
//! Whether a region could be spread wider is asked of each region that a patrol comes by. To try
//! all stores would take a thousand times as long with a thousand of them; a walk down the tree
//! takes as many steps as there are replicas and labels. And of most regions it is plain that
//! nothing is wrong with them: that takes no more than finding their stores in a short list.

use std::collections::BTreeMap;

use types::{PeerRole, StoreId};

use super::{Cluster, StoreInfo, StoreState};
use crate::table::RegionEntry;

/// Where the stores are that take replicas.
#[derive(Debug)]
pub struct Places<'a> {
    labels: &'a [String],
    root: Place<'a>,
    /// The stores that are up, by ascending id, and the widest place that each is in.
    up: Vec<(StoreId, &'a str)>,
    replicas: usize,
}

/// A place, and those inside it by their names; a label without a value is a name too.
#[derive(Debug, Default)]
struct Place<'a> {
    inside: BTreeMap<&'a str, Place<'a>>,
}

impl<'a> Places<'a> {
    /// The places of a cluster's stores, as they are now.
    #[must_use]
    pub fn of(cluster: &Cluster<'a>) -> Places<'a> {
        let labels = cluster.config.location_labels.as_slice();
        let mut root = Place::default();
        let takes = |store: &&StoreInfo| store.refuses_replicas(cluster.config).is_none();
        if !labels.is_empty() {
            for store in cluster.stores.values().filter(takes) {
                let mut place = &mut root;
                for label in labels {
                    place = place.inside.entry(store.label(label)).or_default();
                }
            }
        }
        let up = cluster.stores.values().filter(|store| store.state == StoreState::Up);
        let widest = |store: &'a StoreInfo| labels.first().map_or("", |label| store.label(label));
        let up = up.map(|store| (store.id, widest(store))).collect();
        Places { labels, root, up, replicas: cluster.config.replicas }
    }

    /// Whether nothing can be wrong with a region, seen at a glance: as many voters as there should
    /// be and nobody else, all heard of and with what they need, on stores that are up, in places
    /// apart. Of what is wrong otherwise, nothing is said.
    #[must_use]
    pub fn is_plainly_fine(&self, entry: &RegionEntry) -> bool {
        let (report, peers) = (&entry.report, entry.peers());
        let are_whole = peers.len() == self.replicas
            && report.down.is_empty()
            && report.pending.is_empty()
            && peers.iter().all(|peer| peer.role == PeerRole::Voter);
        let place = |store: StoreId| {
            let at = self.up.binary_search_by_key(&store, |(id, _)| *id).ok()?;
            Some(self.up[at].1)
        };
        are_whole
            && peers.iter().enumerate().all(|(at, peer)| {
                let here = place(peer.store);
                let others = peers[..at].iter();
                here.is_some()
                    && (self.labels.is_empty()
                        || others.map(|other| place(other.store)).all(|other| other != here))
            })
    }

    /// At least how near to these stores another would be, in the measure of
    /// [`StoreInfo::nearness`] summed over them. What is found may be one of them.
    #[must_use]
    pub fn least_crowding(&self, near: &[&StoreInfo]) -> usize {
        self.root.least_crowding(self.labels, near)
    }
}

impl Place<'_> {
    fn least_crowding(&self, labels: &[String], near: &[&StoreInfo]) -> usize {
        let Some((label, rest)) = labels.split_first() else { return 0 };
        let is_in = |name: &str, store: &&&StoreInfo| store.label(label) == name;
        // Of one place more than there are stores, one has none of them.
        let mut few = self.inside.keys().take(near.len() + 1);
        if few.any(|name| !near.iter().any(|store| is_in(name, &store))) {
            return 0;
        }
        let crowding = |(name, place): (&&str, &Place)| {
            let here: Vec<&StoreInfo> =
                near.iter().filter(|store| is_in(name, store)).copied().collect();
            here.len() + place.least_crowding(rest, &here)
        };
        self.inside.iter().map(crowding).min().unwrap_or(0)
    }
}
