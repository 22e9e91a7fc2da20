//! The clock of a store: monotonic, and it goes on while the machine is suspended, as leases need.

use rustix::time::{ClockId, clock_gettime};
use types::Time;

/// Nanoseconds since the machine was started.
pub(crate) fn now() -> Time {
    let at = clock_gettime(ClockId::Boottime);
    let (secs, nanos) = (at.tv_sec.unsigned_abs(), at.tv_nsec.unsigned_abs());
    Time(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// How long until an instant; zero if it has passed.
pub(crate) fn until(at: Time) -> std::time::Duration {
    at.since(now())
}
