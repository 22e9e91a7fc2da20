//! Every request is answered once, and a read sees what was acknowledged before it was asked for.

use std::collections::BTreeMap;

use multiraft::Outcome;
use types::{GroupId, Index};

use super::Violation;
use super::states::States;

const ONCE: &str = "every request ends once";
const READS: &str = "reads are linearizable";

/// What a caller asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub store: u64,
    pub group: GroupId,
    pub what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Command(Vec<u8>),
    /// A read, and the last slot acknowledged when it began.
    Read(Index),
    Other,
}

/// Requests under way, by token.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    waiting: BTreeMap<u64, Asked>,
    pub applied: u64,
    pub read: u64,
    pub refused: u64,
    pub undetermined: u64,
}

impl Answers {
    pub(crate) fn asked(&mut self, token: u64, asked: Asked) {
        self.waiting.insert(token, asked);
    }

    pub(crate) fn waiting(&self) -> Vec<(u64, Asked)> {
        self.waiting.iter().map(|(&token, asked)| (token, asked.clone())).collect()
    }

    pub(crate) fn answered(
        &mut self,
        token: u64,
        outcome: &Outcome,
        states: &mut States,
    ) -> Result<(), Violation> {
        let Some(Asked { group, what, .. }) = self.waiting.remove(&token) else {
            let what = format!("request {token} is answered again: {outcome:?}");
            return Err(Violation { check: ONCE, what });
        };
        match (outcome, what) {
            (Outcome::Applied { index, reply }, What::Command(command)) => {
                self.applied += 1;
                if *reply != command {
                    let what = format!("request {token} has the answer of another");
                    return Err(Violation { check: ONCE, what });
                }
                states.acknowledged(group, *index, command)
            }
            (Outcome::Refused(_), What::Command(command)) => {
                self.refused += 1;
                states.refused(command)
            }
            (Outcome::Readable(index), What::Read(before)) => {
                self.read += 1;
                if *index >= before {
                    return Ok(());
                }
                let what = format!("read of {group} at {index}, {before} was acknowledged before");
                Err(Violation { check: READS, what })
            }
            (Outcome::Undetermined, _) => {
                self.undetermined += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn forget(&mut self, store: u64) {
        self.waiting.retain(|_, asked| asked.store != store);
    }
}
