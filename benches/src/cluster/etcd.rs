//! The peer: three nodes of etcd with default settings, asked over tonic as ours are.
//!
//! Its calls are written down here, field by field: two requests do not make a client necessary,
//! and both sides then pay for the same stack.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::nodes::{self, Node};
use super::{Result, Settings};

/// Connections of all callers together: one alone is a bottleneck, and so is one for each.
const CONNECTIONS: usize = 16;
/// How long a call may take.
const CALL_MAX: Duration = Duration::from_secs(10);
/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// What is in an answer that nobody reads is skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// Three nodes.
pub struct Etcd {
    /// Their processes.
    pub nodes: Vec<Node>,
    addresses: Vec<String>,
}

/// Connections that callers share.
#[derive(Clone)]
pub struct Connections(Vec<Channel>);

impl Etcd {
    /// Starts a cluster in this directory, and waits until it has a leader.
    ///
    /// # Errors
    /// If it does not get one.
    pub fn start(settings: &Settings, binary: &Path, dir: &Path, runtime: &Handle) -> Result<Etcd> {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let addresses = nodes::free_addresses(6)?;
        let (clients, peers) = addresses.split_at(3);
        let all: Vec<String> =
            peers.iter().enumerate().map(|(nth, peer)| format!("n{nth}=http://{peer}")).collect();
        let (binary, all) = (binary.display().to_string(), all.join(","));
        let node = |nth: usize| {
            let name = format!("n{nth}");
            let here = format!("http://{}", clients[nth]);
            let peer = format!("http://{}", peers[nth]);
            let data = dir.join(&name).display().to_string();
            let words: [&str; 15] = [
                &binary,
                "--name",
                &name,
                "--data-dir",
                &data,
                "--listen-client-urls",
                &here,
                "--advertise-client-urls",
                &here,
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
                "--initial-cluster",
                &all,
            ];
            let command = words.map(str::to_owned);
            Node::start(&settings.under, &command, dir.join(format!("{name}.log")))
        };
        let nodes = (0..3).map(node).collect::<Result<_>>()?;
        let mut etcd = Etcd { nodes, addresses: clients.to_vec() };
        let until = Instant::now() + PATIENCE;
        while let Err(why) = etcd.leader(runtime).map(drop) {
            if Instant::now() > until {
                return Err(format!("etcd did not begin: {why}"));
            }
            nodes::check_alive(&mut etcd.nodes)?;
            std::thread::sleep(POLL);
        }
        Ok(etcd)
    }

    /// Connections to all nodes in turn.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn spread(&self, runtime: &Handle) -> Result<Connections> {
        let to = |nth: usize| connect(runtime, &self.addresses[nth % self.addresses.len()]);
        (0..CONNECTIONS).map(to).collect::<Result<_>>().map(Connections)
    }

    /// Connections to the leader alone.
    ///
    /// # Errors
    /// If there is none.
    pub fn direct(&self, runtime: &Handle) -> Result<Connections> {
        let leader = self.leader(runtime)?;
        (0..CONNECTIONS).map(|_| connect(runtime, leader)).collect::<Result<_>>().map(Connections)
    }

    /// Complains if the cluster is not well: each node must answer, and know who leads.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check_well(&mut self, runtime: &Handle) -> Result<()> {
        nodes::check_alive(&mut self.nodes)?;
        self.leader(runtime).map(drop)
    }

    fn leader(&self, runtime: &Handle) -> Result<&str> {
        let mut leader = None;
        for address in &self.addresses {
            let channel = connect(runtime, address)?;
            let path = "/etcdserverpb.Maintenance/Status";
            let status: StatusResponse =
                runtime.block_on(call(&channel, path, StatusRequest::default()))?;
            let member = status.header.map_or(0, |header| header.member_id);
            if status.leader == 0 {
                return Err(format!("{address} knows no leader"));
            }
            if status.leader == member {
                leader = Some(address.as_str());
            }
        }
        leader.ok_or_else(|| "no node leads".to_owned())
    }
}

impl Connections {
    /// Sets a key.
    ///
    /// # Errors
    /// What the node says.
    pub async fn put(&self, caller: usize, key: Bytes, value: Bytes) -> Result<()> {
        let request = PutRequest { key, value };
        let _: PutResponse = call(self.of(caller), "/etcdserverpb.KV/Put", request).await?;
        Ok(())
    }

    /// Reads a key; linearizable, which is its default.
    ///
    /// # Errors
    /// What the node says.
    pub async fn get(&self, caller: usize, key: Bytes) -> Result<Option<Bytes>> {
        let request = RangeRequest { key };
        let path = "/etcdserverpb.KV/Range";
        let found: RangeResponse = call(self.of(caller), path, request).await?;
        Ok(found.kvs.into_iter().next().map(|pair| pair.value))
    }

    fn of(&self, caller: usize) -> &Channel {
        &self.0[caller % self.0.len()]
    }
}

fn connect(runtime: &Handle, address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| error.to_string())?
        .tcp_nodelay(true)
        .timeout(CALL_MAX);
    runtime.block_on(endpoint.connect()).map_err(|error| format!("{address}: {error}"))
}

async fn call<Ask, Answer>(channel: &Channel, path: &'static str, ask: Ask) -> Result<Answer>
where
    Ask: prost::Message + 'static,
    Answer: prost::Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| error.to_string())?;
    let codec = ProstCodec::<Ask, Answer>::default();
    let request = tonic::Request::new(ask);
    let answer = grpc.unary(request, PathAndQuery::from_static(path), codec).await;
    answer.map(tonic::Response::into_inner).map_err(|status| status.to_string())
}
