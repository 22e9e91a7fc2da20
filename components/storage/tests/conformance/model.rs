//! The reference: ordered maps, the writes that are not durable yet, and the states that views saw.

use std::collections::BTreeMap;
use std::ops::Bound;

use storage::{Batch, Bounds, Cf, Direction, View};

pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// An operation of a batch, that can be drawn and printed.
#[derive(Clone, Debug)]
pub(crate) enum ModelOp {
    Put(Cf, Vec<u8>, Vec<u8>),
    Delete(Cf, Vec<u8>),
    DeleteRange(Cf, Vec<u8>, Vec<u8>),
}

pub(crate) fn batch(ops: &[ModelOp]) -> Batch {
    let mut batch = Batch::new();
    for op in ops {
        match op {
            ModelOp::Put(cf, key, value) => batch.put(*cf, key, value),
            ModelOp::Delete(cf, key) => batch.delete(*cf, key),
            ModelOp::DeleteRange(cf, start, end) => batch.delete_range(*cf, start, end),
        }
    }
    batch
}

/// All that an engine shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    spaces: [BTreeMap<Vec<u8>, Vec<u8>>; Cf::ALL.len()],
}

impl State {
    pub(crate) fn apply(&mut self, ops: &[ModelOp]) {
        for op in ops {
            match op {
                ModelOp::Put(cf, key, value) => {
                    self.spaces[cf.index()].insert(key.clone(), value.clone());
                }
                ModelOp::Delete(cf, key) => _ = self.spaces[cf.index()].remove(key),
                ModelOp::DeleteRange(cf, start, end) => {
                    self.spaces[cf.index()].retain(|key, _| key < start || key >= end);
                }
            }
        }
    }

    pub(crate) fn get(&self, cf: Cf, key: &[u8]) -> Option<Vec<u8>> {
        self.spaces[cf.index()].get(key).cloned()
    }

    /// Written plainly, without ranges of maps, so that it cannot have the same mistakes.
    pub(crate) fn scan(
        &self,
        cf: Cf,
        bounds: Bounds<'_>,
        direction: Direction,
        limit: usize,
    ) -> Pairs {
        let after_start = |key: &[u8]| match bounds.0 {
            Bound::Included(start) => key >= start,
            Bound::Excluded(start) => key > start,
            Bound::Unbounded => true,
        };
        let before_end = |key: &[u8]| match bounds.1 {
            Bound::Included(end) => key <= end,
            Bound::Excluded(end) => key < end,
            Bound::Unbounded => true,
        };
        let mut pairs: Pairs = self.spaces[cf.index()]
            .iter()
            .filter(|(key, _)| after_start(key) && before_end(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if direction == Direction::Reverse {
            pairs.reverse();
        }
        pairs.truncate(limit);
        pairs
    }

    /// That a view shows this and nothing else.
    pub(crate) fn assert_shown_by(&self, view: &dyn View, when: &str) {
        for cf in Cf::ALL {
            let all = (Bound::Unbounded, Bound::Unbounded);
            for direction in [Direction::Forward, Direction::Reverse] {
                let expected = self.scan(cf, all, direction, usize::MAX);
                assert_eq!(scan(view, cf, all, direction, usize::MAX), expected, "{when}, {cf:?}");
            }
        }
    }
}

/// Up to `limit` pairs of a view.
pub(crate) fn scan(
    view: &dyn View,
    cf: Cf,
    bounds: Bounds<'_>,
    direction: Direction,
    limit: usize,
) -> Pairs {
    let mut pairs = Pairs::new();
    let mut each = |key: &[u8], value: &[u8]| {
        pairs.push((key.to_vec(), value.to_vec()));
        pairs.len() < limit
    };
    view.scan(cf, bounds, direction, &mut each).unwrap();
    pairs
}

/// An engine over time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: State,
    pub(crate) durable: State,
    pub(crate) unsynced: Vec<Vec<ModelOp>>,
    pub(crate) views: Vec<State>,
    /// Numbers the files, so that each has its own name.
    pub(crate) files: usize,
}

impl Model {
    pub(crate) fn write(&mut self, ops: &[ModelOp], is_synced: bool) {
        self.now.apply(ops);
        self.unsynced.push(ops.to_vec());
        if is_synced {
            self.sync();
        }
    }

    pub(crate) fn sync(&mut self) {
        self.durable = self.now.clone();
        self.unsynced.clear();
    }

    /// How many unsynced writes survive of the whole.
    pub(crate) fn kept(&self, thousandths: u16) -> usize {
        (self.unsynced.len() * usize::from(thousandths)).div_ceil(1000)
    }

    pub(crate) fn crash(&mut self, thousandths: u16) {
        let kept = self.kept(thousandths);
        for ops in self.unsynced.drain(..).take(kept) {
            self.durable.apply(&ops);
        }
        self.now = self.durable.clone();
        self.views.clear();
    }

    pub(crate) fn restart(&mut self) {
        self.sync();
        self.views.clear();
    }
}
