//! What is proposed to a region, typed; and its bytes in the log.
//!
//! A command is checked when it is decoded as far as it can be without the region. What does not
//! pass is answered with its reason, on every replica the same: the check may become stricter only
//! with a new kind of command.

use bytes::Bytes;
use prost::Message as _;
use proto::crib::kv::v1;
use storage::Cf;
use types::{Epoch, GroupId, PeerId};

use crate::keys::ENGINE_KEY_BYTES_MAX;
use crate::record::{FAMILIES, Malformed, family_from_proto, family_to_proto};
use crate::value::Stored;

/// An entry in the log of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The epoch of the region that the proposer saw.
    pub epoch: Epoch,
    /// What to do.
    pub action: Action,
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sets and deletes keys, in order; all of them or none.
    Write(Vec<Mutation>),
    /// Sets a key if it has the value that is expected.
    Cas(Cas),
    /// Deletes the keys of a range, as far as the region has them.
    DeleteRange(DeleteRange),
    /// Cuts the region. The region itself keeps the last part.
    Split(Vec<NewRegion>),
}

/// One key that is set or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// Where.
    pub family: Cf,
    /// The engine key.
    pub key: Bytes,
    /// A stored value, see [`Stored`]; empty to delete the key.
    pub stored: Bytes,
}

/// Compare and set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cas {
    /// What is set or deleted if the comparison succeeds.
    pub mutation: Mutation,
    /// The value that the key must have, without what is stored before it; `None`: it must be
    /// absent, or expired.
    pub expected: Option<Bytes>,
    /// The proposer's clock, in seconds since 1970.
    pub now_seconds: u64,
}

/// A range whose keys are deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRange {
    /// Where, each once.
    pub families: Vec<Cf>,
    /// The first key.
    pub start: Bytes,
    /// The first key behind it; empty for none.
    pub end: Bytes,
}

/// A part of a region that becomes one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRegion {
    /// Its end; its start is the end of the part before it, or that of the region.
    pub end: Bytes,
    /// Its id.
    pub region: GroupId,
    /// The ids of its peers, one for each peer of the region, in their order.
    pub peers: Vec<PeerId>,
}

impl Action {
    /// Whether it is there to write: that is not done where room runs out. What takes data away,
    /// or cuts regions, is.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self {
            Action::Write(mutations) => !mutations.iter().all(Mutation::is_delete),
            Action::Cas(cas) => !cas.mutation.is_delete(),
            Action::DeleteRange(_) | Action::Split(_) => false,
        }
    }

    /// Whether regions come into being with it.
    #[must_use]
    pub fn spawns(&self) -> bool {
        matches!(self, Action::Split(_))
    }
}

impl Command {
    /// Its bytes in the log.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        use v1::command::Kind;
        let kind = match &self.action {
            Action::Write(mutations) => {
                let mutations = mutations.iter().map(Mutation::to_proto).collect();
                Kind::Write(v1::RawWrite { mutations })
            }
            Action::Cas(cas) => Kind::Cas(v1::RawCas {
                family: family_to_proto(cas.mutation.family).into(),
                key: cas.mutation.key.clone(),
                expected: cas.expected.clone(),
                stored: cas.mutation.stored.clone(),
                now_seconds: cas.now_seconds,
            }),
            Action::DeleteRange(range) => Kind::DeleteRange(v1::RawDeleteRange {
                families: range.families.iter().map(|&cf| family_to_proto(cf).into()).collect(),
                start: range.start.clone(),
                end: range.end.clone(),
            }),
            Action::Split(children) => Kind::Split(v1::Split {
                children: children.iter().map(NewRegion::to_proto).collect(),
            }),
        };
        let Epoch { version, conf_ver } = self.epoch;
        v1::Command { version, conf_ver, kind: Some(kind) }.encode_to_vec().into()
    }

    /// The command of an entry. Keys and values share its bytes.
    ///
    /// # Errors
    /// If it makes no sense, whatever the region is like.
    pub fn decode(bytes: &Bytes) -> Result<Command, Malformed> {
        use v1::command::Kind;
        let command = v1::Command::decode(bytes.clone())?;
        let epoch = Epoch { version: command.version, conf_ver: command.conf_ver };
        let action = match command.kind.ok_or_else(|| Malformed::from("a command of no kind"))? {
            Kind::Write(write) => {
                let mutations = write.mutations.into_iter().map(Mutation::from_proto);
                Action::Write(mutations.collect::<Result<_, _>>()?)
            }
            Kind::Cas(v1::RawCas { family, key, expected, stored, now_seconds }) => {
                let mutation = Mutation::from_proto(v1::Mutation { family, key, stored })?;
                Action::Cas(Cas { mutation, expected, now_seconds })
            }
            Kind::DeleteRange(range) => Action::DeleteRange(DeleteRange::from_proto(range)?),
            Kind::Split(split) => {
                let children = split.children.into_iter().map(NewRegion::from_proto);
                Action::Split(children.collect::<Result<_, _>>()?)
            }
        };
        Ok(Command { epoch, action })
    }
}

impl Mutation {
    /// Sets a key in a family.
    #[must_use]
    pub fn put(family: Cf, key: impl Into<Bytes>, value: Stored<'_>) -> Mutation {
        Mutation { family, key: key.into(), stored: value.encode().into() }
    }

    /// Deletes a key in a family.
    #[must_use]
    pub fn delete(family: Cf, key: impl Into<Bytes>) -> Mutation {
        Mutation { family, key: key.into(), stored: Bytes::new() }
    }

    /// Whether the key is deleted.
    #[must_use]
    pub fn is_delete(&self) -> bool {
        self.stored.is_empty()
    }

    fn to_proto(&self) -> v1::Mutation {
        v1::Mutation {
            family: family_to_proto(self.family).into(),
            key: self.key.clone(),
            stored: self.stored.clone(),
        }
    }

    fn from_proto(mutation: v1::Mutation) -> Result<Mutation, Malformed> {
        let v1::Mutation { family, key, stored } = mutation;
        check_len(&key)?;
        // Checked before it is stored, so that what cannot be read later is damage.
        if !stored.is_empty() && Stored::decode(&stored).is_err() {
            return Err(Malformed::from("a value that cannot be stored"));
        }
        Ok(Mutation { family: family_from_proto(family)?, key, stored })
    }
}

impl DeleteRange {
    fn from_proto(range: v1::RawDeleteRange) -> Result<DeleteRange, Malformed> {
        let families: Vec<Cf> =
            range.families.into_iter().map(family_from_proto).collect::<Result<_, _>>()?;
        let is_twice = |cf: &Cf| families.iter().filter(|other| *other == cf).count() > 1;
        if FAMILIES.iter().any(is_twice) {
            return Err(Malformed::from("a family is named twice"));
        }
        Ok(DeleteRange { families, start: range.start, end: range.end })
    }
}

impl NewRegion {
    fn to_proto(&self) -> v1::NewRegion {
        v1::NewRegion {
            end: self.end.clone(),
            region: self.region.get(),
            peers: self.peers.iter().map(|peer| peer.get()).collect(),
        }
    }

    fn from_proto(child: v1::NewRegion) -> Result<NewRegion, Malformed> {
        check_len(&child.end)?;
        let peers = child.peers.into_iter().map(PeerId::new).collect::<Option<_>>();
        Ok(NewRegion {
            end: child.end,
            region: GroupId::new(child.region).ok_or_else(|| Malformed::from("region 0"))?,
            peers: peers.ok_or_else(|| Malformed::from("peer 0"))?,
        })
    }
}

/// No key is behind the end of all keys.
fn check_len(key: &Bytes) -> Result<(), Malformed> {
    if key.len() > ENGINE_KEY_BYTES_MAX {
        return Err(Malformed(format!("an engine key of {} bytes", key.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
