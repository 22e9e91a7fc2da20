//! Writing to an engine that may be full: waited for, as nothing was written.

use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::{Batch, Durability, Error};

use super::{Shared, clock};

/// How often a full engine is tried again.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// The engine of a store, for those who cannot go on without it.
pub(crate) struct Patient<'a> {
    shared: &'a Shared,
}

impl<'a> Patient<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Patient<'a> {
        Patient { shared }
    }

    /// Writes; waits while there is no room, or until the store stops.
    pub(crate) fn write(&self, batch: &Batch, durability: Durability) -> Result<(), Error> {
        let mut is_told = false;
        loop {
            match self.shared.engine.write(batch, durability) {
                Err(Error::Full(why)) if !self.shared.fate.is_over() => {
                    if !is_told {
                        tracing::error!(why, "the disk is full: waiting for room");
                        is_told = true;
                        self.shared.full_waits.fetch_add(1, Ordering::Relaxed);
                    }
                    std::thread::sleep(TRY_EVERY);
                }
                written => {
                    if is_told {
                        // Before the end of the wait: who sees that must see this.
                        self.shared.room_since.store(clock::now().0, Ordering::Relaxed);
                        self.shared.full_waits.fetch_sub(1, Ordering::Release);
                        if written.is_ok() {
                            tracing::info!("the disk is not full any more");
                        }
                    }
                    return written;
                }
            }
        }
    }
}
