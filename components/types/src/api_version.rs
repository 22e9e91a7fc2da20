//! How clients' keys lie in the engine: what the api-version of a cluster decides.

use alloc::vec::Vec;

use crate::{decode_key, encode_key};

/// How clients' keys lie in the engine. Fixed when a cluster is born.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// Keys as they are; values do not expire.
    V1,
    /// Keys as they are; values may expire.
    V1Ttl,
    /// Keys begin with what they are for and a keyspace, and are encoded; values may expire.
    V2,
}

impl ApiVersion {
    /// All of them.
    pub const ALL: [ApiVersion; 3] = [ApiVersion::V1, ApiVersion::V1Ttl, ApiVersion::V2];

    /// Its name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ApiVersion::V1 => "v1",
            ApiVersion::V1Ttl => "v1ttl",
            ApiVersion::V2 => "v2",
        }
    }

    /// The version with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<ApiVersion> {
        ApiVersion::ALL.into_iter().find(|api| api.name() == name)
    }

    /// Whether values may expire.
    #[must_use]
    pub const fn has_ttl(self) -> bool {
        matches!(self, ApiVersion::V1Ttl | ApiVersion::V2)
    }

    /// Where a client's key lies.
    #[must_use]
    pub fn engine_key(self, key: &[u8]) -> Vec<u8> {
        match self {
            ApiVersion::V1 | ApiVersion::V1Ttl => key.to_vec(),
            ApiVersion::V2 => encode_key(key),
        }
    }

    /// The client's key that lies here; `None` if none can.
    #[must_use]
    pub fn client_key(self, key: &[u8]) -> Option<Vec<u8>> {
        match self {
            ApiVersion::V1 | ApiVersion::V1Ttl => Some(key.to_vec()),
            ApiVersion::V2 => match decode_key(key) {
                Some((key, [])) => Some(key),
                _ => None,
            },
        }
    }

    /// Whether a region may begin at an engine key: in `v2` clients decode the bounds of regions.
    #[must_use]
    pub fn is_boundary(self, key: &[u8]) -> bool {
        !key.is_empty() && self.client_key(key).is_some()
    }

    /// The bound at or before an engine key, such that everything of one client's key is on one
    /// side of it; `None` if there is none.
    #[must_use]
    pub fn boundary(self, key: &[u8]) -> Option<Vec<u8>> {
        match self {
            ApiVersion::V1 | ApiVersion::V1Ttl => Some(key.to_vec()),
            ApiVersion::V2 => {
                let (_, behind) = decode_key(key)?;
                Some(key[..key.len() - behind.len()].to_vec())
            }
        }
    }

    /// The bounds between a new cluster's regions: clients treat the last region specially, so no
    /// range of users may end in it.
    #[must_use]
    pub fn first_boundaries(self) -> Vec<Vec<u8>> {
        match self {
            ApiVersion::V1 | ApiVersion::V1Ttl => Vec::new(),
            ApiVersion::V2 => [b"r", b"s", b"x", b"y"].map(|key| encode_key(key)).to_vec(),
        }
    }
}
