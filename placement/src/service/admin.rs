//! What people ask, and tell the cluster to do.

use std::collections::BTreeMap;

use proto::crib::placement::v1;
use proto::crib::placement::v1::admin_server::Admin;
use proto::crib::placement::v1::explain_request::What;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use types::{GroupId, KeyRange, StoreId, Time};

use super::streams::Answers;
use super::{Service, store_id};
use crate::driver::{Driver, Lead, summary, told};
use crate::scheduler::seats::SeatFinding;
use crate::scheduler::{Operator, StoreInfo, StoreState};
use crate::state::Life;
use crate::table::{RegionEntry, RegionTable};
use crate::wire;

/// Regions of one answer, if no limit is given, and at most.
const REGIONS_DEFAULT: usize = 1_024;
const REGIONS_MAX: usize = 10_240;
/// Keys that one request splits at.
const KEYS_MAX: usize = 1_024;
/// Events that wait for a watcher that does not read.
const EVENTS_MAX: usize = 64;

type Answered<T> = Result<Response<T>, Status>;

fn region_id(id: u64) -> Result<GroupId, Status> {
    GroupId::new(id).ok_or_else(|| Status::invalid_argument("region 0"))
}

fn stores(driver: &Driver, lead: &Lead, with_removed: bool) -> Vec<v1::Store> {
    let state = driver.view.get();
    let (infos, table, heard) = (lead.stores(), lead.still(), lead.heard.read());
    let wanted = state.stores.iter().filter(|(_, of)| with_removed || of.life != Life::Removed);
    let store = |(&id, of): (&StoreId, &crate::state::Store)| {
        let info = infos.get(&id);
        let heard = heard.get(&id);
        let tally = table.tally_of(id);
        let is_draining = of.life == Life::Draining;
        v1::Store {
            id: id.get(),
            address: of.address.clone(),
            http_address: of.http_address.clone(),
            state: wire::state_to(info.map_or(StoreState::Joining, |info| info.state)).into(),
            labels: (of.labels.iter())
                .map(|(key, value)| v1::Label { key: key.clone(), value: value.clone() })
                .collect(),
            version: of.version.clone(),
            stats: heard.map(|heard| heard.stats),
            silent_seconds: info.map_or(0, |info| info.silent.as_secs()),
            life: heard.map_or(0, |heard| heard.life),
            regions_left: if is_draining { tally.regions } else { 0 },
            seconds_left: 0,
            placement: driver.seat_of(id).into(),
            unreached: Vec::new(),
        }
    };
    wanted.map(store).collect()
}

/// What a store is for placement, and what is done about the seats.
fn seat_lines(seat: v1::PlacementSeat, found: &SeatFinding) -> Vec<String> {
    let held = match seat {
        v1::PlacementSeat::None => return Vec::new(),
        v1::PlacementSeat::Learner => "it is to hold a seat of placement, and is being filled",
        v1::PlacementSeat::Member => "it holds a seat of placement",
        v1::PlacementSeat::Leader => "it leads placement",
    };
    let under_way = (*found != SeatFinding::Fine).then(|| found.to_string());
    std::iter::once(held.to_owned()).chain(under_way).collect()
}

fn operator(of: &Operator, state: &str, now: Time) -> v1::Operator {
    v1::Operator {
        id: of.id,
        region_id: of.region.get(),
        origin: of.origin.to_string(),
        reason: of.reason.clone(),
        steps: of.steps.iter().map(ToString::to_string).collect(),
        step: u32::try_from(of.at).unwrap_or(u32::MAX),
        state: state.to_owned(),
        age_seconds: now.since(of.started_at).as_secs(),
    }
}

/// Regions with a replica that its leader does not hear, though its store is heard here: of the
/// others the store is told.
fn unheard(table: &RegionTable, stores: &BTreeMap<StoreId, StoreInfo>) -> usize {
    let is_up = |id| stores.get(&id).is_some_and(|store| store.state == StoreState::Up);
    let is_unheard = |entry: &&RegionEntry| {
        let peers = entry.peers().iter();
        peers.filter(|peer| is_up(peer.store)).any(|peer| entry.silence(peer.id).is_some())
    };
    table.troubled().filter(is_unheard).count()
}

#[tonic::async_trait]
impl Admin for Service {
    async fn status(&self, request: Request<v1::StatusRequest>) -> Answered<v1::StatusResponse> {
        let lead = self.lead(request.get_ref().cluster_id)?;
        let state = self.driver.view.get();
        let stores = stores(&self.driver, &lead, false);
        let (operators, is_prepared, unknown) = lead.with_cluster(|controller, cluster| {
            let operators = controller.running().count() as u64;
            (operators, cluster.unprepared().is_none(), cluster.unknown())
        });
        let mut problems: Vec<String> = unknown.into_iter().collect();
        for (id, info) in lead.stores().iter() {
            if matches!(info.state, StoreState::Disconnected | StoreState::Down) {
                let silent = info.silent.as_secs();
                problems.push(format!("store {} has been silent for {silent} s", id.get()));
            }
            if info.is_full {
                problems.push(format!("store {} has no room", id.get()));
            }
        }
        problems.extend(summary(&lead.unreached()));
        if let seats @ SeatFinding::Stuck { .. } = lead.seats() {
            problems.push(seats.to_string());
        }
        problems.extend(lead.unheard_member());
        let table = lead.still();
        let gone = |id: StoreId| {
            lead.stores().get(&id).is_none_or(|info| {
                matches!(info.state, StoreState::Disconnected | StoreState::Down)
            })
        };
        let dark: u64 = (lead.stores().keys())
            .filter(|&&id| gone(id))
            .map(|&id| table.tally_of(id).leaders)
            .sum();
        let config = lead.config();
        let under = table.with_fewer_voters(config.replicas) as u64;
        let over = table.with_more_voters(config.replicas) as u64;
        if under > 0 {
            problems.push(format!("{under} regions have fewer voters than they should"));
        }
        let unheard = unheard(&table, &lead.stores());
        if unheard > 0 {
            let what = "have a replica on a store that is up and do not hear it";
            problems.push(format!("leaders of {unheard} regions {what}"));
        }
        let cluster = state.cluster.as_ref();
        Ok(Response::new(v1::StatusResponse {
            cluster_id: self.driver.config.cluster.get(),
            api_version: cluster.map_or("", |of| of.api_version.name()).to_owned(),
            replicas: cluster.map_or(0, |of| of.replicas),
            placement_stores: self.driver.members().into_iter().map(StoreId::get).collect(),
            placement_leader: self.driver.leader().map_or(0, StoreId::get),
            stores,
            regions: table.len() as u64,
            regions_without_leader: dark,
            regions_under_replicated: under,
            regions_over_replicated: over,
            location_labels: config.location_labels.clone(),
            operators,
            is_prepared,
            problems,
            placement_seats: u32::try_from(state.seats()).unwrap_or(u32::MAX),
        }))
    }

    async fn list_stores(
        &self,
        request: Request<v1::ListStoresRequest>,
    ) -> Answered<v1::ListStoresResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        let mut stores = stores(&self.driver, &lead, of.with_removed);
        for (id, unreached) in lead.unreached() {
            if let Ok(at) = stores.binary_search_by_key(&id.get(), |store| store.id) {
                stores[at].unreached.push(unreached);
            }
        }
        Ok(Response::new(v1::ListStoresResponse { stores }))
    }

    async fn list_regions(
        &self,
        request: Request<v1::ListRegionsRequest>,
    ) -> Answered<v1::ListRegionsResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        let table = lead.still();
        let regions = if let Some(id) = GroupId::new(of.region_id) {
            table.by_id(id).into_iter().map(wire::report_to).collect()
        } else {
            let limit = match usize::try_from(of.limit).unwrap_or(REGIONS_MAX) {
                0 => REGIONS_DEFAULT,
                limit => limit.min(REGIONS_MAX),
            };
            let range = KeyRange::new(of.start_key.as_ref(), of.end_key.as_ref());
            table.scan(&range, limit).into_iter().map(wire::report_to).collect()
        };
        Ok(Response::new(v1::ListRegionsResponse { regions }))
    }

    async fn drain_store(
        &self,
        request: Request<v1::DrainStoreRequest>,
    ) -> Answered<v1::DrainStoreResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        let plan = self.driver.drain(&lead, store_id(of.store_id)?, of.is_dry_run).await?;
        Ok(Response::new(v1::DrainStoreResponse {
            regions: plan.regions,
            leaders: plan.leaders,
            bytes: plan.bytes,
            seconds: plan.seconds,
        }))
    }

    async fn undrain_store(
        &self,
        request: Request<v1::UndrainStoreRequest>,
    ) -> Answered<v1::UndrainStoreResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        self.driver.undrain(&lead, store_id(of.store_id)?).await?;
        Ok(Response::new(v1::UndrainStoreResponse {}))
    }

    async fn remove_store(
        &self,
        request: Request<v1::RemoveStoreRequest>,
    ) -> Answered<v1::RemoveStoreResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        self.driver.remove(&lead, store_id(of.store_id)?, of.force).await?;
        Ok(Response::new(v1::RemoveStoreResponse {}))
    }

    async fn set_seats(
        &self,
        request: Request<v1::SetSeatsRequest>,
    ) -> Answered<v1::SetSeatsResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        self.driver.set_seats(&lead, of.seats).await?;
        Ok(Response::new(v1::SetSeatsResponse {}))
    }

    async fn set_replicas(
        &self,
        request: Request<v1::SetReplicasRequest>,
    ) -> Answered<v1::SetReplicasResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        self.driver.set_replicas(&lead, of.replicas).await?;
        Ok(Response::new(v1::SetReplicasResponse {}))
    }

    async fn set_location_labels(
        &self,
        request: Request<v1::SetLocationLabelsRequest>,
    ) -> Answered<v1::SetLocationLabelsResponse> {
        let of = request.into_inner();
        let lead = self.lead(of.cluster_id)?;
        self.driver.set_location_labels(&lead, of.keys).await?;
        Ok(Response::new(v1::SetLocationLabelsResponse {}))
    }

    async fn transfer_leader(
        &self,
        request: Request<v1::TransferLeaderRequest>,
    ) -> Answered<v1::TransferLeaderResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        let (region, to) = (region_id(of.region_id)?, store_id(of.to_store)?);
        let done = lead.with_cluster(|controller, cluster| {
            controller.transfer_leader(cluster, region, to)?;
            Ok(controller.on_report(cluster, region))
        });
        let order = done.map_err(|why: String| Status::failed_precondition(why))?;
        lead.send(order.as_slice());
        Ok(Response::new(v1::TransferLeaderResponse {}))
    }

    async fn split_region(
        &self,
        request: Request<v1::SplitRegionRequest>,
    ) -> Answered<v1::SplitRegionResponse> {
        let of = request.into_inner();
        let lead = self.lead(of.cluster_id)?;
        let region = region_id(of.region_id)?;
        if of.keys.len() > KEYS_MAX {
            return Err(Status::invalid_argument("too many keys at once"));
        }
        let keys = of.keys.iter().map(|key| key.to_vec()).collect();
        let done = lead.with_cluster(|controller, cluster| {
            controller.split(cluster, region, keys)?;
            Ok(controller.on_report(cluster, region))
        });
        let order = done.map_err(|why: String| Status::failed_precondition(why))?;
        lead.send(order.as_slice());
        Ok(Response::new(v1::SplitRegionResponse {}))
    }

    async fn list_operators(
        &self,
        request: Request<v1::ListOperatorsRequest>,
    ) -> Answered<v1::ListOperatorsResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        let operators = lead.with_cluster(|controller, cluster| {
            let now = cluster.now;
            let running = controller.running().map(|of| operator(of, "running", now));
            let mut all: Vec<v1::Operator> = running.collect();
            if of.with_ended {
                let ended = controller.ended();
                all.extend(ended.map(|of| operator(&of.operator, &of.outcome.to_string(), now)));
            }
            all
        });
        Ok(Response::new(v1::ListOperatorsResponse { operators }))
    }

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Answered<v1::ExplainResponse> {
        let of = request.get_ref();
        let lead = self.lead(of.cluster_id)?;
        let lines = match of.what {
            Some(What::RegionId(id)) => {
                let id = region_id(id)?;
                lead.with_cluster(|controller, cluster| controller.explain_region(cluster, id))
            }
            Some(What::StoreId(id)) => {
                let id = store_id(id)?;
                let mut lines =
                    lead.with_cluster(|controller, cluster| controller.explain_store(cluster, id));
                let is_about =
                    |(by, of): &&(StoreId, v1::Unreached)| *by == id || of.store_id == id.get();
                lines.extend(lead.unreached().iter().filter(is_about).map(told));
                lines.extend(seat_lines(self.driver.seat_of(id), &lead.seats()));
                lines
            }
            None => return Err(Status::invalid_argument("a region or a store")),
        };
        Ok(Response::new(v1::ExplainResponse { lines }))
    }

    type WatchStream = Answers<v1::Event>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answered<Self::WatchStream> {
        let lead = self.lead(request.get_ref().cluster_id)?;
        let (sender, stream) = mpsc::channel(EVENTS_MAX);
        let (mut events, mut over) = (lead.events.subscribe(), lead.over());
        let driver = std::sync::Arc::clone(&self.driver);
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = events.recv() => event,
                    _ = over.wait_for(|over| *over) => {
                        let _ = sender.try_send(Err(driver.not_leader().into()));
                        return;
                    }
                    () = sender.closed() => return,
                };
                let event = match event {
                    Ok(event) => event,
                    // The ring went over them: said, so that nobody takes silence for rest.
                    Err(RecvError::Lagged(count)) => v1::Event {
                        at_ms: crate::clock::wall_ms(),
                        region_id: 0,
                        kind: "lagged".to_owned(),
                        text: format!("{count} events were left out: you read too slowly"),
                    },
                    Err(RecvError::Closed) => return,
                };
                if sender.send(Ok(event)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
