//! What the HTTP port tells: of this node from its own state, of the cluster from placement.

use std::sync::Arc;

use proto::crib::placement::v1::admin_client::AdminClient;
use proto::crib::placement::v1::{
    ListOperatorsRequest, ListRegionsRequest, ListStoresRequest, StatusRequest, StoreState,
};
use tonic::Response;
use tonic::transport::Channel;

use super::Parts;
use crate::errors::{self, Failure};
use crate::http::{Answer, Check, Regions, Source};
use crate::view::{Operator, Status, Store};

/// Tells of one node.
pub(super) struct NodeSource {
    pub(super) parts: Arc<Parts>,
}

impl NodeSource {
    fn ask<T, F>(
        &self,
        call: impl FnOnce(AdminClient<Channel>, u64) -> F + Send + 'static,
    ) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<Response<T>, tonic::Status>> + Send + 'static,
    {
        let parts = Arc::clone(&self.parts);
        Box::pin(async move {
            let cluster = parts.cluster.get();
            let ask = |channel| call(AdminClient::new(channel), cluster);
            parts.link.ask(ask).await.map_err(|why| {
                Failure::new(&errors::NO_PLACEMENT, "placement does not answer").why(why)
            })
        })
    }
}

impl Source for NodeSource {
    fn checks(&self) -> Vec<Check> {
        let state = self.parts.link.state();
        let refusal = self.parts.link.refusal();
        let is_joining = matches!(state, StoreState::Joining | StoreState::Unspecified);
        let why_not_joined = match &refusal {
            Some(why) => format!("placement refuses this store's heartbeats: {why}"),
            None => "placement has not answered a heartbeat yet".to_owned(),
        };
        let failure = self.parts.data.handle.failure();
        let health = self.parts.data.engine.health();
        let room = &self.parts.data.room;
        vec![
            Check::new("joined", refusal.is_none() && !is_joining, why_not_joined),
            Check::new(
                "not-draining",
                state != StoreState::Draining,
                "everything moves away from this store",
            ),
            Check::new(
                "engine",
                failure.is_none() && health.failed.is_none(),
                failure.or(health.failed).unwrap_or_default(),
            ),
            Check::new(
                "disk",
                !room.is_low(),
                format!(
                    "{} bytes are free, {} are to be kept",
                    room.capacity().available,
                    room.kept
                ),
            ),
        ]
    }

    fn status(&self) -> Answer<Status> {
        self.ask(|mut admin, cluster_id| async move {
            Ok(admin.status(StatusRequest { cluster_id }).await?.map(Status::from))
        })
    }

    fn stores(&self) -> Answer<Vec<Store>> {
        self.ask(|mut admin, cluster_id| async move {
            let request = ListStoresRequest { cluster_id, with_removed: false };
            let answer = admin.list_stores(request).await?;
            Ok(answer.map(|answer| answer.stores.into_iter().map(Store::from).collect()))
        })
    }

    fn regions(&self, start: Vec<u8>, limit: u32) -> Answer<Regions> {
        let api_version = self.parts.edge.api.name().to_owned();
        self.ask(move |mut admin, cluster_id| async move {
            let request = ListRegionsRequest {
                cluster_id,
                start_key: start.into(),
                limit,
                ..Default::default()
            };
            let answer = admin.list_regions(request).await?;
            Ok(answer.map(|answer| Regions { api_version, regions: answer.regions }))
        })
    }

    fn operators(&self) -> Answer<Vec<Operator>> {
        self.ask(|mut admin, cluster_id| async move {
            let request = ListOperatorsRequest { cluster_id, with_ended: false };
            let answer = admin.list_operators(request).await?;
            Ok(answer.map(|answer| answer.operators.into_iter().map(Operator::from).collect()))
        })
    }
}
