//! How a node comes to be a store of a cluster: as one of its founders, or by asking to join.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use client::Tls;
use kv::Regions;
use multiraft::{Beginning, Handle, Outcome, Refusal, Roster};
use placement::StateView;
use proto::crib::placement::v1::{JoinRequest, Label};
use storage::Engine;
use types::{EntryId, GroupId, Index, PeerId, Region, StoreId, Term};

use super::founders::Founders;
use super::identity::{Identity, IdentityError, Member};
use super::link;
use crate::config::Config;
use crate::errors::{self, Failure};
use crate::version;

/// The place in the log at which groups begin.
const BEGINNING: EntryId = EntryId { index: Index(1), term: Term(1) };

/// Which store a node is.
pub(super) struct Birth {
    pub(super) member: Member,
    /// With whom it founds, if it is a founder.
    pub(super) founders: Option<Founders>,
    /// What stands in its directory.
    pub(super) identity: Identity,
}

impl Birth {
    /// A store whose engine is gone has forgotten what it promised and whom it voted for: it must
    /// not go on as if it were new.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn check_engine(&self, dir: &Path) -> Result<(), Failure> {
        if !self.identity.is_begun || dir.try_exists().unwrap_or(true) {
            return Ok(());
        }
        let (store, dir) = (self.member.store.get(), dir.display());
        let what = format!("the data of store {store} is gone: there is no {dir}");
        Err(Failure::new(&errors::DAMAGED, what)
            .why("what it had promised to others is lost with it")
            .next("put it back; if it is lost: crib store remove, and a new, empty directory"))
    }

    /// Notes that there is an engine from now on. If it cannot be noted, as on a full disk, the
    /// next start does.
    pub(super) fn has_engine(&self, dir: &Path) {
        if self.identity.is_begun {
            return;
        }
        let begun = Identity { is_begun: true, ..self.identity.clone() };
        if let Err(why) = begun.save(dir) {
            tracing::warn!(%why, "that the engine was made is not noted");
        }
    }
}

/// Notes that the cluster has removed this store, and says that it ends.
pub(super) fn removed(dir: &Path, store: StoreId) -> Failure {
    let noted = Identity::read(dir).and_then(|found| match found {
        Some(identity) => Identity { is_removed: true, ..identity }.save(dir),
        None => Ok(()),
    });
    if let Err(why) = noted {
        // The next start hears it from placement again.
        tracing::warn!(%why, "that the store was removed is not noted");
    }
    let what = format!("the cluster has removed store {}: it ends", store.get());
    Failure::new(&errors::STORE_REMOVED, what)
}

pub(super) fn labels(config: &Config) -> Vec<Label> {
    let labels: &BTreeMap<String, String> = &config.labels;
    let label = |(key, value): (&String, &String)| Label { key: key.clone(), value: value.clone() };
    labels.iter().map(label).collect()
}

/// Finds out which store this is, once for the life of its directory.
///
/// # Errors
/// If the directory belongs to another, or nobody takes the node in.
pub(super) async fn which(config: &Config, tls: Option<Tls>) -> Result<Birth, Failure> {
    let dir = &config.data_dir;
    let mut identity = Identity::open(dir, fresh_nonce()).map_err(|why| unusable(dir, &why))?;
    if identity.is_removed {
        let what = format!("{} is of a store that the cluster has removed", dir.display());
        return Err(Failure::new(&errors::STORE_REMOVED, what));
    }
    let nonce = identity.nonce;
    let listed = config.founders();
    let founders = if listed.is_empty() {
        None
    } else {
        let bad =
            |why| Failure::new(&errors::CONFIG_INVALID, "the founders make no cluster").why(why);
        Some(Founders::new(&listed).map_err(bad)?)
    };
    let own = founders.as_ref().and_then(|founders| {
        let store = founders.store_of(config.address())?;
        let cluster = founders.cluster(&config.cluster_token);
        let api_version = config.api_version.name().to_owned();
        Some(Member { cluster, store, api_version })
    });
    let member = match (identity.member.clone(), own) {
        (Some(known), Some(own)) if known != own => return Err(foreign(dir, &known, &own)),
        (Some(known), _) => known,
        (None, Some(own)) => own,
        (None, None) if config.join.is_empty() => {
            let what = format!("{} is not among the founders", config.address());
            return Err(Failure::new(&errors::CONFIG_INVALID, what).why(listed.join(", ")));
        }
        (None, None) => join(config, nonce, tls).await?,
    };
    let is_founder = founders.as_ref().is_some_and(|founders| {
        founders.cluster(&config.cluster_token) == member.cluster
            && founders.store_of(config.address()) == Some(member.store)
    });
    if identity.member.is_none() {
        identity.member = Some(member.clone());
        identity.save(dir).map_err(|why| unusable(dir, &why))?;
    }
    Ok(Birth { member, founders: founders.filter(|_| is_founder), identity })
}

async fn join(config: &Config, nonce: u64, tls: Option<Tls>) -> Result<Member, Failure> {
    let request = JoinRequest {
        cluster_id: 0,
        nonce,
        address: config.address().to_owned(),
        http_address: config.http_address().to_owned(),
        labels: labels(config),
        version: version::VERSION.to_owned(),
    };
    tracing::info!(join = ?config.join, "asking to join");
    let refused = |why: String| {
        Failure::new(&errors::JOIN_REFUSED, "the cluster does not take this node in").why(why)
    };
    let answer = link::join(config.join.clone(), tls, request).await.map_err(refused)?;
    let cluster = types::ClusterId::new(answer.cluster_id);
    let (Some(cluster), Some(store)) = (cluster, StoreId::new(answer.store_id)) else {
        return Err(refused("it answered without ids".to_owned()));
    };
    tracing::info!(cluster = cluster.get(), store = store.get(), "joined");
    Ok(Member { cluster, store, api_version: answer.api_version })
}

/// Creates this founder's peer of placement's group. To do it again is to do it once.
pub(super) async fn found(
    handle: &Handle,
    founders: &Founders,
    store: StoreId,
) -> Result<(), Failure> {
    let peer = PeerId::new(store.get()).expect("stores are not zero");
    let beginning = Beginning { peer, at: BEGINNING, roster: founders.roster() };
    match handle.create(placement::GROUP, beginning).await {
        // Whoever lost its seat does not found again, nor does who has a later one.
        Outcome::Done | Outcome::Refused(Refusal::Exists(_) | Refusal::Destroyed(_)) => Ok(()),
        other => {
            let what = "placement's group cannot begin on this node";
            Err(Failure::new(&errors::DAMAGED, what).why(format!("{other:?}")))
        }
    }
}

/// Creates this founder's peers of the first regions, once the cluster is born. Those that were
/// here and left stay away.
pub(super) async fn first_regions(
    view: Arc<StateView>,
    regions: Arc<Regions>,
    engine: Arc<dyn Engine>,
    handle: Handle,
    store: StoreId,
) {
    let mut changes = view.changes();
    loop {
        let first = view.get().cluster.as_ref().map(|cluster| cluster.regions.clone());
        if let Some(first) = first {
            for (nth, region) in first.iter().enumerate() {
                if let Err(why) = begin(&regions, &engine, &handle, store, (nth, region)).await {
                    tracing::error!(region = region.id.get(), why, "a first region did not begin");
                }
            }
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn begin(
    regions: &Arc<Regions>,
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    store: StoreId,
    (nth, region): (usize, &Region),
) -> Result<(), String> {
    let Some(own) = region.peer_on(store) else { return Ok(()) };
    if regions.get(region.id).is_some() || is_known(handle, region.id).await {
        return Ok(());
    }
    if !regions.prepare(&**engine, region).map_err(|why| why.to_string())? {
        return Ok(());
    }
    let voters: Vec<(PeerId, StoreId)> =
        region.peers.iter().map(|peer| (peer.id, peer.store)).collect();
    let roster = Roster::of_voters(&voters).map_err(|why| format!("{why:?}"))?;
    let beginning = Beginning { peer: own.id, at: BEGINNING, roster };
    match handle.create(region.id, beginning).await {
        Outcome::Done => {
            // One of its stores goes first, each time another, so that no vote is split.
            if region.peers.get(nth % region.peers.len()).is_some_and(|peer| peer.store == store) {
                let _ = handle.campaign(region.id);
            }
            Ok(())
        }
        refused => {
            regions.withdraw(&**engine, region.id).map_err(|why| why.to_string())?;
            match refused {
                // It was here before, or is here as a later peer.
                Outcome::Refused(Refusal::Destroyed(_) | Refusal::Exists(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        }
    }
}

/// Whether the group has state here.
async fn is_known(handle: &Handle, group: GroupId) -> bool {
    match handle.status(group).await {
        Outcome::Status(status) => status.last.index > Index(0),
        _ => false,
    }
}

fn fresh_nonce() -> u64 {
    // Told apart from others of the same moment by the process.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(since.as_nanos() & u128::from(u64::MAX)).unwrap_or_default();
    let mixed = nanos ^ (u64::from(std::process::id()) << 32);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

fn unusable(dir: &Path, why: &IdentityError) -> Failure {
    let what = format!("the data directory {} cannot be used", dir.display());
    let entry = match why {
        IdentityError::Format(..) => &errors::VERSION,
        IdentityError::Io(..) => &errors::DIR_UNUSABLE,
        IdentityError::Bad(..) => &errors::DAMAGED,
    };
    Failure::new(entry, what).why(why.to_string())
}

fn foreign(dir: &Path, known: &Member, own: &Member) -> Failure {
    let told = |member: &Member| {
        let (cluster, store) = (member.cluster.get(), member.store.get());
        format!("store {store} of cluster {cluster}, api-version {}", member.api_version)
    };
    Failure::new(&errors::DIR_FOREIGN, format!("{} belongs to another store", dir.display()))
        .why(format!("it holds {}", told(known)))
        .why(format!("these settings make {}", told(own)))
}
