//! The stores' side of placement: they join, are heard of every few seconds, and report regions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proto::crib::placement::v1;
use proto::crib::placement::v1::placement_client::PlacementClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::Settings;
use super::cluster::region;
use super::member::CLUSTER;

/// Regions of one message, as stores send them.
const REGIONS_MAX: u64 = 250;
/// Messages of a store that wait for the network.
const WAITING_MAX: usize = 4;
/// How often each store is heard of.
const HEARD_EVERY: Duration = Duration::from_secs(4);
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
    client: PlacementClient<Channel>,
    streams: Vec<mpsc::Sender<v1::ReportRequest>>,
    /// By store, which of the regions that it leads is next, and the figure that they tell.
    next: Vec<u64>,
    figure: u64,
}

impl Reporter {
    /// Lets all stores join, and report all that they lead.
    pub(super) async fn start(settings: &Settings, channel: Channel) -> Reporter {
        let mut client = PlacementClient::new(channel).max_encoding_message_size(16 << 20);
        let mut streams = Vec::new();
        for at in 0..settings.stores {
            if at > 0 {
                join(&mut client, at).await;
            }
            let (sender, messages) = mpsc::channel(WAITING_MAX);
            streams.push(sender);
            let mut client = client.clone();
            tokio::spawn(async move {
                let answers = client.report(ReceiverStream::new(messages)).await;
                let mut orders = answers.expect("it is heard").into_inner();
                while let Ok(Some(_)) = orders.message().await {}
            });
        }
        let next = vec![0; streams.len()];
        let mut reporter =
            Reporter { settings: settings.clone(), client, streams, next, figure: 1 };
        reporter.be_heard().await;
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
        let (mut at, mut owed, mut heard) = (0, 0.0, Instant::now());
        let mut last = Instant::now();
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
            if heard.elapsed() >= HEARD_EVERY {
                heard = Instant::now();
                self.be_heard().await;
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
            let region = region(&self.settings, nth * stores + store);
            v1::RegionReport {
                leader: Some(region.peers[0].into()),
                region: Some((&region).into()),
                term: 1,
                approximate_bytes: 64 << 20,
                approximate_keys: self.figure,
                ..v1::RegionReport::default()
            }
        };
        let message = v1::ReportRequest {
            cluster_id: CLUSTER,
            store_id: store + 1,
            regions: (from..until).map(report).collect(),
            ..v1::ReportRequest::default()
        };
        self.streams[slot].send(message).await.expect("placement listens");
        until - from
    }

    async fn be_heard(&mut self) {
        for store in 0..self.settings.stores {
            let leaders = self.settings.regions / self.settings.stores;
            let stats = v1::StoreStats {
                capacity_bytes: 4 << 40,
                available_bytes: 3 << 40,
                leaders,
                ..v1::StoreStats::default()
            };
            let heartbeat = v1::StoreHeartbeatRequest {
                cluster_id: CLUSTER,
                store_id: store + 1,
                address: address(store),
                version: "1".to_owned(),
                stats: Some(stats),
                // It has the newest book: this is of no interest here.
                book_version: u64::MAX,
                ..v1::StoreHeartbeatRequest::default()
            };
            self.client.store_heartbeat(heartbeat).await.expect("it is heard");
        }
    }
}

async fn join(client: &mut PlacementClient<Channel>, at: u64) {
    let request = v1::JoinRequest {
        cluster_id: CLUSTER,
        nonce: at,
        address: address(at),
        version: "1".to_owned(),
        ..v1::JoinRequest::default()
    };
    client.join(request).await.expect("it joins");
}

fn address(at: u64) -> String {
    format!("store-{at}:1")
}
