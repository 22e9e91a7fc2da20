//! Who leads placement.
//!
//! Any member says who leads; only the leader says the rest. So a connection to it is kept, and
//! looked for anew when a call to it failed.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{ErrorType, GetMembersRequest, Member};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};
use tonic::Response;
use tonic::transport::Channel;
use tracing::debug;
use types::ClusterId;

use crate::dial::{Unreached, address, dial};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::verdict::{describe, is_denial};

/// How often a leader that answers is asked who the members are.
const REFRESH_EVERY: Duration = Duration::from_secs(20);

/// Placement's leader, as it was when it was found.
pub struct Leader {
    pub(crate) address: String,
    channel: Channel,
}

impl Leader {
    /// Where it is, `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The connection to it.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// Finds placement's leader, and keeps the connection to it.
pub struct Finder {
    options: Arc<Options>,
    /// The cluster that is spoken to: the one that was named, or else the first that answered.
    cluster: OnceLock<ClusterId>,
    /// The endpoints that were named.
    given: Vec<String>,
    /// Where members were last known to be, and when that was asked.
    members: Arc<Mutex<(Vec<String>, Instant)>>,
    /// Where else to ask, as the owner knows.
    known: Mutex<Vec<String>>,
    /// Held while it is looked for, so that it is looked for once.
    leader: tokio::sync::Mutex<Option<Arc<Leader>>>,
    member: watch::Sender<Option<u64>>,
}

/// What an endpoint said of placement, or why it did not.
type Answered = std::result::Result<Membership, Unreached>;

/// What all endpoints say, as they do.
type Asked = JoinSet<(String, Answered)>;

/// What an endpoint said of placement.
struct Membership {
    cluster: u64,
    members: Vec<String>,
    /// The leader's id among the members, and its addresses; none if there is no leader.
    leader: (u64, Vec<String>),
}

impl Finder {
    /// One that begins with these endpoints, `host:port` each, and takes no other cluster for the
    /// right one; without a cluster, the first that answers is. Nothing is sent yet.
    #[must_use]
    pub fn new(cluster: Option<ClusterId>, given: Vec<String>, options: Arc<Options>) -> Finder {
        Finder {
            options,
            cluster: cluster.map(OnceLock::from).unwrap_or_default(),
            given,
            members: Arc::new(Mutex::new((Vec::new(), Instant::now()))),
            known: Mutex::default(),
            leader: tokio::sync::Mutex::default(),
            member: watch::Sender::new(None),
        }
    }

    /// The cluster that is spoken to, if that is known.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.cluster.get().copied()
    }

    /// The id of the member that leads, as it was found last.
    #[must_use]
    pub fn member(&self) -> watch::Receiver<Option<u64>> {
        self.member.subscribe()
    }

    /// The connection to the leader; a new one, if there is none.
    ///
    /// # Errors
    /// [`Error::NotConnected`] if no member was reached, [`Error::NoLeader`] if none of them knows
    /// a leader that can be reached: both may be otherwise soon. [`Error::Denied`] if none takes
    /// our certificate, or shows one that we take.
    pub async fn get(&self) -> Result<Arc<Leader>> {
        let mut place = self.leader.lock().await;
        if let Some(leader) = &*place {
            self.refresh(leader);
            return Ok(Arc::clone(leader));
        }
        let (member, leader) = self.find().await?;
        debug!(address = leader.address, "connected to the leader of placement");
        *place = Some(Arc::clone(&leader));
        self.member.send_replace(Some(member));
        Ok(leader)
    }

    /// A call to this leader failed: look for another.
    pub async fn lose(&self, leader: &Arc<Leader>) {
        let mut place = self.leader.lock().await;
        if place.as_ref().is_some_and(|known| Arc::ptr_eq(known, leader)) {
            *place = None;
            // Nobody who asks us is sent there any more.
            self.member.send_replace(None);
        }
    }

    /// Where to ask, besides the endpoints that were named and the members that were found.
    pub fn know(&self, addresses: Vec<String>) {
        *self.known.lock() = addresses;
    }

    /// From time to time, the leader that answers is asked who the members are: they may all be
    /// replaced while it leads, or one after the other.
    fn refresh(&self, leader: &Arc<Leader>) {
        {
            let mut members = self.members.lock();
            if members.1.elapsed() < REFRESH_EVERY {
                return;
            }
            members.1 = Instant::now();
        }
        let (members, options) = (Arc::clone(&self.members), Arc::clone(&self.options));
        let leader = Arc::clone(leader);
        tokio::spawn(async move {
            match ask_over(leader.channel(), options.attempt_timeout).await {
                Ok(found) if !found.members.is_empty() => members.lock().0 = found.members,
                Ok(_) => {}
                Err(Unreached { why, .. }) => {
                    debug!(why, "placement does not say who its members are");
                }
            }
        });
    }

    /// Asks all endpoints at once, and takes the first answer that names a leader that can be
    /// reached. Some answer from hearsay, which may be out of date.
    async fn find(&self) -> Result<(u64, Arc<Leader>)> {
        let mut asked = self.ask_all();
        let mut failures: Vec<(String, Unreached)> = Vec::new();
        let mut last = None;
        let mut other = None;
        // Many may name one that is dead: that is found out once.
        let mut dead: BTreeSet<String> = BTreeSet::new();
        while let Some(joined) = asked.join_next().await {
            let Ok((endpoint, result)) = joined else { continue };
            let found = match (result, self.cluster().map(ClusterId::get)) {
                (Ok(Membership { cluster: found, .. }), Some(expected)) if found != expected => {
                    let error = Error::OtherCluster { expected, found };
                    failures.push((endpoint, Unreached::new(error.to_string())));
                    other.get_or_insert(error);
                    continue;
                }
                (Ok(found), _) => found,
                (Err(why), _) => {
                    failures.push((endpoint, why));
                    continue;
                }
            };
            if let Some(cluster) = ClusterId::new(found.cluster) {
                self.cluster.get_or_init(|| cluster);
            }
            last.get_or_insert_with(|| "placement has no leader now".to_owned());
            let (member, addresses) = found.leader;
            for address in addresses {
                if dead.contains(&address) {
                    continue;
                }
                match dial(&address, &self.options).await {
                    Ok(channel) => {
                        *self.members.lock() = (found.members, Instant::now());
                        return Ok((member, Arc::new(Leader { address, channel })));
                    }
                    Err(Unreached { why, .. }) => {
                        last = Some(format!("the leader of placement, {address}: {why}"));
                        dead.insert(address);
                    }
                }
            }
        }
        Err(match (last, other) {
            (Some(last), _) => Error::NoLeader(last),
            (None, Some(other)) => other,
            (None, None) => nobody(failures),
        })
    }

    /// Asks all endpoints.
    fn ask_all(&self) -> Asked {
        let mut endpoints = self.members.lock().0.clone();
        endpoints.extend(self.known.lock().iter().cloned());
        endpoints.extend(self.given.iter().cloned());
        endpoints.sort_unstable();
        endpoints.dedup();
        let mut asked: Asked = JoinSet::new();
        for endpoint in endpoints {
            let options = Arc::clone(&self.options);
            asked.spawn(async move {
                let result = ask(&endpoint, &options).await;
                (endpoint, result)
            });
        }
        asked
    }
}

/// What it means that no endpoint has answered.
fn nobody(mut failures: Vec<(String, Unreached)>) -> Error {
    failures.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    if !failures.is_empty() && failures.iter().all(|(_, unreached)| unreached.is_denied) {
        let lines = failures.iter().map(|(endpoint, of)| format!("{endpoint}: {}", of.why));
        return Error::Denied(lines.collect::<Vec<String>>().join("\n"));
    }
    let whys = failures.into_iter().map(|(endpoint, unreached)| (endpoint, unreached.why));
    Error::NotConnected(whys.collect())
}

/// Asks one endpoint who belongs to placement.
async fn ask(endpoint: &str, options: &Options) -> Answered {
    let begun = Instant::now();
    let channel = dial(endpoint, options).await?;
    let all = options.connect_timeout + options.attempt_timeout;
    ask_over(channel, all.saturating_sub(begun.elapsed())).await
}

async fn ask_over(channel: Channel, left: Duration) -> Answered {
    let mut client = PdClient::new(channel);
    let answer = time::timeout(left, client.get_members(GetMembersRequest { header: None })).await;
    let found = match answer {
        Ok(result) => result.map(Response::into_inner).map_err(|status| Unreached {
            why: describe(&status),
            is_denied: is_denial(&status),
        })?,
        Err(_elapsed) => return Err(Unreached::new("it does not answer")),
    };
    let header = found.header.ok_or_else(|| Unreached::new("its answer has no header"))?;
    if let Some(error) = header.error.filter(|error| error.r#type() != ErrorType::Ok) {
        return Err(Unreached::new(error.message));
    }
    let urls = |member: &Member| -> Vec<String> {
        member.client_urls.iter().map(|url| address(url).to_owned()).collect()
    };
    Ok(Membership {
        cluster: header.cluster_id,
        members: found.members.iter().flat_map(urls).collect(),
        leader: found.leader.map(|of| (of.member_id, urls(&of))).unwrap_or_default(),
    })
}
