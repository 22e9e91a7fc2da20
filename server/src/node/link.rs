//! The way to placement: who leads it, what it is told, what it orders.
//!
//! ```text
//!   endpoints ── GetMembers ─► placement's leader
//!   heartbeat ── every few seconds: how the store is ──► the address book, the store's state
//!   reports   ── one stream: all regions led from here, then what changes ──► orders
//! ```
//!
//! When the leader moves, or a connection breaks, it is looked for again, and the stream begins
//! with all regions anew. What waits to be told is kept once per region, so that it is bounded by
//! them. Orders that nobody takes are dropped: placement repeats what it still wants.

mod book;
mod heartbeat;
mod reporting;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use client::{Finder, Tls};
use parking_lot::Mutex;
use proto::crib::placement::v1::placement_client::PlacementClient;
use proto::crib::placement::v1::{
    AskSplitRequest, JoinRequest, JoinResponse, Label, Order, RegionReport, StoreState,
};
use proto::metapb;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use types::{ClusterId, GroupId, Region, StoreId};

use super::condition::Condition;

pub(crate) use book::Book;
use waiting::Waiting;

/// Orders that wait to be carried out.
const ORDERS_MAX: usize = 1_024;
/// How often a call is tried, with another leader or after a pause.
const TRIES: usize = 5;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What a store says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    pub(crate) cluster: ClusterId,
    pub(crate) store: StoreId,
    pub(crate) address: String,
    pub(crate) http_address: String,
    pub(crate) labels: Vec<Label>,
    pub(crate) version: String,
    /// How often the store was started.
    pub(crate) life: u64,
}

/// The link of one store. Its tasks end with the runtime they were started on.
pub(crate) struct Link {
    me: Me,
    finder: Finder,
    book: Arc<Book>,
    told: Mutex<Told>,
    news: Notify,
    /// A heartbeat is to be sent now.
    hurry: Notify,
    state: Mutex<StoreState>,
    /// Why placement refuses what this store says of itself, if it does.
    refusal: Mutex<Option<String>>,
}

/// What placement is to know.
#[derive(Default)]
struct Told {
    /// All regions that this store leads.
    all: BTreeMap<GroupId, RegionReport>,
    /// Those of which the leader has not heard since they changed.
    changed: BTreeSet<GroupId>,
    is_urgent: bool,
}

/// Asks to belong to a cluster, until somebody answers.
///
/// # Errors
/// If placement refuses for good.
pub(crate) async fn join(
    endpoints: Vec<String>,
    tls: Option<Tls>,
    request: JoinRequest,
) -> Result<JoinResponse, String> {
    let finder = finder(None, endpoints, tls);
    let mut waiting = Waiting::default();
    loop {
        let request = request.clone();
        let ask = |channel| async move { PlacementClient::new(channel).join(request).await };
        match call(&finder, ask).await {
            Ok(answer) => return Ok(answer),
            Err(Failed::Final(why)) => return Err(why),
            Err(Failed::Passing(why)) if waiting.failed(&why) => {
                tracing::warn!(why, "not joined yet: waiting for placement");
            }
            Err(Failed::Passing(_)) => {}
        }
        sleep(PAUSE * 5).await;
    }
}

fn finder(cluster: Option<ClusterId>, endpoints: Vec<String>, tls: Option<Tls>) -> Finder {
    let options = client::Options {
        tls,
        attempt_timeout: CALL_TIMEOUT,
        connect_timeout: CONNECT_TIMEOUT,
        ..client::Options::default()
    };
    Finder::new(cluster, endpoints, Arc::new(options))
}

/// Why a call to placement has no answer.
enum Failed {
    /// Asking again would be answered the same.
    Final(String),
    Passing(String),
}

impl Failed {
    fn why(self) -> String {
        match self {
            Failed::Final(why) | Failed::Passing(why) => why,
        }
    }
}

/// Calls placement's leader, once. If that may have been the wrong one, the next call looks for
/// another.
async fn call<T, F>(finder: &Finder, call: impl FnOnce(Channel) -> F) -> Result<T, Failed>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let leader = finder.get().await.map_err(|why| Failed::Passing(why.to_string()))?;
    let why = match timeout(CALL_TIMEOUT, call(leader.channel())).await {
        Ok(Ok(answer)) => return Ok(answer.into_inner()),
        Ok(Err(status)) if is_final(status.code()) => {
            return Err(Failed::Final(status.message().to_owned()));
        }
        Ok(Err(status)) => status.message().to_owned(),
        Err(_elapsed) => format!("no answer within {CALL_TIMEOUT:?}"),
    };
    finder.lose(&leader).await;
    Err(Failed::Passing(why))
}

/// Whether asking again would be answered the same.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::FailedPrecondition
            | Code::InvalidArgument
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::NotFound
    )
}

impl Link {
    /// A link; nothing runs yet. `endpoints` are some nodes of the cluster.
    pub(crate) fn new(
        me: Me,
        endpoints: Vec<String>,
        tls: Option<Tls>,
        book: Arc<Book>,
    ) -> Arc<Link> {
        let finder = finder(Some(me.cluster), endpoints, tls);
        finder.know(book.ways());
        Arc::new(Link {
            me,
            finder,
            book,
            told: Mutex::default(),
            news: Notify::new(),
            hurry: Notify::new(),
            state: Mutex::new(StoreState::Joining),
            refusal: Mutex::default(),
        })
    }

    /// Starts its tasks. Orders come through what is returned. `on_removed` is called, on a thread
    /// that may wait for a disk, if the cluster has removed this store.
    pub(crate) fn start(
        self: &Arc<Link>,
        heartbeat_every: Duration,
        look: impl Fn() -> Condition + Send + 'static,
        on_removed: impl FnOnce() + Send + 'static,
    ) -> mpsc::Receiver<Order> {
        let (send, orders) = mpsc::channel(ORDERS_MAX);
        tokio::spawn(heartbeat::run(Arc::clone(self), heartbeat_every, look, on_removed));
        tokio::spawn(reporting::run(Arc::clone(self), send));
        orders
    }

    /// How a region is that this store leads. Told soon, or at once.
    pub(crate) fn report(&self, id: GroupId, report: RegionReport, is_urgent: bool) {
        let mut told = self.told.lock();
        told.all.insert(id, report);
        told.changed.insert(id);
        told.is_urgent |= is_urgent;
        let wakes = told.is_urgent;
        drop(told);
        if wakes {
            self.news.notify_one();
        }
    }

    /// This store does not lead a region any more: whoever does tells.
    pub(crate) fn forget(&self, id: GroupId) {
        let mut told = self.told.lock();
        told.all.remove(&id);
        told.changed.remove(&id);
    }

    /// Tells placement how this store is without waiting for the next time.
    pub(crate) fn beat_now(&self) {
        self.hurry.notify_one();
    }

    /// Word of changes of the address book.
    pub(crate) fn book_news(&self) -> watch::Receiver<u64> {
        self.book.news()
    }

    /// The stores of placement's members, and where they are, as it said last.
    pub(crate) fn members(&self) -> Vec<(StoreId, String)> {
        self.book.members()
    }

    /// Placement said where stores are, and who holds its seats.
    async fn learn(&self, version: u64, stores: &[metapb::Store], seats: &[u64]) {
        if !self.book.learn(version, stores, seats) {
            return;
        }
        self.finder.know(self.book.ways());
        let book = Arc::clone(&self.book);
        // Written aside: a disk that stands still does not hold up heartbeats for longer than once.
        let _ = tokio::task::spawn_blocking(move || book.save()).await;
    }

    /// The store that leads placement, as it was found last.
    pub(crate) fn leader(&self) -> watch::Receiver<Option<u64>> {
        self.finder.member()
    }

    /// Why placement refuses what this store says of itself, if it does.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.refusal.lock().clone()
    }

    /// What placement takes this store for.
    pub(crate) fn state(&self) -> StoreState {
        *self.state.lock()
    }

    /// Asks placement's leader, once.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub(crate) async fn ask<T, F>(&self, ask: impl FnOnce(Channel) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        call(&self.finder, ask).await.map_err(Failed::why)
    }

    /// Ids for `count` new regions that a region is to be cut into, and for their peers.
    ///
    /// # Errors
    /// Why there are none, in words.
    pub(crate) async fn ask_split(
        &self,
        region: &Region,
        count: usize,
    ) -> Result<Vec<(u64, Vec<u64>)>, String> {
        let request = AskSplitRequest {
            cluster_id: self.me.cluster.get(),
            region: Some(region.into()),
            count: u32::try_from(count).map_err(|why| why.to_string())?,
        };
        let mut last = String::new();
        for _ in 0..TRIES {
            let request = request.clone();
            let ask =
                |channel| async move { PlacementClient::new(channel).ask_split(request).await };
            match call(&self.finder, ask).await {
                Ok(answer) => {
                    let regions = answer.regions.into_iter();
                    return Ok(regions.map(|new| (new.region_id, new.peer_ids)).collect());
                }
                Err(Failed::Final(why)) => return Err(why),
                Err(Failed::Passing(why)) => last = why,
            }
            sleep(PAUSE).await;
        }
        Err(last)
    }
}
