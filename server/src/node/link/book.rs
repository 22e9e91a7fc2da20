//! Where stores live: what this node was told at its start, and what placement has said since.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use proto::metapb;
use types::StoreId;

/// Addresses of stores, `host:port`.
#[derive(Default)]
pub(crate) struct Book {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    version: u64,
    addresses: BTreeMap<StoreId, String>,
}

impl Book {
    /// A book with what is known before anybody was asked.
    pub(crate) fn new(known: impl IntoIterator<Item = (StoreId, String)>) -> Book {
        let addresses = known.into_iter().collect();
        Book { inner: RwLock::new(Inner { version: 0, addresses }) }
    }

    pub(super) fn version(&self) -> u64 {
        self.inner.read().version
    }

    /// A newer book. Stores that it does not name keep the address that was known.
    pub(super) fn learn(&self, version: u64, stores: &[metapb::Store]) {
        let mut inner = self.inner.write();
        if version < inner.version {
            return;
        }
        inner.version = version;
        for store in stores {
            let Some(id) = StoreId::new(store.id) else { continue };
            if store.state() == metapb::StoreState::Tombstone {
                inner.addresses.remove(&id);
            } else {
                inner.addresses.insert(id, store.address.clone());
            }
        }
    }
}

impl transport::Resolver for Book {
    fn address(&self, store: StoreId) -> Option<String> {
        self.inner.read().addresses.get(&store).cloned()
    }
}

#[cfg(test)]
mod tests {
    use transport::Resolver as _;

    use super::*;

    #[test]
    fn newer_books_change_addresses_and_older_ones_nothing() {
        let id = |id| StoreId::new(id).expect("not zero");
        let book = Book::new([(id(1), "a:1".to_owned())]);
        let store = |id, address: &str, state: metapb::StoreState| metapb::Store {
            id,
            address: address.to_owned(),
            state: state.into(),
            ..Default::default()
        };
        let up = metapb::StoreState::Up;
        book.learn(5, &[store(2, "b:1", up), store(1, "a:2", up)]);
        book.learn(4, &[store(2, "old:1", up)]);
        assert_eq!(book.address(id(1)), Some("a:2".to_owned()));
        assert_eq!(book.address(id(2)), Some("b:1".to_owned()));
        book.learn(6, &[store(2, "b:1", metapb::StoreState::Tombstone)]);
        assert_eq!(book.address(id(2)), None);
        assert_eq!(book.version(), 6);
    }
}
