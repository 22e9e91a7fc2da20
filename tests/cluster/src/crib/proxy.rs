//! Proxies between nodes, each of which knows who calls: a way from one node to another can be cut
//! alone, so that partitions are not symmetric.
//!
//! Each node listens behind a proxy, whose address it advertises. All calls come from loopback; who
//! calls is found by the socket's inode, among the files of the nodes' processes. Stores send on
//! connections of their own, so a way that is cut for the calls of A to B leaves B's words to A.
//!
//! Invariant: what is cut stays open and silent, as behind a firewall that drops.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::node::Node;

/// Ways that are cut, by the addresses of caller and called.
type Cuts = BTreeSet<(String, String)>;

/// A connection has brought more than it may.
struct BrokenOff;

/// All proxies of a cluster.
#[derive(Default)]
pub struct Proxies {
    shared: Arc<Shared>,
}

struct Shared {
    cuts: watch::Sender<Cuts>,
    /// Who may call, with the process that it is now.
    callers: Mutex<Vec<Arc<Node>>>,
    /// Pieces that were kept back since the last time that all was open.
    held: AtomicU64,
    /// Bytes that a connection may bring a node, by its address, before it is broken off.
    limits: Mutex<BTreeMap<String, u64>>,
    /// Connections that were broken off.
    broken: AtomicU64,
}

impl Default for Shared {
    fn default() -> Shared {
        Shared {
            cuts: watch::Sender::new(Cuts::new()),
            callers: Mutex::default(),
            held: AtomicU64::new(0),
            limits: Mutex::default(),
            broken: AtomicU64::new(0),
        }
    }
}

impl Proxies {
    /// Listens for a node.
    pub(super) fn open(&self, node: &Arc<Node>) {
        self.shared.callers.lock().push(Arc::clone(node));
        let listener = std::net::TcpListener::bind(&node.address).expect("nobody else is there");
        listener.set_nonblocking(true).expect("a listener");
        let listener = TcpListener::from_std(listener).expect("a runtime");
        let (shared, node) = (Arc::clone(&self.shared), Arc::clone(node));
        tokio::spawn(async move {
            while let Ok((caller, from)) = listener.accept().await {
                let who = caller.local_addr().ok().and_then(|at| shared.who(from, at));
                let way = (who.unwrap_or_default(), node.address.clone());
                tokio::spawn(carry(Arc::clone(&shared), way, caller, node.listen.clone()));
            }
        });
    }

    /// From now on nothing that `from` sends on its connections reaches `to`, nor what is answered
    /// on them.
    pub fn cut(&self, from: &Node, to: &Node) {
        let way = (from.address.clone(), to.address.clone());
        self.shared.cuts.send_modify(|cuts| {
            cuts.insert(way);
        });
    }

    /// From now on a connection is broken off once it has brought a node more bytes than this.
    pub fn limit(&self, to: &Node, bytes: u64) {
        self.shared.limits.lock().insert(to.address.clone(), bytes);
    }

    /// No connection is broken off any more.
    pub fn unlimit(&self) {
        self.shared.limits.lock().clear();
    }

    /// Connections that were broken off so far.
    pub fn broken(&self) -> u64 {
        self.shared.broken.load(Ordering::Relaxed)
    }

    /// Pieces that were kept back since ways were cut.
    pub fn held(&self) -> u64 {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// All ways are open again. What was kept back arrives.
    pub fn heal(&self) {
        self.shared.held.store(0, Ordering::Relaxed);
        self.shared.cuts.send_modify(Cuts::clear);
    }
}

impl Shared {
    /// Whether a connection has brought a node more than it may.
    fn is_beyond(&self, to: &str, bytes: u64) -> bool {
        self.limits.lock().get(to).is_some_and(|&limit| bytes > limit)
    }

    /// The address of the node that has the socket which calls from here to there.
    fn who(&self, from: SocketAddr, to: SocketAddr) -> Option<String> {
        let inode = inode_of(from, to)?;
        let callers = self.callers.lock().clone();
        let found = callers.iter().find(|node| {
            let pid = node.child.lock().as_ref().map(std::process::Child::id);
            pid.is_some_and(|pid| has_socket(pid, inode))
        });
        found.map(|node| node.address.clone())
    }
}

/// The inode of the socket at this end of a connection. Both ends count: the kernel gives a port
/// to several callers of different addresses.
fn inode_of(from: SocketAddr, to: SocketAddr) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let (from, to) = (in_table(from)?, in_table(to)?);
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, inode) = (words.get(1)?, words.get(2)?, words.get(9)?);
        (**local == *from && **remote == *to).then(|| inode.parse().ok()).flatten()
    })
}

/// An address as the kernel's table has it.
fn in_table(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    let ip = u32::from_ne_bytes(address.ip().octets());
    Some(format!("{ip:08X}:{:04X}", address.port()))
}

fn has_socket(pid: u32, inode: u64) -> bool {
    let socket = format!("socket:[{inode}]");
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
    files
        .into_iter()
        .flatten()
        .flatten()
        .any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy() == socket))
}

async fn carry(shared: Arc<Shared>, way: (String, String), caller: TcpStream, to: String) {
    let Ok(called) = TcpStream::connect(to).await else { return };
    let _ = (caller.set_nodelay(true), called.set_nodelay(true));
    let (from_caller, to_caller) = caller.into_split();
    let (from_called, to_called) = called.into_split();
    // The first that is broken off ends both.
    let _ = tokio::try_join!(
        pass(from_caller, to_called, &shared, &way, Some(0)),
        pass(from_called, to_caller, &shared, &way, None)
    );
}

/// Passes bytes on until one side ends, or waits as long as the way is cut. With a count of those
/// that were passed on it ends when there are more than the called node may be brought.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    way: &(String, String),
    mut brought: Option<u64>,
) -> Result<(), BrokenOff> {
    let mut bytes = vec![0; 64 << 10];
    let mut cuts = shared.cuts.subscribe();
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if cuts.borrow_and_update().contains(way) {
            shared.held.fetch_add(1, Ordering::Relaxed);
        }
        if cuts.wait_for(|cuts| !cuts.contains(way)).await.is_err() {
            break;
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            break;
        }
        if let Some(brought) = &mut brought {
            *brought += length as u64;
            if shared.is_beyond(&way.1, *brought) {
                shared.broken.fetch_add(1, Ordering::Relaxed);
                return Err(BrokenOff);
            }
        }
    }
    let _ = to.shutdown().await;
    Ok(())
}
