//! When callers begin: each after its own answer (closed loop), or by a schedule (open loop).
//!
//! ```text
//!  pacer ── a permit for each operation that is due ──► semaphore ──► any caller that is free
//!  (a thread that sleeps)                                  │
//!                                                          └ permits left: how far behind we are
//! ```
//!
//! The pacer never waits for a caller. An operation that finds no free caller waits, and its
//! latency counts from when it was to begin.
//!
//! The pacer is a thread of its own since timers of the runtime are a millisecond coarse: as much
//! as what is measured. Rejected: callers that sleep until their next start, which would begin late
//! by half of that on average and call it latency.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::schedule::Schedule;

/// How long callers have after the end for what is left of a schedule: as long as the run was, but
/// at most this.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);
/// The pacer sleeps so long at least: what is due meanwhile is late by no more.
const NAP_MIN: Duration = Duration::from_micros(50);
/// And so long at most, so that it notices that nobody is left to serve.
const NAP_MAX: Duration = Duration::from_millis(100);

/// How callers begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When the answer before is there.
    Closed,
    /// So many operations a second, over all callers: from one to
    /// [`PER_SECOND_MAX`](crate::PER_SECOND_MAX).
    Open(u64),
}

/// The beginnings of one run.
pub(crate) struct Pacer {
    begun: Instant,
    end: Instant,
    open: Option<Open>,
}

struct Open {
    schedule: Schedule,
    /// Operations of the whole run.
    total: u64,
    /// Permits for them, and one for each caller, so that all learn of the end.
    permits: Semaphore,
    released: AtomicU64,
    taken: AtomicU64,
    callers: u64,
}

impl Pacer {
    /// That of a run that begins now.
    pub(crate) fn new(pace: Pace, span: Duration, callers: usize) -> Arc<Pacer> {
        let begun = Instant::now();
        let open = match pace {
            Pace::Closed => None,
            Pace::Open(per_second) => {
                let schedule = Schedule::new(per_second);
                Some(Open {
                    schedule,
                    total: schedule.before(span),
                    permits: Semaphore::new(0),
                    released: AtomicU64::new(0),
                    taken: AtomicU64::new(0),
                    callers: callers as u64,
                })
            }
        };
        Arc::new(Pacer { begun, end: begun + span, open })
    }

    /// Begins to hand out permits, if it goes by a schedule.
    pub(crate) fn start(self: &Arc<Pacer>) {
        if self.open.is_none() {
            return;
        }
        let pacer = Arc::clone(self);
        std::thread::spawn(move || {
            while let Some(nap) = pacer.release() {
                // Nobody is left but this thread.
                if Arc::strong_count(&pacer) == 1 {
                    return;
                }
                std::thread::sleep(nap);
            }
        });
    }

    /// Hands out permits for what is due. How long to sleep then; none when all are handed out.
    pub(crate) fn release(&self) -> Option<Duration> {
        let open = self.open.as_ref()?;
        let age = self.begun.elapsed();
        let due = open.schedule.due(age).min(open.total);
        let released = open.released.swap(due, Ordering::Relaxed);
        open.add(due - released);
        if due == open.total {
            open.add(open.callers);
            return None;
        }
        Some(open.schedule.start_of(due).saturating_sub(age).clamp(NAP_MIN, NAP_MAX))
    }

    /// When the next operation is to begin, as soon as that is due; none at the end.
    pub(crate) async fn next(&self) -> Option<Instant> {
        let Some(open) = &self.open else {
            let now = Instant::now();
            return (now < self.end).then_some(now);
        };
        // It is never closed.
        open.permits.acquire().await.ok()?.forget();
        let number = open.taken.fetch_add(1, Ordering::Relaxed);
        if number >= open.total || Instant::now() > self.end + self.catch_up() {
            open.taken.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(self.begun + open.schedule.start_of(number))
    }

    fn catch_up(&self) -> Duration {
        (self.end - self.begun).min(CATCH_UP_MAX)
    }

    /// Operations that are due and have not begun.
    pub(crate) fn behind(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| {
            let taken = open.taken.load(Ordering::Relaxed);
            open.released.load(Ordering::Relaxed).saturating_sub(taken)
        })
    }

    /// Operations that never began; known when all callers have ended.
    pub(crate) fn never_begun(&self) -> u64 {
        self.open
            .as_ref()
            .map_or(0, |open| open.total.saturating_sub(open.taken.load(Ordering::Relaxed)))
    }
}

impl Open {
    fn add(&self, permits: u64) {
        // Far below the most that a semaphore takes: see `PER_SECOND_MAX`.
        self.permits.add_permits(usize::try_from(permits).expect("as many as were counted"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn open_loop_hands_out_what_is_due_and_tells_how_far_behind_it_is() {
        let pacer = Pacer::new(Pace::Open(100), Duration::from_millis(100), 2);
        let begun = Instant::now();
        assert_eq!(pacer.release(), Some(Duration::from_millis(10)));
        assert_eq!(pacer.next().await, Some(begun));
        tokio::time::advance(Duration::from_millis(35)).await;
        assert_eq!(pacer.release(), Some(Duration::from_millis(5)));
        assert_eq!(pacer.behind(), 3);
        // Late, and counted from when it was to begin.
        assert_eq!(pacer.next().await, Some(begun + Duration::from_millis(10)));
        tokio::time::advance(Duration::from_millis(65)).await;
        assert_eq!(pacer.release(), None, "all ten are handed out");
        for _ in 0..8 {
            assert!(pacer.next().await.is_some());
        }
        assert_eq!((pacer.next().await, pacer.next().await), (None, None));
        assert_eq!((pacer.behind(), pacer.never_begun()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_can_catch_up_with_is_told() {
        let pacer = Pacer::new(Pace::Open(100), Duration::from_millis(100), 1);
        tokio::time::advance(CATCH_UP_MAX + Duration::from_secs(1)).await;
        assert_eq!(pacer.release(), None);
        assert_eq!(pacer.next().await, None);
        assert_eq!(pacer.never_begun(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn closed_loop_ends_with_the_span() {
        let pacer = Pacer::new(Pace::Closed, Duration::from_secs(1), 1);
        assert_eq!(pacer.next().await, Some(Instant::now()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((pacer.next().await, pacer.behind(), pacer.never_begun()), (None, 0, 0));
    }
}
