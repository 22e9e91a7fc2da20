//! One member of placement in this process, served as a server serves it: questions and reports
//! come over gRPC to one thread, planning runs beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cpu_time::ThreadTime;
use multiraft::{Beginning, LocalNetwork, Observer, Outcome, Parts, Roster, Standing, Store};
use parking_lot::Mutex;
use placement::state::{Life, Store as Member};
use placement::{Config, Driver, GROUP, Service, StateView};
use storage::{Engine, MemoryDisk, MemoryEngine};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use types::{ClusterId, EntryId, GroupId, Index, PeerId, StoreId, Term};

/// The cluster's number.
pub(super) const CLUSTER: u64 = 7;
/// The store that is there from the beginning.
pub(super) const FOUNDER: StoreId = StoreId::new(1).expect("not zero");

/// A member that leads.
pub(super) struct Placement {
    /// What it answers with, for whoever asks without a network.
    pub(super) service: Service,
    /// Where it is served.
    pub(super) address: SocketAddr,
    serving: Handle,
    _planning: Runtime,
    _store: Store,
}

/// Tells the driver what happens to its group, once there is a driver.
struct Watcher(Mutex<Option<Arc<Driver>>>);

impl Observer for Watcher {
    fn standing(&self, group: GroupId, standing: Standing) {
        if let Some(driver) = self.0.lock().as_ref().filter(|_| group == GROUP) {
            driver.on_standing(Some(standing));
        }
    }

    fn gone(&self, _: GroupId) {}
}

impl Placement {
    /// Starts it, and returns when it leads.
    pub(super) fn start() -> Placement {
        let planning = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let planning = planning.expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("it is bound");
        let (store, driver) = planning.block_on(lead(address));
        let service = Service::new(driver);
        let serving = serve(listener, service.clone());
        Placement { service, address, serving, _planning: planning, _store: store }
    }

    /// CPU that the thread which serves has used so far.
    pub(super) async fn serving_cpu(&self) -> Duration {
        let used = self.serving.spawn(async { ThreadTime::now().as_duration() });
        used.await.expect("it is served")
    }
}

async fn lead(address: SocketAddr) -> (Store, Arc<Driver>) {
    let me = FOUNDER;
    let founder = Member {
        id: Some(me),
        nonce: 0,
        address: address.to_string(),
        http_address: String::new(),
        labels: Vec::new(),
        version: "1".to_owned(),
        life: Life::Live,
    };
    let cluster = ClusterId::new(CLUSTER).expect("not zero");
    let engine: Arc<dyn Engine> =
        Arc::new(MemoryEngine::open(MemoryDisk::new()).expect("a new disk"));
    let (network, view) = (LocalNetwork::new(), StateView::new());
    let watcher = Arc::new(Watcher(Mutex::new(None)));
    let store = Store::open(Parts {
        config: multiraft::Config::default(),
        identity: (cluster, me),
        engine,
        machines: placement::machines(&view),
        transport: network.transport(me),
        observer: Some(Arc::clone(&watcher) as Arc<dyn Observer>),
        on_fatal: None,
    })
    .expect("it opens");
    network.join(me, store.inbox());
    let handle = store.handle();
    let driver = Driver::new(Config::new(cluster, me, vec![founder]), handle.clone(), view);
    *watcher.0.lock() = Some(Arc::clone(&driver));
    let peer = PeerId::new(me.get()).expect("not zero");
    let roster = Roster::of_voters(&[(peer, me)]).expect("one");
    let beginning = Beginning { peer, at: EntryId::new(Term(1), Index(1)), roster };
    assert_eq!(handle.create(GROUP, beginning).await, Outcome::Done);
    tokio::spawn(Arc::clone(&driver).run());
    while !driver.is_leading() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (store, driver)
}

/// One thread, as a server on two cores has for its network.
fn serve(listener: std::net::TcpListener, service: Service) -> Handle {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let handle = runtime.handle().clone();
    let work = async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        let services = service.into_services();
        let server = tonic::transport::Server::builder()
            .add_service(services.pd)
            .add_service(services.placement);
        // As the network of a server does it: an answer does not wait for the last one's receipt.
        let incoming = TcpListenerStream::new(listener)
            .map(|accepted| accepted.and_then(|stream| stream.set_nodelay(true).map(|()| stream)));
        let ended = server.serve_with_incoming(incoming).await;
        panic!("serving ended by itself: {ended:?}");
    };
    std::thread::spawn(move || runtime.block_on(work));
    handle
}
