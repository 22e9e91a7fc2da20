//! A node from its disk to its ports, and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::Tls;
use kv::split::SplitConfig;
use kv::{Edge, Regions};
use multiraft::{OnFatal, OpenError, Store};
use placement::state;
use placement::{Driver, StateView};
use proto::tikvpb::tikv_server::TikvServer;
use storage::Engine;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use transport::{Certificates, Network, StartError};
use types::{ApiVersion, GroupId, StoreId};

use super::birth::{self, Birth};
use super::condition::Condition;
use super::figures::Figures;
use super::link::{Book, Link, Me};
use super::machines::NodeMachines;
use super::reports::{self, News};
use super::source::NodeSource;
use super::{
    Parts, Room, Standings, certificates, hearsay, orders, room, splits, stopping, strays,
};
use crate::config::Config;
use crate::errors::{self, Failure};
use crate::http;
use crate::service::{Bounds, Data, Raw, Requests, Service, gather, scan_bytes_max};
use crate::version;

/// Bytes of a message beside what a client asked to store.
const MESSAGE_MARGIN: usize = 1 << 20;
/// Services of which health is told: the node as a whole, and each by its name.
const SERVICES: [&str; 6] = [
    "",
    "tikvpb.Tikv",
    "pdpb.PD",
    "keyspacepb.Keyspace",
    "crib.placement.v1.Placement",
    "crib.placement.v1.Admin",
];
/// How long answers that are ready may take to leave before the network ends.
const STOP_PAUSE: Duration = Duration::from_millis(50);

/// A node that runs.
pub(super) struct Running {
    pub(super) parts: Arc<Parts>,
    store: Store,
    network: Network,
    view: Arc<StateView>,
    health: HealthReporter,
    source: Arc<NodeSource>,
    /// Who ends the node hears from this why.
    fatal: mpsc::Sender<Failure>,
}

/// Takes the second port.
pub(super) async fn listen_http(config: &Config) -> Result<Option<TcpListener>, Failure> {
    let address = &config.http.listen;
    if address.is_empty() {
        return Ok(None);
    }
    TcpListener::bind(address).await.map(Some).map_err(|why| {
        Failure::new(&errors::PORT_TAKEN, format!("cannot listen on {address}"))
            .why(why.to_string())
    })
}

/// Looks whether the first port is free. It is taken only when it is known which store this is.
pub(super) async fn check_listen(address: &str) -> Result<(), Failure> {
    TcpListener::bind(address).await.map(drop).map_err(|why| {
        Failure::new(&errors::PORT_TAKEN, format!("cannot listen on {address}"))
            .why(why.to_string())
    })
}

#[cfg(feature = "engine")]
fn open_engine(config: &Config, birth: &Birth) -> Result<Arc<dyn Engine>, Failure> {
    let dir = config.data_dir.join("data");
    birth.check_engine(&dir.join("CURRENT"))?;
    match storage::RocksEngine::open(&dir, &config.engine()) {
        Ok((engine, audit)) => {
            tracing::info!(?audit, "engine opened");
            Ok(Arc::new(engine))
        }
        Err(storage::OpenError::Damaged(damage)) => {
            let what = "the store's log is damaged: it takes no part any more";
            let failure = Failure::new(&errors::DAMAGED, what).why(damage.to_string());
            Err(failure.next("replace the store: `crib store remove`, and a new, empty directory"))
        }
        Err(storage::OpenError::Config(problems)) => {
            let failure = Failure::new(&errors::CONFIG_INVALID, "settings of the engine");
            Err(problems.into_iter().fold(failure, Failure::why))
        }
        Err(storage::OpenError::Engine(why)) => Err(engine_failure(&why)),
    }
}

#[cfg(not(feature = "engine"))]
fn open_engine(_: &Config, _: &Birth) -> Result<Arc<dyn Engine>, Failure> {
    Err(Failure::new(&errors::NOT_SUPPORTED, "this build has no engine in it"))
}

fn engine_failure(why: &storage::Error) -> Failure {
    let entry = match why {
        storage::Error::Corrupt(_) => &errors::DAMAGED,
        storage::Error::Full(_) => &errors::DISK_FULL,
        _ => &errors::DIR_UNUSABLE,
    };
    Failure::new(entry, "the engine does not open").why(why.to_string())
}

fn store_failure(why: &OpenError) -> Failure {
    let entry = match why {
        OpenError::Config(_) => &errors::CONFIG_INVALID,
        OpenError::Foreign { .. } => &errors::DIR_FOREIGN,
        OpenError::Format { .. } => &errors::VERSION,
        OpenError::Engine(_) | OpenError::Damaged(_) => &errors::DAMAGED,
    };
    Failure::new(entry, "the store does not open").why(why.to_string())
}

fn network_failure(why: &StartError) -> Failure {
    let entry = match why {
        StartError::Listen { .. } => &errors::PORT_TAKEN,
        StartError::Config(_) => &errors::CONFIG_INVALID,
        StartError::System(_) => &errors::DIR_UNUSABLE,
    };
    Failure::new(entry, "the network does not start").why(why.to_string())
}

fn founding_store(id: StoreId, address: &str) -> state::Store {
    state::Store {
        id: Some(id),
        nonce: 0,
        address: address.to_owned(),
        http_address: String::new(),
        labels: Vec::new(),
        version: version::VERSION.to_owned(),
        life: state::Life::Live,
    }
}

/// Settings of placement on this node.
fn placement_config(config: &Config, birth: &Birth, api: ApiVersion) -> placement::Config {
    let founders = birth.founders.iter().flat_map(|founders| {
        founders.iter().map(|(id, address)| founding_store(id, address)).collect::<Vec<_>>()
    });
    let member = &birth.member;
    let mut made = placement::Config::new(member.cluster, member.store, founders.collect());
    made.api_version = api;
    made.replicas = config.replicas;
    made.has_tls = config.has_tls();
    made.scheduler.location_labels.clone_from(&config.placement.location_labels);
    made.scheduler.silent_after = config.placement.disconnected_after.get();
    made.scheduler.down_after = config.placement.down_after.get();
    made.scheduler.full_permille = config.placement.full_percent * 10;
    made
}

/// What is known of other stores; and if one of them knows this one by another disk, it ends.
fn open_book(
    config: &Config,
    birth: &Birth,
    fatal: mpsc::Sender<Failure>,
) -> Result<Arc<Book>, Failure> {
    let known = birth.founders.iter().flat_map(|founders| {
        founders.iter().map(|(id, address)| (id, address.to_owned())).collect::<Vec<_>>()
    });
    let book = Book::open(&config.data_dir, birth.member.cluster, known).map_err(|why| {
        let what = "what is known of other stores cannot be read";
        let next = "put the file back; without it, stores are taken for what they say they are";
        Failure::new(&errors::DAMAGED, what).why(why).next(next)
    })?;
    book.on_disowned(move |by, why| {
        let what = "the cluster knows this store by another data directory";
        let failure = Failure::new(&errors::DIR_FOREIGN, what).why(format!("{by} says: {why}"));
        let next = "give it its own directory back; if that is lost: crib store remove, and then \
                    a node with an empty directory that joins";
        // One reason is enough.
        let _ = fatal.try_send(failure.next(next));
    });
    Ok(Arc::new(book))
}

/// Opens disk, groups and network.
///
/// # Errors
/// Why one of them does not open. Nothing runs then.
pub(super) fn start(
    config: &Config,
    birth: &Birth,
    certificates: Option<Arc<Certificates>>,
    fatal: mpsc::Sender<Failure>,
) -> Result<Running, Failure> {
    let member = &birth.member;
    let api = ApiVersion::from_name(&member.api_version).ok_or_else(|| {
        let what = format!("api-version {} is not known to this version", member.api_version);
        Failure::new(&errors::VERSION, what)
    })?;
    let book = open_book(config, birth, fatal.clone())?;
    let identity = (member.cluster, member.store);
    let resolver = Arc::clone(&book) as Arc<dyn transport::Resolver>;
    let tls = certificates::dialing(certificates.as_ref());
    let mut network =
        transport::Config { tls: certificates, disk: birth.identity.nonce, ..config.transport() };
    network.agreed.push(("api-version".to_owned(), member.api_version.clone()));
    let mut network =
        Network::bind(network, identity, resolver).map_err(|why| network_failure(&why))?;
    let engine = open_engine(config, birth)?;
    let regions = Regions::new(kv::Config { store: member.store, api });
    let view = StateView::new();
    let standings = Arc::new(Standings::default());
    let fails = fatal.clone();
    let on_fatal: OnFatal = Arc::new(move |why| {
        let failure = Failure::new(&errors::STORE_STOPPED, "the store cannot go on").why(why);
        // One reason is enough.
        let _ = fails.try_send(failure);
    });
    let store = Store::open(multiraft::Parts {
        config: config.multiraft(),
        identity,
        engine: Arc::clone(&engine),
        machines: Arc::new(NodeMachines::new(&regions, &view)),
        transport: network.transport(),
        observer: Some(Arc::clone(&standings) as Arc<dyn multiraft::Observer>),
        on_fatal: Some(on_fatal),
    })
    .map_err(|why| store_failure(&why))?;
    birth.has_engine(&config.data_dir);
    let aside: Vec<GroupId> = store.damaged().iter().map(|(group, _)| *group).collect();
    let swept = regions.sweep(&*engine, &aside).map_err(|why| engine_failure(&why))?;
    if !swept.is_empty() {
        tracing::info!(?swept, "records of regions that never began were removed");
    }
    let handle = store.handle();
    let bounds = Bounds::new(config.limits.requests_max, config.limits.request_timeout.get());
    let room = Arc::new(Room::of(config.data_dir.clone(), config.storage.keep_free.get()));
    let data = Data {
        gather: gather(&handle, config.raft.command_size_max.as_usize()),
        store: member.store,
        regions,
        handle,
        engine,
        standings,
        bounds,
        room,
        requests: Requests::default(),
    };
    let link = link(config, birth, store.life(), (tls, book));
    let parts = Arc::new(parts(config, birth, api, (data, link, &view)));
    let source = Arc::new(NodeSource { parts: Arc::clone(&parts) });
    let (health, routes) = routes(config, &parts, &source)?;
    network.serve_with(store.inbox(), routes).map_err(|why| network_failure(&why))?;
    Ok(Running { parts, store, network, view, health, source, fatal })
}

fn link(
    config: &Config,
    birth: &Birth,
    life: u64,
    (tls, book): (Option<Tls>, Arc<Book>),
) -> Arc<Link> {
    let me = Me {
        cluster: birth.member.cluster,
        store: birth.member.store,
        address: config.address().to_owned(),
        http_address: config.http_address().to_owned(),
        labels: birth::labels(config),
        version: version::VERSION.to_owned(),
        life,
    };
    let endpoints = [config.founders(), config.join.clone()].concat();
    Link::new(me, endpoints, tls, book)
}

fn parts(
    config: &Config,
    birth: &Birth,
    api: ApiVersion,
    (data, link, view): (Data, Arc<Link>, &Arc<StateView>),
) -> Parts {
    let placement = placement_config(config, birth, api);
    let driver = Driver::new(placement, data.handle.clone(), Arc::clone(view));
    Parts {
        cluster: birth.member.cluster,
        data: Arc::new(data),
        edge: Edge {
            api,
            key_bytes_max: config.limits.key_size_max.as_usize(),
            value_bytes_max: config.limits.value_size_max.as_usize(),
        },
        split: split_config(config),
        link,
        driver,
        news: News::default(),
        is_stopping: AtomicBool::new(false),
    }
}

fn split_config(config: &Config) -> SplitConfig {
    SplitConfig {
        max_bytes: config.region.split_size.get(),
        target_bytes: config.region.target_size.get(),
        max_keys: config.region.split_keys,
        ..SplitConfig::default()
    }
}

/// Everything that is served beside the stores' own streams.
fn routes(
    config: &Config,
    parts: &Arc<Parts>,
    source: &Arc<NodeSource>,
) -> Result<(HealthReporter, Routes), Failure> {
    let message_max = config.limits.message_size_max.as_usize().max(
        config.limits.value_size_max.as_usize()
            + config.limits.key_size_max.as_usize()
            + MESSAGE_MARGIN,
    );
    let scan_bytes_max = scan_bytes_max(config.region.split_size.get());
    let raw = Arc::new(Raw::new(Arc::clone(&parts.data), parts.edge, scan_bytes_max));
    let tikv = TikvServer::new(Service::new(raw))
        .max_decoding_message_size(message_max)
        // Each pair has a few bytes more than its key and value.
        .max_encoding_message_size(2 * scan_bytes_max);
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .build_v1()
        .map_err(|why| {
            Failure::new(&errors::NOT_SUPPORTED, "reflection does not start").why(why.to_string())
        })?;
    let pd = http::pd_router(Arc::clone(source) as http::SharedSource);
    let services = placement::Service::new(Arc::clone(&parts.driver)).into_services();
    let routes = Routes::from(pd)
        .add_service(tikv)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(services.pd)
        .add_service(services.keyspace)
        .add_service(services.placement)
        .add_service(services.admin);
    Ok((health, routes))
}

impl Running {
    /// Starts what goes on by itself.
    pub(super) async fn spawn_tasks(&self, config: &Config, birth: &Birth) -> Vec<JoinHandle<()>> {
        let parts = &self.parts;
        let (of, traffic) = (Arc::clone(parts), self.network.traffic());
        let look = move || Condition::of(&of, &traffic);
        let (dir, store) = (config.data_dir.clone(), birth.member.store);
        let fatal = self.fatal.clone();
        let on_removed = move || {
            // One reason is enough.
            let _ = fatal.try_send(birth::removed(&dir, store));
        };
        let every = config.placement.heartbeat_interval.get();
        let mut orders = parts.link.start(every, look, on_removed);
        let taker = Arc::clone(parts);
        let carried = tokio::spawn(async move {
            while let Some(order) = orders.recv().await {
                let parts = Arc::clone(&taker);
                tokio::spawn(async move { orders::carry_out(&parts, order).await });
            }
        });
        let mut tasks = vec![
            carried,
            tokio::spawn(reports::run(Arc::clone(parts))),
            tokio::spawn(room::run(Arc::clone(parts))),
            tokio::spawn(splits::run(Arc::clone(parts), config.region.check_interval.get())),
            tokio::spawn(Arc::clone(&parts.driver).run()),
            tokio::spawn(hearsay::run(Arc::clone(parts))),
            tokio::spawn(strays::run(Arc::clone(parts))),
        ];
        if birth.founders.is_some() {
            let data = &parts.data;
            tasks.push(tokio::spawn(birth::first_regions(
                Arc::clone(&self.view),
                Arc::clone(&data.regions),
                Arc::clone(&data.engine),
                data.handle.clone(),
                data.store,
            )));
        }
        self.tell_health(ServingStatus::Serving).await;
        tasks
    }

    async fn tell_health(&self, status: ServingStatus) {
        for service in SERVICES {
            self.health.set_service_status(service, status).await;
        }
    }

    /// Its figures, for whoever asks.
    pub(super) fn figures(&self) -> Figures {
        Figures::new(Arc::clone(&self.parts), self.network.traffic())
    }

    pub(super) fn source(&self) -> http::SharedSource {
        Arc::clone(&self.source) as http::SharedSource
    }

    /// Hands over what this node leads.
    pub(super) async fn leave(&self) {
        self.parts.is_stopping.store(true, Ordering::Relaxed);
        self.parts.link.beat_now();
        self.tell_health(ServingStatus::NotServing).await;
        let left = stopping::hand_over(&self.parts).await;
        if left > 0 {
            tracing::warn!(left, "groups are led from here to the end: nobody took them over");
        }
    }

    /// Stops network and groups. What was acknowledged is durable.
    pub(super) async fn stop(self) {
        // Answers that are ready still go out.
        tokio::time::sleep(STOP_PAUSE).await;
        let Running { store, network, .. } = self;
        let stopped = tokio::task::spawn_blocking(move || {
            network.shutdown();
            store.stop();
        });
        if let Err(why) = stopped.await {
            tracing::error!(%why, "the store did not stop in peace");
        }
    }
}
