//! Settings of the driver, and what a cluster is born with.

use std::time::Duration;

use types::{
    ApiVersion, ClusterId, Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId,
};

use crate::scheduler::SchedulerConfig;
use crate::state::{Bootstrap, Cluster, Store};

/// Settings of a [`crate::Driver`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster. Others' requests are refused.
    pub cluster: ClusterId,
    /// This store.
    pub store: StoreId,
    /// The stores that the cluster is born with, by ascending id, each with id and address. Peers
    /// of placement's group have the numbers of their stores.
    pub founders: Vec<Store>,
    /// How keys are formed, once the cluster is born.
    pub api_version: ApiVersion,
    /// Replicas of a region, once the cluster is born.
    pub replicas: u32,
    /// Whether clients reach members over TLS: what their URLs begin with.
    pub has_tls: bool,
    /// How often the scheduler looks. Default: 500 ms.
    pub tick: Duration,
    /// Settings of planning. `silent_after` and `down_after` are also when a store is shown as
    /// disconnected and down; `replicas` and `location_labels` are taken from the cluster once it
    /// is born.
    pub scheduler: SchedulerConfig,
}

impl Config {
    /// Settings with defaults where there are any.
    #[must_use]
    pub fn new(cluster: ClusterId, store: StoreId, founders: Vec<Store>) -> Config {
        let scheduler =
            SchedulerConfig { silent_after: Duration::from_secs(10), ..SchedulerConfig::default() };
        Config {
            cluster,
            store,
            founders,
            api_version: ApiVersion::V2,
            replicas: 3,
            has_tls: false,
            tick: Duration::from_millis(500),
            scheduler,
        }
    }

    /// What the cluster is born with.
    pub(crate) fn birth(&self) -> Bootstrap {
        let stores: Vec<StoreId> = self.founders.iter().filter_map(|store| store.id).collect();
        let regions = first_regions(self.api_version, self.replicas, &stores);
        Bootstrap {
            cluster: Cluster {
                id: self.cluster,
                api_version: self.api_version,
                replicas: self.replicas,
                regions,
                seats: u32::try_from(stores.len()).unwrap_or(u32::MAX),
                location_labels: Some(self.scheduler.location_labels.clone()),
            },
            stores: self.founders.clone(),
        }
    }
}

/// The regions that a cluster begins with: all keys, cut so that no range of users ends in the last
/// region. Ids of regions begin at 2, behind placement's group; ids of peers at 101. Voters are the
/// first founders, an odd number of them, at most `replicas`.
#[must_use]
pub fn first_regions(api_version: ApiVersion, replicas: u32, founders: &[StoreId]) -> Vec<Region> {
    let wanted = usize::try_from(replicas).unwrap_or(usize::MAX).min(founders.len());
    // An even number of voters stands no more failures than one less.
    let voters = if wanted % 2 == 0 { wanted.saturating_sub(1) } else { wanted };
    let mut bounds = vec![Vec::new()];
    bounds.extend(api_version.first_boundaries());
    bounds.push(Vec::new());
    let mut next_peer = 101..;
    let ranges = bounds.windows(2).map(|pair| KeyRange::new(pair[0].clone(), pair[1].clone()));
    let region = |(range, id): (KeyRange, u64)| {
        let peers = founders.iter().take(voters.max(1)).zip(&mut next_peer);
        let peer = |(&store, id): (&StoreId, u64)| {
            Some(RegionPeer { id: PeerId::new(id)?, store, role: PeerRole::Voter })
        };
        Some(Region {
            id: GroupId::new(id)?,
            range,
            epoch: Epoch::FIRST,
            peers: peers.filter_map(peer).collect(),
        })
    };
    ranges.zip(2..).filter_map(region).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores(count: u64) -> Vec<StoreId> {
        (1..=count).filter_map(StoreId::new).collect()
    }

    #[test]
    fn first_regions_cover_all_keys_with_an_odd_number_of_voters() {
        for (founders, voters) in [(1, 1), (2, 1), (3, 3), (5, 3)] {
            let regions = first_regions(ApiVersion::V2, 3, &stores(founders));
            assert_eq!(regions.len(), 5);
            assert!(regions.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
            assert!(regions[0].range.start.is_empty() && regions[4].range.end.is_empty());
            assert!(regions.iter().all(|region| region.peers.len() == voters));
            let mut ids: Vec<PeerId> =
                regions.iter().flat_map(|region| &region.peers).map(|peer| peer.id).collect();
            let count = ids.len();
            ids.dedup();
            assert!(ids.len() == count && ids.iter().all(|id| id.get() < 1_000));
        }
        assert_eq!(first_regions(ApiVersion::V1, 3, &stores(3)).len(), 1);
    }
}
