//! What waits for a store: bounded, in order, the oldest dropped first.
//!
//! Envelopes wait one by one and not in the parcels they came in, so that a bundle is filled to its
//! size and an overflow drops no more than it must. Of liveness only the newest waits.
//!
//! Invariants: `bytes` is the sum over what waits; neither bound is exceeded.

use std::collections::VecDeque;

use multiraft::{Envelope, Liveness, Parcel, SnapshotFrame, wire};
use proto::crib::raft::v1;

use crate::config::Config;

/// Envelopes of one bundle. Below what a receiver takes.
const BUNDLE_COUNT_MAX: usize = 4_096;

/// Bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes that wait.
    pub(crate) bytes_max: usize,
    /// Elements that wait.
    pub(crate) count_max: usize,
    /// Bytes of one element.
    pub(crate) element_bytes_max: usize,
    /// Bytes of a bundle, unless one element alone is larger.
    pub(crate) bundle_bytes_max: usize,
}

/// What waits on one lane to one store.
#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    elements: VecDeque<(usize, Element)>,
    bytes: usize,
    liveness: Option<Liveness>,
    /// Elements that were dropped, since there is this queue.
    pub(crate) dropped: u64,
}

#[derive(Debug)]
enum Element {
    Envelope(Envelope),
    Frame(SnapshotFrame),
}

impl Bounds {
    /// Those of messages.
    pub(crate) fn of_messages(config: &Config) -> Bounds {
        Bounds {
            bytes_max: config.queue_bytes_max,
            count_max: config.queue_count_max,
            element_bytes_max: config.message_bytes_max,
            bundle_bytes_max: config.bundle_bytes_max,
        }
    }

    /// Those of snapshot frames.
    pub(crate) fn of_snapshots(config: &Config) -> Bounds {
        Bounds { bytes_max: config.snapshot_queue_bytes_max, ..Bounds::of_messages(config) }
    }
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Queue {
        Queue { bounds, elements: VecDeque::new(), bytes: 0, liveness: None, dropped: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.elements.is_empty() && self.liveness.is_none()
    }

    /// Adds what a parcel holds. Returns whether all of that, and of what waited, still waits.
    pub(crate) fn put(&mut self, parcel: Parcel) -> bool {
        match parcel {
            Parcel::Groups(envelopes) => envelopes.into_iter().fold(true, |kept, envelope| {
                let bytes = wire::envelope_bytes_max(&envelope);
                self.push(bytes, Element::Envelope(envelope)) && kept
            }),
            Parcel::Liveness(liveness) => {
                self.liveness = Some(liveness.in_place_of(self.liveness.take()));
                true
            }
            Parcel::Snapshot(frame) => {
                let parcel = Parcel::Snapshot(frame);
                let bytes = wire::bytes_max(&parcel);
                let Parcel::Snapshot(frame) = parcel else { unreachable!("made above") };
                self.push(bytes, Element::Frame(frame))
            }
        }
    }

    fn push(&mut self, bytes: usize, element: Element) -> bool {
        if bytes > self.bounds.element_bytes_max {
            self.dropped += 1;
            return false;
        }
        self.elements.push_back((bytes, element));
        self.bytes += bytes;
        let mut kept = true;
        while self.bytes > self.bounds.bytes_max || self.elements.len() > self.bounds.count_max {
            let (bytes, _) = self.elements.pop_front().expect("it is over its bounds");
            self.bytes -= bytes;
            self.dropped += 1;
            kept = false;
        }
        kept
    }

    /// The next bundle: liveness and as many envelopes as fit, or one snapshot frame.
    pub(crate) fn take(&mut self) -> Option<v1::Bundle> {
        if self.is_empty() {
            return None;
        }
        let mut bundle = v1::Bundle::default();
        if let Some(liveness) = self.liveness.take() {
            wire::put(&mut bundle, Parcel::Liveness(liveness));
        }
        let mut envelopes = Vec::new();
        let mut total = 0;
        while let Some((bytes, _)) = self.elements.front()
            && (total == 0 || total + bytes <= self.bounds.bundle_bytes_max)
            && envelopes.len() < BUNDLE_COUNT_MAX
        {
            let (bytes, element) = self.elements.pop_front().expect("looked at above");
            self.bytes -= bytes;
            total += bytes;
            match element {
                Element::Envelope(envelope) => envelopes.push(envelope),
                Element::Frame(frame) => {
                    wire::put(&mut bundle, Parcel::Snapshot(frame));
                    break;
                }
            }
        }
        wire::put(&mut bundle, Parcel::Groups(envelopes));
        if self.elements.is_empty() {
            // A lane at rest keeps no buffer.
            self.elements = VecDeque::new();
        }
        Some(bundle)
    }

    /// Drops everything but liveness, which is never stale.
    pub(crate) fn clear(&mut self) {
        self.elements = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use multiraft::Body;
    use types::{GroupId, Index, PeerId};

    use super::*;

    const BOUNDS: Bounds =
        Bounds { bytes_max: 128 * 8, count_max: 6, element_bytes_max: 200, bundle_bytes_max: 300 };

    fn envelope(nth: u64) -> Envelope {
        let peer = |id| PeerId::new(id).unwrap();
        let group = GroupId::new(1).unwrap();
        Envelope { group, from: peer(1), to: peer(2), body: Body::Removed(Index(nth)) }
    }

    fn groups(range: std::ops::Range<u64>) -> Parcel {
        Parcel::Groups(range.map(envelope).collect())
    }

    fn taken(queue: &mut Queue) -> Vec<u64> {
        let bundle = queue.take().unwrap_or_default();
        (bundle.envelopes.iter())
            .map(|envelope| match envelope.body {
                Some(v1::envelope::Body::Removed(nth)) => nth,
                _ => panic!("another message"),
            })
            .collect()
    }

    #[test]
    fn parcels_are_cut_and_joined_into_bundles_in_order() {
        let mut queue = Queue::new(BOUNDS);
        assert!(queue.put(groups(0..3)) && queue.put(groups(3..5)));
        assert_eq!(taken(&mut queue), [0, 1]);
        assert_eq!(taken(&mut queue), [2, 3]);
        assert_eq!(taken(&mut queue), [4]);
        assert!(queue.is_empty() && queue.bytes == 0);
    }

    #[test]
    fn overflow_drops_the_oldest_and_what_is_too_large_alone() {
        let mut queue = Queue::new(BOUNDS);
        assert!(queue.put(groups(0..6)));
        assert!(!queue.put(groups(6..8)));
        assert_eq!(taken(&mut queue), [2, 3]);
        let mut queue = Queue::new(Bounds { bytes_max: 128 * 2, ..BOUNDS });
        assert!(!queue.put(groups(0..3)));
        assert_eq!(taken(&mut queue), [1, 2]);
        let mut queue = Queue::new(Bounds { element_bytes_max: 100, ..BOUNDS });
        assert!(!queue.put(groups(0..1)));
        assert!(queue.is_empty());
    }

    #[test]
    fn liveness_newest_alone_waits_and_survives_clear() {
        let mut queue = Queue::new(BOUNDS);
        for epoch in [1, 2] {
            queue.put(Parcel::Liveness(Liveness { epoch, ..Liveness::default() }));
        }
        queue.put(groups(0..1));
        queue.clear();
        let bundle = queue.take().unwrap();
        assert_eq!(bundle.liveness.map(|liveness| liveness.epoch), Some(2));
        assert!(bundle.envelopes.is_empty() && queue.is_empty());
    }
}
