//! The peer: etcd, asked over the same stack as our own client.
//!
//! Its calls are written down in `wire`, field by field. A client library of its own would bring
//! another way to encode and to wait, and its build asks for `protoc`; so both sides pay for the
//! same, and what differs is the server.
//!
//! Not here: TLS, users, how its processes are started.

mod wire;

use std::time::Duration;

use bytes::Bytes;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use types::KeyRange;

use self::wire::{
    Compare, CompareTarget, Member, MemberListRequest, MemberListResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, StatusRequest, StatusResponse, TxnRequest, TxnResponse,
};
use crate::target::{Failed, Result};

/// Connections of all callers together: one alone is a bottleneck, and so is one for each.
const CONNECTIONS: usize = 16;
/// How long it may take to connect.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Writes in one transaction: more are refused by default.
const WRITES_MAX: usize = 128;

/// A cluster, by connections that callers share.
#[derive(Clone)]
pub struct Etcd {
    endpoints: Vec<String>,
    connections: Vec<Channel>,
    call_max: Duration,
}

/// What a cluster says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its voting members.
    pub members: usize,
    /// Versions of those that were asked, each once.
    pub versions: Vec<String>,
    /// The endpoint of those that were asked that leads, if one does.
    pub leader: Option<String>,
}

impl Etcd {
    /// Connects to all of these nodes, `host:port`, in turn. A call may take so long.
    ///
    /// # Errors
    /// If one of them cannot be reached: callers would be fewer than it is said.
    pub async fn connect(endpoints: &[String], call_max: Duration) -> Result<Etcd> {
        let endpoints: Vec<String> = endpoints.iter().map(|each| bare(each).to_owned()).collect();
        if endpoints.is_empty() {
            let why = "no endpoint was given".to_owned();
            return Err(Failed { kind: "not connected", why });
        }
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for nth in 0..CONNECTIONS.max(endpoints.len()) {
            connections.push(open(&endpoints[nth % endpoints.len()], call_max).await?);
        }
        Ok(Etcd { endpoints, connections, call_max })
    }

    /// The same cluster, by connections to its leader alone.
    ///
    /// # Errors
    /// If none leads.
    pub async fn direct(&self) -> Result<Etcd> {
        let leader = self.about().await?.leader;
        let none = || Failed { kind: "unhealthy", why: "no node leads".to_owned() };
        Etcd::connect(&[leader.ok_or_else(none)?], self.call_max).await
    }

    /// Asks every node, and complains if one does not answer or knows no leader.
    ///
    /// # Errors
    /// With what is wrong.
    pub async fn about(&self) -> Result<About> {
        let mut about = About { members: 0, versions: Vec::new(), leader: None };
        for (endpoint, channel) in self.endpoints.iter().zip(&self.connections) {
            let path = "/etcdserverpb.Maintenance/Status";
            let status: StatusResponse =
                call(channel, path, StatusRequest::default()).await.map_err(|failed| Failed {
                    why: format!("{endpoint}: {}", failed.why),
                    ..failed
                })?;
            if status.leader == 0 {
                let why = format!("{endpoint} knows no leader");
                return Err(Failed { kind: "unhealthy", why });
            }
            if status.header.is_some_and(|header| header.member_id == status.leader) {
                about.leader = Some(endpoint.clone());
            }
            if !about.versions.contains(&status.version) {
                about.versions.push(status.version);
            }
        }
        let path = "/etcdserverpb.Cluster/MemberList";
        let list: MemberListResponse =
            call(&self.connections[0], path, MemberListRequest::default()).await?;
        about.members = list.members.iter().filter(|member: &&Member| !member.is_learner).count();
        Ok(about)
    }

    /// Where it is asked, `host:port`.
    #[must_use]
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    pub(crate) async fn put(&self, caller: usize, key: Bytes, value: Bytes) -> Result<()> {
        let request = PutRequest { key, value };
        let _: PutResponse = call(self.of(caller), "/etcdserverpb.KV/Put", request).await?;
        Ok(())
    }

    pub(crate) async fn put_all(&self, caller: usize, pairs: Vec<(Bytes, Bytes)>) -> Result<()> {
        for chunk in pairs.chunks(WRITES_MAX) {
            let puts = chunk.iter().cloned().map(|(key, value)| PutRequest { key, value });
            let request = TxnRequest::new(Vec::new(), puts.collect());
            let _: TxnResponse = call(self.of(caller), "/etcdserverpb.KV/Txn", request).await?;
        }
        Ok(())
    }

    /// Linearizable, which is its default.
    pub(crate) async fn get(&self, caller: usize, key: Bytes) -> Result<Option<Bytes>> {
        let request = RangeRequest { key, ..RangeRequest::default() };
        let found = self.range(caller, request).await?;
        Ok(found.kvs.into_iter().next().map(|pair| pair.value))
    }

    pub(crate) async fn scan(&self, caller: usize, range: KeyRange, keys: u64) -> Result<usize> {
        let limit = i64::try_from(keys).unwrap_or(i64::MAX);
        let request = RangeRequest { limit, ..of_range(range) };
        Ok(self.range(caller, request).await?.kvs.len())
    }

    pub(crate) async fn count(&self, range: KeyRange) -> Result<u64> {
        let request = RangeRequest { count_only: true, ..of_range(range) };
        let count = self.range(0, request).await?.count;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Whether the key had that value, and now has the other.
    pub(crate) async fn swap(
        &self,
        caller: usize,
        key: Bytes,
        expected: Bytes,
        value: Bytes,
    ) -> Result<bool> {
        let target = CompareTarget::Value as i32;
        let compare = Compare { target, key: key.clone(), value: expected, ..Compare::default() };
        let request = TxnRequest::new(vec![compare], vec![PutRequest { key, value }]);
        let answer: TxnResponse = call(self.of(caller), "/etcdserverpb.KV/Txn", request).await?;
        Ok(answer.succeeded)
    }

    async fn range(&self, caller: usize, request: RangeRequest) -> Result<RangeResponse> {
        call(self.of(caller), "/etcdserverpb.KV/Range", request).await
    }

    fn of(&self, caller: usize) -> &Channel {
        &self.connections[caller % self.connections.len()]
    }
}

fn of_range(range: KeyRange) -> RangeRequest {
    let (key, range_end) = (range.start.into(), range.end.into());
    RangeRequest { key, range_end, ..RangeRequest::default() }
}

/// An endpoint without its scheme.
fn bare(endpoint: &str) -> &str {
    endpoint.strip_prefix("http://").unwrap_or(endpoint)
}

async fn open(address: &str, call_max: Duration) -> Result<Channel> {
    let not_connected =
        |why: String| Failed { kind: "not connected", why: format!("{address}: {why}") };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| not_connected(error.to_string()))?
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_MAX)
        .timeout(call_max);
    endpoint.connect().await.map_err(|error| not_connected(deepest(&error)))
}

/// What is behind an error: the transport's own words are "transport error".
fn deepest(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

async fn call<Ask, Answer>(channel: &Channel, path: &'static str, ask: Ask) -> Result<Answer>
where
    Ask: prost::Message + 'static,
    Answer: prost::Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel.clone());
    let not_connected = |error| Failed { kind: "not connected", why: deepest(&error) };
    grpc.ready().await.map_err(not_connected)?;
    let codec = ProstCodec::<Ask, Answer>::default();
    let request = tonic::Request::new(ask);
    let answer = grpc.unary(request, PathAndQuery::from_static(path), codec).await;
    answer.map(tonic::Response::into_inner).map_err(|status| {
        let kind = match status.code() {
            tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => "timed out",
            tonic::Code::Unavailable => "unavailable",
            tonic::Code::ResourceExhausted => "exhausted",
            tonic::Code::Unknown | tonic::Code::Internal => "broken off",
            _ => "refused",
        };
        Failed { kind, why: status.message().to_owned() }
    })
}
