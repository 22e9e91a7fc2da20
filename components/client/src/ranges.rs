//! Operations on ranges as a whole: removing one, and asking which regions and stores there are.

use proto::metapb::StoreState;
use types::{GroupId, KeyRange, StoreId};

use crate::backoff::{Budget, Kind};
use crate::client::{Client, done};
use crate::command::Command;
use crate::dial::address;
use crate::error::{Error, Result};
use crate::region_cache::Route;

/// A store of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// Who.
    pub id: StoreId,
    /// Where clients reach it, `host:port`.
    pub address: String,
    /// Whether it takes part.
    pub state: StoreState,
    /// The version of its program.
    pub version: String,
}

/// Who belongs to placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// Where each is, `host:port`.
    pub addresses: Vec<String>,
    /// Where the leader is.
    pub leader: Option<String>,
}

impl Client {
    /// Removes every key of a range, region by region from its beginning on. It is not atomic.
    /// Returns how many regions took part.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Undetermined`] also where a beginning of the range was removed and
    /// the rest was not. It may be done again.
    pub async fn delete_range(&self, range: &KeyRange) -> Result<usize> {
        let left = self.router.keys.request_range(range);
        if range.is_empty() || left.is_empty() {
            return Ok(0);
        }
        let mut budget = Budget::new(&self.router.options, Kind::Write);
        let mut regions = 0;
        match self.delete_within(left, &mut budget, &mut regions).await {
            Ok(()) => Ok(regions),
            Err(error) => Err(match budget.settle(error) {
                error if regions == 0 || matches!(error, Error::Undetermined(_)) => error,
                error => Error::Undetermined(format!(
                    "what {regions} regions had of the range is removed, and then: {error}"
                )),
            }),
        }
    }

    /// Counts in `regions` those that have removed their parts.
    async fn delete_within(
        &self,
        mut left: KeyRange,
        budget: &mut Budget,
        regions: &mut usize,
    ) -> Result<()> {
        let router = &self.router;
        loop {
            let route = router.locate(&router.keys.bound(&left.start), budget).await?;
            let Some(bounds) = router.keys.request_of_bounds(&route.region.range) else {
                let range = &route.region.range;
                return Err(Error::Refused(format!("bounds of a region are no keys: {range}")));
            };
            let part = left.intersection(&bounds);
            let command = Command::delete_range(part.start.into(), part.end.clone().into());
            match router.attempt(&route, command, budget).await? {
                Ok(body) => done(body)?,
                Err(setback) => {
                    budget.pause(setback).await?;
                    continue;
                }
            }
            *regions += 1;
            // The part ends with the range, or where the next region begins.
            if part.end == left.end {
                return Ok(());
            }
            left.start = part.end;
            budget.renew();
        }
    }

    /// The region that has a key, as placement knows it now.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn region_of(&self, key: impl AsRef<[u8]>) -> Result<Option<Route>> {
        let keys = self.router.keys;
        let bound = keys.bound(&keys.request(key.as_ref()));
        let mut budget = self.budget();
        self.router.placement.region(&bound, &mut budget).await
    }

    /// A region by its id, as placement knows it now.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn region(&self, id: GroupId) -> Result<Option<Route>> {
        let mut budget = self.budget();
        self.router.region(id, &mut budget).await
    }

    /// A user's key as regions are bounded.
    #[must_use]
    pub fn bound(&self, key: impl AsRef<[u8]>) -> Vec<u8> {
        let keys = self.router.keys;
        keys.bound(&keys.request(key.as_ref()))
    }

    /// The regions that overlap a range of the user's keys, in order, as placement knows them now.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn regions(&self, range: &KeyRange) -> Result<Vec<Route>> {
        let keys = self.router.keys;
        let range = keys.request_range(range);
        self.all_regions(KeyRange::new(keys.bound(&range.start), keys.bound(&range.end))).await
    }

    /// All regions of the cluster, whatever their keys mean.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn every_region(&self) -> Result<Vec<Route>> {
        self.all_regions(KeyRange::default()).await
    }

    async fn all_regions(&self, mut left: KeyRange) -> Result<Vec<Route>> {
        let mut budget = self.budget();
        let mut regions: Vec<Route> = Vec::new();
        loop {
            let found = self.router.placement.regions(&left, &mut budget).await?;
            let Some(last) = found.last() else { return Ok(regions) };
            let end = last.region.range.end.clone();
            let is_onward = end > left.start;
            regions.extend(found);
            if !is_onward || (!left.end.is_empty() && end >= left.end) {
                return Ok(regions);
            }
            left.start = end;
            budget.renew();
        }
    }

    /// A store; none if there is none with this id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn store(&self, id: StoreId) -> Result<Option<StoreInfo>> {
        let found = self.router.placement.store(id, &mut self.budget()).await?;
        Ok(found.and_then(info))
    }

    /// All stores, those that have left included.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn stores(&self) -> Result<Vec<StoreInfo>> {
        let found = self.router.placement.stores(&mut self.budget()).await?;
        Ok(found.into_iter().filter_map(info).collect())
    }

    /// Who belongs to placement, and who leads it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn members(&self) -> Result<Members> {
        let found = self.router.placement.members(&mut self.budget()).await?;
        let of = |urls: &[String]| urls.first().map(|url| address(url).to_owned());
        Ok(Members {
            addresses: found.members.iter().filter_map(|it| of(&it.client_urls)).collect(),
            leader: found.leader.as_ref().and_then(|it| of(&it.client_urls)),
        })
    }

    fn budget(&self) -> Budget {
        Budget::new(&self.router.options, Kind::Read)
    }
}

fn info(store: proto::metapb::Store) -> Option<StoreInfo> {
    Some(StoreInfo {
        id: StoreId::new(store.id)?,
        state: store.state(),
        address: address(&store.address).to_owned(),
        version: store.version,
    })
}
