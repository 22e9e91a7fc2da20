//! A member of placement.

use std::sync::Arc;

use parking_lot::Mutex;
use proto::crib::placement::v1;
use proto::keyspacepb;
use proto::metapb;
use proto::pdpb::{
    BatchScanRegionsRequest, BatchScanRegionsResponse, Error, ErrorType, GetAllStoresRequest,
    GetAllStoresResponse, GetGcSafePointRequest, GetGcSafePointResponse, GetMembersRequest,
    GetMembersResponse, GetRegionByIdRequest, GetRegionRequest, GetRegionResponse, GetStoreRequest,
    GetStoreResponse, QueryRegionRequest, QueryRegionResponse, Region as PdRegion, ResponseHeader,
    ScanRegionsRequest, ScanRegionsResponse, TsoRequest, TsoResponse, UpdateGcSafePointRequest,
    UpdateGcSafePointResponse,
};
use proto::{crib, pdpb};
use tokio_stream::Empty;
use tonic::{Request, Response, Status, Streaming};

use super::{CLUSTER, Region, State};

#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) at: usize,
    pub(crate) state: Arc<Mutex<State>>,
}

type Answer<T> = Result<Response<T>, Status>;

fn header() -> Option<ResponseHeader> {
    Some(ResponseHeader { cluster_id: CLUSTER, error: None })
}

fn answer(region: Option<&Region>) -> Response<GetRegionResponse> {
    Response::new(GetRegionResponse {
        header: header(),
        region: region.map(Region::out),
        leader: region.map(|region| region.peer(region.leader)),
        ..Default::default()
    })
}

impl Member {
    fn lead(&self) -> Result<parking_lot::MutexGuard<'_, State>, Status> {
        let state = self.state.lock();
        if state.leading == Some(self.at) {
            Ok(state)
        } else {
            Err(Status::unavailable("this member does not lead"))
        }
    }

    /// Notes a call to `Admin`; the fault that was ordered for it, if any, happens.
    fn admin(&self, name: &'static str, cluster: u64) -> Result<(), Status> {
        let mut state = self.lead()?;
        state.asked.push((name, cluster));
        let fault = state.faults.iter().position(|(command, _)| *command == name);
        match fault.map(|at| state.faults.remove(at).1) {
            Some(super::Fault::Status(code)) => Err(Status::new(code, "as ordered")),
            _ => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl pdpb::pd_server::Pd for Member {
    type TsoStream = Empty<Result<TsoResponse, Status>>;
    type QueryRegionStream = Empty<Result<QueryRegionResponse, Status>>;

    async fn get_members(&self, _: Request<GetMembersRequest>) -> Answer<GetMembersResponse> {
        let state = self.state.lock();
        let of = |address: &String| pdpb::Member {
            client_urls: vec![format!("http://{address}")],
            ..Default::default()
        };
        let leader = state.leading.map(|at| of(&state.members[at]));
        let members = state.members.iter().map(of).collect();
        Ok(Response::new(GetMembersResponse {
            header: header(),
            members,
            etcd_leader: leader.clone(),
            leader,
        }))
    }

    async fn get_store(&self, request: Request<GetStoreRequest>) -> Answer<GetStoreResponse> {
        let state = self.lead()?;
        let id = request.into_inner().store_id;
        let Some(address) = state.addresses.get(&id).cloned() else {
            let message = format!("no store {id}");
            let error = Some(Error { r#type: ErrorType::Unknown.into(), message });
            let header = Some(ResponseHeader { cluster_id: CLUSTER, error });
            return Ok(Response::new(GetStoreResponse { header, store: None }));
        };
        let store = Some(metapb::Store { id, address, ..Default::default() });
        Ok(Response::new(GetStoreResponse { header: header(), store }))
    }

    async fn get_all_stores(
        &self,
        _: Request<GetAllStoresRequest>,
    ) -> Answer<GetAllStoresResponse> {
        let state = self.lead()?;
        let of = |(&id, address): (&u64, &String)| metapb::Store {
            id,
            address: address.clone(),
            ..Default::default()
        };
        let stores = state.addresses.iter().map(of).collect();
        Ok(Response::new(GetAllStoresResponse { header: header(), stores }))
    }

    async fn get_region(&self, request: Request<GetRegionRequest>) -> Answer<GetRegionResponse> {
        let state = self.lead()?;
        let key = request.into_inner().region_key;
        Ok(answer(state.told.iter().find(|region| region.has(&key))))
    }

    async fn get_prev_region(
        &self,
        request: Request<GetRegionRequest>,
    ) -> Answer<GetRegionResponse> {
        let state = self.lead()?;
        let key = request.into_inner().region_key;
        let at = state.told.iter().position(|region| region.has(&key));
        Ok(answer(at.and_then(|at| at.checked_sub(1)).map(|at| &state.told[at])))
    }

    async fn get_region_by_id(
        &self,
        request: Request<GetRegionByIdRequest>,
    ) -> Answer<GetRegionResponse> {
        let state = self.lead()?;
        let id = request.into_inner().region_id;
        Ok(answer(state.told.iter().find(|region| region.id == id)))
    }

    async fn scan_regions(
        &self,
        request: Request<ScanRegionsRequest>,
    ) -> Answer<ScanRegionsResponse> {
        let state = self.lead()?;
        let ScanRegionsRequest { start_key, end_key, .. } = request.into_inner();
        let is_wanted = |region: &&Region| {
            let is_behind = !region.end.is_empty() && region.end.as_slice() <= &start_key[..];
            !is_behind && (end_key.is_empty() || region.start.as_slice() < &end_key[..])
        };
        let of = |region: &Region| PdRegion {
            region: Some(region.out()),
            leader: Some(region.peer(region.leader)),
            ..Default::default()
        };
        // Two at a time, so that asking goes on.
        let regions = state.told.iter().filter(is_wanted).take(2).map(of).collect();
        let header = header();
        Ok(Response::new(ScanRegionsResponse { header, regions, ..Default::default() }))
    }

    async fn batch_scan_regions(
        &self,
        _: Request<BatchScanRegionsRequest>,
    ) -> Answer<BatchScanRegionsResponse> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_gc_safe_point(
        &self,
        _: Request<GetGcSafePointRequest>,
    ) -> Answer<GetGcSafePointResponse> {
        Err(Status::unimplemented("not here"))
    }

    async fn update_gc_safe_point(
        &self,
        _: Request<UpdateGcSafePointRequest>,
    ) -> Answer<UpdateGcSafePointResponse> {
        Err(Status::unimplemented("not here"))
    }

    async fn tso(&self, _: Request<Streaming<TsoRequest>>) -> Answer<Self::TsoStream> {
        Err(Status::unimplemented("not here"))
    }

    async fn query_region(
        &self,
        _: Request<Streaming<QueryRegionRequest>>,
    ) -> Answer<Self::QueryRegionStream> {
        Err(Status::unimplemented("not here"))
    }
}

#[tonic::async_trait]
impl keyspacepb::keyspace_server::Keyspace for Member {
    async fn load_keyspace(
        &self,
        request: Request<keyspacepb::LoadKeyspaceRequest>,
    ) -> Answer<keyspacepb::LoadKeyspaceResponse> {
        let _state = self.lead()?;
        let name = request.into_inner().name;
        let keyspace = (name == "DEFAULT").then(|| keyspacepb::KeyspaceMeta {
            id: 0,
            name,
            ..Default::default()
        });
        Ok(Response::new(keyspacepb::LoadKeyspaceResponse { header: header(), keyspace }))
    }
}

/// Calls that are noted and answered with nothing.
macro_rules! noted {
    ($($name:ident: $request:ident => $response:ident;)*) => {
        #[tonic::async_trait]
        impl crib::placement::v1::admin_server::Admin for Member {
            type WatchStream = Empty<Result<v1::Event, Status>>;

            $(async fn $name(&self, request: Request<v1::$request>) -> Answer<v1::$response> {
                self.admin(stringify!($name), request.into_inner().cluster_id)?;
                Ok(Response::new(v1::$response::default()))
            })*

            async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
                self.admin("watch", request.into_inner().cluster_id)?;
                Ok(Response::new(tokio_stream::empty()))
            }
        }
    };
}

noted! {
    status: StatusRequest => StatusResponse;
    list_stores: ListStoresRequest => ListStoresResponse;
    list_regions: ListRegionsRequest => ListRegionsResponse;
    drain_store: DrainStoreRequest => DrainStoreResponse;
    undrain_store: UndrainStoreRequest => UndrainStoreResponse;
    remove_store: RemoveStoreRequest => RemoveStoreResponse;
    set_seats: SetSeatsRequest => SetSeatsResponse;
    set_replicas: SetReplicasRequest => SetReplicasResponse;
    set_location_labels: SetLocationLabelsRequest => SetLocationLabelsResponse;
    transfer_leader: TransferLeaderRequest => TransferLeaderResponse;
    split_region: SplitRegionRequest => SplitRegionResponse;
    list_operators: ListOperatorsRequest => ListOperatorsResponse;
    explain: ExplainRequest => ExplainResponse;
}
