//! What operators ask of placement: `crib.placement.v1.Admin`, at whoever leads.
//!
//! The cluster's id is filled in here. A member that does not lead has done nothing, and the one
//! that does is asked; where an answer was lost, what changes nothing when it is repeated is asked
//! again, and the rest ends as undetermined.

use std::sync::Arc;

use proto::crib::placement::v1;
use proto::crib::placement::v1::admin_client::AdminClient;
use tokio::time;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use crate::backoff::{Budget, Kind, Setback};
use crate::error::Result;
use crate::router::Router;
use crate::verdict::{describe, is_elsewhere, refusal};

/// What operators ask. See the messages for what the answers mean.
#[derive(Clone)]
pub struct Admin {
    router: Arc<Router>,
}

type Answer<T> = std::result::Result<Response<T>, Status>;

impl Admin {
    pub(crate) fn new(router: Arc<Router>) -> Admin {
        Admin { router }
    }

    /// A client of the service, connected to placement's leader as it is now, for calls that are
    /// not here; with the cluster's id, which every request wants.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn service(&self) -> Result<(AdminClient<Channel>, u64)> {
        let mut budget = Budget::new(&self.router.options, Kind::Read);
        loop {
            match self.router.placement.leader(&budget).await? {
                Ok(leader) => return Ok((AdminClient::new(leader.channel()), self.cluster())),
                Err(setback) => budget.pause(setback).await?,
            }
        }
    }

    fn cluster(&self) -> u64 {
        self.router.placement.cluster()
    }

    /// How the cluster is.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn status(&self) -> Result<v1::StatusResponse> {
        let request = v1::StatusRequest { cluster_id: self.cluster() };
        self.call(Kind::Read, |mut admin| async move { admin.status(request).await }).await
    }

    /// All stores.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn list_stores(&self, with_removed: bool) -> Result<Vec<v1::Store>> {
        let request = v1::ListStoresRequest { cluster_id: self.cluster(), with_removed };
        let call =
            |mut admin: AdminClient<Channel>| async move { admin.list_stores(request).await };
        Ok(self.call(Kind::Read, call).await?.stores)
    }

    /// Regions, by range or id.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn list_regions(
        &self,
        mut request: v1::ListRegionsRequest,
    ) -> Result<Vec<v1::RegionReport>> {
        request.cluster_id = self.cluster();
        let call = |mut admin: AdminClient<Channel>| {
            let request = request.clone();
            async move { admin.list_regions(request).await }
        };
        Ok(self.call(Kind::Read, call).await?.regions)
    }

    /// Empties a store, or says what that would be.
    ///
    /// # Errors
    /// See [`Error`](crate::Error); [`Error::Refused`](crate::Error::Refused) if it cannot end, in
    /// words.
    pub async fn drain_store(
        &self,
        store_id: u64,
        is_dry_run: bool,
    ) -> Result<v1::DrainStoreResponse> {
        let request = v1::DrainStoreRequest { cluster_id: self.cluster(), store_id, is_dry_run };
        self.call(Kind::Write, |mut admin| async move { admin.drain_store(request).await }).await
    }

    /// Takes back a drain.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn undrain_store(&self, store_id: u64) -> Result<()> {
        let request = v1::UndrainStoreRequest { cluster_id: self.cluster(), store_id };
        let call =
            |mut admin: AdminClient<Channel>| async move { admin.undrain_store(request).await };
        self.call(Kind::Write, call).await.map(|_| ())
    }

    /// Decides how many members placement is to have: 1, 3 or 5. It gets them one after the other.
    ///
    /// # Errors
    /// See [`Error`](crate::Error); [`Error::Refused`](crate::Error::Refused) if so many stores are
    /// not up, in words.
    pub async fn set_seats(&self, seats: u32) -> Result<()> {
        let request = v1::SetSeatsRequest { cluster_id: self.cluster(), seats };
        let call = |mut admin: AdminClient<Channel>| async move { admin.set_seats(request).await };
        self.call(Kind::Write, call).await.map(|_| ())
    }

    /// Decides how many replicas each region is to have: 1, 3, 5 or 7. They are made, or taken
    /// away, one after the other.
    ///
    /// # Errors
    /// See [`Error`](crate::Error); [`Error::Refused`](crate::Error::Refused) if so many stores are
    /// not up, in words.
    pub async fn set_replicas(&self, replicas: u32) -> Result<()> {
        let request = v1::SetReplicasRequest { cluster_id: self.cluster(), replicas };
        let call =
            |mut admin: AdminClient<Channel>| async move { admin.set_replicas(request).await };
        self.call(Kind::Write, call).await.map(|_| ())
    }

    /// Decides which labels tell where stores are, by their keys, the widest first: replicas of a
    /// region are kept apart in them.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn set_location_labels(&self, keys: Vec<String>) -> Result<()> {
        let request = v1::SetLocationLabelsRequest { cluster_id: self.cluster(), keys };
        let call = |mut admin: AdminClient<Channel>| {
            let request = request.clone();
            async move { admin.set_location_labels(request).await }
        };
        self.call(Kind::Write, call).await.map(|_| ())
    }

    /// Takes an empty store out of the cluster, for good.
    ///
    /// # Errors
    /// See [`Error`](crate::Error); [`Error::Refused`](crate::Error::Refused) if it is not empty.
    pub async fn remove_store(&self, store_id: u64) -> Result<()> {
        self.remove(store_id, false).await
    }

    /// As [`Admin::remove_store`], also while some keys are in no region that is known, as where
    /// most replicas of one are gone for good. What the store has of those is given up.
    ///
    /// # Errors
    /// As [`Admin::remove_store`].
    pub async fn remove_store_by_force(&self, store_id: u64) -> Result<()> {
        self.remove(store_id, true).await
    }

    async fn remove(&self, store_id: u64, force: bool) -> Result<()> {
        let request = v1::RemoveStoreRequest { cluster_id: self.cluster(), store_id, force };
        let call =
            |mut admin: AdminClient<Channel>| async move { admin.remove_store(request).await };
        self.call(Kind::Write, call).await.map(|_| ())
    }

    /// Hands the leadership of a region to its peer on a store.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn transfer_leader(&self, region_id: u64, to_store: u64) -> Result<()> {
        let cluster_id = self.cluster();
        let request = v1::TransferLeaderRequest { cluster_id, region_id, to_store };
        let call =
            |mut admin: AdminClient<Channel>| async move { admin.transfer_leader(request).await };
        self.call(Kind::Write, call).await.map(|_| ())
    }

    /// Splits a region at engine keys, or in halves if there are none.
    ///
    /// # Errors
    /// See [`Error`](crate::Error). It is not repeated: a second time would split once more.
    pub async fn split_region(&self, region_id: u64, keys: Vec<Vec<u8>>) -> Result<()> {
        let keys = keys.into_iter().map(Into::into).collect();
        let request = v1::SplitRegionRequest { cluster_id: self.cluster(), region_id, keys };
        let call = |mut admin: AdminClient<Channel>| {
            let request = request.clone();
            async move { admin.split_region(request).await }
        };
        self.call(Kind::Once, call).await.map(|_| ())
    }

    /// What is being done to regions, or was.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn list_operators(&self, with_ended: bool) -> Result<Vec<v1::Operator>> {
        let request = v1::ListOperatorsRequest { cluster_id: self.cluster(), with_ended };
        let call =
            |mut admin: AdminClient<Channel>| async move { admin.list_operators(request).await };
        Ok(self.call(Kind::Read, call).await?.operators)
    }

    /// Why a region or a store is as it is, in sentences.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn explain(&self, what: v1::explain_request::What) -> Result<Vec<String>> {
        let request = v1::ExplainRequest { cluster_id: self.cluster(), what: Some(what) };
        let call = |mut admin: AdminClient<Channel>| async move { admin.explain(request).await };
        Ok(self.call(Kind::Read, call).await?.lines)
    }

    /// What happens, as it happens. The stream ends with a status when its server stops to lead;
    /// then watch again.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn watch(&self) -> Result<Streaming<v1::Event>> {
        let request = v1::WatchRequest { cluster_id: self.cluster() };
        self.call(Kind::Read, |mut admin| async move { admin.watch(request).await }).await
    }

    /// Calls the leader, and whoever leads next, until one answers.
    async fn call<T, F, Fut>(&self, kind: Kind, call: F) -> Result<T>
    where
        F: Fn(AdminClient<Channel>) -> Fut,
        Fut: Future<Output = Answer<T>>,
    {
        // Repeating is for the calls to choose, not for the option that is about data.
        let mut budget = Budget::of(self.router.options.budget, kind);
        let result = self.call_within(call, &mut budget).await;
        result.map_err(|error| budget.settle(error))
    }

    async fn call_within<T, F, Fut>(&self, call: F, budget: &mut Budget) -> Result<T>
    where
        F: Fn(AdminClient<Channel>) -> Fut,
        Fut: Future<Output = Answer<T>>,
    {
        let placement = &self.router.placement;
        loop {
            let setback = match placement.leader(budget).await? {
                Ok(leader) => {
                    let most = budget.attempt(self.router.options.attempt_timeout);
                    let answer =
                        time::timeout(most, call(AdminClient::new(leader.channel()))).await;
                    let setback = match answer {
                        Ok(Ok(response)) => return Ok(response.into_inner()),
                        Ok(Err(status)) => judge(&status)?,
                        Err(_elapsed) => Setback::unknown("placement does not answer"),
                    };
                    placement.lose(&leader).await;
                    setback
                }
                Err(setback) => setback,
            };
            budget.pause(setback).await?;
        }
    }
}

fn judge(status: &Status) -> Result<Setback> {
    match refusal(status) {
        Some(error) => Err(error),
        None if is_elsewhere(status) => Ok(Setback::harmless(describe(status))),
        None => Ok(Setback::unknown(describe(status))),
    }
}
