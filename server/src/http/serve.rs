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
use tokio_io_timeout::TimeoutWriter;
use tracing::debug;
use transport::{Certificates, Port};

use crate::config::{self, HttpTls};
use crate::run::Shutdown;

/// Headers of one request.
const HEADERS_MAX: usize = 64;
/// How long answers that are under way may take when the node stops.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait when the system has no more sockets for us.
const PAUSE: Duration = Duration::from_millis(100);

/// Certificates for the port, and whether those who ask must have some.
#[derive(Clone, Debug)]
pub struct Secure {
    certificates: Arc<Certificates>,
    port: Port,
}

impl Secure {
    /// What the settings say; none for plain text.
    #[must_use]
    pub fn of(tls: HttpTls, certificates: Option<Arc<Certificates>>) -> Option<Secure> {
        let port = match tls {
            HttpTls::Mutual => Port::Http,
            HttpTls::Server => Port::HttpOpen,
            HttpTls::Off => return None,
        };
        certificates.map(|certificates| Secure { certificates, port })
    }
}

/// Serves until `shutdown` says stop, and then what is under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: config::Http,
    secure: Option<Secure>,
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
        let (router, limits) = (router.clone(), limits.clone());
        let (secure, shutdown) = (secure.clone(), shutdown.clone());
        connections.spawn(async move {
            let stream = match secure {
                Some(Secure { certificates, port }) => certificates.accept(stream, port).await,
                None => Some(Box::new(stream) as transport::Stream),
            };
            if let Some(stream) = stream {
                connection(stream, router, limits, shutdown).await;
            }
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

async fn connection(
    stream: transport::Stream,
    router: Router,
    limits: config::Http,
    shutdown: Shutdown,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_timeout.get())
        .max_buf_size(limits.header_size_max.as_usize())
        .max_headers(HEADERS_MAX);
    let service = TowerToHyperService::new(router);
    // Whoever does not read keeps a slot from others.
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(limits.request_timeout.get()));
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
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
