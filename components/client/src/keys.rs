//! The three forms of a key: the user's, that of requests, that of the bounds of regions.
//!
//! | mode | user | request | bound |
//! |---|---|---|---|
//! | `V1`, `V1Ttl` | `key` | `key` | `key` |
//! | `V2` | `key` | `r`, keyspace (3 bytes), `key` | `encode_key` of that |
//!
//! All three sort alike, so that a range in one form is a range in the others.

use bytes::{BufMut, Bytes, BytesMut};
use proto::kvrpcpb::ApiVersion;
use types::{KeyRange, decode_key, encode_key};

/// The letter of raw keys.
const RAW: u8 = b'r';
/// Letter and keyspace.
const PREFIX_BYTES: usize = 4;

/// The translation of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    V1,
    V1Ttl,
    V2 { prefix: [u8; PREFIX_BYTES] },
}

impl Keys {
    /// Those of a keyspace. The lower three bytes of its id count.
    pub(crate) fn of_keyspace(id: u32) -> Keys {
        let [_, a, b, c] = id.to_be_bytes();
        Keys::V2 { prefix: [RAW, a, b, c] }
    }

    /// What requests say about the encoding.
    pub(crate) fn api_version(self) -> ApiVersion {
        match self {
            Keys::V1 => ApiVersion::V1,
            Keys::V1Ttl => ApiVersion::V1ttl,
            Keys::V2 { .. } => ApiVersion::V2,
        }
    }

    /// A user's key as requests have it.
    pub(crate) fn request(self, key: &[u8]) -> Bytes {
        match self {
            Keys::V1 | Keys::V1Ttl => Bytes::copy_from_slice(key),
            Keys::V2 { prefix } => {
                let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + key.len());
                bytes.put_slice(&prefix);
                bytes.put_slice(key);
                bytes.freeze()
            }
        }
    }

    /// The reverse; `None` if it is not of this keyspace.
    pub(crate) fn user(self, key: &Bytes) -> Option<Bytes> {
        match self {
            Keys::V1 | Keys::V1Ttl => Some(key.clone()),
            Keys::V2 { prefix } => key.starts_with(&prefix).then(|| key.slice(PREFIX_BYTES..)),
        }
    }

    /// A user's range as requests have it. Its end is that of the keyspace, if there is none.
    pub(crate) fn request_range(self, range: &KeyRange) -> KeyRange {
        let Keys::V2 { prefix } = self else { return range.clone() };
        let start = [&prefix[..], &range.start].concat();
        let end = if range.end.is_empty() {
            // The four bytes as a number, plus one; the letter is never the last of all.
            (u32::from_be_bytes(prefix) + 1).to_be_bytes().to_vec()
        } else {
            [&prefix[..], &range.end].concat()
        };
        KeyRange { start, end }
    }

    /// A key of a request as bounds have it. Empty, which is no bound, stays so.
    pub(crate) fn bound(self, key: &[u8]) -> Vec<u8> {
        match self {
            Keys::V2 { .. } if !key.is_empty() => encode_key(key),
            _ => key.to_vec(),
        }
    }

    /// The reverse; `None` if it is not of that form.
    pub(crate) fn request_of_bound(self, bound: &[u8]) -> Option<Vec<u8>> {
        match self {
            Keys::V2 { .. } if !bound.is_empty() => {
                decode_key(bound).filter(|(_, rest)| rest.is_empty()).map(|(key, _)| key)
            }
            _ => Some(bound.to_vec()),
        }
    }

    /// The same of both ends.
    pub(crate) fn request_of_bounds(self, range: &KeyRange) -> Option<KeyRange> {
        let start = self.request_of_bound(&range.start)?;
        Some(KeyRange { start, end: self.request_of_bound(&range.end)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_keyspace_are_prefixed_and_come_back() {
        let keys = Keys::of_keyspace(0x01_02_03);
        let request = keys.request(b"k");
        assert_eq!(&request[..], b"r\x01\x02\x03k");
        assert_eq!(keys.user(&request), Some(Bytes::from_static(b"k")));
        assert_eq!(keys.user(&Bytes::from_static(b"r\0\0\0k")), None);
        assert_eq!(keys.bound(&request), encode_key(b"r\x01\x02\x03k"));
        assert_eq!(keys.request_of_bound(&keys.bound(&request)), Some(request.to_vec()));
        assert_eq!(keys.request_of_bound(b"no"), None);
        assert_eq!(keys.request_of_bound(b""), Some(Vec::new()));
    }

    #[test]
    fn range_without_end_ends_with_its_keyspace() {
        let all = KeyRange::default();
        let of = |id| Keys::of_keyspace(id).request_range(&all);
        assert_eq!(of(0), KeyRange::new("r\0\0\0", "r\0\0\x01"));
        assert_eq!(of(0xff), KeyRange::new(b"r\0\0\xff".to_vec(), b"r\0\x01\0".to_vec()));
        assert_eq!(of(0xff_ff_ff), KeyRange::new(b"r\xff\xff\xff".to_vec(), b"s\0\0\0".to_vec()));
        assert_eq!(Keys::V1.request_range(&all), all);
    }
}
