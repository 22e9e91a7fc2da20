//! One node: what a process of `crib server` is made of.
//!
//! ```text
//!            ┌───────────── gRPC port ─────────────┐        ┌ HTTP port ┐
//!   Peers    Tikv (service)      PD, Placement, Admin         health, metrics, JSON
//!     │        │                        │                         │
//!     │        ▼                        ▼                         ▼
//!     │      Data ── kv::Regions    placement::Driver         NodeSource
//!     ▼        │                        │
//!   multiraft::Store ◄──────────────────┘ (group 1, on founders)
//!     │
//!   RocksDB
//!
//!   link: heartbeats and reports to placement's leader, orders back ─► orders, splits
//! ```
//!
//! A node is born once (`birth`); afterwards its directory says which store it is. It begins with
//! what needs nobody (disk, groups, network), and only then looks for others; it ends in the
//! opposite order, with what it leads handed over first.

mod birth;
pub mod capacity;
mod certificates;
mod condition;
mod figures;
mod files;
pub mod founders;
mod hearsay;
pub mod identity;
mod link;
mod machines;
mod orders;
mod reports;
mod room;
mod source;
mod splits;
mod standings;
mod start;
mod stopping;
mod strays;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use kv::Edge;
use kv::split::SplitConfig;
use placement::Driver;
use tokio::sync::mpsc;
use tokio::time::timeout;
use types::ClusterId;

pub(crate) use self::identity::Identity;
use self::link::Link;
use self::reports::News;
pub(crate) use self::room::Room;
pub(crate) use self::standings::Standings;
use crate::config::Config;
use crate::errors::Failure;
use crate::http;
use crate::run::Shutdown;
use crate::service::Data;

/// How long the threads of a store that cannot go on may take to end.
const FAILED_STOP_MAX: Duration = Duration::from_secs(2);

/// What the tasks of a node share.
pub(crate) struct Parts {
    pub(crate) cluster: ClusterId,
    pub(crate) data: Arc<Data>,
    pub(crate) edge: Edge,
    pub(crate) split: SplitConfig,
    pub(crate) link: Arc<Link>,
    /// Placement: a member on founders, elsewhere one that only knows who leads.
    pub(crate) driver: Arc<Driver>,
    news: News,
    /// Leaders are to leave.
    is_stopping: AtomicBool,
}

/// Runs a node until `shutdown` says stop.
///
/// # Errors
/// Why the node could not start, or had to stop.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Failure> {
    // From here on a hang-up ends nothing.
    let hangups = certificates::hangups()?;
    let certificates = certificates::load(&config)?;
    // Ports first: whoever cannot listen leaves no trace.
    let http = start::listen_http(&config).await?;
    start::check_listen(&config.listen).await?;
    let starting = http::Starting::new("a cluster has to take this node in");
    if let Some(listener) = http {
        let mut registry = http::metrics::registry();
        registry.register_collector(Box::new(starting.clone()));
        let source: http::SharedSource = Arc::new(starting.clone());
        let router = http::router(source, Arc::new(registry), &config.http);
        let secure = http::Secure::of(config.http.tls, certificates.clone());
        let limits = config.http.clone();
        tokio::spawn(http::serve(listener, router, limits, secure, shutdown.clone()));
    }
    let every = config.tls.check_interval.get();
    let watch = tokio::spawn(certificates::watch(certificates.clone(), hangups, every));
    let tls = certificates::dialing(certificates.as_ref());
    let birth = tokio::select! {
        () = shutdown.wait() => return Ok(()),
        birth = birth::which(&config, tls) => birth?,
    };
    let (fatal, mut failed) = mpsc::channel(1);
    starting.waits_for("the data on the disk is opened");
    // It may read a large log.
    let running =
        tokio::task::block_in_place(|| start::start(&config, &birth, certificates.clone(), fatal))?;
    if let Some(founders) = &birth.founders {
        birth::found(&running.parts.data.handle, founders, birth.member.store).await?;
    }
    let mut tasks = running.spawn_tasks(&config, &birth).await;
    tasks.push(watch);
    starting.is_over(running.source(), Box::new(running.figures()));
    tracing::info!(
        cluster = birth.member.cluster.get(),
        store = birth.member.store.get(),
        grpc = config.address(),
        http = config.http_address(),
        "running"
    );
    let ended = tokio::select! {
        () = shutdown.wait() => Ok(()),
        Some(why) = failed.recv() => Err(why),
    };
    if ended.is_ok() {
        running.leave().await;
    }
    for task in tasks {
        task.abort();
    }
    match &ended {
        Ok(()) => running.stop().await,
        Err(_) => {
            // Nothing is acknowledged any more, so there is nothing to wait for; and a thread that
            // waits for a disk that hangs may do so for ever.
            if timeout(FAILED_STOP_MAX, running.stop()).await.is_err() {
                tracing::warn!("not stopped in time: ending at once");
            }
        }
    }
    ended
}
