//! A network from its start to its end.
//!
//! ```text
//! bind      settings checked, port taken; parcels wait
//! serve     the store is there: parcels are sent and delivered
//! shutdown  connections are cut; what waited is dropped
//! ```
//!
//! Everything happens on the network's own threads, [`Config::threads`] of them. Stores need one:
//! their streams are batched, and more threads cost more processor time for each message. Services
//! that are called by many clients need more.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use multiraft::{Inbox, Transport};
use proto::crib::raft::v1::{self, peers_server::PeersServer};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tracing::error;
use types::{ClusterId, StoreId};

use crate::Resolver;
use crate::accept::accept;
use crate::config::{BadConfig, Config};
use crate::dial::{
    CONNECTION_WINDOW_BYTES, Dialer, HEADER_BYTES_MAX, LOCAL_RESETS_MAX, STREAM_WINDOW_BYTES,
};
use crate::hello::Me;
use crate::links::{Links, Unreached};
use crate::serve::Service;
use crate::tls::Certificates;

/// Streams that a peer opened and reset before they were looked at.
const PENDING_RESETS_MAX: usize = 20;

/// How long the end of a network waits for what cannot be cut short.
const STOP_MAX: Duration = Duration::from_millis(500);

/// A network of one store. Dropping it ends it.
pub struct Network {
    me: Me,
    config: Config,
    resolver: Arc<dyn Resolver>,
    links: Arc<Links>,
    address: SocketAddr,
    stage: Stage,
}

/// What a network counts, and whom it does not reach.
#[derive(Clone)]
pub struct Traffic(Arc<Links>);

impl Traffic {
    /// Messages and snapshot frames to other stores that were dropped since it was bound, as more
    /// waited than may.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// The stores that are not reached, though there is something to send to them. In no order.
    #[must_use]
    pub fn unreached(&self) -> Vec<Unreached> {
        self.0.unreached()
    }
}

enum Stage {
    Bound(Box<Bound>),
    Serving { stop: oneshot::Sender<()>, thread: JoinHandle<()> },
    Stopped,
}

struct Bound {
    runtime: Runtime,
    listener: TcpListener,
}

/// Why a network was not started. Nothing is left behind.
#[derive(Debug)]
pub enum StartError {
    /// Settings are out of bounds; all of them are named.
    Config(Vec<BadConfig>),
    /// The address cannot be listened on: no such address, taken, or forbidden.
    Listen {
        /// The address, as it was set.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// The system gives no thread, or no means to wait for sockets.
    System(io::Error),
}

impl Network {
    /// Takes the port. Parcels that are sent wait, within their bounds, for [`Network::serve`].
    ///
    /// # Errors
    /// If a setting or the address is bad.
    pub fn bind(
        config: Config,
        identity: (ClusterId, StoreId),
        resolver: Arc<dyn Resolver>,
    ) -> Result<Network, StartError> {
        config.validate().map_err(StartError::Config)?;
        let agreed = config.agreed.iter().cloned();
        let agreed = agreed.map(|(name, value)| v1::Setting { name, value }).collect();
        let me = Me { cluster: identity.0, store: identity.1, agreed, disk: config.disk };
        let listen = |error| StartError::Listen { address: config.listen.clone(), error };
        let listener = TcpListener::bind(&config.listen).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let runtime = runtime(config.threads).map_err(StartError::System)?;
        let links = Arc::new(Links::new(me.store, &config));
        let stage = Stage::Bound(Box::new(Bound { runtime, listener }));
        Ok(Network { me, config, resolver, links, address, stage })
    }

    /// Sends what waited, and delivers what arrives from now on.
    ///
    /// # Errors
    /// If there is no thread. The network is stopped then.
    ///
    /// # Panics
    /// If it is served already.
    pub fn serve(&mut self, inbox: Arc<dyn Inbox>) -> Result<(), StartError> {
        self.serve_with(inbox, Routes::default())
    }

    /// As [`Network::serve`], with further services on the same port, the same threads and under
    /// the same limits on connections. HTTP/1 is spoken as well, for those that want it. What they
    /// do must not hold up a thread.
    ///
    /// # Errors
    /// As [`Network::serve`].
    ///
    /// # Panics
    /// As [`Network::serve`].
    pub fn serve_with(&mut self, inbox: Arc<dyn Inbox>, routes: Routes) -> Result<(), StartError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Stopped);
        let Stage::Bound(bound) = stage else { panic!("a network is served once") };
        let Bound { runtime, listener } = *bound;
        let dialer = Arc::new(Dialer {
            me: self.me.clone(),
            config: self.config.clone(),
            resolver: Arc::clone(&self.resolver),
            inbox: Arc::clone(&inbox),
        });
        let service = Service {
            me: self.me.clone(),
            limits: self.config.limits.clone(),
            hello_timeout: self.config.handshake_timeout,
            inbox,
            links: Arc::clone(&self.links),
            resolver: Arc::clone(&self.resolver),
        };
        let served = Served {
            listener,
            server: server(&self.config),
            certificates: self.config.tls.clone(),
            peers: PeersServer::new(service)
                .max_decoding_message_size(self.config.wire_bytes_max())
                .max_encoding_message_size(HEADER_BYTES_MAX as usize),
            routes,
            connections_max: self.config.connections_max,
        };
        self.links.serve(runtime.handle(), dialer);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("transport".to_owned())
            .spawn(move || {
                runtime.block_on(served.run(stopped));
                // Until nothing runs any more, but for the look-up of a name that may hang.
                runtime.shutdown_timeout(STOP_MAX);
            })
            .map_err(StartError::System);
        match thread {
            Ok(thread) => self.stage = Stage::Serving { stop, thread },
            Err(error) => {
                self.links.stop();
                return Err(error);
            }
        }
        Ok(())
    }

    /// [`Network::bind`] and [`Network::serve`], where the store does not need the network first.
    ///
    /// # Errors
    /// As [`Network::bind`].
    pub fn start(
        config: Config,
        identity: (ClusterId, StoreId),
        resolver: Arc<dyn Resolver>,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Network, StartError> {
        let mut network = Network::bind(config, identity, resolver)?;
        network.serve(inbox)?;
        Ok(network)
    }

    /// What to send with.
    #[must_use]
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.links) as Arc<dyn Transport>
    }

    /// What it counts and whom it does not reach, for as long as anybody looks.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic(Arc::clone(&self.links))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections. When it returns, nothing is delivered any more, and the inbox is no
    /// longer held.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.links.stop();
        match std::mem::replace(&mut self.stage, Stage::Stopped) {
            Stage::Bound(bound) => bound.runtime.shutdown_background(),
            Stage::Serving { stop, thread } => {
                // A thread that has ended already needs no sign.
                let _ = stop.send(());
                // If the last owner is something that the thread itself held, it must not wait.
                if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                    error!("the network's thread panicked");
                }
            }
            Stage::Stopped => {}
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.end();
    }
}

struct Served {
    listener: TcpListener,
    server: Server,
    certificates: Option<Arc<Certificates>>,
    peers: PeersServer<Service>,
    routes: Routes,
    connections_max: usize,
}

impl Served {
    async fn run(self, stopped: oneshot::Receiver<()>) {
        let Served { listener, mut server, certificates, peers, routes, connections_max } = self;
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                error!(%error, "nothing is served");
                return;
            }
        };
        let (taken, connections) = mpsc::channel(1);
        tokio::spawn(accept(listener, certificates, connections_max, taken));
        let incoming = ReceiverStream::new(connections);
        tokio::select! {
            // Also when the network was dropped.
            _ = stopped => {}
            ended = server.add_routes(routes.add_service(peers)).serve_with_incoming(incoming) => {
                error!(?ended, "serving ended by itself");
            }
        }
    }
}

fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().thread_name("transport").build()
}

fn server(config: &Config) -> Server {
    Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(config.streams_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(config.keepalive_interval))
        .http2_keepalive_timeout(Some(config.keepalive_timeout))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(bad) => {
                write!(f, "settings of the network are out of bounds")?;
                bad.iter().try_for_each(|bad| write!(f, "; {} must be {}", bad.field, bad.must))
            }
            StartError::Listen { address, error } => match error.kind() {
                io::ErrorKind::AddrInUse => {
                    write!(f, "cannot listen on {address}: another process does")
                }
                _ => write!(f, "cannot listen on {address}: {error}"),
            },
            StartError::System(error) => write!(f, "no thread for the network: {error}"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StartError::Listen { error, .. } | StartError::System(error) => Some(error),
            StartError::Config(_) => None,
        }
    }
}
