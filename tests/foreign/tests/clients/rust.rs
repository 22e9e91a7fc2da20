//! How the Rust client is used here.

use foreign::{Api, Cluster};
use tikv_client::{Backoff, Config, Error, KvPair, RawClient};

/// The client's own patience is a second and a half; on a busy machine an election may take longer.
const PATIENCE: Backoff = Backoff::no_jitter_backoff(10, 1_000, 40);

/// A connected client of raw keys.
pub(crate) async fn client(cluster: &Cluster) -> RawClient {
    let mut config = Config::default();
    if cluster.api() == Api::V2 {
        config = config.with_default_keyspace();
    }
    let client = RawClient::new_with_config(cluster.endpoints(), config).await;
    client.expect("the client connects").with_backoff(PATIENCE)
}

/// Pairs as bytes.
pub(crate) fn plain(pairs: Vec<KvPair>) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.into_iter().map(|pair| (pair.0.into(), pair.1)).collect()
}

/// All pairs of a range, in pages: a scan of this client takes no more than 10,240.
///
/// Its scan over several regions asks twice where a key is, and goes on where the first answer says
/// that the region ends: what it returns while regions split may lack keys. Here they have split.
pub(crate) async fn scan_all(
    client: &RawClient,
    start: &[u8],
    end: &[u8],
    page: u32,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut from = start.to_vec();
    loop {
        let pairs = plain(client.scan(from.clone()..end.to_vec(), page).await?);
        let is_last = pairs.len() < page as usize;
        found.extend(pairs);
        match found.last() {
            Some((last, _)) if !is_last => {
                from.clone_from(last);
                from.push(0);
            }
            _ => return Ok(found),
        }
    }
}
