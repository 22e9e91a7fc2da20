//! Where clients' keys become engine keys, and requests are refused before anything is done.
//!
//! The api-version of a cluster is fixed when it is born; it decides what keys look like in the
//! engine, and so at the bounds of regions. Behind this module there are engine keys alone.
//!
//! Not here: what else a protocol says, and who may ask what.

use bytes::Bytes;
use storage::Cf;
use types::{ApiVersion, Epoch, GroupId, KeyRange, Region, StoreId, encode_key};

use crate::error::{BadRequest, RegionError};
use crate::value::Stored;

/// What [`Edge::key_bytes_max`] may be at most: the engine key of a longer one would be one that no
/// region takes, and all that its command does would be refused with it.
pub const KEY_BYTES_MAX: usize = 14 << 10;

/// What every raw key of `v2` begins with; three bytes of keyspace follow.
const RAW_PREFIX: u8 = b'r';
/// Bytes before a client's own key in `v2`.
const V2_PREFIX_LEN: usize = 4;
/// What ends the raw keys of `v2`: by the letter alone, and as the keyspace behind the last.
const RAW_ENDS: [&[u8]; 2] = [b"s", b"s\0\0\0"];

/// What a request says of the region that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The region.
    pub region: GroupId,
    /// The form of it that the client knows.
    pub epoch: Epoch,
    /// The store of the peer that the client meant to reach, if it says so.
    pub store: Option<StoreId>,
}

/// The rules of one cluster for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// How keys lie in the engine.
    pub api: ApiVersion,
    /// Most bytes of a key as the client has it, [`KEY_BYTES_MAX`] or less. Default: 8 KiB.
    pub key_bytes_max: usize,
    /// Most bytes of a value. Default: 8 MiB.
    pub value_bytes_max: usize,
}

impl Edge {
    /// The rules of a cluster with the usual limits.
    #[must_use]
    pub const fn new(api: ApiVersion) -> Edge {
        Edge { api, key_bytes_max: 8 << 10, value_bytes_max: 8 << 20 }
    }

    /// Whether a request is made for this cluster: `is_v2` is what its context says.
    ///
    /// # Errors
    /// If it is for keys of another form.
    pub fn check_api(&self, is_v2: bool) -> Result<(), BadRequest> {
        if is_v2 == (self.api == ApiVersion::V2) {
            return Ok(());
        }
        let asked = if is_v2 { ApiVersion::V2 } else { ApiVersion::V1 };
        Err(BadRequest::ApiVersion(asked.name(), self.api.name()))
    }

    /// The engine key of a client's key.
    ///
    /// # Errors
    /// If the key is empty, too long, or not a raw key.
    pub fn key(&self, key: &[u8]) -> Result<Vec<u8>, BadRequest> {
        if key.len() > self.key_bytes_max {
            return Err(BadRequest::KeyTooLong(key.len(), self.key_bytes_max));
        }
        if self.api == ApiVersion::V2 && !key.is_empty() {
            if key[0] != RAW_PREFIX || key.len() < V2_PREFIX_LEN {
                return Err(BadRequest::KeyMode(Bytes::copy_from_slice(key)));
            }
            if key.len() == V2_PREFIX_LEN {
                return Err(BadRequest::EmptyKey);
            }
        }
        if key.is_empty() {
            return Err(BadRequest::EmptyKey);
        }
        Ok(self.api.engine_key(key))
    }

    /// The engine keys of a client's range, from `lower` to before `upper`. In `v1` an empty bound
    /// is none. A range without keys is not an error, one that is upside down is.
    ///
    /// A scan in reverse has its upper bound where another has its start: the caller exchanges
    /// them.
    ///
    /// # Errors
    /// If a bound is too long or not one of raw keys, or the range is inverted.
    pub fn range(&self, lower: &[u8], upper: &[u8]) -> Result<KeyRange, BadRequest> {
        // The bound behind the longest key has a byte more.
        let bound_bytes_max = self.key_bytes_max + 1;
        for bound in [lower, upper] {
            if bound.len() > bound_bytes_max {
                return Err(BadRequest::KeyTooLong(bound.len(), bound_bytes_max));
            }
        }
        if !upper.is_empty() && lower > upper {
            return Err(BadRequest::InvertedRange);
        }
        if self.api != ApiVersion::V2 {
            return Ok(KeyRange::new(lower, upper));
        }
        let is_raw = |bound: &[u8]| bound.first() == Some(&RAW_PREFIX);
        for bound in [lower, upper] {
            if !is_raw(bound) && !RAW_ENDS.contains(&bound) {
                return Err(BadRequest::RangeMode(Bytes::copy_from_slice(bound)));
            }
        }
        Ok(KeyRange::new(encode_key(lower), encode_key(upper)))
    }

    /// What is stored for a value that lives `ttl_seconds` from now on; 0 for ever.
    ///
    /// # Errors
    /// If it is too long, or shall expire where values do not.
    pub fn value(
        &self,
        value: &[u8],
        ttl_seconds: u64,
        now_seconds: u64,
    ) -> Result<Bytes, BadRequest> {
        if value.len() > self.value_bytes_max {
            return Err(BadRequest::ValueTooLong(value.len(), self.value_bytes_max));
        }
        if ttl_seconds > 0 && !self.api.has_ttl() {
            return Err(BadRequest::NoTtl);
        }
        let expires = (ttl_seconds > 0).then(|| now_seconds.saturating_add(ttl_seconds));
        Ok(Stored { expires, value }.encode().into())
    }

    /// The family with this name; none is the default.
    ///
    /// # Errors
    /// If there is no such family of data.
    pub fn family(&self, name: &str) -> Result<Cf, BadRequest> {
        match name {
            "" | "default" => Ok(Cf::Default),
            "lock" => Ok(Cf::Lock),
            "write" => Ok(Cf::Write),
            _ => Err(BadRequest::Family(name.to_owned())),
        }
    }

    /// The times to live of `keys` keys: none of them, one for all, or one for each.
    ///
    /// # Errors
    /// If there is another number of them.
    pub fn ttls<'a>(
        &self,
        ttls: &'a [u64],
        keys: usize,
    ) -> Result<impl Iterator<Item = u64> + 'a, BadRequest> {
        if ttls.len() > 1 && ttls.len() != keys {
            return Err(BadRequest::Ttls(ttls.len(), keys));
        }
        let only = ttls.first().copied().unwrap_or(0);
        Ok((0..keys).map(move |nth| ttls.get(nth).copied().unwrap_or(only)))
    }
}

/// Whether a request is meant for this store. Asked before anything else: who came to the wrong
/// address looks for it again only if this is what it is told.
///
/// # Errors
/// That it is not.
pub fn check_store(own: StoreId, target: &Target) -> Result<(), RegionError> {
    match target.store {
        Some(asked) if asked != own => Err(RegionError::StoreNotMatch { asked, own }),
        _ => Ok(()),
    }
}

/// Whether a region, as this store `own` knows it, is what a request takes it for, and holds the
/// engine keys. Asked before a read or a proposal; what changes later is found when a command is
/// applied, or by [`crate::Regions::check_still`].
///
/// # Errors
/// Why not.
pub fn check<'a>(
    own: StoreId,
    region: &Region,
    target: &Target,
    keys: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), RegionError> {
    check_store(own, target)?;
    if target.epoch.version != region.epoch.version {
        return Err(RegionError::EpochNotMatch(vec![region.clone()]));
    }
    let outside = keys.into_iter().find(|key| !region.range.contains(key));
    outside.map_or(Ok(()), |key| Err(RegionError::outside(region, key)))
}

#[cfg(test)]
mod tests;
