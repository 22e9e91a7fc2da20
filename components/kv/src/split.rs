//! Where regions are cut, and what becomes of one that is.
//!
//! Measuring   [`SizeScan`] walks a region in bounded steps and keeps marks along the way.
//! Choosing    [`SplitConfig`] says when a region is too large; cuts are made at marks.
//! Cutting     `parts_of`: the regions that a split makes of one, checked alike by whoever
//!             proposes and whoever applies.
//!
//! Not here: when to measure, which is the store's business, and ids, which are placement's.

mod size;

use types::{ApiVersion, Epoch, KeyRange, PeerRole, Region, RegionPeer};

pub use self::size::{Measured, SizeScan};
use crate::command::NewRegion;

/// When a region is cut, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitConfig {
    /// A region with more bytes of keys and values than this is cut. Default: 96 MiB.
    pub max_bytes: u64,
    /// Bytes of the parts that are cut off in front; less than the most, so that what is left is
    /// not tiny. Default: 64 MiB. Not zero.
    pub target_bytes: u64,
    /// A region with more keys than this is cut, into parts in the same proportion. Default:
    /// 960,000.
    pub max_keys: u64,
    /// Most cuts of one command. Default: 10.
    pub batch_max: usize,
}

impl Default for SplitConfig {
    fn default() -> SplitConfig {
        SplitConfig {
            max_bytes: 96 << 20,
            target_bytes: 64 << 20,
            max_keys: 960_000,
            batch_max: 10,
        }
    }
}

impl SplitConfig {
    /// Whether a region of this size is to be cut.
    #[must_use]
    pub fn is_too_large(&self, bytes: u64, keys: u64) -> bool {
        bytes > self.max_bytes || keys > self.max_keys
    }

    /// Keys of the parts that are cut off in front.
    fn target_keys(&self) -> u64 {
        let share = u128::from(self.max_keys) * u128::from(self.target_bytes);
        let keys = share / u128::from(self.max_bytes.max(1));
        u64::try_from(keys).unwrap_or(u64::MAX).max(1)
    }
}

/// The parts of a region, by ascending keys: the new ones, and the region itself as the last.
/// Whoever proposes a split asks this first; it is asked again when the split is applied.
///
/// # Errors
/// Why the region cannot be cut like this.
pub fn parts_of(
    region: &Region,
    children: &[NewRegion],
    api: ApiVersion,
) -> Result<Vec<Region>, &'static str> {
    if children.is_empty() {
        return Err("a split without cuts");
    }
    if region.peers.iter().any(|peer| !matches!(peer.role, PeerRole::Voter | PeerRole::Learner)) {
        return Err("its members are changing");
    }
    check_ids(region, children)?;
    let version = region.epoch.version.checked_add(children.len() as u64);
    let epoch = Epoch { version: version.ok_or("a version without end")?, ..region.epoch };
    let mut start = region.range.start.clone();
    let mut parts = Vec::with_capacity(children.len() + 1);
    for child in children {
        let end = child.end.to_vec();
        if end <= start {
            return Err("cuts do not rise, or one is at the start of the region");
        }
        if !region.range.contains(&end) {
            return Err("a cut outside of the region");
        }
        if !api.is_boundary(&end) {
            return Err("a cut at a key that no region may begin with");
        }
        let range = KeyRange::new(std::mem::replace(&mut start, end.clone()), end);
        parts.push(Region { id: child.region, range, epoch, peers: peers_of(region, child) });
    }
    let range = KeyRange::new(start, region.range.end.clone());
    parts.push(Region { id: region.id, range, epoch, peers: region.peers.clone() });
    Ok(parts)
}

/// Ids of new regions and peers are each other's for the first time. That nobody had them before is
/// what placement promises.
fn check_ids(region: &Region, children: &[NewRegion]) -> Result<(), &'static str> {
    let mut regions = vec![region.id];
    let mut peers: Vec<_> = region.peers.iter().map(|peer| peer.id).collect();
    for child in children {
        if child.peers.len() != region.peers.len() {
            return Err("a new region needs a peer for each peer of the old one");
        }
        regions.push(child.region);
        peers.extend(&child.peers);
    }
    regions.sort_unstable();
    peers.sort_unstable();
    if regions.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("a region is named twice");
    }
    if peers.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("a peer is named twice");
    }
    Ok(())
}

fn peers_of(region: &Region, child: &NewRegion) -> Vec<RegionPeer> {
    let pairs = region.peers.iter().zip(&child.peers);
    let mut peers: Vec<RegionPeer> = pairs.map(|(peer, &id)| RegionPeer { id, ..*peer }).collect();
    peers.sort_unstable_by_key(|peer| peer.id);
    peers
}

#[cfg(test)]
mod tests;
