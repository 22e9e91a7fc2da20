//! The stream of reports: everything when it begins, and then what changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::crib::placement::v1::placement_client::PlacementClient;
use proto::crib::placement::v1::{Order, RegionReport, ReportRequest, ReportResponse};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::waiting::Waiting;
use super::{Link, PAUSE};

/// Regions in one message.
const REGIONS_MAX: usize = 256;
/// Messages that wait for the network.
const MESSAGES_MAX: usize = 8;
/// What is not urgent waits for more, for so long.
const GATHER: Duration = Duration::from_secs(1);
/// How long a stream may take to begin.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

/// Tells, until the runtime ends.
pub(super) async fn run(link: Arc<Link>, orders: mpsc::Sender<Order>) {
    let mut waiting = Waiting::default();
    loop {
        let why = match link.finder.get().await {
            Ok(leader) => {
                if waiting.is_over() {
                    tracing::info!(address = leader.address(), "placement is led again");
                }
                let told = tell(&link, leader.channel(), &orders).await;
                link.finder.lose(&leader).await;
                told.err().unwrap_or_default()
            }
            Err(why) => {
                let why = why.to_string();
                if waiting.failed(&why) {
                    tracing::warn!(why, "waiting for placement: nothing is planned meanwhile");
                }
                why
            }
        };
        tracing::debug!(why, "reports begin anew");
        sleep(PAUSE).await;
    }
}

async fn tell(
    link: &Arc<Link>,
    channel: Channel,
    orders: &mpsc::Sender<Order>,
) -> Result<(), String> {
    let (send, messages) = mpsc::channel(MESSAGES_MAX);
    // The first message has to be there, or the other side does not answer.
    let whole: Vec<RegionReport> = {
        let mut told = link.told.lock();
        told.changed.clear();
        told.is_urgent = false;
        told.all.values().cloned().collect()
    };
    let mut client = PlacementClient::new(channel);
    let sender = send.clone();
    let me = (link.me.cluster.get(), link.me.store.get());
    let first = tokio::spawn(async move {
        let mut chunks = whole.chunks(REGIONS_MAX).peekable();
        if chunks.peek().is_none() {
            let _ = sender.send(message(me, Vec::new(), true, true)).await;
        }
        while let Some(chunk) = chunks.next() {
            let is_end = chunks.peek().is_none();
            if sender.send(message(me, chunk.to_vec(), true, is_end)).await.is_err() {
                return;
            }
        }
    });
    let opened = timeout(OPEN_TIMEOUT, client.report(ReceiverStream::new(messages))).await;
    let answers = opened
        .map_err(|_elapsed| "placement does not take reports in time".to_owned())?
        .map_err(|status| status.message().to_owned())?
        .into_inner();
    let told = follow(link, send, first);
    tokio::select! {
        ended = told => ended,
        ended = take(answers, orders) => ended,
    }
}

/// Sends what changes, behind the first telling.
async fn follow(
    link: &Arc<Link>,
    send: mpsc::Sender<ReportRequest>,
    first: tokio::task::JoinHandle<()>,
) -> Result<(), String> {
    first.await.map_err(|why| why.to_string())?;
    let me = (link.me.cluster.get(), link.me.store.get());
    loop {
        // Whichever comes first; what is not urgent goes with the next second.
        let _ = timeout(GATHER, link.news.notified()).await;
        let changed: Vec<RegionReport> = {
            let mut told = link.told.lock();
            told.is_urgent = false;
            let changed: BTreeSet<_> = std::mem::take(&mut told.changed);
            changed.iter().filter_map(|id| told.all.get(id).cloned()).collect()
        };
        for chunk in changed.chunks(REGIONS_MAX) {
            let sent = send.send(message(me, chunk.to_vec(), false, false)).await;
            sent.map_err(|_closed| "the stream has ended".to_owned())?;
        }
    }
}

/// Hands on orders.
async fn take(
    mut answers: Streaming<ReportResponse>,
    orders: &mpsc::Sender<Order>,
) -> Result<(), String> {
    loop {
        let answer = answers.message().await.map_err(|status| status.message().to_owned())?;
        let Some(answer) = answer else { return Err("placement ended the stream".to_owned()) };
        for order in answer.orders {
            if orders.try_send(order).is_err() {
                tracing::warn!("an order was dropped: too many wait");
            }
        }
    }
}

fn message(
    (cluster_id, store_id): (u64, u64),
    regions: Vec<RegionReport>,
    is_whole: bool,
    is_whole_end: bool,
) -> ReportRequest {
    ReportRequest { cluster_id, store_id, regions, is_whole, is_whole_end }
}
