//! Timestamps: which one is given out next. Pure: the clock comes in as a number.
//!
//! ```text
//!           gives up to here       saves before that is near
//!                  │                        │
//! ───┬─────────────┼────────────────────────┼──────────────▶ milliseconds
//!  saved        physical                 saved'
//! ```
//!
//! A leader never gives a millisecond beyond the window that was saved last, and begins behind the
//! window of those before it. So what two leaders give never overlaps, whatever their clocks say.
//!
//! Which of two leaders is asked is another matter. One that was paused may still believe that it
//! leads. Therefore whoever serves takes timestamps first, then confirms leadership with a read
//! that began after the request came, and then looks at the saved window once more
//! ([`Oracle::may_answer`]): if it was saved in another term, another has led since, even if this
//! node leads again by now, and what was taken is thrown away.
//!
//! Invariant: what is given rises strictly, under any clock.

use types::{Term, Timestamp};

use crate::state::Window;

/// How far ahead a window is saved, in milliseconds.
pub const WINDOW_MS: u64 = 3_000;
/// Most timestamps of one request.
pub const COUNT_MAX: u32 = 1 << 17;

/// The timestamps of one leadership.
#[derive(Debug, Default)]
pub struct Oracle {
    lead: Option<Given>,
}

#[derive(Debug)]
struct Given {
    term: Term,
    /// The window that it began behind.
    after: u64,
    /// The millisecond that is given from, and how many of it are gone.
    physical: u64,
    logical: u64,
    /// Up to where the saved window reaches. Nothing is given before this leadership has saved one.
    saved: Option<u64>,
}

/// Why no timestamp is given now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTimestamp {
    /// This node does not lead.
    NotLeading,
    /// The window is used up: one has to be saved first.
    Window,
    /// So many are not given at once, or none were asked for.
    Count,
}

impl Oracle {
    /// An oracle that does not lead.
    #[must_use]
    pub fn new() -> Oracle {
        Oracle::default()
    }

    /// A leadership begins, with the state of its own term: `held` is the window of those before.
    pub fn begin(&mut self, term: Term, held: u64, now_ms: u64) {
        let physical = now_ms.max(held.saturating_add(1));
        self.lead = Some(Given { term, after: held, physical, logical: 0, saved: None });
    }

    /// The leadership ends. Nothing is given any more.
    pub fn clear(&mut self) {
        self.lead = None;
    }

    /// The term that it leads in.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        self.lead.as_ref().map(|lead| lead.term)
    }

    /// Whether it leads and has a window.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.lead.as_ref().is_some_and(|lead| lead.saved.is_some())
    }

    /// The window that is to be saved now, in milliseconds since 1970, and for which term; `None`
    /// while more than half of the one at hand is left.
    #[must_use]
    pub fn wants(&self, now_ms: u64) -> Option<Window> {
        let lead = self.lead.as_ref()?;
        let at = lead.physical.max(now_ms);
        let is_enough = lead.saved.is_some_and(|saved| saved.saturating_sub(at) > WINDOW_MS / 2);
        (!is_enough).then(|| Window {
            until_ms: at.saturating_add(WINDOW_MS),
            term: lead.term,
            after_ms: lead.after,
        })
    }

    /// A window of this term was saved; `held` is the one that holds now.
    pub fn saved(&mut self, held: u64, term: Term) {
        if let Some(lead) = self.lead.as_mut().filter(|lead| lead.term == term) {
            lead.saved = lead.saved.max(Some(held));
        }
    }

    /// Whether what was taken in `term` may be given, after leadership was confirmed: `window` is
    /// the term of the window that holds then.
    #[must_use]
    pub fn may_answer(&self, term: Term, window: Term) -> bool {
        window == term && self.lead.as_ref().is_some_and(|lead| lead.term == term)
    }

    /// Takes `count` timestamps; returns the largest, and the term it is taken in. They have the
    /// same millisecond and the counters just below.
    ///
    /// # Errors
    /// If none can be given now.
    pub fn take(&mut self, now_ms: u64, count: u32) -> Result<(Timestamp, Term), NoTimestamp> {
        let lead = self.lead.as_mut().ok_or(NoTimestamp::NotLeading)?;
        if count == 0 || count > COUNT_MAX {
            return Err(NoTimestamp::Count);
        }
        let saved = lead.saved.ok_or(NoTimestamp::Window)?;
        let count = u64::from(count);
        // A clock that went back is not followed; one that jumped ahead needs a new window first.
        let (mut physical, mut logical) = (lead.physical, lead.logical);
        if now_ms > physical {
            (physical, logical) = (now_ms, 0);
        }
        if logical + count > Timestamp::LOGICAL_MAX {
            (physical, logical) = (physical + 1, 0);
        }
        if physical > saved {
            return Err(NoTimestamp::Window);
        }
        (lead.physical, lead.logical) = (physical, logical + count);
        Ok((Timestamp::new(physical, logical + count - 1), lead.term))
    }
}

#[cfg(test)]
mod tests;
