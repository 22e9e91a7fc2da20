//! Reads of the engine on disk at an instant.

#![expect(clippy::mem_forget, reason = "inside of what self_cell expands to")]

use std::ops::Bound;
use std::sync::Arc;

use rocksdb::{DB, Snapshot};
use self_cell::self_cell;

use super::{error, family, options};
use crate::cf::Cf;
use crate::engine::{Bounds, Direction, View};
use crate::error::Error;

self_cell!(
    /// A snapshot, and the engine that it borrows from.
    pub(super) struct RocksView {
        owner: Arc<DB>,
        #[covariant]
        dependent: Snapshot,
    }
);

impl RocksView {
    pub(super) fn of(db: Arc<DB>) -> RocksView {
        RocksView::new(db, |db| db.snapshot())
    }
}

impl View for RocksView {
    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let family = family(self.borrow_owner(), cf)?;
        self.borrow_dependent().get_cf(family, key).map_err(|e| error(&e))
    }

    fn scan(
        &self,
        cf: Cf,
        bounds: Bounds<'_>,
        direction: Direction,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        // RocksDB's bounds are from a key on and before a key. A key that ends in a zero byte is
        // the very next one.
        let lower = match bounds.0 {
            Bound::Included(key) => Some(key.to_vec()),
            Bound::Excluded(key) => Some(after(key)),
            Bound::Unbounded => None,
        };
        let upper = match bounds.1 {
            Bound::Included(key) => Some(after(key)),
            Bound::Excluded(key) => Some(key.to_vec()),
            Bound::Unbounded => None,
        };
        if let (Some(lower), Some(upper)) = (&lower, &upper)
            && lower >= upper
        {
            return Ok(());
        }
        let mut options = options::scan();
        if let Some(lower) = lower {
            options.set_iterate_lower_bound(lower);
        }
        if let Some(upper) = upper {
            options.set_iterate_upper_bound(upper);
        }
        let family = family(self.borrow_owner(), cf)?;
        let mut iterator = self.borrow_dependent().raw_iterator_cf_opt(family, options);
        match direction {
            Direction::Forward => iterator.seek_to_first(),
            Direction::Reverse => iterator.seek_to_last(),
        }
        while let Some((key, value)) = iterator.item() {
            if !each(key, value) {
                return Ok(());
            }
            match direction {
                Direction::Forward => iterator.next(),
                Direction::Reverse => iterator.prev(),
            }
        }
        iterator.status().map_err(|e| error(&e))
    }
}

fn after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}
