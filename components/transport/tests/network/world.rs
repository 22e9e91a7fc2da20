//! Networks on loopback whose stores write down what they are told.
//!
//! Everything waits on channels, with a deadline that only a fault reaches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use multiraft::{Body, Envelope, Inbox, Parcel, Transport};
use parking_lot::Mutex;
use transport::{Config, Network, NotAdmitted, Resolver};
use types::{ClusterId, GroupId, Index, PeerId, StoreId};

/// What a test waits for comes before this, unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a store was told.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a test keeps few of them")]
pub(crate) enum Told {
    /// A parcel arrived.
    Delivered(u64, Parcel),
    /// What was sent to this store may be lost.
    Lost(u64),
}

/// Addresses of stores, shared by all networks of a test, and by which disks some are known.
#[derive(Default)]
pub(crate) struct Book {
    addresses: Mutex<BTreeMap<u64, String>>,
    disks: Mutex<BTreeMap<u64, u64>>,
    /// What stores were told that are known by another.
    pub(crate) disowned: Mutex<Vec<(StoreId, String)>>,
}

/// A store that writes down what it is told.
struct Pad(Mutex<Sender<Told>>);

/// A network, and what its store was told.
pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) told: Receiver<Told>,
    transport: Arc<dyn Transport>,
    pad: Option<Arc<Pad>>,
}

impl Book {
    pub(crate) fn write(&self, store: u64, address: impl ToString) {
        self.addresses.lock().insert(store, address.to_string());
    }

    /// The store is known by this disk from now on.
    pub(crate) fn know(&self, store: u64, disk: u64) {
        self.disks.lock().insert(store, disk);
    }
}

impl Resolver for Book {
    fn address(&self, store: StoreId) -> Option<String> {
        self.addresses.lock().get(&store.get()).cloned()
    }

    fn admits(&self, store: StoreId, disk: u64) -> Result<(), NotAdmitted> {
        match self.disks.lock().get(&store.get()) {
            // Stands for a disk on which nothing can be noted down.
            Some(0) => Err(NotAdmitted::Unkept("there is no room".to_owned())),
            Some(known) if *known != disk => {
                Err(NotAdmitted::OtherDisk(format!("{store} is known by disk {known}")))
            }
            _ => Ok(()),
        }
    }

    fn disowned(&self, by: StoreId, why: &str) {
        self.disowned.lock().push((by, why.to_owned()));
    }
}

impl Inbox for Pad {
    fn deliver(&self, from: StoreId, parcel: Parcel) {
        // A test that has ended does not listen any more.
        let _ = self.0.lock().send(Told::Delivered(from.get(), parcel));
    }

    fn lost(&self, to: StoreId) {
        let _ = self.0.lock().send(Told::Lost(to.get()));
    }
}

pub(crate) fn store(id: u64) -> StoreId {
    StoreId::new(id).unwrap()
}

/// Settings that are quick to try again, on a free port.
pub(crate) fn quick() -> Config {
    Config {
        listen: "127.0.0.1:0".to_owned(),
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(50),
        handshake_timeout: Duration::from_secs(20),
        keepalive_timeout: Duration::from_secs(20),
        ..Config::default()
    }
}

/// One message of a group, told apart by its number.
pub(crate) fn envelope(nth: u64) -> Envelope {
    let peer = |id| PeerId::new(id).unwrap();
    let group = GroupId::new(1).unwrap();
    Envelope { group, from: peer(1), to: peer(2), body: Body::Removed(Index(nth)) }
}

pub(crate) fn groups(numbers: impl IntoIterator<Item = u64>) -> Parcel {
    Parcel::Groups(numbers.into_iter().map(envelope).collect())
}

impl Node {
    /// A network that is served, and in the book.
    pub(crate) fn start(id: u64, book: &Arc<Book>) -> Node {
        let mut node = Node::bind(id, quick(), book);
        node.serve();
        node
    }

    /// A network that is in the book, but not served yet.
    pub(crate) fn bind(id: u64, config: Config, book: &Arc<Book>) -> Node {
        let identity = (ClusterId::new(7).unwrap(), store(id));
        let resolver = Arc::clone(book) as Arc<dyn Resolver>;
        let network = Network::bind(config, identity, resolver).unwrap();
        book.write(id, network.address());
        let (sender, told) = channel();
        let transport = network.transport();
        Node { network, told, transport, pad: Some(Arc::new(Pad(Mutex::new(sender)))) }
    }

    pub(crate) fn serve(&mut self) {
        let pad = self.pad.take().expect("served once");
        self.network.serve(pad).unwrap();
    }

    pub(crate) fn send(&self, to: u64, parcel: Parcel) {
        self.transport.send(store(to), parcel);
    }

    /// The next thing that the store is told.
    pub(crate) fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("nothing was told in time")
    }

    /// The next parcel. `Lost` may come before it.
    pub(crate) fn parcel(&self) -> (u64, Parcel) {
        loop {
            if let Told::Delivered(from, parcel) = self.next() {
                return (from, parcel);
            }
        }
    }

    /// Numbers of the messages that arrive, until `last` did; how they are bundled is not said.
    pub(crate) fn numbers_until(&self, last: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&last) {
            if let (_, Parcel::Groups(envelopes)) = self.parcel() {
                numbers.extend(envelopes.iter().map(number));
            }
        }
        numbers
    }

    /// Why a store is not reached.
    pub(crate) fn problem(&self, id: u64) -> Option<String> {
        let unreached = self.network.traffic().unreached();
        unreached.into_iter().find(|of| of.store == store(id)).map(|of| of.why)
    }

    /// Says something to `to` until it hears that, as a group would.
    pub(crate) fn reach(&self, to: &Node, id: u64) {
        let tries = u64::try_from(PATIENCE.as_millis()).unwrap() / 20;
        for nth in 0..tries {
            self.send(id, groups([nth]));
            match to.told.recv_timeout(Duration::from_millis(20)) {
                Ok(Told::Delivered(_, Parcel::Groups(_))) => return,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("store {id} was not reached: {:?}", self.problem(id));
    }
}

pub(crate) fn number(envelope: &Envelope) -> u64 {
    match envelope.body {
        Body::Removed(Index(nth)) => nth,
        _ => panic!("not one of the test's messages"),
    }
}
