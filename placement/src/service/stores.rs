//! What stores say: that they join, that they are well, which regions they lead, that one splits.

use proto::crib::placement::v1;
use proto::crib::placement::v1::placement_server::Placement;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use types::{ApiVersion, GroupId, StoreId};

use super::streams::Answers;
use super::{Service, store_id};
use crate::driver::{Lead, Said, StoreError};
use crate::state::{Life, Refused, Store};
use crate::wire;

/// Orders that wait for a store.
const ORDERS_MAX: usize = 256;
/// Regions of one message of a report, at most.
const REPORTS_MAX: usize = 65_536;
/// New regions of one split, at most.
const SPLIT_MAX: u32 = 1_024;
/// Peers of a region that splits, at most.
const PEERS_MAX: usize = 64;

impl From<StoreError> for Status {
    fn from(why: StoreError) -> Status {
        match why {
            StoreError::Unavailable(why) => why.into(),
            StoreError::Unwise(why) => Status::failed_precondition(why),
            StoreError::Refused(why) => {
                let text = why.to_string();
                match why {
                    Refused::NoStore(_) => Status::not_found(text),
                    Refused::AddressTaken(_) => Status::already_exists(text),
                    Refused::TooMany(_) => Status::resource_exhausted(text),
                    Refused::Senseless(_) => Status::invalid_argument(text),
                    Refused::NotBootstrapped | Refused::Fenced => Status::unavailable(text),
                    Refused::AlreadyBootstrapped | Refused::Removed(_) => {
                        Status::failed_precondition(text)
                    }
                }
            }
        }
    }
}

fn labels(labels: Vec<v1::Label>) -> Vec<(String, String)> {
    labels.into_iter().map(|label| (label.key, label.value)).collect()
}

#[tonic::async_trait]
impl Placement for Service {
    async fn join(
        &self,
        request: Request<v1::JoinRequest>,
    ) -> Result<Response<v1::JoinResponse>, Status> {
        let of = request.into_inner();
        if of.cluster_id != 0 {
            self.check(of.cluster_id)?;
        }
        let lead = self.driver.lead()?;
        let store = Store {
            id: None,
            nonce: of.nonce,
            address: of.address,
            http_address: of.http_address,
            labels: labels(of.labels),
            version: of.version,
            life: Life::Live,
        };
        let store = self.driver.put_store(&lead, store).await?;
        let api_version = self.driver.view.get().cluster.as_ref().map(|of| of.api_version);
        Ok(Response::new(v1::JoinResponse {
            cluster_id: self.driver.config.cluster.get(),
            store_id: store.id.map_or(0, StoreId::get),
            api_version: api_version.map_or("", ApiVersion::name).to_owned(),
        }))
    }

    async fn store_heartbeat(
        &self,
        request: Request<v1::StoreHeartbeatRequest>,
    ) -> Result<Response<v1::StoreHeartbeatResponse>, Status> {
        let of = request.into_inner();
        let lead = self.lead(of.cluster_id)?;
        let id = store_id(of.store_id)?;
        let store = Store {
            id: Some(id),
            nonce: 0,
            address: of.address.clone(),
            http_address: of.http_address,
            labels: labels(of.labels),
            version: of.version,
            life: Life::Live,
        };
        let stats = of.stats.unwrap_or_default();
        let said = Said { address: of.address, life: of.life, stats, unreached: of.unreached };
        let state = self.driver.hear(&lead, id, store, said).await?;
        let agreed = self.driver.view.get();
        let is_new = agreed.book_version != of.book_version;
        let book = agreed.stores.values().filter(|_| is_new).map(wire::store_to).collect();
        Ok(Response::new(v1::StoreHeartbeatResponse {
            book,
            book_version: agreed.book_version,
            state: wire::state_to(state).into(),
            gc_safe_point: agreed.safe_point,
            placement_stores: self.driver.members().into_iter().map(StoreId::get).collect(),
        }))
    }

    type ReportStream = Answers<v1::ReportResponse>;

    async fn report(
        &self,
        request: Request<Streaming<v1::ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let lead = self.driver.lead()?;
        let (outbox, stream) = mpsc::channel(ORDERS_MAX);
        let (service, mut told) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            let mut over = lead.over();
            let mut speaker = None;
            let listen = async {
                while let Some(message) = told.message().await? {
                    let store = service.hear_report(&lead, message).await?;
                    if speaker.is_none() {
                        lead.open_stream(store, outbox.clone());
                    }
                    if speaker.replace(store).is_some_and(|before| before != store) {
                        return Err(Status::invalid_argument("one stream for one store"));
                    }
                }
                Ok(())
            };
            let ended = tokio::select! {
                ended = listen => ended,
                _ = over.wait_for(|over| *over) => Err(service.driver.not_leader().into()),
            };
            if let Some(store) = speaker {
                lead.close_stream(store, &outbox);
            }
            if let Err(why) = ended {
                let _ = outbox.try_send(Err(why));
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn ask_split(
        &self,
        request: Request<v1::AskSplitRequest>,
    ) -> Result<Response<v1::AskSplitResponse>, Status> {
        let of = request.into_inner();
        let lead = self.lead(of.cluster_id)?;
        let region = of.region.unwrap_or_default();
        if GroupId::new(region.id).is_none() || region.peers.is_empty() {
            return Err(Status::invalid_argument("no region"));
        }
        if of.count == 0 || of.count > SPLIT_MAX || region.peers.len() > PEERS_MAX {
            return Err(Status::invalid_argument("no new regions, or too many at once"));
        }
        let new = usize::try_from(of.count).unwrap_or(0);
        let ids = self.driver.ids_for_split(&lead, new * (1 + region.peers.len())).await?;
        let regions = ids.chunks(1 + region.peers.len()).filter_map(|ids| {
            let (&region_id, peer_ids) = ids.split_first()?;
            Some(v1::NewRegion { region_id, peer_ids: peer_ids.to_vec() })
        });
        Ok(Response::new(v1::AskSplitResponse { regions: regions.collect() }))
    }
}

impl Service {
    async fn hear_report(&self, lead: &Lead, of: v1::ReportRequest) -> Result<StoreId, Status> {
        self.check(of.cluster_id)?;
        let store = store_id(of.store_id)?;
        match self.driver.view.get().stores.get(&store).map(|known| known.life) {
            None => return Err(StoreError::Refused(Refused::NoStore(store)).into()),
            Some(Life::Removed) => return Err(StoreError::Refused(Refused::Removed(store)).into()),
            Some(_) => {}
        }
        if of.regions.len() > REPORTS_MAX {
            return Err(Status::invalid_argument("too many regions in one message"));
        }
        let reports = of.regions.iter().filter_map(wire::report_from);
        // A store speaks for what it leads, and for nothing else.
        lead.report(reports.filter(|report| report.leader.store == store)).await;
        Ok(store)
    }
}
