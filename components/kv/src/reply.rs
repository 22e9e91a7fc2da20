//! What a command is answered with, typed; and its bytes between the state machine and whoever
//! proposed.
//!
//! Replies are the same on every replica: they say nothing that one store alone knows.

use bytes::Bytes;
use prost::Message as _;
use proto::crib::kv::v1;
use types::Region;

use crate::record::{Malformed, from_proto, to_proto};

/// The answer to a command. All but the first three say that nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done.
    Done,
    /// What came of comparing and setting.
    Cas {
        /// Whether the key was set.
        succeeded: bool,
        /// The value that it had before; `None` if it was absent.
        previous: Option<Bytes>,
    },
    /// All parts of the region, by ascending keys; the last one keeps its id.
    Split(Vec<Region>),
    /// It was proposed for another form of the region: this is what it is now.
    EpochNotMatch(Region),
    /// The region does not hold this key.
    KeyNotInRegion(Bytes),
    /// The region has no state on this store.
    Uninitialized,
    /// It makes no sense; why.
    Refused(String),
}

impl Reply {
    /// Its bytes; none for [`Reply::Done`].
    #[must_use]
    pub fn encode(&self) -> Bytes {
        use v1::reply::Kind;
        let kind = match self {
            Reply::Done => return Bytes::new(),
            Reply::Cas { succeeded, previous } => {
                Kind::Cas(v1::CasResult { succeeded: *succeeded, previous: previous.clone() })
            }
            Reply::Split(regions) => {
                Kind::Split(v1::SplitResult { regions: regions.iter().map(to_proto).collect() })
            }
            Reply::EpochNotMatch(region) => {
                Kind::EpochNotMatch(v1::EpochNotMatch { region: Some(to_proto(region)) })
            }
            Reply::KeyNotInRegion(key) => {
                Kind::KeyNotInRegion(v1::KeyNotInRegion { key: key.clone() })
            }
            Reply::Uninitialized => Kind::Uninitialized(v1::Uninitialized {}),
            Reply::Refused(why) => Kind::Refused(why.clone()),
        };
        v1::Reply { kind: Some(kind) }.encode_to_vec().into()
    }

    /// The reply of these bytes.
    ///
    /// # Errors
    /// If they are none.
    pub fn decode(bytes: &Bytes) -> Result<Reply, Malformed> {
        use v1::reply::Kind;
        let Some(kind) = v1::Reply::decode(bytes.clone())?.kind else {
            return if bytes.is_empty() { Ok(Reply::Done) } else { Err("an unknown reply".into()) };
        };
        Ok(match kind {
            Kind::Cas(v1::CasResult { succeeded, previous }) => Reply::Cas { succeeded, previous },
            Kind::Split(split) => {
                let regions = split.regions.into_iter().map(from_proto);
                Reply::Split(regions.collect::<Result<_, _>>()?)
            }
            Kind::EpochNotMatch(v1::EpochNotMatch { region }) => {
                let region = region.ok_or_else(|| Malformed::from("a reply without its region"))?;
                Reply::EpochNotMatch(from_proto(region)?)
            }
            Kind::KeyNotInRegion(v1::KeyNotInRegion { key }) => Reply::KeyNotInRegion(key),
            Kind::Uninitialized(v1::Uninitialized {}) => Reply::Uninitialized,
            Kind::Refused(why) => Reply::Refused(why),
        })
    }
}
