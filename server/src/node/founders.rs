//! The stores that a cluster is born with: the same list, sorted, on each of them.
//!
//! Who stands where in it decides ids, so that founders need ask nobody. Their peers of placement's
//! group are numbered as the stores are.

use multiraft::Roster;
use types::{ClusterId, PeerId, StoreId};

/// Founders of a cluster, by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founders(Vec<String>);

impl Founders {
    /// The founders with these addresses, `host:port`.
    ///
    /// # Errors
    /// If there are none, one is named twice, or there are so many that placement could not agree:
    /// 1, 3 or 5 are possible.
    pub fn new(addresses: &[String]) -> Result<Founders, String> {
        let mut sorted = addresses.to_vec();
        sorted.sort();
        sorted.dedup();
        if sorted.len() != addresses.len() {
            return Err("a founder is named twice".to_owned());
        }
        match sorted.len() {
            1 | 3 | 5 => Ok(Founders(sorted)),
            other => Err(format!("a cluster is born with 1, 3 or 5 stores, not with {other}")),
        }
    }

    /// The id of the cluster that these found with a token: another token makes another cluster.
    #[must_use]
    pub fn cluster(&self, token: &str) -> ClusterId {
        // FNV-1a: any mixing will do that is the same everywhere and for ever.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let words = std::iter::once(token).chain(self.0.iter().map(String::as_str));
        for byte in words.flat_map(|word| word.bytes().chain([0])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // Positive where numbers are signed, and never zero.
        ClusterId::new((hash >> 1).max(1)).expect("not zero")
    }

    /// The store of a founder; `None` if this address founds nothing.
    #[must_use]
    pub fn store_of(&self, address: &str) -> Option<StoreId> {
        let at = self.0.iter().position(|founder| founder == address)?;
        StoreId::new(at as u64 + 1)
    }

    /// Stores and addresses.
    pub fn iter(&self) -> impl Iterator<Item = (StoreId, &str)> {
        let numbered = self.0.iter().zip(1..);
        numbered.filter_map(|(address, id)| Some((StoreId::new(id)?, address.as_str())))
    }

    /// Who belongs to placement's group.
    #[must_use]
    pub fn roster(&self) -> Roster {
        let voters: Vec<(PeerId, StoreId)> =
            self.iter().filter_map(|(store, _)| Some((PeerId::new(store.get())?, store))).collect();
        Roster::of_voters(&voters).expect("founders are few and different")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founders(addresses: &[&str]) -> Result<Founders, String> {
        let owned: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
        Founders::new(&owned)
    }

    #[test]
    fn order_does_not_matter_and_token_and_list_do() {
        let one = founders(&["a:1", "b:1", "c:1"]).expect("three");
        let other = founders(&["c:1", "a:1", "b:1"]).expect("three");
        assert_eq!(one, other);
        assert_eq!(one.store_of("b:1"), StoreId::new(2));
        assert_eq!(one.store_of("d:1"), None);
        assert_eq!(one.cluster("x"), other.cluster("x"));
        assert_ne!(one.cluster("x"), one.cluster("y"));
        assert_ne!(one.cluster("x"), founders(&["a:1"]).expect("one").cluster("x"));
        assert_eq!(one.roster().membership().len(), 3);
    }

    #[test]
    fn lists_that_cannot_agree_are_refused() {
        assert!(founders(&[]).is_err());
        assert!(founders(&["a:1", "b:1"]).is_err());
        assert!(founders(&["a:1", "b:1", "a:1"]).is_err());
    }
}
