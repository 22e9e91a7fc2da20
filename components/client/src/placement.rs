//! Asking placement: who has a key, where a store is.

use std::sync::Arc;

use proto::keyspacepb::LoadKeyspaceRequest;
use proto::keyspacepb::keyspace_client::KeyspaceClient;
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{
    ErrorType, GetAllStoresRequest, GetMembersRequest, GetMembersResponse, GetRegionByIdRequest,
    GetRegionRequest, GetRegionResponse, GetStoreRequest, RequestHeader, ResponseHeader,
    ScanRegionsRequest,
};
use proto::{keyspacepb, metapb};
use tokio::time;
use tonic::transport::Channel;
use tonic::{Response, Status};
use types::{ClusterId, GroupId, KeyRange, StoreId};

use crate::backoff::{Attempt, Budget, Kind, Setback};
use crate::convert;
use crate::error::{Error, Result};
use crate::leader::{Finder, Leader};
use crate::options::Options;
use crate::region_cache::Route;
use crate::verdict::{describe, refusal};

/// Regions that one call asks for.
const REGIONS_PER_CALL: i32 = 1_024;

/// Placement, as a client sees it.
pub(crate) struct Placement {
    options: Arc<Options>,
    cluster: u64,
    finder: Finder,
}

impl Placement {
    /// Finds placement.
    ///
    /// # Errors
    /// At once if no endpoint is of use; after the budget if they know no leader.
    pub(crate) async fn connect(given: &[String], options: Arc<Options>) -> Result<Placement> {
        let mut budget = Budget::new(&options, Kind::Read);
        let finder = Finder::new(None, given.to_vec(), Arc::clone(&options));
        while let Err(error) = finder.get().await {
            match error {
                // Members are there, and elect one.
                Error::NoLeader(why) => budget.pause(Setback::harmless(why)).await?,
                error => return Err(error),
            }
        }
        let cluster = finder.cluster().map_or(0, ClusterId::get);
        Ok(Placement { options, cluster, finder })
    }

    pub(crate) fn cluster(&self) -> u64 {
        self.cluster
    }

    fn header(&self) -> Option<RequestHeader> {
        Some(RequestHeader { cluster_id: self.cluster })
    }

    /// The leader, or why there is none just now.
    ///
    /// # Errors
    /// What further attempts do not change.
    pub(crate) async fn leader(&self, budget: &Budget) -> Result<Attempt<Arc<Leader>>> {
        let most = budget.attempt(self.options.connect_timeout + self.options.attempt_timeout);
        match time::timeout(most, self.finder.get()).await {
            Ok(Ok(leader)) => Ok(Ok(leader)),
            Ok(Err(error @ (Error::NotConnected(_) | Error::NoLeader(_)))) => {
                Ok(Err(Setback::harmless(error.to_string())))
            }
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Ok(Err(Setback::harmless("placement does not answer"))),
        }
    }

    /// A call to this leader failed: look for another.
    pub(crate) async fn lose(&self, leader: &Arc<Leader>) {
        self.finder.lose(leader).await;
    }

    /// Calls the leader, and whoever leads next, until one answers.
    pub(crate) async fn call<T, F, Fut>(&self, budget: &mut Budget, call: F) -> Result<T>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = std::result::Result<(Option<ResponseHeader>, T), Status>>,
    {
        loop {
            let setback = match self.leader(budget).await? {
                Ok(leader) => match self.call_once(&leader, budget, &call).await? {
                    Ok(answer) => return Ok(answer),
                    Err(setback) => {
                        self.lose(&leader).await;
                        setback
                    }
                },
                Err(setback) => setback,
            };
            budget.pause(setback).await?;
        }
    }

    async fn call_once<T, F, Fut>(
        &self,
        leader: &Leader,
        budget: &Budget,
        call: &F,
    ) -> Result<Attempt<T>>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = std::result::Result<(Option<ResponseHeader>, T), Status>>,
    {
        let most = budget.attempt(self.options.attempt_timeout);
        let at = |why: &str| Setback::harmless(format!("placement at {}: {why}", leader.address));
        match time::timeout(most, call(leader.channel())).await {
            Err(_elapsed) => Ok(Err(at("no answer"))),
            Ok(Err(status)) => match refusal(&status) {
                Some(error) => Err(error),
                None => Ok(Err(at(&describe(&status)))),
            },
            Ok(Ok((header, answer))) => match header.and_then(|header| header.error) {
                Some(error) if error.r#type() != ErrorType::Ok => Ok(Err(at(&error.message))),
                _ => Ok(Ok(answer)),
            },
        }
    }

    /// The region that has a key, in the form of bounds.
    pub(crate) async fn region(&self, key: &[u8], budget: &mut Budget) -> Result<Option<Route>> {
        let request = self.region_request(key);
        self.find(budget, |mut pd| {
            let request = request.clone();
            async move { pd.get_region(request).await }
        })
        .await
    }

    /// The region before the one that has a key.
    pub(crate) async fn region_before(
        &self,
        key: &[u8],
        budget: &mut Budget,
    ) -> Result<Option<Route>> {
        let request = self.region_request(key);
        self.find(budget, |mut pd| {
            let request = request.clone();
            async move { pd.get_prev_region(request).await }
        })
        .await
    }

    fn region_request(&self, key: &[u8]) -> GetRegionRequest {
        let region_key = key.to_vec().into();
        GetRegionRequest { header: self.header(), region_key, need_buckets: false }
    }

    /// The region with this id.
    pub(crate) async fn region_by_id(
        &self,
        region: GroupId,
        budget: &mut Budget,
    ) -> Result<Option<Route>> {
        let request = GetRegionByIdRequest {
            header: self.header(),
            region_id: region.get(),
            need_buckets: false,
        };
        self.find(budget, |mut pd| async move { pd.get_region_by_id(request).await }).await
    }

    /// One region, in one of the ways to ask for it.
    async fn find<F, Fut>(&self, budget: &mut Budget, call: F) -> Result<Option<Route>>
    where
        F: Fn(PdClient<Channel>) -> Fut,
        Fut: Future<Output = std::result::Result<Response<GetRegionResponse>, Status>>,
    {
        self.call(budget, |channel| {
            let asked = call(PdClient::new(channel));
            async move {
                let found = bare(asked.await)?;
                let header = found.header.filter(|header| !is_absence(header));
                Ok((header, convert::route(found.region, found.leader)))
            }
        })
        .await
    }

    /// Some of the regions that overlap a range, from its beginning on.
    pub(crate) async fn regions(
        &self,
        range: &KeyRange,
        budget: &mut Budget,
    ) -> Result<Vec<Route>> {
        let request = ScanRegionsRequest {
            header: self.header(),
            start_key: range.start.clone().into(),
            limit: REGIONS_PER_CALL,
            end_key: range.end.clone().into(),
        };
        self.call(budget, |channel| {
            let request = request.clone();
            async move {
                let found = bare(PdClient::new(channel).scan_regions(request).await)?;
                let routes = found.regions.into_iter().filter_map(convert::listed).collect();
                Ok((found.header, routes))
            }
        })
        .await
    }

    /// A store; none if there is none with this id.
    pub(crate) async fn store(
        &self,
        store: StoreId,
        budget: &mut Budget,
    ) -> Result<Option<metapb::Store>> {
        let request = GetStoreRequest { header: self.header(), store_id: store.get() };
        self.call(budget, |channel| async move {
            let found = bare(PdClient::new(channel).get_store(request).await)?;
            // Some say that they do not know it by an error without a name.
            let is_unknown = |header: &ResponseHeader| has_error(header, &[ErrorType::Unknown]);
            let header = found.header.filter(|it| !is_absence(it) && !is_unknown(it));
            Ok((header, found.store))
        })
        .await
    }

    /// All stores.
    pub(crate) async fn stores(&self, budget: &mut Budget) -> Result<Vec<metapb::Store>> {
        let request =
            GetAllStoresRequest { header: self.header(), exclude_tombstone_stores: false };
        self.call(budget, |channel| async move {
            let found = bare(PdClient::new(channel).get_all_stores(request).await)?;
            Ok((found.header, found.stores))
        })
        .await
    }

    /// A keyspace by its name; none if there is none.
    pub(crate) async fn keyspace(
        &self,
        name: &str,
        budget: &mut Budget,
    ) -> Result<Option<keyspacepb::KeyspaceMeta>> {
        let request = LoadKeyspaceRequest { header: self.header(), name: name.to_owned() };
        self.call(budget, |channel| {
            let request = request.clone();
            async move {
                let found = bare(KeyspaceClient::new(channel).load_keyspace(request).await)?;
                Ok((found.header.filter(|header| !is_absence(header)), found.keyspace))
            }
        })
        .await
    }

    /// Who belongs to placement, and who leads it, as some member sees it.
    pub(crate) async fn members(&self, budget: &mut Budget) -> Result<GetMembersResponse> {
        self.call(budget, |channel| async move {
            let request = GetMembersRequest { header: None };
            let found = bare(PdClient::new(channel).get_members(request).await)?;
            Ok((found.header.clone(), found))
        })
        .await
    }
}

/// Whether an error only says that there is no such thing.
fn is_absence(header: &ResponseHeader) -> bool {
    let kinds = [ErrorType::EntryNotFound, ErrorType::RegionNotFound, ErrorType::StoreTombstone];
    has_error(header, &kinds)
}

fn has_error(header: &ResponseHeader, kinds: &[ErrorType]) -> bool {
    header.error.as_ref().is_some_and(|error| kinds.contains(&error.r#type()))
}

fn bare<T>(result: std::result::Result<Response<T>, Status>) -> std::result::Result<T, Status> {
    result.map(Response::into_inner)
}
