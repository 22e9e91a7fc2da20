//! The task of a lane: dials its store, keeps a stream open, tries again when that ends.
//!
//! The address is asked for anew at each attempt, since a store may come back elsewhere.

use std::sync::Arc;
use std::time::Duration;

use multiraft::Inbox;
use proto::crib::raft::v1;
use proto::crib::raft::v1::peers_client::PeersClient;
use tokio::time::{self, Instant};
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use tracing::{debug, info, warn};

use crate::Resolver;
use crate::backoff::Backoff;
use crate::config::Config;
use crate::hello::{Me, OTHER_DISK};
use crate::lane::{Kind, Lane};
use crate::tls::in_full;

/// What an answer may have: a `Hello`.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Bytes under way on a stream before the receiver has taken them.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes under way on a connection.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// Guards a connection against a peer that makes us reset streams for ever.
pub(crate) const LOCAL_RESETS_MAX: usize = 1_024;

/// Bytes of the headers of a call.
pub(crate) const HEADER_BYTES_MAX: u32 = 16 << 10;

/// What the lanes of a network share.
pub(crate) struct Dialer {
    pub(crate) me: Me,
    pub(crate) config: Config,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) inbox: Arc<dyn Inbox>,
}

impl Dialer {
    /// Tells the store what a lane has lost, for ever.
    pub(crate) async fn tell_lost(self: Arc<Dialer>, lane: Arc<Lane>) {
        loop {
            lane.lost().await;
            self.inbox.lost(lane.to);
        }
    }

    /// Keeps a lane going, for ever.
    pub(crate) async fn run(self: Arc<Dialer>, lane: Arc<Lane>) {
        let mut backoff = Backoff::new(self.config.backoff_min, self.config.backoff_max);
        loop {
            lane.filled().await;
            let mut opened = None;
            let problem = self.dial(&lane, &mut opened).await;
            // One that accepts and closes at once is not dialed in a loop.
            if opened.is_some_and(|at| at.elapsed() >= self.config.backoff_max) {
                backoff.reset();
            }
            if opened.is_some() {
                warn!(store = %lane.to, lane = ?lane.kind, %problem, "stream to store broke");
            } else if lane.problem().is_none_or(|last| last.why != problem) {
                // Said once while it stays the same.
                warn!(store = %lane.to, lane = ?lane.kind, %problem, "store not reached");
            } else {
                debug!(store = %lane.to, lane = ?lane.kind, %problem, "store not reached");
            }
            lane.broke(problem);
            tokio::select! {
                () = time::sleep(backoff.wait()) => {}
                () = lane.hurried() => {}
            }
        }
    }

    /// One attempt, and the stream that came of it, to its end. Returns why it ended.
    async fn dial(&self, lane: &Arc<Lane>, opened: &mut Option<Instant>) -> String {
        let Some(address) = self.resolver.address(lane.to) else {
            return format!("no address of {} is known", lane.to);
        };
        let mut answers = match self.shake_hands(lane, &address).await {
            Ok(answers) => answers,
            Err(why) => return format!("{} at {address}: {why}", lane.to),
        };
        *opened = Some(Instant::now());
        lane.open();
        info!(store = %lane.to, lane = ?lane.kind, address, "stream to store opened");
        // Nothing more is said on this side but why it is closed.
        let why = match answers.message().await {
            Ok(Some(_)) => "it answers where it should only listen".to_owned(),
            Ok(None) => "closed by the other end".to_owned(),
            Err(status) => describe(&status),
        };
        format!("{} at {address}: {why}", lane.to)
    }

    /// A stream on which both ends have said `Hello`.
    async fn shake_hands(
        &self,
        lane: &Arc<Lane>,
        address: &str,
    ) -> Result<Streaming<v1::Bundle>, String> {
        let endpoint = self.endpoint(address)?;
        let wait = self.config.handshake_timeout;
        // Opening and the agreement on keys have a bound each; this one is for both.
        let channel = within(wait.saturating_mul(2), "no connection", endpoint.connect())
            .await?
            .map_err(|error| in_full(&error))?;
        let mut answers = within(wait, "no answer", self.call(lane, channel))
            .await?
            .map_err(|status| self.refused(lane, &status))?;
        let first = within(wait, "no hello", answers.message())
            .await?
            .map_err(|status| describe(&status))?;
        let (from, disk) =
            self.me.check(first, Some(lane.to)).map_err(|status| status.message().to_owned())?;
        self.resolver.admits(from, disk).map_err(|not| not.why().to_owned())?;
        Ok(answers)
    }

    /// Why the other end does not take the stream.
    fn refused(&self, lane: &Lane, status: &Status) -> String {
        if status.code() == OTHER_DISK {
            self.resolver.disowned(lane.to, status.message());
        }
        describe(status)
    }

    async fn call(
        &self,
        lane: &Arc<Lane>,
        channel: Channel,
    ) -> Result<Streaming<v1::Bundle>, Status> {
        let mut client = PeersClient::new(channel)
            .max_decoding_message_size(ANSWER_BYTES_MAX)
            .max_encoding_message_size(self.config.wire_bytes_max());
        let outgoing = lane.outgoing(self.me.hello(lane.to));
        let response = match lane.kind {
            Kind::Messages => client.talk(outgoing).await?,
            Kind::Snapshots => client.snapshots(outgoing).await?,
        };
        Ok(response.into_inner())
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, String> {
        let scheme = if self.config.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .map_err(|error| format!("no host:port: {}", in_full(&error)))?
            .connect_timeout(self.config.handshake_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(self.config.keepalive_interval)
            .keep_alive_timeout(self.config.keepalive_timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .http2_max_local_error_reset_streams(LOCAL_RESETS_MAX);
        match &self.config.tls {
            Some(tls) => endpoint.tls_config(tls.client()).map_err(|error| in_full(&error)),
            None => Ok(endpoint),
        }
    }
}

async fn within<T>(
    wait: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> Result<T, String> {
    time::timeout(wait, future).await.map_err(|_elapsed| format!("{what} within {wait:?}"))
}

fn describe(status: &Status) -> String {
    in_full(status)
}
