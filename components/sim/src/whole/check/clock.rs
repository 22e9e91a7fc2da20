//! Timestamps rise strictly: what was asked for after another was answered is larger.

use super::broken;
use crate::check::Violation;
use types::Timestamp;

#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// The largest that was answered.
    answered: Timestamp,
    pub given: u64,
}

impl Clock {
    /// What a timestamp that is asked for now must be above.
    pub(crate) fn asked(&self) -> Timestamp {
        self.answered
    }

    /// One that was asked for above `floor` is answered.
    pub(crate) fn answered(&mut self, floor: Timestamp, at: Timestamp) -> Result<(), Violation> {
        self.given += 1;
        self.answered = self.answered.max(at);
        if at > floor {
            return Ok(());
        }
        let what = format!("{at} was given after {floor} was answered");
        broken("timestamps rise", what)
    }
}
