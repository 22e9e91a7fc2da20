//! Connections of the second port, within their limits.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::debug;

use crate::config;
use crate::run::Shutdown;

/// Headers of one request.
const HEADERS_MAX: usize = 64;
/// How long answers that are under way may take when the node stops.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait when the system has no more sockets for us.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` says stop, and then what is under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: config::Http,
    shutdown: Shutdown,
) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    loop {
        // Whoever comes while all slots are taken waits in the queue of the system.
        let accepted = tokio::select! {
            () = shutdown.wait() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, slot)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let work = connection(stream, router.clone(), limits.clone(), shutdown.clone());
        connections.spawn(async move {
            work.await;
            drop(slot);
        });
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // What takes longer is cut off when the set is dropped.
    let _ = tokio::time::timeout(GRACE, all).await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            debug!(%error, "http connection not accepted");
            None
        }
    }
}

async fn connection(stream: TcpStream, router: Router, limits: config::Http, shutdown: Shutdown) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_timeout.get())
        .max_buf_size(limits.header_size_max.as_usize())
        .max_headers(HEADERS_MAX);
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%error, "http connection ended");
                }
                return;
            }
            () = shutdown.wait(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
