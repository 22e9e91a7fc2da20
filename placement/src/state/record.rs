//! Records on disk: parts of the state as values of keys.
//!
//! A record is written as a whole whenever it changes. A snapshot is all records, so that a replica
//! that took one over has the same bytes as the one that made it.

use prost::Message as _;
use proto::crib::placement::v1;
use types::{ApiVersion, ClusterId, PeerId, Region, StoreId, Term};

use super::keys::Key;
use super::{Cluster, Life, Member, State, Store};

/// Longest address or version, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Most labels of a store.
pub const LABELS_MAX: usize = 32;

/// A record that makes no sense, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord(pub String);

impl State {
    /// The record of a key as it is now; `None` if there is nothing under it.
    #[must_use]
    pub fn record(&self, key: Key) -> Option<Vec<u8>> {
        Some(match key {
            Key::Cluster => {
                let cluster = self.cluster.as_ref()?;
                v1::ClusterRecord {
                    cluster_id: cluster.id.get(),
                    api_version: cluster.api_version.name().to_owned(),
                    replicas: cluster.replicas,
                    regions: cluster.regions.iter().map(Into::into).collect(),
                    seats: cluster.seats,
                    location_labels: cluster.location_labels.clone().map(labels_to_proto),
                }
                .encode_to_vec()
            }
            Key::Members => {
                let member = |(peer, member): (&PeerId, &Member)| v1::MemberRecord {
                    peer_id: peer.get(),
                    store_id: member.store.get(),
                    is_learner: !member.votes,
                };
                v1::MembersRecord { members: self.members.iter().map(member).collect() }
                    .encode_to_vec()
            }
            Key::Numbers => v1::Numbers {
                next_id: self.next_id,
                window_until_ms: self.window_until_ms,
                safe_point: self.safe_point,
                book_version: self.book_version,
                window_term: self.window_term.0,
            }
            .encode_to_vec(),
            Key::Store(store) => store_to_proto(self.stores.get(&store)?).encode_to_vec(),
        })
    }

    /// Takes over a record.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadRecord> {
        let bad = |why: String| BadRecord(format!("under {key:02x?}: {why}"));
        let garbled = |why: prost::DecodeError| bad(why.to_string());
        match Key::decode(key).ok_or_else(|| bad("an unknown key".to_owned()))? {
            Key::Cluster => {
                let record = v1::ClusterRecord::decode(value).map_err(garbled)?;
                self.cluster = Some(cluster_from_proto(&record).map_err(bad)?);
            }
            Key::Members => {
                let record = v1::MembersRecord::decode(value).map_err(garbled)?;
                let member = |of: &v1::MemberRecord| {
                    let store = StoreId::new(of.store_id)?;
                    Some((PeerId::new(of.peer_id)?, Member { store, votes: !of.is_learner }))
                };
                self.members = (record.members.iter().map(member))
                    .collect::<Option<_>>()
                    .ok_or_else(|| bad("a member without id".to_owned()))?;
            }
            Key::Numbers => {
                let record = v1::Numbers::decode(value).map_err(garbled)?;
                self.next_id = record.next_id;
                self.window_until_ms = record.window_until_ms;
                self.safe_point = record.safe_point;
                self.book_version = record.book_version;
                self.window_term = Term(record.window_term);
            }
            Key::Store(id) => {
                let record = v1::StoreRecord::decode(value).map_err(garbled)?;
                let store = store_from_proto(record).map_err(|why| bad(why.0))?;
                if store.id != Some(id) {
                    return Err(bad("the record of another store".to_owned()));
                }
                self.stores.insert(id, store);
            }
        }
        Ok(())
    }

    /// The keys of all records, in order.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        let fixed = [Key::Cluster, Key::Members, Key::Numbers];
        fixed.into_iter().chain(self.stores.keys().copied().map(Key::Store))
    }
}

fn cluster_from_proto(record: &v1::ClusterRecord) -> Result<Cluster, String> {
    let regions = record.regions.iter().map(Region::try_from);
    Ok(Cluster {
        id: ClusterId::new(record.cluster_id).ok_or("cluster 0")?,
        api_version: ApiVersion::from_name(&record.api_version).ok_or("an unknown api-version")?,
        replicas: record.replicas,
        regions: regions.collect::<Result<_, _>>().map_err(|why| why.to_string())?,
        seats: record.seats,
        location_labels: record.location_labels.clone().map(|labels| labels.keys),
    })
}

/// Keys of labels, for a record or a command.
pub(super) fn labels_to_proto(keys: Vec<String>) -> v1::LocationLabels {
    v1::LocationLabels { keys }
}

/// A life, for a record.
pub(super) fn life_to_proto(life: Life) -> v1::StoreLife {
    match life {
        Life::Live => v1::StoreLife::Live,
        Life::Draining => v1::StoreLife::Draining,
        Life::Removed => v1::StoreLife::Removed,
    }
}

/// A store, for a record.
pub(super) fn store_to_proto(store: &Store) -> v1::StoreRecord {
    v1::StoreRecord {
        id: store.id.map_or(0, StoreId::get),
        nonce: store.nonce,
        address: store.address.clone(),
        http_address: store.http_address.clone(),
        labels: (store.labels.iter())
            .map(|(key, value)| v1::Label { key: key.clone(), value: value.clone() })
            .collect(),
        version: store.version.clone(),
        life: life_to_proto(store.life).into(),
    }
}

/// A store from a record.
pub(super) fn store_from_proto(record: v1::StoreRecord) -> Result<Store, BadRecord> {
    let bad = |why: &str| BadRecord(why.to_owned());
    let life = match record.life() {
        // In a command it is not looked at.
        v1::StoreLife::Unspecified | v1::StoreLife::Live => Life::Live,
        v1::StoreLife::Draining => Life::Draining,
        v1::StoreLife::Removed => Life::Removed,
    };
    let texts = [&record.address, &record.http_address, &record.version];
    let words = record.labels.iter().flat_map(|label| [&label.key, &label.value]);
    if texts.into_iter().chain(words).any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(bad("an address, a label or a version is longer than 256 bytes"));
    }
    if record.labels.len() > LABELS_MAX {
        return Err(bad("it has more than 32 labels"));
    }
    Ok(Store {
        id: StoreId::new(record.id),
        nonce: record.nonce,
        address: record.address,
        http_address: record.http_address,
        labels: record.labels.into_iter().map(|label| (label.key, label.value)).collect(),
        version: record.version,
        life,
    })
}
