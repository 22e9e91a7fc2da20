//! What clients of the TiKV protocol ask: members, timestamps, routes, stores, the safe point.
//!
//! Every answer has a header with the cluster's id. Keys are engine keys as they are.

use std::collections::HashMap;
use std::time::Duration;

use proto::keyspacepb::keyspace_server::Keyspace;
use proto::keyspacepb::{KeyspaceMeta, LoadKeyspaceRequest, LoadKeyspaceResponse};
use proto::pdpb::pd_server::Pd;
use proto::{metapb, pdpb};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use types::{GroupId, KeyRange, StoreId};

use super::streams::{Answers, answer_each};
use super::{Service, store_id};
use crate::driver::{Lead, Unavailable};
use crate::state::{Command, Life, Reply};
use crate::table::{RegionEntry, RegionTable};
use crate::wire;

/// Regions of one answer, at most, and if no limit is given.
const REGIONS_MAX: usize = 10_240;
/// Keys, ids or ranges of one request, at most.
const QUESTIONS_MAX: usize = 10_240;
/// After a split, keys of a part have no known region until that part is led and says so. Clients
/// that are told this give up at once, so they wait here, at most so long.
const HOLE_WAIT: Duration = Duration::from_secs(1);

type Answered<T> = Result<Response<T>, Status>;

impl Service {
    fn header(&self) -> Option<pdpb::ResponseHeader> {
        let cluster_id = self.driver.config.cluster.get();
        Some(pdpb::ResponseHeader { cluster_id, error: None })
    }

    fn failed(&self, kind: pdpb::ErrorType, message: String) -> Option<pdpb::ResponseHeader> {
        let error = Some(pdpb::Error { r#type: kind.into(), message });
        self.header().map(|header| pdpb::ResponseHeader { error, ..header })
    }

    /// A header that is absent, or names no cluster, is that of a client that knows none yet.
    fn check_header(&self, header: Option<&pdpb::RequestHeader>) -> Result<(), Status> {
        match header.map_or(0, |header| header.cluster_id) {
            0 => Ok(()),
            cluster => self.check(cluster),
        }
    }

    fn asked(&self, header: Option<&pdpb::RequestHeader>) -> Result<std::sync::Arc<Lead>, Status> {
        self.check_header(header)?;
        Ok(self.driver.lead()?)
    }

    /// A member, if it is known where it is: clients end at an address that is none.
    fn member(&self, store: StoreId) -> Option<pdpb::Member> {
        let address = self.driver.address_of(store).filter(|address| !address.is_empty())?;
        let scheme = if self.driver.config.has_tls { "https" } else { "http" };
        let url = format!("{scheme}://{address}");
        Some(pdpb::Member {
            name: format!("store-{}", store.get()),
            member_id: store.get(),
            peer_urls: vec![url.clone()],
            client_urls: vec![url],
        })
    }

    fn region(&self, entry: Option<&RegionEntry>) -> pdpb::GetRegionResponse {
        let found = entry.map(wire::region_to).unwrap_or_default();
        pdpb::GetRegionResponse {
            header: self.header(),
            region: found.region,
            leader: found.leader,
            down_peers: found.down_peers,
            pending_peers: found.pending_peers,
            buckets: None,
        }
    }

    /// The region that `find` finds, as soon as it does.
    async fn route(
        &self,
        lead: &Lead,
        find: impl Fn(&RegionTable) -> Option<&RegionEntry>,
    ) -> pdpb::GetRegionResponse {
        let found = lead.found(|table| find(table).map(|entry| self.region(Some(entry))));
        timeout(HOLE_WAIT, found).await.unwrap_or_else(|_elapsed| self.region(None))
    }

    fn query(&self, lead: &Lead, of: &pdpb::QueryRegionRequest) -> pdpb::QueryRegionResponse {
        let table = lead.routes();
        let mut found: HashMap<u64, pdpb::RegionResponse> = HashMap::new();
        let mut note = |entry: Option<&RegionEntry>| -> u64 {
            let Some(entry) = entry else { return 0 };
            let id = entry.id().get();
            found.entry(id).or_insert_with(|| {
                let of = wire::region_to(entry);
                pdpb::RegionResponse {
                    region: of.region,
                    leader: of.leader,
                    down_peers: of.down_peers,
                    pending_peers: of.pending_peers,
                    buckets: None,
                }
            });
            id
        };
        let keys = of.keys.iter().map(|key| note(table.by_key(key))).collect();
        let prev_keys = of.prev_keys.iter().map(|key| note(table.before_key(key))).collect();
        for id in of.ids.iter().filter_map(|&id| GroupId::new(id)) {
            note(table.by_id(id));
        }
        pdpb::QueryRegionResponse {
            header: self.header(),
            key_id_map: keys,
            prev_key_id_map: prev_keys,
            regions_by_id: found,
        }
    }
}

/// A limit as clients give it: 0 or less for as many as there may be.
fn limit(asked: i32) -> usize {
    let asked = usize::try_from(asked).unwrap_or(0);
    if asked == 0 { REGIONS_MAX } else { asked.min(REGIONS_MAX) }
}

fn scan(table: &RegionTable, range: &KeyRange, limit: usize) -> Vec<pdpb::Region> {
    table.scan(range, limit).into_iter().map(wire::region_to).collect()
}

fn check_count(count: usize) -> Result<(), Status> {
    if count <= QUESTIONS_MAX {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("{count} at once are too many: {QUESTIONS_MAX} may be")))
}

#[tonic::async_trait]
impl Pd for Service {
    async fn get_members(
        &self,
        request: Request<pdpb::GetMembersRequest>,
    ) -> Answered<pdpb::GetMembersResponse> {
        self.check_header(request.get_ref().header.as_ref())?;
        let leader = self.driver.leader().and_then(|store| self.member(store));
        let members = self.driver.members().into_iter();
        Ok(Response::new(pdpb::GetMembersResponse {
            header: self.header(),
            members: members.filter_map(|store| self.member(store)).collect(),
            leader: leader.clone(),
            etcd_leader: leader,
        }))
    }

    type TsoStream = Answers<pdpb::TsoResponse>;

    async fn tso(
        &self,
        request: Request<Streaming<pdpb::TsoRequest>>,
    ) -> Answered<Self::TsoStream> {
        let lead = self.driver.lead()?;
        let service = self.clone();
        let answer = move |of: pdpb::TsoRequest| {
            let service = service.clone();
            async move {
                service.check_header(of.header.as_ref())?;
                let at = service.driver.timestamps(of.count).await?;
                let number = |part: u64| i64::try_from(part).unwrap_or(i64::MAX);
                let timestamp = Some(pdpb::Timestamp {
                    physical: number(at.physical()),
                    logical: number(at.logical()),
                    suffix_bits: 0,
                });
                Ok(pdpb::TsoResponse { header: service.header(), count: of.count, timestamp })
            }
        };
        let driver = std::sync::Arc::clone(&self.driver);
        Ok(Response::new(answer_each(driver, &lead, request.into_inner(), answer)))
    }

    async fn get_store(
        &self,
        request: Request<pdpb::GetStoreRequest>,
    ) -> Answered<pdpb::GetStoreResponse> {
        let of = request.get_ref();
        self.asked(of.header.as_ref())?;
        let store = store_id(of.store_id)?;
        let state = self.driver.view.get();
        let store = state.stores.get(&store).map(wire::store_to_client);
        let header = if store.is_some() {
            self.header()
        } else {
            let why = format!("there is no store {}", of.store_id);
            self.failed(pdpb::ErrorType::EntryNotFound, why)
        };
        Ok(Response::new(pdpb::GetStoreResponse { header, store }))
    }

    async fn get_all_stores(
        &self,
        request: Request<pdpb::GetAllStoresRequest>,
    ) -> Answered<pdpb::GetAllStoresResponse> {
        let of = request.get_ref();
        self.asked(of.header.as_ref())?;
        let state = self.driver.view.get();
        let is_wanted = |life| !of.exclude_tombstone_stores || life != Life::Removed;
        let stores = state.stores.values().filter(|store| is_wanted(store.life));
        let stores = stores.map(wire::store_to_client).collect();
        Ok(Response::new(pdpb::GetAllStoresResponse { header: self.header(), stores }))
    }

    async fn get_region(
        &self,
        request: Request<pdpb::GetRegionRequest>,
    ) -> Answered<pdpb::GetRegionResponse> {
        let of = request.get_ref();
        let lead = self.asked(of.header.as_ref())?;
        Ok(Response::new(self.route(&lead, |table| table.by_key(&of.region_key)).await))
    }

    async fn get_prev_region(
        &self,
        request: Request<pdpb::GetRegionRequest>,
    ) -> Answered<pdpb::GetRegionResponse> {
        let of = request.get_ref();
        let lead = self.asked(of.header.as_ref())?;
        Ok(Response::new(self.route(&lead, |table| table.before_key(&of.region_key)).await))
    }

    async fn get_region_by_id(
        &self,
        request: Request<pdpb::GetRegionByIdRequest>,
    ) -> Answered<pdpb::GetRegionResponse> {
        let of = request.get_ref();
        let lead = self.asked(of.header.as_ref())?;
        let id = GroupId::new(of.region_id);
        Ok(Response::new(self.route(&lead, |table| table.by_id(id?)).await))
    }

    async fn scan_regions(
        &self,
        request: Request<pdpb::ScanRegionsRequest>,
    ) -> Answered<pdpb::ScanRegionsResponse> {
        let of = request.get_ref();
        let lead = self.asked(of.header.as_ref())?;
        let range = KeyRange::new(of.start_key.as_ref(), of.end_key.as_ref());
        let regions = scan(&lead.routes(), &range, limit(of.limit));
        let metas = regions.iter().map(|of| of.region.clone().unwrap_or_default());
        let leaders = regions.iter().map(|of| of.leader.unwrap_or_default());
        Ok(Response::new(pdpb::ScanRegionsResponse {
            header: self.header(),
            region_metas: metas.collect::<Vec<metapb::Region>>(),
            leaders: leaders.collect(),
            regions,
        }))
    }

    async fn batch_scan_regions(
        &self,
        request: Request<pdpb::BatchScanRegionsRequest>,
    ) -> Answered<pdpb::BatchScanRegionsResponse> {
        let of = request.get_ref();
        let lead = self.asked(of.header.as_ref())?;
        check_count(of.ranges.len())?;
        let limit = limit(of.limit);
        let table = lead.routes();
        let mut regions: Vec<pdpb::Region> = Vec::new();
        for range in &of.ranges {
            let range = KeyRange::new(range.start_key.as_ref(), range.end_key.as_ref());
            if of.contain_all_key_range && !table.holes(&range, 1).is_empty() {
                let why = format!("a part of {range} has no known region");
                let kind = pdpb::ErrorType::RegionsNotContainAllKeyRange;
                let header = self.failed(kind, why);
                return Ok(Response::new(pdpb::BatchScanRegionsResponse {
                    header,
                    regions: Vec::new(),
                }));
            }
            // One that was found last may reach into this range.
            let last = regions.last().and_then(|last| last.region.as_ref()).map(|last| last.id);
            let found = scan(&table, &range, limit.saturating_sub(regions.len()) + 1);
            let new = found.into_iter().filter(|of| of.region.as_ref().map(|of| of.id) != last);
            regions.extend(new);
            regions.truncate(limit);
            if regions.len() == limit {
                break;
            }
        }
        Ok(Response::new(pdpb::BatchScanRegionsResponse { header: self.header(), regions }))
    }

    type QueryRegionStream = Answers<pdpb::QueryRegionResponse>;

    async fn query_region(
        &self,
        request: Request<Streaming<pdpb::QueryRegionRequest>>,
    ) -> Answered<Self::QueryRegionStream> {
        let lead = self.driver.lead()?;
        let (service, asked) = (self.clone(), std::sync::Arc::clone(&lead));
        let answer = move |of: pdpb::QueryRegionRequest| {
            let answered = (service.check_header(of.header.as_ref()))
                .and_then(|()| check_count(of.keys.len() + of.prev_keys.len() + of.ids.len()))
                .map(|()| service.query(&asked, &of));
            std::future::ready(answered)
        };
        let driver = std::sync::Arc::clone(&self.driver);
        Ok(Response::new(answer_each(driver, &lead, request.into_inner(), answer)))
    }

    async fn get_gc_safe_point(
        &self,
        request: Request<pdpb::GetGcSafePointRequest>,
    ) -> Answered<pdpb::GetGcSafePointResponse> {
        self.asked(request.get_ref().header.as_ref())?;
        let safe_point = self.driver.view.get().safe_point;
        Ok(Response::new(pdpb::GetGcSafePointResponse { header: self.header(), safe_point }))
    }

    async fn update_gc_safe_point(
        &self,
        request: Request<pdpb::UpdateGcSafePointRequest>,
    ) -> Answered<pdpb::UpdateGcSafePointResponse> {
        let of = request.get_ref();
        self.asked(of.header.as_ref())?;
        match self.driver.propose(&Command::RaiseSafePoint(of.safe_point)).await? {
            Ok(Reply::SafePoint(new_safe_point)) => {
                let header = self.header();
                Ok(Response::new(pdpb::UpdateGcSafePointResponse { header, new_safe_point }))
            }
            other => Err(Unavailable::Failed(format!("the safe point stays: {other:?}")).into()),
        }
    }
}

#[tonic::async_trait]
impl Keyspace for Service {
    async fn load_keyspace(
        &self,
        request: Request<LoadKeyspaceRequest>,
    ) -> Answered<LoadKeyspaceResponse> {
        let of = request.get_ref();
        self.asked(of.header.as_ref())?;
        let is_known = of.name == "DEFAULT";
        let meta = KeyspaceMeta { id: 0, name: of.name.clone(), state: 0 };
        let header = if is_known {
            self.header()
        } else {
            self.failed(pdpb::ErrorType::EntryNotFound, "there is no such keyspace".to_owned())
        };
        let keyspace = is_known.then_some(meta);
        Ok(Response::new(LoadKeyspaceResponse { header, keyspace }))
    }
}
