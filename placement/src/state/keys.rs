//! Every key that placement writes, all in the family `meta`, all behind `P`.
//!
//! | key | value |
//! |---|---|
//! | `Pc` | `ClusterRecord` |
//! | `Pm` | `MembersRecord` |
//! | `Pn` | `Numbers` |
//! | `Ps` store | `StoreRecord` |
//!
//! The number of a store is eight bytes, big endian.

use types::StoreId;

/// The first of all keys.
pub const START: &[u8] = b"P";
/// Behind the last of all keys.
pub const END: &[u8] = b"Q";
/// What was decided when the cluster was born.
pub const CLUSTER: &[u8] = b"Pc";
/// Who belongs to placement's group.
pub const MEMBERS: &[u8] = b"Pm";
/// Numbers that only rise.
pub const NUMBERS: &[u8] = b"Pn";
const STORE: &[u8] = b"Ps";

/// What a key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `Pc`.
    Cluster,
    /// `Pm`.
    Members,
    /// `Pn`.
    Numbers,
    /// `Ps` and an id.
    Store(StoreId),
}

impl Key {
    /// The key as bytes.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        match self {
            Key::Cluster => CLUSTER.to_vec(),
            Key::Members => MEMBERS.to_vec(),
            Key::Numbers => NUMBERS.to_vec(),
            Key::Store(store) => [STORE, &store.get().to_be_bytes()].concat(),
        }
    }

    /// Reads a key; `None` if it is none of these.
    #[must_use]
    pub fn decode(key: &[u8]) -> Option<Key> {
        match key {
            CLUSTER => Some(Key::Cluster),
            MEMBERS => Some(Key::Members),
            NUMBERS => Some(Key::Numbers),
            _ => {
                let id = key.strip_prefix(STORE)?.try_into().ok()?;
                StoreId::new(u64::from_be_bytes(id)).map(Key::Store)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_written_and_lie_between_the_ends() {
        let store = |id| Key::Store(StoreId::new(id).unwrap());
        let keys = [Key::Cluster, Key::Members, Key::Numbers, store(1), store(300)];
        for key in keys {
            let bytes = key.encode();
            assert_eq!(Key::decode(&bytes), Some(key));
            assert!(bytes.as_slice() >= START && bytes.as_slice() < END);
        }
        assert!(keys.windows(2).all(|pair| pair[0].encode() < pair[1].encode()));
        for bad in [&b"P"[..], b"Px", b"Ps", b"Ps\0\0\0\0\0\0\0\0", b"Ps\0\0\0\0\0\0\0\x01\0"] {
            assert_eq!(Key::decode(bad), None);
        }
    }
}
