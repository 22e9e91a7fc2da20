//! How long an operation goes on: the waits between its attempts, and when it gives up.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{self, Instant};

use crate::error::{Error, Result};
use crate::options::Options;

/// The first wait. Leaders change and regions split in about this time.
const WAIT_MIN: Duration = Duration::from_millis(2);
/// The longest wait, unless a store asks for more.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// Attempts in a row that are made without a wait: a hint leads to the right peer, unless two peers
/// that are out of date point at each other.
const HURRIED_MAX: u32 = 3;

/// What it means if an attempt may have been carried out without our hearing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Read,
    /// It may be done again, with the same outcome.
    Write,
    /// It must not be done again.
    Once,
}

/// How long to wait before the next attempt; the longer, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pause {
    /// Not at all: it is known whom to ask instead.
    None,
    /// As ever.
    Backoff,
    /// At least so long.
    AtLeast(Duration),
}

impl Pause {
    /// The same, but not none.
    pub(crate) fn or_backoff(self) -> Pause {
        if self == Pause::None { Pause::Backoff } else { self }
    }
}

/// An attempt that failed, and may be followed by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setback {
    pub(crate) why: String,
    /// Whether it may have been carried out.
    pub(crate) is_unknown: bool,
    pub(crate) pause: Pause,
}

/// What one attempt gave.
pub(crate) type Attempt<T> = std::result::Result<T, Setback>;

impl Setback {
    /// Nothing was done.
    pub(crate) fn harmless(why: impl Into<String>) -> Setback {
        Setback { why: why.into(), is_unknown: false, pause: Pause::Backoff }
    }

    /// It may have been done.
    pub(crate) fn unknown(why: impl Into<String>) -> Setback {
        Setback { is_unknown: true, ..Setback::harmless(why) }
    }
}

/// The budget of one operation.
pub(crate) struct Budget {
    whole: Duration,
    deadline: Instant,
    kind: Kind,
    next: Duration,
    hurried: u32,
    /// Why an attempt of this write may have taken effect. It stays until the operation ends: a
    /// later attempt that failed says nothing about this one.
    unknown: Option<String>,
}

impl Budget {
    pub(crate) fn new(options: &Options, kind: Kind) -> Budget {
        let kind = match kind {
            Kind::Write if !options.resend_writes => Kind::Once,
            kind => kind,
        };
        Budget::of(options.budget, kind)
    }

    /// One of so long.
    pub(crate) fn of(whole: Duration, kind: Kind) -> Budget {
        Budget {
            whole,
            deadline: Instant::now() + whole,
            kind,
            next: WAIT_MIN,
            hurried: 0,
            unknown: None,
        }
    }

    /// The budget of a part of the operation: it ends with the whole.
    pub(crate) fn part(&self) -> Budget {
        Budget { next: WAIT_MIN, hurried: 0, unknown: None, ..*self }
    }

    /// How long an attempt may take that is begun now and by itself may take `most`.
    pub(crate) fn attempt(&self, most: Duration) -> Duration {
        most.min(self.deadline.saturating_duration_since(Instant::now()))
    }

    /// Notes an attempt that failed, and waits until the next one.
    ///
    /// # Errors
    /// There is to be no other attempt.
    pub(crate) async fn pause(&mut self, setback: Setback) -> Result<()> {
        if setback.is_unknown && self.kind != Kind::Read {
            if self.kind == Kind::Once {
                return Err(Error::Undetermined(setback.why));
            }
            self.unknown.get_or_insert_with(|| setback.why.clone());
        }
        let wait = self.wait(setback.pause);
        if Instant::now() + wait >= self.deadline {
            return Err(self.over(setback.why));
        }
        if !wait.is_zero() {
            time::sleep(wait).await;
        }
        Ok(())
    }

    /// Progress was made: the next wait is short again, and the time begins anew.
    pub(crate) fn renew(&mut self) {
        self.deadline = Instant::now() + self.whole;
        self.next = WAIT_MIN;
        self.hurried = 0;
    }

    /// How the operation ends with an error that is final for the attempt: one before it may have
    /// taken effect.
    pub(crate) fn settle(&self, error: Error) -> Error {
        match &self.unknown {
            Some(why) => Error::Undetermined(format!("{why}; and then: {error}")),
            None => error,
        }
    }

    /// How the operation ends when there is no time left.
    fn over(&mut self, last: String) -> Error {
        match self.unknown.take() {
            Some(why) => Error::Undetermined(why),
            None => Error::Timeout { budget: self.whole, last },
        }
    }

    fn wait(&mut self, pause: Pause) -> Duration {
        if pause == Pause::None && self.hurried < HURRIED_MAX {
            self.hurried += 1;
            return Duration::ZERO;
        }
        self.hurried = 0;
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(WAIT_MAX);
        // The second half is random, so that clients that failed together do not return together.
        // Keys of a hasher are random; the sequence of a better generator is not needed here.
        let half = whole / 2;
        let spread = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        let draw = RandomState::new().hash_one(0_u8) % spread;
        let wait = whole - half + Duration::from_nanos(draw);
        match pause {
            Pause::AtLeast(least) => wait.max(least),
            Pause::None | Pause::Backoff => wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(kind: Kind) -> Budget {
        Budget::new(&Options::default(), kind)
    }

    #[test]
    fn waits_double_up_to_the_bound_and_are_never_shorter_than_half() {
        let mut budget = budget(Kind::Read);
        let mut whole = WAIT_MIN;
        for _ in 0..12 {
            let wait = budget.wait(Pause::Backoff);
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(WAIT_MAX);
        }
        let asked = Duration::from_secs(3);
        assert_eq!(budget.wait(Pause::AtLeast(asked)), asked);
    }

    #[test]
    fn hints_are_followed_at_once_but_not_in_circles() {
        let mut budget = budget(Kind::Read);
        for _ in 0..HURRIED_MAX {
            assert_eq!(budget.wait(Pause::None), Duration::ZERO);
        }
        assert!(budget.wait(Pause::None) > Duration::ZERO);
        assert_eq!(budget.wait(Pause::None), Duration::ZERO);
    }

    #[tokio::test]
    async fn unknown_fate_ends_what_must_not_be_repeated_and_colours_the_end_of_the_rest() {
        let lost = || Setback::unknown("lost");
        let undetermined = Error::Undetermined("lost".to_owned());
        assert_eq!(budget(Kind::Once).pause(lost()).await, Err(undetermined.clone()));

        let mut write = budget(Kind::Write);
        write.pause(lost()).await.unwrap();
        write.deadline = Instant::now();
        assert_eq!(write.pause(Setback::harmless("busy")).await, Err(undetermined.clone()));

        let mut read = budget(Kind::Read);
        read.pause(lost()).await.unwrap();
        read.deadline = Instant::now();
        let timeout = Error::Timeout { budget: read.whole, last: "busy".to_owned() };
        assert_eq!(read.pause(Setback::harmless("busy")).await, Err(timeout));

        let options = Options { resend_writes: false, ..Options::default() };
        let mut write = Budget::new(&options, Kind::Write);
        assert_eq!(write.pause(lost()).await, Err(undetermined));
    }
}
