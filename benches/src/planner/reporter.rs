//! The stores' side of placement: they join, are heard of every few seconds, and report regions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proto::crib::placement::v1;
use proto::crib::placement::v1::placement_client::PlacementClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use types::StoreId;

use super::Settings;
use super::cluster::region;
use super::member::{CLUSTER, FOUNDER};

/// Regions of one message, as stores send them.
const REGIONS_MAX: u64 = 250;
/// Messages of a store that wait for the network.
const WAITING_MAX: usize = 4;
/// How often each store is heard of. They take turns, as stores that began at different times do.
const HEARD_EVERY: Duration = Duration::from_secs(4);
/// Stores that share a connection: each has its own in a cluster, and here fewer files would do.
const STORES_A_CONNECTION: usize = 100;
/// Between two looks at what is due.
const PACE: Duration = Duration::from_millis(5);

/// What the reporter is to do, and has done.
#[derive(Debug, Default)]
pub(super) struct Dial {
    /// Reports a second from now on.
    pub(super) per_second: AtomicU64,
    /// Reports handed to the network so far.
    pub(super) told: AtomicU64,
}

/// Stores that report.
pub(super) struct Reporter {
    settings: Settings,
    /// For what is not reported.
    client: PlacementClient<Channel>,
    /// As placement named them.
    stores: Vec<StoreId>,
    streams: Vec<mpsc::Sender<v1::ReportRequest>>,
    /// By store, which of the regions that it leads is next, and the figure that they tell.
    next: Vec<u64>,
    figure: u64,
}

impl Reporter {
    /// Lets all stores join, and report all that they lead.
    pub(super) async fn start(settings: &Settings, connect: impl Fn() -> Channel) -> Reporter {
        let client = || PlacementClient::new(connect()).max_encoding_message_size(16 << 20);
        let (mut own, mut shared) = (client(), client());
        let (mut stores, mut streams) = (Vec::new(), Vec::new());
        for at in 0..settings.stores {
            stores.push(if at == 0 { FOUNDER } else { join(&mut own, at).await });
            if stores.len().is_multiple_of(STORES_A_CONNECTION) {
                shared = client();
            }
            let (sender, messages) = mpsc::channel(WAITING_MAX);
            streams.push(sender);
            let mut client = shared.clone();
            tokio::spawn(async move {
                let answers = client.report(ReceiverStream::new(messages)).await;
                let mut orders = answers.expect("it is heard").into_inner();
                while let Ok(Some(_)) = orders.message().await {}
            });
        }
        let next = vec![0; streams.len()];
        let mut reporter =
            Reporter { settings: settings.clone(), client: own, stores, streams, next, figure: 1 };
        for store in (0..).zip(reporter.stores.clone()) {
            be_heard(&mut reporter.client, settings, store).await;
        }
        let rounds = settings.regions.div_ceil(settings.stores * REGIONS_MAX);
        for _ in 0..rounds {
            for store in 0..settings.stores {
                reporter.tell(store).await;
            }
        }
        reporter
    }

    /// Reports at the pace that is set, for ever.
    pub(super) async fn run(mut self, dial: Arc<Dial>) {
        let hearing = hearing(self.client.clone(), self.settings.clone(), self.stores.clone());
        // Neither ends by itself; a panic of one is the end of both.
        tokio::join!(hearing, self.tell_all(dial));
    }

    async fn tell_all(&mut self, dial: Arc<Dial>) {
        let (mut at, mut owed, mut last) = (0, 0.0, Instant::now());
        loop {
            tokio::time::sleep(PACE).await;
            let per_second = dial.per_second.load(Ordering::Relaxed);
            owed += last.elapsed().as_secs_f64() * per_second as f64;
            last = Instant::now();
            // What could not be told in a second is not made up for.
            owed = owed.min(per_second as f64);
            while owed >= REGIONS_MAX as f64 {
                let told = self.tell(at).await;
                owed -= told as f64;
                dial.told.fetch_add(told, Ordering::Relaxed);
                at = (at + 1) % self.settings.stores;
            }
        }
    }

    /// The next regions of a store; returns how many.
    async fn tell(&mut self, store: u64) -> u64 {
        let Settings { stores, regions, .. } = self.settings;
        let leads = regions / stores;
        let slot = usize::try_from(store).expect("few");
        let from = self.next[slot];
        let until = (from + REGIONS_MAX).min(leads);
        self.figure += u64::from(store == 0);
        self.next[slot] = if until == leads { 0 } else { until };
        let report = |nth: u64| {
            let region = region(&self.settings, &self.stores, nth * stores + store);
            v1::RegionReport {
                leader: Some(region.peers[0].into()),
                region: Some((&region).into()),
                term: 1,
                approximate_bytes: (64 << 20) + self.figure,
                approximate_keys: self.figure,
                ..v1::RegionReport::default()
            }
        };
        let message = v1::ReportRequest {
            cluster_id: CLUSTER,
            store_id: self.stores[slot].get(),
            regions: (from..until).map(report).collect(),
            ..v1::ReportRequest::default()
        };
        self.streams[slot].send(message).await.expect("placement listens");
        until - from
    }
}

/// Lets the stores be heard of in turn, for ever: beside the reports, which do not wait for it.
async fn hearing(mut client: PlacementClient<Channel>, settings: Settings, stores: Vec<StoreId>) {
    let mut pace = tokio::time::interval(HEARD_EVERY.div_f64(stores.len() as f64));
    for store in (0..).zip(&stores).cycle().map(|(at, &store)| (at, store)) {
        pace.tick().await;
        be_heard(&mut client, &settings, store).await;
    }
}

async fn be_heard(
    client: &mut PlacementClient<Channel>,
    settings: &Settings,
    (at, store): (u64, StoreId),
) {
    let stats = v1::StoreStats {
        capacity_bytes: 4 << 40,
        available_bytes: 3 << 40,
        leaders: settings.regions / settings.stores,
        ..v1::StoreStats::default()
    };
    let heartbeat = v1::StoreHeartbeatRequest {
        cluster_id: CLUSTER,
        store_id: store.get(),
        address: address(at),
        version: "1".to_owned(),
        stats: Some(stats),
        // It has the newest book: this is of no interest here.
        book_version: u64::MAX,
        ..v1::StoreHeartbeatRequest::default()
    };
    client.store_heartbeat(heartbeat).await.expect("it is heard");
}

async fn join(client: &mut PlacementClient<Channel>, at: u64) -> StoreId {
    let request = v1::JoinRequest {
        cluster_id: CLUSTER,
        nonce: at,
        address: address(at),
        version: "1".to_owned(),
        ..v1::JoinRequest::default()
    };
    let answer = client.join(request).await.expect("it joins").into_inner();
    StoreId::new(answer.store_id).expect("not zero")
}

fn address(at: u64) -> String {
    format!("store-{at}:1")
}
