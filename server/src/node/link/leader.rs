//! Who leads placement: asked of every node that is known, until one knows it.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{GetMembersRequest, GetMembersResponse, Member};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use types::StoreId;

/// How long a node may take to say who leads, its connection included.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was silent for so long is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// Most nodes that are remembered beside those that were named.
const LEARNT_MAX: usize = 16;

/// Finds placement's leader, and keeps the connection to it.
pub(super) struct Leader {
    named: Vec<String>,
    tls: Option<ClientTlsConfig>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Members that others named.
    learnt: BTreeSet<String>,
    channel: Option<Channel>,
    /// The store that leads, as it was said last.
    store: Option<StoreId>,
}

impl Leader {
    pub(super) fn new(named: Vec<String>, tls: Option<ClientTlsConfig>) -> Leader {
        Leader { named, tls, inner: Mutex::default() }
    }

    /// The store that led placement when that was asked last.
    pub(super) fn store(&self) -> Option<StoreId> {
        self.inner.lock().store
    }

    /// The connection at hand is not to the leader any more, or broken.
    pub(super) fn forget(&self) {
        self.inner.lock().channel = None;
    }

    /// A connection to the leader.
    ///
    /// # Errors
    /// Why there is none, by node.
    pub(super) async fn get(&self) -> Result<Channel, String> {
        let (kept, learnt) = {
            let inner = self.inner.lock();
            (inner.channel.clone(), inner.learnt.clone())
        };
        if let Some(channel) = kept {
            return Ok(channel);
        }
        let mut whys = Vec::new();
        let asked: BTreeSet<&String> = self.named.iter().chain(&learnt).collect();
        for node in asked {
            match self.ask(node).await {
                Ok(members) => {
                    self.learn(&members.members);
                    let Some(leader) = members.leader.as_ref().and_then(address) else {
                        whys.push(format!("{node} knows no leader"));
                        continue;
                    };
                    match self.connect(&leader).await {
                        Ok(channel) => {
                            let mut inner = self.inner.lock();
                            inner.channel = Some(channel.clone());
                            inner.store = members.leader.and_then(|of| StoreId::new(of.member_id));
                            return Ok(channel);
                        }
                        Err(why) => whys.push(format!("{leader}: {why}")),
                    }
                }
                Err(why) => whys.push(format!("{node}: {why}")),
            }
        }
        Err(whys.join("; "))
    }

    fn learn(&self, members: &[Member]) {
        let mut inner = self.inner.lock();
        for address in members.iter().filter_map(address) {
            if inner.learnt.len() < LEARNT_MAX {
                inner.learnt.insert(address);
            }
        }
    }

    async fn ask(&self, node: &str) -> Result<GetMembersResponse, String> {
        let channel = self.connect(node).await?;
        let mut request = tonic::Request::new(GetMembersRequest::default());
        request.set_timeout(ASK_TIMEOUT);
        let answer = PdClient::new(channel).get_members(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| status.message().to_owned())
    }

    async fn connect(&self, node: &str) -> Result<Channel, String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{node}"))
            .map_err(|why| why.to_string())?
            .connect_timeout(ASK_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.clone()).map_err(|why| why.to_string())?;
        }
        endpoint.connect().await.map_err(|why| {
            // The cause says more than "transport error".
            std::error::Error::source(&why).map_or_else(|| why.to_string(), ToString::to_string)
        })
    }
}

/// The address of a member, without scheme.
fn address(member: &Member) -> Option<String> {
    let url = member.client_urls.first()?;
    Some(url.split_once("://").map_or(url.as_str(), |(_, address)| address).to_owned())
}
