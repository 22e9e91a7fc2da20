//! The clocks: one that only rises, for silence and plans, and the wall clock, for timestamps.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use types::Time;

/// A monotonic clock that began when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock(Instant::now())
    }

    pub(crate) fn now(self) -> Time {
        Time::ZERO.after(self.0.elapsed())
    }
}

/// Milliseconds since 1970; 0 for a clock that is before that.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
