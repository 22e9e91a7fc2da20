//! Settings of planning: what is wanted, how much may happen at a time, how long things may take.

use std::time::Duration;

/// How a cluster is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// Voters that every region should have. Default: 3.
    pub replicas: usize,
    /// Labels that tell where a store is, the widest first (zone, rack, host): replicas of a region
    /// are kept apart in the first of them that can. Default: none.
    pub location_labels: Vec<String>,
    /// Whether nothing is planned at all, but what an operator asks for. Default: no.
    pub is_paused: bool,
    /// Leaders moved at a time for balance. A move is a moment without a leader for its region, so
    /// few are under way. Default: 4.
    pub leader_moves_max: usize,
    /// Leaders moved at a time off stores that drain or stop; those have to hurry. Default: 64.
    pub evictions_max: usize,
    /// Regions repaired at a time. Default: 64.
    pub repairs_max: usize,
    /// Replicas moved at a time for balance, in the whole cluster. Default: 256.
    pub region_moves_max: usize,
    /// Replicas moved at a time for balance to one store, and from one. Default: 2.
    pub region_moves_per_store: usize,
    /// Replicas filled at a time on one store, whatever for. Default: 8.
    pub fills_per_store: usize,
    /// How far stores may differ without anything being moved, in hundredths of the mean.
    /// Default: 5.
    pub tolerance_percent: u64,
    /// The least difference in replicas for which one is moved. Default: 2.
    pub tolerance_regions: u64,
    /// What a region weighs besides its bytes, in bytes: empty ones cost something too.
    /// Default: 1 MiB.
    pub region_weight: u64,
    /// A store fuller than this gets no replicas, in thousandths of its disk. Default: 900.
    pub full_permille: u64,
    /// From this silence on a store is taken for disconnected. Default: 20 s.
    pub silent_after: Duration,
    /// From this silence on the replicas of a store, or a replica, are given up. Default: 30 min.
    pub down_after: Duration,
    /// How long a membership may be between two until it is asked to end. Default: 30 s.
    pub joint_after: Duration,
    /// A step that has not shown in a report is sent again after this. Default: 5 s.
    pub resend_after: Duration,
    /// How long a step may take that moves no data. Default: 60 s.
    pub step_timeout: Duration,
    /// How long filling a replica may take, besides its bytes at `fill_rate`. Default: 10 min.
    pub fill_timeout: Duration,
    /// The slowest that a replica is filled, in bytes per second. Default: 1 MiB.
    pub fill_rate: u64,
    /// After an operator for a region ran out of time, the region is left alone. Default: 60 s.
    pub retry_after: Duration,
    /// Regions looked at per tick. Default: 4,096.
    pub patrol_regions: usize,
    /// Regions looked at for one store per tick, to find one that may move. Default: 64.
    pub samples: usize,
    /// Of those, how many that may be moved are compared before one is. Default: 8.
    pub samples_tried: usize,
    /// Ended operators that are remembered. Default: 1,024.
    pub ended_max: usize,
    /// Share of the expected regions that must be known before anything is planned, in hundredths.
    /// Default: 90.
    pub prepared_percent: u64,
    /// After this, planning begins whatever is known. Default: 5 min.
    pub prepared_after: Duration,
}

impl Default for SchedulerConfig {
    fn default() -> SchedulerConfig {
        SchedulerConfig {
            replicas: 3,
            location_labels: Vec::new(),
            is_paused: false,
            leader_moves_max: 4,
            evictions_max: 64,
            repairs_max: 64,
            region_moves_max: 256,
            region_moves_per_store: 2,
            fills_per_store: 8,
            tolerance_percent: 5,
            tolerance_regions: 2,
            region_weight: 1 << 20,
            full_permille: 900,
            silent_after: Duration::from_secs(20),
            down_after: Duration::from_mins(30),
            joint_after: Duration::from_secs(30),
            resend_after: Duration::from_secs(5),
            step_timeout: Duration::from_secs(60),
            fill_timeout: Duration::from_mins(10),
            fill_rate: 1 << 20,
            retry_after: Duration::from_secs(60),
            patrol_regions: 4096,
            samples: 64,
            samples_tried: 8,
            ended_max: 1024,
            prepared_percent: 90,
            prepared_after: Duration::from_mins(5),
        }
    }
}

impl SchedulerConfig {
    /// How many of the replicas must be up for a region to be served.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.replicas / 2 + 1
    }

    /// What is wrong with the settings: all of it, naming the fields.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let not_zero = [
            ("replicas", self.replicas),
            ("leader_moves_max", self.leader_moves_max),
            ("evictions_max", self.evictions_max),
            ("repairs_max", self.repairs_max),
            ("region_moves_max", self.region_moves_max),
            ("region_moves_per_store", self.region_moves_per_store),
            ("fills_per_store", self.fills_per_store),
            ("patrol_regions", self.patrol_regions),
            ("samples", self.samples),
            ("samples_tried", self.samples_tried),
        ];
        let zeros = not_zero.into_iter().filter(|(_, value)| *value == 0);
        let mut problems: Vec<String> =
            zeros.map(|(name, _)| format!("{name} is 0; it must be at least 1")).collect();
        if self.down_after <= self.silent_after {
            problems.push("down_after must be longer than silent_after".to_owned());
        }
        if self.fill_rate == 0 {
            problems.push("fill_rate is 0; nothing would ever time out".to_owned());
        }
        problems
    }
}
