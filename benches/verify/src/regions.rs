//! The regions of a run's keys: which there are, who leads them, and dividing them.

use std::time::Duration;

use client::{Client, Error};
use proto::crib::placement::v1::{ListRegionsRequest, RegionReport};

/// Regions that are looked at, at most.
const LIMIT: u32 = 10_240;
/// How often something is asked until it has come about, and how long it is waited in between.
const ASKED_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// A run's part of the cluster.
pub(crate) struct Regions {
    client: Client,
    prefix: String,
}

/// A region, as far as it is of interest here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) id: u64,
    /// Where it begins.
    start: Vec<u8>,
    /// The store that leads it; zero if none does.
    pub(crate) leader: u64,
    pub(crate) stores: Vec<u64>,
}

impl Regions {
    pub(crate) fn new(client: Client, prefix: &str) -> Regions {
        Regions { client, prefix: prefix.to_owned() }
    }

    /// A key of the run, as regions are bounded.
    fn bound(&self, key: &str) -> Vec<u8> {
        self.client.bound(format!("{}{key}", self.prefix))
    }

    /// Those that hold keys of the run.
    pub(crate) async fn list(&self) -> Result<Vec<Region>, Error> {
        let request = ListRegionsRequest {
            start_key: self.bound("").into(),
            limit: LIMIT,
            ..ListRegionsRequest::default()
        };
        // Behind the last hexadecimal digit.
        let end = self.bound("g");
        let found = self.client.admin().list_regions(request).await?;
        let is_ours = |report: &&RegionReport| {
            report.region.as_ref().is_some_and(|region| region.start_key < end)
        };
        Ok(found.iter().filter(is_ours).filter_map(region).collect())
    }

    /// Divides the run's keys among so many regions, at most sixteen.
    pub(crate) async fn divide(&self, count: usize) -> Result<usize, Error> {
        let count = count.clamp(1, 16);
        for part in 1..count {
            self.split_at(&format!("{:02x}", part * 256 / count)).await?;
        }
        Ok(self.list().await?.len())
    }

    /// Splits the region that holds a key of the run, there: which it was, how many there were, and
    /// whether another begins there now.
    pub(crate) async fn split_at(&self, key: &str) -> Result<Option<(u64, usize, bool)>, Error> {
        let key = self.bound(key);
        let all = self.list().await?;
        let Some(holder) = all.iter().rfind(|region| region.start < key) else { return Ok(None) };
        self.client.admin().split_region(holder.id, vec![key.clone()]).await?;
        let is_there = self.until(|all| all.iter().any(|region| region.start == key)).await?;
        Ok(Some((holder.id, all.len(), is_there)))
    }

    /// Asks until the regions are so, for a while; whether they are.
    pub(crate) async fn until(&self, is_so: impl Fn(&[Region]) -> bool) -> Result<bool, Error> {
        for _ in 0..ASKED_MAX {
            match self.list().await {
                Ok(all) if is_so(&all) => return Ok(true),
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        Ok(is_so(&self.list().await?))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

fn region(report: &RegionReport) -> Option<Region> {
    let region = report.region.as_ref()?;
    let leader = report.leader.as_ref().map_or(0, |leader| leader.store_id);
    let stores = region.peers.iter().map(|peer| peer.store_id).collect();
    Some(Region { id: region.id, start: region.start_key.to_vec(), leader, stores })
}
