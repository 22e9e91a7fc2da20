//! A cluster that is not one: one map of data, regions that split and move as a test says, stores
//! and members of placement that answer over real connections, and faults to order.
//!
//! Each node runs in a runtime of its own, so that killing it breaks its connections.

mod placement;
mod state;
mod store;

use std::sync::Arc;
use std::time::Duration;

use client::{Client, KeyMode, Options};
use parking_lot::Mutex;
use proto::crib::placement::v1::admin_server::AdminServer;
use proto::keyspacepb::keyspace_server::KeyspaceServer;
use proto::pdpb::pd_server::PdServer;
use proto::tikvpb::tikv_server::TikvServer;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Server, ServerTlsConfig};
use types::encode_key;

pub(crate) use state::{Fault, Region, Seen, State};

/// The cluster's id.
pub(crate) const CLUSTER: u64 = 77;
/// Stores 1, 2, 3.
pub(crate) const STORES: u64 = 3;

/// A cluster.
pub(crate) struct World {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) mode: KeyMode,
    tls: Option<ServerTlsConfig>,
    /// Members of placement.
    members: Mutex<Vec<Node>>,
    /// Stores that run, by id less one.
    stores: Mutex<Vec<Option<Node>>>,
}

struct Node {
    address: String,
    runtime: Option<Runtime>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn node(serve: impl FnOnce(TcpListener) -> ServeFuture + Send + 'static) -> Node {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket that does not block");
    let address = listener.local_addr().expect("its address").to_string();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
    runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).expect("a listener");
        serve(listener).await;
    });
    Node { address, runtime: Some(runtime) }
}

type ServeFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl World {
    /// A cluster in mode `V2` whose keyspace `DEFAULT` is cut at these keys of users.
    pub(crate) fn v2(cuts: &[&str]) -> World {
        let of = |cut: &&str| encode_key(&[b"r\0\0\0", cut.as_bytes()].concat());
        let mut bounds = vec![encode_key(b"r"), encode_key(b"s")];
        bounds.splice(1..1, cuts.iter().map(of));
        World::start(KeyMode::V2 { keyspace: "DEFAULT".to_owned() }, bounds, None)
    }

    /// The same, uncut, whose nodes show this certificate.
    pub(crate) fn with_tls(tls: ServerTlsConfig) -> World {
        let bounds = vec![encode_key(b"r"), encode_key(b"s")];
        World::start(KeyMode::V2 { keyspace: "DEFAULT".to_owned() }, bounds, Some(tls))
    }

    /// A cluster in mode `V1` that is cut at these keys.
    pub(crate) fn v1(cuts: &[&str]) -> World {
        World::start(KeyMode::V1Ttl, cuts.iter().map(|cut| cut.as_bytes().to_vec()).collect(), None)
    }

    fn start(mode: KeyMode, bounds: Vec<Vec<u8>>, tls: Option<ServerTlsConfig>) -> World {
        let is_encoded = matches!(mode, KeyMode::V2 { .. });
        let state = Arc::new(Mutex::new(State::new(is_encoded, bounds)));
        let world = World {
            state,
            mode,
            tls,
            members: Mutex::default(),
            stores: Mutex::new((0..STORES).map(|_| None).collect()),
        };
        for member in 0..2 {
            world.start_member(member);
        }
        for store in 1..=STORES {
            world.start_store(store);
        }
        world
    }

    fn server(&self) -> Server {
        match &self.tls {
            Some(tls) => Server::builder().tls_config(tls.clone()).expect("a good certificate"),
            None => Server::builder(),
        }
    }

    fn start_member(&self, at: usize) {
        let (state, mut server) = (Arc::clone(&self.state), self.server());
        let node = node(move |listener| {
            let member = placement::Member { at, state };
            let serve = server
                .add_service(PdServer::new(member.clone()))
                .add_service(KeyspaceServer::new(member.clone()))
                .add_service(AdminServer::new(member))
                .serve_with_incoming(TcpListenerStream::new(listener));
            Box::pin(async move { drop(serve.await) })
        });
        self.state.lock().members.push(node.address.clone());
        self.members.lock().push(node);
    }

    /// Starts a store, at a new address, which placement knows.
    pub(crate) fn start_store(&self, id: u64) {
        let (state, mut server) = (Arc::clone(&self.state), self.server());
        let node = node(move |listener| {
            let store = TikvServer::new(store::Store { id, state });
            let serve =
                server.add_service(store).serve_with_incoming(TcpListenerStream::new(listener));
            Box::pin(async move { drop(serve.await) })
        });
        self.state.lock().addresses.insert(id, node.address.clone());
        self.stores.lock()[at(id)] = Some(node);
    }

    /// Stops a store: its connections break. Placement still knows its address.
    pub(crate) fn kill_store(&self, id: u64) {
        self.stores.lock()[at(id)] = None;
    }

    /// Stops a member of placement.
    pub(crate) fn kill_member(&self, at: usize) {
        let mut members = self.members.lock();
        if let Some(runtime) = members[at].runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.state.lock().members.clone()
    }

    /// Options that give up soon enough for a test, and late enough for a busy machine.
    pub(crate) fn options(&self) -> Options {
        Options {
            mode: self.mode.clone(),
            attempt_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            budget: Duration::from_secs(60),
            ..Options::default()
        }
    }

    pub(crate) async fn client(&self) -> Client {
        self.client_with(self.options()).await
    }

    pub(crate) async fn client_with(&self, options: Options) -> Client {
        Client::connect(&self.endpoints(), options).await.expect("a cluster to connect to")
    }

    /// Orders a fault for the next command of this name.
    pub(crate) fn fault(&self, command: &'static str, fault: Fault) {
        self.state.lock().faults.push((command, fault));
    }

    /// Splits the region that has this key of users there. Placement hears of it, or not yet.
    pub(crate) fn split(&self, key: &str, is_told: bool) {
        let mut state = self.state.lock();
        state.split(key.as_bytes());
        if is_told {
            state.tell();
        }
    }

    /// Lets another store lead the region that has this key.
    pub(crate) fn lead(&self, key: &str, store: u64, is_told: bool) {
        let mut state = self.state.lock();
        state.lead(key.as_bytes(), store);
        if is_told {
            state.tell();
        }
    }

    /// How often stores were asked for this, since the last time.
    pub(crate) fn take_seen(&self, command: &str) -> Vec<Seen> {
        let mut state = self.state.lock();
        let (taken, left) =
            std::mem::take(&mut state.seen).into_iter().partition(|it| it.command == command);
        state.seen = left;
        taken
    }
}

fn at(store: u64) -> usize {
    usize::try_from(store - 1).expect("a small id")
}
