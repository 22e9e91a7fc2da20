//! Members of placement over gRPC on loopback, on stores in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use multiraft::{
    Beginning, Handle, LocalNetwork, Observer, Outcome, Parts, Roster, Standing, Store,
};
use placement::state::{Life, Store as Member};
use placement::{Config, Driver, GROUP, Hearsay, Service, StateView};
use proto::crib::placement::v1;
use proto::crib::placement::v1::admin_client::AdminClient;
use proto::crib::placement::v1::placement_client::PlacementClient;
use proto::pdpb;
use proto::pdpb::pd_client::PdClient;
use storage::{Engine, MemoryDisk, MemoryEngine};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::Code;
use tonic::transport::{Channel, Endpoint, Server};
use types::{ClusterId, EntryId, GroupId, Index, PeerId, StoreId, Term};

const CLUSTER: u64 = 7;
/// Far above what anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Watcher(parking_lot::Mutex<Option<Arc<Driver>>>);

impl Observer for Watcher {
    fn standing(&self, group: GroupId, standing: Standing) {
        if let Some(driver) = self.0.lock().as_ref().filter(|_| group == GROUP) {
            driver.on_standing(Some(standing));
        }
    }
    fn gone(&self, _: GroupId) {}
}

struct Node {
    handle: Handle,
    driver: Arc<Driver>,
    channel: Channel,
    _store: Store,
}

fn header() -> Option<pdpb::RequestHeader> {
    Some(pdpb::RequestHeader { cluster_id: CLUSTER })
}

async fn start(count: u64) -> Vec<Node> {
    let network = LocalNetwork::new();
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    }
    let founders: Vec<Member> = (1..)
        .zip(&listeners)
        .map(|(id, listener)| Member {
            id: StoreId::new(id),
            nonce: 0,
            address: listener.local_addr().expect("bound").to_string(),
            http_address: String::new(),
            labels: Vec::new(),
            version: "1".to_owned(),
            life: Life::Live,
        })
        .collect();
    let peer = |id| PeerId::new(id).expect("not zero");
    let voters: Vec<_> =
        founders.iter().filter_map(|of| of.id).map(|id| (peer(id.get()), id)).collect();
    let mut nodes = Vec::new();
    for (founder, listener) in founders.iter().zip(listeners) {
        let me = founder.id.expect("numbered");
        let cluster = ClusterId::new(CLUSTER).expect("not zero");
        let engine: Arc<dyn Engine> =
            Arc::new(MemoryEngine::open(MemoryDisk::new()).expect("a new disk"));
        let view = StateView::new();
        let watcher = Arc::new(Watcher(parking_lot::Mutex::new(None)));
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
        let config = Config::new(cluster, me, founders.clone());
        let driver = Driver::new(config, handle.clone(), view);
        *watcher.0.lock() = Some(Arc::clone(&driver));
        let roster = Roster::of_voters(&voters).expect("few");
        let at = EntryId::new(Term(1), Index(1));
        let beginning = Beginning { peer: peer(me.get()), at, roster };
        assert_eq!(handle.create(GROUP, beginning).await, Outcome::Done);
        tokio::spawn(Arc::clone(&driver).run());
        let services = Service::new(Arc::clone(&driver)).into_services();
        let server = Server::builder()
            .add_service(services.pd)
            .add_service(services.keyspace)
            .add_service(services.placement)
            .add_service(services.admin);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let endpoint = Endpoint::from_shared(format!("http://{}", founder.address)).expect("a URL");
        nodes.push(Node { handle, driver, channel: endpoint.connect_lazy(), _store: store });
    }
    nodes
}

async fn leader(nodes: &[Node]) -> usize {
    let start = Instant::now();
    loop {
        if let Some(at) = nodes.iter().position(|node| node.driver.is_leading()) {
            return at;
        }
        assert!(start.elapsed() < PATIENCE, "nobody leads");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn timestamp(node: &Node) -> Result<u64, tonic::Status> {
    let request = pdpb::TsoRequest { header: header(), count: 3, dc_location: String::new() };
    let mut answers =
        PdClient::new(node.channel.clone()).tso(tokio_stream::iter([request])).await?.into_inner();
    let answer = answers.message().await?.expect("one answer");
    assert_eq!((answer.count, answer.header.expect("a header").cluster_id), (3, CLUSTER));
    let at = answer.timestamp.expect("a timestamp");
    Ok((at.physical.cast_unsigned() << 18) | at.logical.cast_unsigned())
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_of_one_is_born_and_answers_what_was_reported() {
    let nodes = start(1).await;
    leader(&nodes).await;
    let mut pd = PdClient::new(nodes[0].channel.clone());
    let members = pd.get_members(pdpb::GetMembersRequest::default()).await.unwrap().into_inner();
    assert_eq!(members.header.expect("a header").cluster_id, CLUSTER);
    assert_eq!(members.leader.expect("a leader").member_id, 1);
    assert!(timestamp(&nodes[0]).await.unwrap() < timestamp(&nodes[0]).await.unwrap());

    let mut stores = PlacementClient::new(nodes[0].channel.clone());
    let join = |nonce| v1::JoinRequest { nonce, address: "d:1".to_owned(), ..Default::default() };
    let id = stores.join(join(5)).await.unwrap().into_inner().store_id;
    assert!(id >= 1_000);
    assert_eq!(stores.join(join(5)).await.unwrap().into_inner().store_id, id);
    let wiped = stores.join(join(6)).await.expect_err("refused");
    assert_eq!(wiped.code(), Code::AlreadyExists);

    let state = nodes[0].driver.view().get();
    let regions = &state.cluster.as_ref().expect("born").regions;
    let report = v1::ReportRequest {
        cluster_id: CLUSTER,
        store_id: 1,
        regions: regions.iter().map(report_of).collect(),
        is_whole: true,
        is_whole_end: true,
    };
    let (sender, reports) = tokio::sync::mpsc::channel(4);
    let _orders = stores.report(ReceiverStream::new(reports)).await.unwrap();
    sender.send(report).await.unwrap();
    let start = Instant::now();
    let scan = pdpb::ScanRegionsRequest { header: header(), ..Default::default() };
    let found = loop {
        let found = pd.scan_regions(scan.clone()).await.unwrap().into_inner();
        if found.regions.len() == 5 {
            break found;
        }
        assert!(start.elapsed() < PATIENCE, "the report does not arrive");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((found.region_metas.len(), found.leaders.len()), (5, 5));
    let key = types::encode_key(b"r1");
    let query = pdpb::QueryRegionRequest {
        header: header(),
        keys: vec![key.clone().into()],
        prev_keys: vec![key.into()],
        ids: vec![2, 99],
        ..Default::default()
    };
    let mut answers = pd.query_region(tokio_stream::iter([query])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().expect("one answer");
    assert_eq!((answer.key_id_map, answer.prev_key_id_map), (vec![3], vec![2]));
    assert_eq!(answer.regions_by_id.len(), 2);
    let other = Some(pdpb::RequestHeader { cluster_id: 8 });
    let refused = pd.get_region(pdpb::GetRegionRequest { header: other, ..Default::default() });
    assert_eq!(refused.await.expect_err("another's").code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn region_that_is_asked_for_before_it_is_reported_is_waited_for() {
    let nodes = start(1).await;
    leader(&nodes).await;
    let mut stores = PlacementClient::new(nodes[0].channel.clone());
    let state = nodes[0].driver.view().get();
    let region = state.cluster.as_ref().expect("born").regions.last().expect("a region").clone();
    let (id, key) = (region.id.get(), region.range.start.clone());
    let mut pd = PdClient::new(nodes[0].channel.clone());
    let of = pdpb::GetRegionByIdRequest { header: header(), region_id: id, ..Default::default() };
    let asked = Instant::now();
    let answer = pd.get_region_by_id(of).await.expect("an answer").into_inner();
    assert_eq!(answer.region, None);
    assert!(asked.elapsed() >= Duration::from_millis(900), "nobody was given time to report it");
    let report = v1::ReportRequest {
        cluster_id: CLUSTER,
        store_id: 1,
        regions: vec![report_of(&region)],
        ..Default::default()
    };
    let (sender, reports) = tokio::sync::mpsc::channel(4);
    let _orders = stores.report(ReceiverStream::new(reports)).await.expect("a stream");
    let mut other = pd.clone();
    let key =
        pdpb::GetRegionRequest { header: header(), region_key: key.into(), ..Default::default() };
    let asked = async {
        tokio::join!(
            told(async || pd.get_region_by_id(of).await.expect("an answer").into_inner()),
            told(async || other.get_region(key.clone()).await.expect("an answer").into_inner()),
            async { sender.send(report).await.expect("it is taken") },
        )
    };
    let found = tokio::time::timeout(PATIENCE, asked).await.expect("in time");
    assert_eq!(found, (id, id, ()));
}

/// Which region it is. Who is told that there is none asks again: this machine may be slow.
async fn told(mut ask: impl AsyncFnMut() -> pdpb::GetRegionResponse) -> u64 {
    loop {
        if let Some(region) = ask().await.region {
            return region.id;
        }
    }
}

/// What its first peer, which leads, reports of a region.
fn report_of(region: &types::Region) -> v1::RegionReport {
    v1::RegionReport {
        region: Some(region.into()),
        leader: Some(region.peers[0].into()),
        term: 1,
        ..Default::default()
    }
}

/// A heartbeat of a store that says it is there.
fn heartbeat(store_id: u64, address: &str) -> v1::StoreHeartbeatRequest {
    let stats = Some(v1::StoreStats::default());
    let address = address.to_owned();
    v1::StoreHeartbeatRequest {
        cluster_id: CLUSTER,
        store_id,
        address,
        stats,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_exchange_addresses_are_heard_and_known_where_they_are() {
    let nodes = start(1).await;
    leader(&nodes).await;
    let mut stores = PlacementClient::new(nodes[0].channel.clone());
    let mut ids = Vec::new();
    for (nonce, address) in [(5, "d:1"), (6, "e:1")] {
        let address = address.to_owned();
        let request = v1::JoinRequest { nonce, address, ..Default::default() };
        ids.push(stores.join(request).await.expect("it joins").into_inner().store_id);
    }
    let mut beat = async |store: u64, address: &str| {
        let answer = stores.store_heartbeat(heartbeat(store, address)).await.expect("it is heard");
        answer.into_inner().state()
    };
    let place = |store: u64| {
        let id = StoreId::new(store).expect("not zero");
        nodes[0].driver.view().get().stores[&id].address.clone()
    };
    for (store, address) in [(ids[0], "d:1"), (ids[1], "e:1")] {
        assert_eq!(beat(store, address).await, v1::StoreState::Up);
    }
    // While both say that they are there, the first that did is believed, and both are heard.
    assert_eq!(beat(ids[0], "e:1").await, v1::StoreState::Up);
    assert_eq!((place(ids[0]), place(ids[1])), ("d:1".to_owned(), "e:1".to_owned()));
    assert_eq!(beat(ids[1], "d:1").await, v1::StoreState::Up);
    assert_eq!((place(ids[0]), place(ids[1])), (String::new(), "d:1".to_owned()));
    // Clients take a store without an address for the end of everything.
    let mut pd = PdClient::new(nodes[0].channel.clone());
    let of = pdpb::GetStoreRequest { header: header(), store_id: ids[0] };
    let told = pd.get_store(of).await.expect("an answer").into_inner().store.expect("it is known");
    assert_eq!(told.address, format!("store-{}.invalid:1", ids[0]));
    let all = pdpb::GetAllStoresRequest { header: header(), ..Default::default() };
    let all = pd.get_all_stores(all).await.expect("an answer").into_inner().stores;
    assert!(all.iter().all(|store| !store.address.is_empty()), "{all:?}");
    assert_eq!(beat(ids[0], "e:1").await, v1::StoreState::Up);
    assert_eq!((place(ids[0]), place(ids[1])), ("e:1".to_owned(), "d:1".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_was_removed_is_told_so() {
    let nodes = start(1).await;
    leader(&nodes).await;
    let mut stores = PlacementClient::new(nodes[0].channel.clone());
    let mut admin = AdminClient::new(nodes[0].channel.clone());
    let mut id = 0;
    // Three stay.
    for (nonce, address) in [(5, "a:1"), (6, "b:1"), (7, "c:1"), (8, "d:1")] {
        let address = address.to_owned();
        let request = v1::JoinRequest { nonce, address: address.clone(), ..Default::default() };
        id = stores.join(request).await.expect("it joins").into_inner().store_id;
        let beat = stores.store_heartbeat(heartbeat(id, &address)).await.expect("it is heard");
        assert_eq!(beat.into_inner().state(), v1::StoreState::Up);
    }
    let remove = v1::RemoveStoreRequest { cluster_id: CLUSTER, store_id: id, force: true };
    let drain = v1::DrainStoreRequest { cluster_id: CLUSTER, store_id: id, ..Default::default() };
    admin.drain_store(drain).await.expect("it is drained");
    admin.remove_store(remove).await.expect("it is removed");
    let beat = stores.store_heartbeat(heartbeat(id, "d:1")).await.expect("an answer");
    assert_eq!(beat.into_inner().state(), v1::StoreState::Removed);
}

#[tokio::test(flavor = "multi_thread")]
async fn store_is_not_taken_for_empty_while_keys_are_in_no_region_that_is_known() {
    let nodes = start(1).await;
    leader(&nodes).await;
    let mut stores = PlacementClient::new(nodes[0].channel.clone());
    let request = v1::JoinRequest { nonce: 5, address: "d:1".to_owned(), ..Default::default() };
    let id = stores.join(request).await.expect("it joins").into_inner().store_id;
    let mut admin = AdminClient::new(nodes[0].channel.clone());
    let drained = v1::DrainStoreRequest { cluster_id: CLUSTER, store_id: id, ..Default::default() };
    let _unwise = admin.drain_store(drained).await;
    // Nothing was reported yet: some region may have its last replicas there.
    let remove = |force| v1::RemoveStoreRequest { cluster_id: CLUSTER, store_id: id, force };
    let refused = admin.remove_store(remove(false)).await.expect_err("it is not known");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("is not known"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_rise_over_changes_of_leaders_and_others_refuse() {
    let nodes = start(3).await;
    let mut last = 0;
    for _ in 0..4 {
        let start = Instant::now();
        let at = loop {
            assert!(start.elapsed() < PATIENCE, "nobody gives timestamps");
            let at = leader(&nodes).await;
            if let Ok(given) = timestamp(&nodes[at]).await {
                assert!(given > last);
                last = given;
                break at;
            }
        };
        let next = (at + 1) % 3;
        assert_eq!(timestamp(&nodes[next]).await.expect_err("no leader").code(), Code::Unavailable);
        let to = PeerId::new(next as u64 + 1).expect("not zero");
        let _ = nodes[at].handle.transfer(GROUP, to).await;
        while nodes[at].driver.is_leading() {
            assert!(start.elapsed() < PATIENCE, "leadership stays");
            tokio::time::sleep(Duration::from_millis(10)).await;
            let _ = nodes[at].handle.transfer(GROUP, to).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_without_a_seat_names_those_that_it_heard_of_and_refuses_the_rest() {
    use proto::pdpb::pd_server::Pd as _;
    let nodes = start(1).await;
    let id = |id| StoreId::new(id).expect("not zero");
    let cluster = ClusterId::new(CLUSTER).expect("not zero");
    let config = Config::new(cluster, id(1_009), Vec::new());
    let driver = Driver::new(config, nodes[0].handle.clone(), StateView::new());
    let service = Service::new(Arc::clone(&driver));
    let members = async || {
        let request = tonic::Request::new(pdpb::GetMembersRequest::default());
        service.get_members(request).await.expect("anybody answers").into_inner()
    };
    assert!(members().await.members.is_empty(), "nobody has said anything yet");
    driver.on_hearsay(Hearsay {
        leader: Some(id(1_004)),
        members: vec![
            (id(1_004), "d:1".to_owned()),
            (id(2), "b:1".to_owned()),
            // Two stores say that they are there: nobody knows where this one is.
            (id(3), String::new()),
        ],
    });
    let heard = members().await;
    let leader = heard.leader.expect("it was heard of");
    assert_eq!(
        (leader.member_id, &leader.client_urls[..]),
        (1_004, &["http://d:1".to_owned()][..])
    );
    let ids: Vec<u64> = heard.members.iter().map(|member| member.member_id).collect();
    assert_eq!(ids, [2, 1_004]);
    let request = tonic::Request::new(pdpb::GetAllStoresRequest {
        header: header(),
        exclude_tombstone_stores: false,
    });
    let refused = service.get_all_stores(request).await.expect_err("it is no member");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("d:1"), "{refused}");
}
