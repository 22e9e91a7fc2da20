//! What must hold in a whole cluster, one checker per property. The first violation is kept.

mod clock;
mod cover;
mod ends;
mod history;
mod ids;
mod replicas;

use bytes::Bytes;
use kv::Reply;
use kv::command::{Action, Command};
use types::{GroupId, Index, StoreId};

pub(crate) use self::clock::Clock;
pub(crate) use self::cover::Cover;
pub(crate) use self::history::{Did, End, History, OpId, number};
pub(crate) use self::ids::Ids;
pub(crate) use self::replicas::Replicas;
use crate::check::Violation;

/// All checkers of a run.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub cover: Cover,
    pub history: History,
    pub clock: Clock,
    pub ids: Ids,
    pub replicas: Replicas,
    /// Commands that found another form of their region when they were applied.
    pub late: u64,
    pub splits: u64,
    pub not_admitted: u64,
    pub destroyed: u64,
    violation: Option<Violation>,
}

impl Checks {
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation.clone()
    }

    pub(crate) fn report(&mut self, found: Result<(), Violation>) {
        if let Err(violation) = found {
            self.violation.get_or_insert(violation);
        }
    }

    /// A replica has applied a command of a region.
    pub(crate) fn applied(
        &mut self,
        store: StoreId,
        (group, index): (GroupId, Index),
        data: &Bytes,
        reply: &Bytes,
    ) {
        match self.replicas.applied(store, (group, index), data, reply) {
            Ok(true) => {}
            Ok(false) => return,
            Err(violation) => return self.report(Err(violation)),
        }
        let (Ok(command), Ok(reply)) = (Command::decode(data), Reply::decode(reply)) else {
            return;
        };
        let version = command.epoch.version;
        match (&command.action, &reply) {
            (_, Reply::EpochNotMatch(_)) => self.late += 1,
            (Action::Split(_), Reply::Split(parts)) => {
                self.splits += 1;
                let found = self.cover.split(group, version, parts);
                self.report(found);
                let found = self.ids.split(group, parts);
                self.report(found);
            }
            (action, reply) => {
                let range = self.cover.range_of(group, version);
                self.history.applied((group, version, index), action, reply, range);
            }
        }
    }
}

/// A violation of a property.
fn broken<T>(check: &'static str, what: String) -> Result<T, Violation> {
    Err(Violation { check, what })
}
