//! The thinnest path that a put can take, as a contender: its three processes, and a client that
//! does nothing but ask.
//!
//! Its callers are those of the others. The client shares connections as ours does and sends the
//! same messages; it finds no regions, tries nothing again and sets no time-outs. What a put costs
//! here is a bound for ours.

use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use load::{Callee, Failed, Target};
use proto::kvrpcpb::{Context, RawPutRequest};
use proto::metapb::{Peer, RegionEpoch};
use proto::tikvpb::BatchCommandsRequest;
use proto::tikvpb::batch_commands_request::Request;
use proto::tikvpb::batch_commands_request::request::Cmd;
use proto::tikvpb::tikv_client::TikvClient;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::nodes::{self, Node};
use super::{Result, Settings};

/// Callers of a connection, and connections that there are: as our client has them.
const SHARE: usize = 32;
const CONNECTIONS: usize = 4;
/// How long each process may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);
/// Puts of a connection that wait for a message, at most.
const WAITING_MAX: usize = 1_024;

/// One leader and two followers.
pub struct Floor {
    /// Their processes.
    pub nodes: Vec<Node>,
    leader: String,
}

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a call for each put.
    Unary,
    /// Through a stream on each connection.
    Batched,
}

/// A put that goes on a stream, and who waits for it.
type Queued = (RawPutRequest, oneshot::Sender<()>);

/// One connection.
enum Lane {
    Calls(TikvClient<Channel>),
    Stream(mpsc::Sender<Queued>),
}

struct Client {
    lanes: Vec<Lane>,
    /// What a region is named by; nobody looks.
    context: Context,
}

impl Floor {
    /// Starts it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(
        settings: &Settings,
        binary: &Path,
        dir: &Path,
        runtime: &Handle,
    ) -> Result<Floor> {
        std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let addresses = nodes::free_addresses(3)?;
        let [one, other, leader] = &addresses[..] else { unreachable!("three were asked for") };
        let cannot = |error: std::io::Error| format!("cannot wait for a process: {error}");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).map_err(cannot)?;
        let waits = listener.local_addr().map_err(cannot)?.to_string();
        let start = |name: &str, role: &str, at: &str, followers: &[&str]| {
            let (binary, data) = (binary.display().to_string(), dir.join(name));
            let data = data.display().to_string();
            let mut command = vec![binary.as_str(), role, &waits, at, &data];
            command.extend(followers);
            let command: Vec<String> = command.into_iter().map(str::to_owned).collect();
            let log = dir.join(format!("{name}.log"));
            let mut node = Node::start(&settings.under, &command, log)?;
            let listens = runtime.block_on(async { timeout(PATIENCE, listener.accept()).await });
            nodes::check_alive(std::slice::from_mut(&mut node))?;
            listens.map_err(|_late| format!("{name} does not listen"))?.map_err(cannot)?;
            Ok::<Node, String>(node)
        };
        let nodes = vec![
            start("follower1", "follow", one, &[])?,
            start("follower2", "follow", other, &[])?,
            start("leader", "lead", leader, &[one, other])?,
        ];
        Ok(Floor { nodes, leader: leader.clone() })
    }

    /// Who asks it so.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn client(&self, runtime: &Handle, way: Way) -> Result<Target> {
        let connected = runtime.spawn(connect(self.leader.clone(), way));
        let client = runtime.block_on(connected).map_err(|error| error.to_string())??;
        Ok(Target::Callee(Arc::new(client)))
    }

    /// Complains if one of the three has ended.
    ///
    /// # Errors
    /// With what it said last.
    pub fn check_well(&mut self) -> Result<()> {
        nodes::check_alive(&mut self.nodes)
    }
}

async fn connect(address: String, way: Way) -> Result<Client> {
    let url = format!("http://{address}");
    let endpoint = Endpoint::from_shared(url).map_err(|error| error.to_string())?;
    let endpoint = endpoint.tcp_nodelay(true);
    let mut lanes = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
        let client = TikvClient::new(channel);
        lanes.push(match way {
            Way::Unary => Lane::Calls(client),
            Way::Batched => Lane::Stream(stream(client).await.map_err(|status| describe(&status))?),
        });
    }
    let epoch = RegionEpoch { conf_ver: 5, version: 1 };
    let peer = Peer { id: 4, store_id: 1, ..Peer::default() };
    let context =
        Context { region_id: 2, region_epoch: Some(epoch), peer: Some(peer), ..Context::default() };
    Ok(Client { lanes, context })
}

/// Opens a stream: what is ready goes in one message.
async fn stream(
    mut client: TikvClient<Channel>,
) -> std::result::Result<mpsc::Sender<Queued>, Status> {
    let (queue, mut queued) = mpsc::channel::<Queued>(WAITING_MAX);
    let (messages, outgoing) = mpsc::channel(1);
    let mut answers = client.batch_commands(ReceiverStream::new(outgoing)).await?.into_inner();
    let waiting = Arc::new(Mutex::new(HashMap::new()));
    let asked = Arc::clone(&waiting);
    tokio::spawn(async move {
        let mut number = 0;
        while let Some(first) = queued.recv().await {
            tokio::task::yield_now().await;
            let mut message = BatchCommandsRequest::default();
            let mut waiting = asked.lock().await;
            let mut next = Some(first);
            while let Some((put, answer)) = next {
                number += 1;
                waiting.insert(number, answer);
                message.requests.push(Request { cmd: Some(Cmd::RawPut(put)) });
                message.request_ids.push(number);
                next = queued.try_recv().ok();
            }
            drop(waiting);
            if messages.send(message).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok(Some(message)) = answers.message().await {
            let mut waiting = waiting.lock().await;
            for number in message.request_ids {
                // Callers may be gone.
                let _gone = waiting.remove(&number).map(|answer| answer.send(()));
            }
        }
        // Whoever waits learns that it ended.
        waiting.lock().await.clear();
    });
    Ok(queue)
}

impl Callee for Client {
    fn put(
        &self,
        caller: usize,
        key: Bytes,
        value: Bytes,
    ) -> Pin<Box<dyn Future<Output = load::Result<()>> + Send + '_>> {
        let context = Some(self.context.clone());
        let put = RawPutRequest { context, key, value, ..RawPutRequest::default() };
        let failed = |why: String| Failed { kind: "refused", why };
        Box::pin(async move {
            match &self.lanes[caller / SHARE % self.lanes.len()] {
                Lane::Calls(client) => {
                    let called = client.clone().raw_put(put).await;
                    called.map(drop).map_err(|status| failed(describe(&status)))
                }
                Lane::Stream(queue) => {
                    let (answer, answered) = oneshot::channel();
                    let ended = || failed("the stream ended".to_owned());
                    queue.send((put, answer)).await.map_err(|_ended| ended())?;
                    answered.await.map_err(|_ended| ended())
                }
            }
        })
    }
}

fn describe(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
