//! Commands and replies: what they say, checked, and their form in the log.
//!
//! A command that makes no sense is answered with a refusal, on every replica the same; so checks
//! here depend on nothing but the bytes.

use prost::Message as _;
use proto::crib::placement::v1;
use proto::crib::placement::v1::command::What;
use proto::crib::placement::v1::reply::What as Answer;
use types::{ApiVersion, ClusterId, StoreId, Term};

use super::record::{labels_to_proto, life_to_proto, store_from_proto, store_to_proto};
use super::{Cluster, Life, Store};

/// A change of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The cluster is born.
    Bootstrap(Bootstrap),
    /// A store joins if it has no id, or is otherwise than it was.
    PutStore(Store),
    /// Something is decided about a store.
    SetLife(StoreId, Life),
    /// So many ids that nobody has had.
    AllocIds(u32),
    /// Timestamps up to this millisecond may be given out, by the leader of this term.
    SaveWindow(Window),
    /// What was overwritten before this timestamp may be forgotten.
    RaiseSafePoint(u64),
    /// Placement is to have so many members.
    SetSeats(u32),
    /// Each region is to have so many replicas.
    SetReplicas(u32),
    /// The labels with these keys tell where a store is, the widest first.
    SetLocationLabels(Vec<String>),
}

/// A window of timestamps that a leader wants to give from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Up to this millisecond since 1970.
    pub until_ms: u64,
    /// The term of the leader.
    pub term: Term,
    /// The window that its leadership began behind.
    pub after_ms: u64,
}

/// What a cluster is born with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Settings and first regions.
    pub cluster: Cluster,
    /// The founders.
    pub stores: Vec<Store>,
}

/// What a command was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done.
    Done,
    /// The store as it is now.
    Store(Store),
    /// Ids: the first, and how many follow one another.
    Ids(u64, u64),
    /// The window of timestamps that holds now.
    Window(u64),
    /// The safe point that holds now.
    SafePoint(u64),
    /// Nothing was done.
    Refused(Refused),
}

/// Why a command did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no cluster yet. Ask again later.
    NotBootstrapped,
    /// There is a cluster already.
    AlreadyBootstrapped,
    /// Another store has this address: either a mistake, or that store has lost its disk and has to
    /// be removed first.
    AddressTaken(StoreId),
    /// The store has left for good.
    Removed(StoreId),
    /// There is no such store.
    NoStore(StoreId),
    /// There is no room for more of these.
    TooMany(String),
    /// The command makes no sense.
    Senseless(String),
    /// A later leader has saved a window of timestamps.
    Fenced,
}

/// Bytes that are no command or no reply, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Senseless(pub String);

impl Command {
    /// The command as it stands in the log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let what = match self {
            Command::Bootstrap(Bootstrap { cluster, stores }) => What::Bootstrap(v1::Bootstrap {
                cluster_id: cluster.id.get(),
                api_version: cluster.api_version.name().to_owned(),
                replicas: cluster.replicas,
                stores: stores.iter().map(store_to_proto).collect(),
                regions: cluster.regions.iter().map(Into::into).collect(),
                location_labels: cluster.location_labels.clone().map(labels_to_proto),
            }),
            Command::PutStore(store) => {
                What::PutStore(v1::PutStore { store: Some(store_to_proto(store)) })
            }
            Command::SetLife(store, life) => What::SetStoreLife(v1::SetStoreLife {
                store_id: store.get(),
                life: life_to_proto(*life).into(),
            }),
            &Command::AllocIds(count) => What::AllocIds(v1::AllocIds { count }),
            &Command::SaveWindow(Window { until_ms, term: Term(term), after_ms }) => {
                What::SaveTimestampWindow(v1::SaveTimestampWindow { until_ms, term, after_ms })
            }
            &Command::RaiseSafePoint(safe_point) => {
                What::RaiseSafePoint(v1::RaiseSafePoint { safe_point })
            }
            &Command::SetSeats(seats) => What::SetSeats(v1::SetSeats { seats }),
            &Command::SetReplicas(replicas) => What::SetReplicas(v1::SetReplicas { replicas }),
            Command::SetLocationLabels(keys) => {
                What::SetLocationLabels(labels_to_proto(keys.clone()))
            }
        };
        v1::Command { what: Some(what) }.encode_to_vec()
    }

    /// Reads a command.
    ///
    /// # Errors
    /// If the bytes are none, or it cannot be meant.
    pub fn decode(bytes: &[u8]) -> Result<Command, Senseless> {
        let command = v1::Command::decode(bytes).map_err(|why| Senseless(why.to_string()))?;
        Ok(match command.what.ok_or_else(|| senseless("it says nothing"))? {
            What::Bootstrap(of) => Command::Bootstrap(bootstrap(of)?),
            What::PutStore(of) => {
                let store = of.store.ok_or_else(|| senseless("no store"))?;
                Command::PutStore(store_from_proto(store).map_err(|why| Senseless(why.0))?)
            }
            What::SetStoreLife(of) => {
                let store = StoreId::new(of.store_id).ok_or_else(|| senseless("store 0"))?;
                let life = match of.life() {
                    v1::StoreLife::Live => Life::Live,
                    v1::StoreLife::Draining => Life::Draining,
                    v1::StoreLife::Removed => Life::Removed,
                    v1::StoreLife::Unspecified => return Err(senseless("no life")),
                };
                Command::SetLife(store, life)
            }
            What::AllocIds(of) => Command::AllocIds(of.count),
            What::SaveTimestampWindow(of) => Command::SaveWindow(Window {
                until_ms: of.until_ms,
                term: Term(of.term),
                after_ms: of.after_ms,
            }),
            What::RaiseSafePoint(of) => Command::RaiseSafePoint(of.safe_point),
            What::SetSeats(of) => Command::SetSeats(of.seats),
            What::SetReplicas(of) => Command::SetReplicas(of.replicas),
            What::SetLocationLabels(of) => Command::SetLocationLabels(of.keys),
        })
    }
}

fn senseless(why: &str) -> Senseless {
    Senseless(why.to_owned())
}

fn bootstrap(of: v1::Bootstrap) -> Result<Bootstrap, Senseless> {
    let seats = u32::try_from(of.stores.len()).unwrap_or(u32::MAX);
    let stores = of.stores.into_iter().map(store_from_proto);
    let regions = of.regions.iter().map(types::Region::try_from);
    Ok(Bootstrap {
        cluster: Cluster {
            id: ClusterId::new(of.cluster_id).ok_or_else(|| senseless("cluster 0"))?,
            api_version: ApiVersion::from_name(&of.api_version)
                .ok_or_else(|| senseless("an unknown api-version"))?,
            replicas: of.replicas,
            regions: regions.collect::<Result<_, _>>().map_err(|why| senseless(why.0))?,
            seats,
            location_labels: of.location_labels.map(|labels| labels.keys),
        },
        stores: stores.collect::<Result<_, _>>().map_err(|why| Senseless(why.0))?,
    })
}

impl Reply {
    /// The reply as it is returned.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let what = match self {
            Reply::Done => Answer::Done(v1::Done {}),
            Reply::Store(store) => Answer::Store(store_to_proto(store)),
            &Reply::Ids(first, count) => Answer::Ids(v1::IdWindow { first, count }),
            &Reply::Window(until_ms) => Answer::WindowUntilMs(until_ms),
            &Reply::SafePoint(safe_point) => Answer::SafePoint(safe_point),
            Reply::Refused(refused) => Answer::Refused(refused_to_proto(refused)),
        };
        v1::Reply { what: Some(what) }.encode_to_vec()
    }

    /// Reads a reply.
    ///
    /// # Errors
    /// If the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Reply, Senseless> {
        let reply = v1::Reply::decode(bytes).map_err(|why| Senseless(why.to_string()))?;
        Ok(match reply.what.ok_or_else(|| senseless("it says nothing"))? {
            Answer::Done(_) => Reply::Done,
            Answer::Store(store) => {
                Reply::Store(store_from_proto(store).map_err(|why| Senseless(why.0))?)
            }
            Answer::Ids(ids) => Reply::Ids(ids.first, ids.count),
            Answer::WindowUntilMs(until_ms) => Reply::Window(until_ms),
            Answer::SafePoint(safe_point) => Reply::SafePoint(safe_point),
            Answer::Refused(refused) => Reply::Refused(refused_from_proto(refused)?),
        })
    }
}

fn refused_to_proto(refused: &Refused) -> v1::Refused {
    use v1::RefusedReason as Reason;
    let of_store = |reason: Reason, store: &StoreId| (reason, store.get(), String::new());
    let (reason, store_id, text) = match refused {
        Refused::NotBootstrapped => (Reason::NotBootstrapped, 0, String::new()),
        Refused::AlreadyBootstrapped => (Reason::AlreadyBootstrapped, 0, String::new()),
        Refused::AddressTaken(store) => of_store(Reason::AddressTaken, store),
        Refused::Removed(store) => of_store(Reason::Removed, store),
        Refused::NoStore(store) => of_store(Reason::NoStore, store),
        Refused::TooMany(what) => (Reason::TooMany, 0, what.clone()),
        Refused::Senseless(why) => (Reason::Senseless, 0, why.clone()),
        Refused::Fenced => (Reason::Fenced, 0, String::new()),
    };
    v1::Refused { reason: reason.into(), store_id, text }
}

fn refused_from_proto(refused: v1::Refused) -> Result<Refused, Senseless> {
    use v1::RefusedReason as Reason;
    let store = || StoreId::new(refused.store_id).ok_or_else(|| senseless("store 0"));
    Ok(match refused.reason() {
        Reason::NotBootstrapped => Refused::NotBootstrapped,
        Reason::AlreadyBootstrapped => Refused::AlreadyBootstrapped,
        Reason::AddressTaken => Refused::AddressTaken(store()?),
        Reason::Removed => Refused::Removed(store()?),
        Reason::NoStore => Refused::NoStore(store()?),
        Reason::TooMany => Refused::TooMany(refused.text),
        Reason::Senseless => Refused::Senseless(refused.text),
        Reason::Fenced => Refused::Fenced,
        Reason::Unspecified => return Err(senseless("refused for no reason")),
    })
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::NotBootstrapped => f.write_str("the cluster is not born yet"),
            Refused::AlreadyBootstrapped => f.write_str("the cluster was born already"),
            Refused::AddressTaken(store) => write!(
                f,
                "store {store} has this address; if its disk is lost, remove {store} first"
            ),
            Refused::Removed(store) => {
                write!(f, "store {store} was removed for good; start with an empty disk")
            }
            Refused::NoStore(store) => write!(f, "there is no store {store}"),
            Refused::TooMany(what) => write!(f, "too many {what}"),
            Refused::Senseless(why) => write!(f, "it makes no sense: {why}"),
            Refused::Fenced => f.write_str("a later leader gives timestamps"),
        }
    }
}

impl std::error::Error for Refused {}
