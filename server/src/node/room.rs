//! Whether the disk has the room that is to be kept free, looked at while the node runs.
//!
//! A disk without any room stops a store: it can keep neither its log nor a promise, and what would
//! make room again, deletes and moves, needs some. So what writes is refused while some is left.
//! What this store follows goes on: the others have decided it, and they lead soon.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Parts;
use super::capacity::Capacity;

/// How often it is looked: what is written meanwhile is far less than anybody keeps free.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// There is room again when there is this part more than is to be kept, so that leaders do not come
/// and go with every table that is written.
const MORE: u64 = 16;

/// The room on the disk of a node, as it was seen last.
#[derive(Debug)]
pub(crate) struct Room {
    dir: PathBuf,
    /// Bytes to be kept free.
    pub(crate) kept: u64,
    total: AtomicU64,
    available: AtomicU64,
    is_low: AtomicBool,
}

impl Room {
    /// That of a directory, looked at for the first time.
    pub(crate) fn of(dir: PathBuf, kept: u64) -> Room {
        let (total, available) = (AtomicU64::new(0), AtomicU64::new(0));
        let room = Room { dir, kept, total, available, is_low: AtomicBool::new(false) };
        room.look();
        room
    }

    /// Whether there is less than is to be kept.
    pub(crate) fn is_low(&self) -> bool {
        self.is_low.load(Ordering::Relaxed)
    }

    /// All of it, and what is left of it, in bytes; zeros if the system does not tell.
    pub(crate) fn capacity(&self) -> Capacity {
        let of = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        Capacity { total: of(&self.total), available: of(&self.available) }
    }

    /// Asks the system. Says whether it is another than before.
    fn look(&self) -> bool {
        let now = Capacity::of(&self.dir).unwrap_or_default();
        self.total.store(now.total, Ordering::Relaxed);
        self.available.store(now.available, Ordering::Relaxed);
        let was = self.is_low();
        let is = is_low(was, now, self.kept);
        self.is_low.store(is, Ordering::Relaxed);
        is != was
    }
}

fn is_low(was_low: bool, now: Capacity, kept: u64) -> bool {
    let wanted = if was_low { kept.saturating_add(kept / MORE) } else { kept };
    now.total > 0 && now.available < wanted
}

/// Looks, and tells placement at once when something has changed.
pub(super) async fn run(parts: Arc<Parts>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let room = Arc::clone(&parts.data.room);
        // A disk that hangs does not answer.
        let has_changed = tokio::task::spawn_blocking(move || room.look()).await;
        if !has_changed.unwrap_or(false) {
            continue;
        }
        let room = &parts.data.room;
        let (free, kept) = (room.capacity().available, room.kept);
        if room.is_low() {
            tracing::warn!(free, kept, "less room than storage.keep-free: only deletes are taken");
        } else {
            tracing::info!(free, kept, "there is room again: writes are taken");
        }
        parts.link.beat_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_low_below_what_is_kept_until_there_is_a_little_more() {
        let left = |available| Capacity { total: 1_000, available };
        assert!(!is_low(false, left(160), 160));
        assert!(is_low(false, left(159), 160));
        assert!(is_low(true, left(169), 160));
        assert!(!is_low(true, left(170), 160));
        assert!(!is_low(true, left(0), 0), "nothing is to be kept");
        assert!(!is_low(false, Capacity::default(), 160), "the system does not tell");
    }

    #[test]
    fn directory_is_looked_at_from_the_beginning() {
        assert!(Room::of(PathBuf::from("."), u64::MAX).is_low());
        let room = Room::of(PathBuf::from("."), 0);
        assert!(!room.is_low() && room.capacity().total > 0);
    }
}
