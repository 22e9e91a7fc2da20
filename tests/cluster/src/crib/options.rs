//! What a cluster under test is made of: small regions and short times, so that much happens.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::certificates::Signer;

/// How a cluster is to be.
#[derive(Clone)]
pub struct Options {
    /// The program `crib`.
    pub program: PathBuf,
    /// The name of the test, for messages.
    pub test: String,
    /// Stores that it is born with: 1, 3 or 5.
    pub stores: usize,
    /// How keys are formed: `v1`, `v1ttl`, `v2`.
    pub api_version: &'static str,
    /// Regions that are larger are split.
    pub split_kib: u64,
    /// Regions with more keys are split.
    pub split_keys: u64,
    /// After this silence the replicas of a store are made anew.
    pub down_after: Duration,
    /// Further settings, `key=value`.
    pub set: Vec<String>,
    /// Directories of the first nodes, where they are not to be in that of the cluster.
    pub dirs: Vec<PathBuf>,
    /// Variables for the processes of the first nodes, name and value.
    pub env: Vec<Vec<(String, String)>>,
    /// Where the first nodes are reached and where they listen, `host:port` each, if what is
    /// between is none of [`super::Proxies`].
    pub places: Vec<(String, String)>,
    /// Whether nodes reach each other, and clients them, through [`super::Proxies`].
    pub is_proxied: bool,
    /// Who signs the certificates of all; without it they speak plain text.
    pub signer: Option<Arc<Signer>>,
}

impl Options {
    /// Three stores in `v2`; none is given up.
    #[must_use]
    pub fn new(program: &str, test: &str) -> Options {
        Options {
            program: Path::new(program).to_owned(),
            test: test.to_owned(),
            stores: 3,
            api_version: "v2",
            split_kib: 1_024,
            split_keys: 500,
            down_after: Duration::from_mins(30),
            set: Vec::new(),
            dirs: Vec::new(),
            env: Vec::new(),
            places: Vec::new(),
            is_proxied: false,
            signer: None,
        }
    }

    /// The settings of every node.
    pub(super) fn settings(&self) -> Vec<String> {
        let mut all = vec![
            format!("region.split-size={}KiB", self.split_kib),
            format!("region.target-size={}KiB", self.split_kib / 2),
            format!("region.split-keys={}", self.split_keys),
            "region.check-interval=200ms".to_owned(),
            "placement.heartbeat-interval=300ms".to_owned(),
            "placement.disconnected-after=2s".to_owned(),
            format!("placement.down-after={}s", self.down_after.as_secs()),
            "storage.block-cache-size=16MiB".to_owned(),
            // The machine's disk is nobody's business here.
            "storage.keep-free=16MiB".to_owned(),
            "placement.full-percent=100".to_owned(),
        ];
        all.extend(self.set.iter().cloned());
        all
    }
}

/// Where a node may listen and nobody else does, on any port: loopback has many addresses, so no
/// port has to be found free and kept so.
#[must_use]
pub fn new_host() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(nth < 255, "a process of tests has used all its addresses");
    format!("127.{high}.{low}.{nth}")
}
