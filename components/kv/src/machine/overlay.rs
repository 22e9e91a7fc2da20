//! What earlier commands of one call have written, which no view shows yet.
//!
//! Comparing and setting reads; the other commands do not. So this is made only for calls with such
//! a command among theirs.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use storage::{Cf, View};
use types::KeyRange;

/// Writes on top of a view.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// Keys that were written: what is stored, `None` for deleted.
    keys: BTreeMap<(Cf, Bytes), Option<Bytes>>,
    /// Ranges that were deleted. What was written in them since is among the keys.
    ranges: Vec<(Cf, KeyRange)>,
}

impl Overlay {
    /// A key was set, or deleted.
    pub(super) fn write(&mut self, family: Cf, key: Bytes, stored: Option<Bytes>) {
        self.keys.insert((family, key), stored);
    }

    /// A range was deleted.
    pub(super) fn delete_range(&mut self, family: Cf, range: &KeyRange) {
        let start = (family, Bytes::copy_from_slice(&range.start));
        let written = self.keys.range_mut((Bound::Included(start), Bound::Unbounded));
        for ((_, _), stored) in
            written.take_while(|((cf, key), _)| *cf == family && range.contains(key))
        {
            *stored = None;
        }
        self.ranges.push((family, range.clone()));
    }

    /// What is stored under a key.
    ///
    /// # Errors
    /// If the view cannot be read.
    pub(super) fn get(
        &self,
        view: &dyn View,
        family: Cf,
        key: &Bytes,
    ) -> Result<Option<Bytes>, storage::Error> {
        if let Some(stored) = self.keys.get(&(family, key.clone())) {
            return Ok(stored.clone());
        }
        if self.ranges.iter().any(|(cf, range)| *cf == family && range.contains(key)) {
            return Ok(None);
        }
        Ok(view.get(family, key)?.map(Bytes::from))
    }
}
