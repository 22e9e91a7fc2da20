//! What a run went through.

use std::fmt;

use types::Time;

use crate::check::Violation;
use crate::counts::{Counted, Counts};

/// Things that happen in runs, and are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Steps of the world.
    Step,
    /// Commands acknowledged.
    Applied,
    /// Reads answered.
    Read,
    /// Requests refused.
    Refused,
    /// Requests that ended as undetermined.
    Undetermined,
    /// Terms with a leader.
    Leader,
    /// Processes killed.
    Kill,
    /// Stores that lost power.
    PowerLoss,
    /// Unsynced writes lost by that.
    LostWrite,
    /// Stores that stopped by themselves, as their disk failed.
    Death,
    /// Links cut.
    Cut,
    /// Times that a store noticed a broken connection.
    Lost,
    /// Disks that stood still.
    Stall,
    /// Disks that were full.
    Full,
    /// Membership changes begun.
    Change,
    /// Groups created while others ran.
    Create,
    /// Transfers begun.
    Transfer,
    /// Appends whose entries were read back.
    Fetch,
    /// Snapshots that arrived.
    Snapshot,
    /// Snapshots that did not.
    SnapshotFailed,
    /// Messages that were refused.
    RefusedMessage,
    /// Groups asleep at the end.
    Asleep,
    /// Old messages delivered again, long after.
    Replay,
    /// Processes that stood still.
    Pause,
    /// Replicas destroyed.
    Destroyed,
    /// Groups that ended.
    Retire,
    /// Commands proposed that bring a group into being.
    Spawn,
    /// Groups that one brought into being.
    Child,
    /// Snapshots that were in the way of other groups.
    NotAdmitted,
}

/// How many kinds there are.
const KINDS: usize = 29;

impl Count {
    /// All of them, with their names.
    pub const ALL: [(Count, &'static str); KINDS] = [
        (Count::Step, "steps"),
        (Count::Applied, "commands"),
        (Count::Read, "reads"),
        (Count::Refused, "refusals"),
        (Count::Undetermined, "undetermined"),
        (Count::Leader, "leaders"),
        (Count::Kill, "kills"),
        (Count::PowerLoss, "power losses"),
        (Count::LostWrite, "lost writes"),
        (Count::Death, "deaths"),
        (Count::Cut, "cuts"),
        (Count::Lost, "connections broken"),
        (Count::Stall, "stalls"),
        (Count::Full, "full disks"),
        (Count::Change, "changes"),
        (Count::Create, "groups created"),
        (Count::Transfer, "transfers"),
        (Count::Fetch, "fetches"),
        (Count::Snapshot, "snapshots"),
        (Count::SnapshotFailed, "snapshots failed"),
        (Count::RefusedMessage, "messages refused"),
        (Count::Asleep, "groups asleep"),
        (Count::Replay, "replays"),
        (Count::Pause, "pauses"),
        (Count::Destroyed, "replicas destroyed"),
        (Count::Retire, "groups ended"),
        (Count::Spawn, "spawns"),
        (Count::Child, "children"),
        (Count::NotAdmitted, "snapshots not admitted"),
    ];
}

/// What a run, or many, went through.
pub type Report = Counts<Count>;

/// Why a run failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed that shows it again.
    pub seed: u64,
    /// When, in virtual time.
    pub at: Time,
    /// Steps until then.
    pub steps: u64,
    /// What does not hold.
    pub violation: Violation,
}

impl Counted for Count {
    const NAMES: &'static [(Count, &'static str)] = &Count::ALL;

    fn number(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {} in step {}: ", self.seed, self.at, self.steps)?;
        write!(f, "{}", self.violation)
    }
}
