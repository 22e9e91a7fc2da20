//! When a store cannot go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// What happens to the process when a store cannot go on: it is told why, once.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Whether a store runs. Shared by its threads.
pub(crate) struct Fate {
    is_over: AtomicBool,
    why: Mutex<Option<String>>,
    on_fatal: OnFatal,
}

impl Fate {
    pub(crate) fn new(on_fatal: OnFatal) -> Fate {
        Fate { is_over: AtomicBool::new(false), why: Mutex::new(None), on_fatal }
    }

    /// The store stops as it was told to.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// The store cannot go on: nothing is acknowledged any more. A failed sync is never tried
    /// again, since a second one may succeed without having written what the first one lost.
    pub(crate) fn fatal(&self, why: &str) {
        self.is_over.store(true, Ordering::SeqCst);
        let mut first = self.why.lock();
        if first.is_none() {
            *first = Some(why.to_owned());
            drop(first);
            tracing::error!(why, "the store stops");
            (self.on_fatal)(why);
        }
    }

    /// Why it could not go on, if so.
    pub(crate) fn why(&self) -> Option<String> {
        self.why.lock().clone()
    }
}

/// Ends the process at once, without running anything that could still write.
pub(crate) fn abort(_why: &str) {
    std::process::abort();
}
