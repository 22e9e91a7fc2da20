//! Asking placement: who has a key, where a store is.
//!
//! Any member says who leads placement; only the leader says the rest. So a connection to it is
//! kept, and looked for anew whenever a call to it fails.

use std::sync::Arc;

use parking_lot::Mutex;
use proto::keyspacepb::LoadKeyspaceRequest;
use proto::keyspacepb::keyspace_client::KeyspaceClient;
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{
    ErrorType, GetAllStoresRequest, GetMembersRequest, GetMembersResponse, GetRegionByIdRequest,
    GetRegionRequest, GetStoreRequest, Member, RequestHeader, ResponseHeader, ScanRegionsRequest,
};
use proto::{keyspacepb, metapb};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};
use tonic::transport::Channel;
use tonic::{Response, Status};
use tracing::debug;
use types::{GroupId, KeyRange, StoreId};

use crate::backoff::{Attempt, Budget, Kind, Setback};
use crate::convert;
use crate::dial::{address, dial};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::region_cache::Route;
use crate::verdict::{describe, refusal};

/// Regions that one call asks for.
const REGIONS_PER_CALL: i32 = 1_024;

/// A connection to placement's leader.
#[derive(Clone)]
pub(crate) struct Leader {
    pub(crate) address: String,
    pub(crate) channel: Channel,
}

/// Placement, as a client sees it.
pub(crate) struct Placement {
    options: Arc<Options>,
    cluster: u64,
    /// Where members were last known to be, and the endpoints that the client was given.
    endpoints: Mutex<Vec<String>>,
    given: Vec<String>,
    /// Held while it is looked for, so that it is looked for once.
    leader: tokio::sync::Mutex<Option<Arc<Leader>>>,
}

/// What an endpoint said of placement.
struct Membership {
    cluster: u64,
    members: Vec<String>,
    leader: Vec<String>,
}

impl Placement {
    /// Finds placement.
    ///
    /// # Errors
    /// At once if no endpoint is of use; after the budget if they know no leader.
    pub(crate) async fn connect(given: &[String], options: Arc<Options>) -> Result<Placement> {
        let mut budget = Budget::new(&options, Kind::Read);
        let placement = |cluster, endpoints| Placement {
            options: Arc::clone(&options),
            cluster,
            endpoints: Mutex::new(endpoints),
            given: given.to_vec(),
            leader: tokio::sync::Mutex::default(),
        };
        let unknown = placement(0, given.to_vec());
        let cluster = unknown.ask_all().await?.cluster;
        let placement = placement(cluster, given.to_vec());
        while let Err(error) = placement.leader().await {
            match error {
                // Members are there, and elect one.
                Error::Timeout { last, .. } => budget.pause(Setback::harmless(last)).await?,
                error => return Err(error),
            }
        }
        Ok(placement)
    }

    pub(crate) fn cluster(&self) -> u64 {
        self.cluster
    }

    fn header(&self) -> Option<RequestHeader> {
        Some(RequestHeader { cluster_id: self.cluster })
    }

    /// The connection to the leader; a new one, if there is none.
    ///
    /// # Errors
    /// [`Error::NotConnected`] if no member was reached, [`Error::Timeout`] if none of them knows a
    /// leader that can be reached: both may be otherwise soon.
    pub(crate) async fn leader(&self) -> Result<Arc<Leader>> {
        let mut place = self.leader.lock().await;
        if let Some(leader) = &*place {
            return Ok(Arc::clone(leader));
        }
        let found = self.ask_all().await?;
        let mut last = "placement has no leader now".to_owned();
        for address in found.leader {
            match dial(&address, &self.options).await {
                Ok(channel) => {
                    debug!(%address, "connected to the leader of placement");
                    let leader = Arc::new(Leader { address, channel });
                    *place = Some(Arc::clone(&leader));
                    return Ok(leader);
                }
                Err(why) => last = format!("the leader of placement, {address}: {why}"),
            }
        }
        Err(Error::Timeout { budget: self.options.attempt_timeout, last })
    }

    /// A call to this leader failed: look for another.
    pub(crate) async fn lose(&self, leader: &Arc<Leader>) {
        let mut place = self.leader.lock().await;
        if place.as_ref().is_some_and(|known| Arc::ptr_eq(known, leader)) {
            *place = None;
        }
    }

    /// Asks all endpoints at once, and takes the first answer that names a leader; or else any.
    async fn ask_all(&self) -> Result<Membership> {
        let mut asked = JoinSet::new();
        let mut endpoints = self.endpoints.lock().clone();
        endpoints.extend(self.given.iter().cloned());
        endpoints.sort_unstable();
        endpoints.dedup();
        for endpoint in endpoints {
            let options = Arc::clone(&self.options);
            asked.spawn(async move {
                let result = ask(&endpoint, &options).await;
                (endpoint, result)
            });
        }
        let mut failures = Vec::new();
        let mut leaderless = None;
        while let Some(joined) = asked.join_next().await {
            let Ok((endpoint, result)) = joined else { continue };
            match result {
                Ok(found) if self.cluster != 0 && found.cluster != self.cluster => {
                    let (expected, found) = (self.cluster, found.cluster);
                    let other = Error::OtherCluster { expected, found };
                    failures.push((endpoint, other.to_string()));
                    leaderless.get_or_insert(Err(other));
                }
                Ok(found) if found.leader.is_empty() => leaderless = Some(Ok(found)),
                Ok(found) => {
                    self.endpoints.lock().clone_from(&found.members);
                    return Ok(found);
                }
                Err(why) => failures.push((endpoint, why)),
            }
        }
        failures.sort_unstable();
        leaderless.unwrap_or(Err(Error::NotConnected(failures)))
    }

    /// Calls the leader, and whoever leads next, until one answers.
    pub(crate) async fn call<T, F, Fut>(&self, budget: &mut Budget, call: F) -> Result<T>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = std::result::Result<(Option<ResponseHeader>, T), Status>>,
    {
        loop {
            let most = budget.attempt(self.options.connect_timeout + self.options.attempt_timeout);
            let leader = time::timeout(most, self.leader()).await.unwrap_or_else(|_elapsed| {
                let last = "placement does not answer".to_owned();
                Err(Error::Timeout { budget: most, last })
            });
            let setback = match leader {
                Ok(leader) => match self.call_once(&leader, budget, &call).await? {
                    Ok(answer) => return Ok(answer),
                    Err(setback) => {
                        self.lose(&leader).await;
                        setback
                    }
                },
                Err(error @ (Error::NotConnected(_) | Error::Timeout { .. })) => {
                    Setback::harmless(error.to_string())
                }
                Err(error) => return Err(error),
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
        match time::timeout(most, call(leader.channel.clone())).await {
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
        let request = GetRegionRequest {
            header: self.header(),
            region_key: key.to_vec().into(),
            need_buckets: false,
        };
        self.call(budget, |channel| {
            let request = request.clone();
            async move {
                let found = bare(PdClient::new(channel).get_region(request).await)?;
                let header = found.header.filter(|header| !is_absence(header));
                Ok((header, convert::route(found.region, found.leader)))
            }
        })
        .await
    }

    /// The region before the one that has a key.
    pub(crate) async fn region_before(
        &self,
        key: &[u8],
        budget: &mut Budget,
    ) -> Result<Option<Route>> {
        let request = GetRegionRequest {
            header: self.header(),
            region_key: key.to_vec().into(),
            need_buckets: false,
        };
        self.call(budget, |channel| {
            let request = request.clone();
            async move {
                let found = bare(PdClient::new(channel).get_prev_region(request).await)?;
                let header = found.header.filter(|header| !is_absence(header));
                Ok((header, convert::route(found.region, found.leader)))
            }
        })
        .await
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
        self.call(budget, |channel| async move {
            let found = bare(PdClient::new(channel).get_region_by_id(request).await)?;
            let header = found.header.filter(|header| !is_absence(header));
            Ok((header, convert::route(found.region, found.leader)))
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

/// Asks one endpoint who belongs to placement.
async fn ask(endpoint: &str, options: &Options) -> std::result::Result<Membership, String> {
    let begun = Instant::now();
    let channel = dial(endpoint, options).await?;
    let mut client = PdClient::new(channel);
    let left = (options.connect_timeout + options.attempt_timeout).saturating_sub(begun.elapsed());
    let answer = time::timeout(left, client.get_members(GetMembersRequest { header: None })).await;
    let found = match answer {
        Ok(result) => bare(result).map_err(|status| describe(&status))?,
        Err(_elapsed) => return Err("it does not answer".to_owned()),
    };
    let header = found.header.ok_or("its answer has no header")?;
    if let Some(error) = header.error.filter(|error| error.r#type() != ErrorType::Ok) {
        return Err(error.message);
    }
    let urls = |member: &Member| -> Vec<String> {
        member.client_urls.iter().map(|url| address(url).to_owned()).collect()
    };
    Ok(Membership {
        cluster: header.cluster_id,
        members: found.members.iter().flat_map(urls).collect(),
        leader: found.leader.as_ref().map(urls).unwrap_or_default(),
    })
}
