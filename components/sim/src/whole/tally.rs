//! What runs of whole clusters went through.

use crate::counts::{Counted, Counts};

/// Things that happen in runs, and are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// Steps of the world.
    Step,
    /// Writes of clients that were acknowledged.
    Write,
    /// Compared and set.
    CasDone,
    /// Compared and not set.
    CasNot,
    /// Ranges deleted, in one region.
    DeleteRange,
    /// Keys read.
    Read,
    /// Regions scanned.
    Scan,
    /// Operations of clients that were refused.
    Refused,
    /// Operations whose end nobody knows.
    Unknown,
    /// Requests for another form of the region.
    EpochNotMatch,
    /// Requests that another store leads.
    NotLeader,
    /// Commands that were for another form of the region when they were applied.
    EpochAtApply,
    /// Reads whose region had changed when they had their view.
    NotStill,
    /// Reads under a lease, which asked nobody.
    Leased,
    /// One whose lease would have ended but for pledges.
    Pledged,
    /// Routes that placement gave.
    Route,
    /// Splits that were applied.
    Split,
    /// Snapshots that arrived.
    Snapshot,
    /// Snapshots that were not admitted.
    NotAdmitted,
    /// Replicas destroyed.
    Destroyed,
    /// Times that a store began to lead a region.
    Lead,
    /// Times that placement was led.
    PlacementLead,
    /// Timestamps given.
    Timestamp,
    /// Timestamps taken and thrown away.
    TimestampDropped,
    /// Reports that were taken.
    Report,
    /// Streams of reports that broke.
    StreamBroken,
    /// Orders that were sent.
    Order,
    /// Orders that came for another form of the region.
    OrderLate,
    /// Memberships changed on order.
    Change,
    /// Leadership moved on order.
    Transfer,
    /// Changes that were asked of placement's own membership.
    SeatChanged,
    /// Times that placement's leader was to hand over leadership, as it has to go.
    SeatHandedOver,
    /// Stores that joined.
    Join,
    /// Stores that were drained until they were empty.
    Drained,
    /// Stores that stayed away until their replicas were given up.
    Lost,
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
    /// A cut that stores do not notice of each other, but groups do.
    Hush,
    /// Disks that stood still.
    Stall,
    /// Processes that stood still.
    Pause,
    /// Settings that leases rest on that were changed.
    OtherTimes,
    /// Regions whose replicas were compared.
    Compared,
}

/// How many kinds there are.
const KINDS: usize = 45;

impl Kind {
    /// All of them, with their names.
    pub const ALL: [(Kind, &'static str); KINDS] = [
        (Kind::Step, "steps"),
        (Kind::Write, "writes"),
        (Kind::CasDone, "cas done"),
        (Kind::CasNot, "cas not done"),
        (Kind::DeleteRange, "ranges deleted"),
        (Kind::Read, "reads"),
        (Kind::Scan, "scans"),
        (Kind::Refused, "refused"),
        (Kind::Unknown, "unknown"),
        (Kind::EpochNotMatch, "epochs not matched"),
        (Kind::NotLeader, "not leader"),
        (Kind::EpochAtApply, "epochs not matched at apply"),
        (Kind::NotStill, "reads of what had changed"),
        (Kind::Leased, "reads under leases"),
        (Kind::Pledged, "reads under leases that pledges prolonged"),
        (Kind::Route, "routes"),
        (Kind::Split, "splits"),
        (Kind::Snapshot, "snapshots"),
        (Kind::NotAdmitted, "snapshots not admitted"),
        (Kind::Destroyed, "replicas destroyed"),
        (Kind::Lead, "leaders"),
        (Kind::PlacementLead, "leaders of placement"),
        (Kind::Timestamp, "timestamps"),
        (Kind::TimestampDropped, "timestamps dropped"),
        (Kind::Report, "reports"),
        (Kind::StreamBroken, "streams broken"),
        (Kind::Order, "orders"),
        (Kind::OrderLate, "late orders"),
        (Kind::Change, "memberships changed"),
        (Kind::Transfer, "transfers"),
        (Kind::SeatChanged, "seats changed"),
        (Kind::SeatHandedOver, "seats handed over"),
        (Kind::Join, "stores joined"),
        (Kind::Drained, "stores drained"),
        (Kind::Lost, "stores lost for long"),
        (Kind::Kill, "kills"),
        (Kind::PowerLoss, "power losses"),
        (Kind::LostWrite, "lost writes"),
        (Kind::Death, "deaths"),
        (Kind::Cut, "cuts"),
        (Kind::Hush, "of groups alone"),
        (Kind::Stall, "stalls"),
        (Kind::Pause, "pauses"),
        (Kind::OtherTimes, "settings changed"),
        (Kind::Compared, "regions compared"),
    ];
}

/// What a run, or many, went through.
pub type Tally = Counts<Kind>;

impl Counted for Kind {
    const NAMES: &'static [(Kind, &'static str)] = &Kind::ALL;

    fn number(self) -> usize {
        self as usize
    }
}
