//! A network within one process: for examples, benches and tests, and for state machines that only
//! want the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use types::StoreId;

use crate::message::Parcel;
use crate::transport::{Inbox, Transport};

/// Stores of one process that reach each other by function calls. Nothing is lost, delayed or
/// reordered, but to and from stores that are cut off.
#[derive(Clone, Default)]
pub struct LocalNetwork {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Default)]
struct Inner {
    inboxes: BTreeMap<StoreId, Arc<dyn Inbox>>,
    /// Pairs of which the first is not heard by the second.
    cut: Vec<(StoreId, StoreId)>,
}

/// The end of one store.
struct End {
    network: LocalNetwork,
    store: StoreId,
}

impl LocalNetwork {
    /// A network without stores.
    #[must_use]
    pub fn new() -> LocalNetwork {
        LocalNetwork::default()
    }

    /// The network as one store sees it.
    #[must_use]
    pub fn transport(&self, store: StoreId) -> Arc<dyn Transport> {
        Arc::new(End { network: self.clone(), store })
    }

    /// A store can be reached from now on.
    pub fn join(&self, store: StoreId, inbox: Arc<dyn Inbox>) {
        self.inner.write().inboxes.insert(store, inbox);
    }

    /// A store cannot be reached any more, and nothing it says is heard.
    pub fn leave(&self, store: StoreId) {
        self.inner.write().inboxes.remove(&store);
    }

    /// What `from` says is not heard by `to` any more.
    pub fn cut(&self, from: StoreId, to: StoreId) {
        self.inner.write().cut.push((from, to));
    }

    /// Everyone hears everyone again.
    pub fn heal(&self) {
        self.inner.write().cut.clear();
    }
}

impl Transport for End {
    fn send(&self, to: StoreId, parcel: Parcel) {
        let inbox = {
            let inner = self.network.inner.read();
            if inner.cut.contains(&(self.store, to)) || !inner.inboxes.contains_key(&self.store) {
                return;
            }
            inner.inboxes.get(&to).cloned()
        };
        if let Some(inbox) = inbox {
            inbox.deliver(self.store, parcel);
        }
    }
}
