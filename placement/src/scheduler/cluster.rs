//! What planning looks at: stores, regions, settings, the time. A view, made anew for every call.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use types::{RegionPeer, StoreId, Time};

use super::SchedulerConfig;
use crate::table::{RegionEntry, RegionTable};

/// What a store is, as people are shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreState {
    /// Registered, not yet heard of.
    Joining,
    /// Heard of.
    Up,
    /// Silent for a short while.
    Disconnected,
    /// Silent for so long that its replicas are made anew elsewhere.
    Down,
    /// Being emptied.
    Draining,
    /// No longer part of the cluster.
    Removed,
}

/// A store as planning sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// Who.
    pub id: StoreId,
    /// What it is.
    pub state: StoreState,
    /// For how long it has not been heard of.
    pub silent: Duration,
    /// Where it is: key and value.
    pub labels: Vec<(String, String)>,
    /// Bytes of its disk; 0 if that is not known.
    pub capacity: u64,
    /// Bytes of its disk that are free.
    pub available: u64,
    /// Bytes that it uses.
    pub used: u64,
    /// Snapshots that it is sending.
    pub snapshots_sending: u64,
    /// Snapshots that it is receiving.
    pub snapshots_receiving: u64,
    /// Its process is stopping: leaders are to leave it.
    pub is_stopping: bool,
    /// It has no room for data.
    pub is_full: bool,
    /// Stores that are well and that it does not reach, as it says.
    pub unreached: Vec<StoreId>,
}

/// All that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    /// The regions.
    pub table: &'a RegionTable,
    /// The stores, removed ones too as long as they are remembered.
    pub stores: &'a BTreeMap<StoreId, StoreInfo>,
    /// The settings.
    pub config: &'a SchedulerConfig,
    /// The time.
    pub now: Time,
    /// Since when reports have been collected: when this leader of placement began to lead.
    pub since: Time,
    /// How many regions there should be, if somebody knows.
    pub expected: Option<u64>,
}

impl StoreInfo {
    /// A store in this state of which nothing else is known; it was heard of just now.
    #[must_use]
    pub fn new(id: StoreId, state: StoreState) -> StoreInfo {
        StoreInfo {
            id,
            state,
            silent: Duration::ZERO,
            labels: Vec::new(),
            capacity: 0,
            available: 0,
            used: 0,
            snapshots_sending: 0,
            snapshots_receiving: 0,
            is_stopping: false,
            is_full: false,
            unreached: Vec::new(),
        }
    }

    /// Whether it is heard of, draining or not.
    #[must_use]
    pub fn is_alive(&self, config: &SchedulerConfig) -> bool {
        match self.state {
            StoreState::Up => true,
            StoreState::Draining => self.silent < config.silent_after,
            _ => false,
        }
    }

    /// Whether its replicas are given up.
    #[must_use]
    pub fn is_lost(&self, config: &SchedulerConfig) -> bool {
        match self.state {
            StoreState::Down | StoreState::Removed => true,
            StoreState::Draining => self.silent >= config.down_after,
            _ => false,
        }
    }

    /// Whether it may be given leaders.
    #[must_use]
    pub fn takes_leaders(&self) -> bool {
        self.state == StoreState::Up && !self.is_stopping
    }

    /// Whether leaders are moved to it by choice: it takes them, and has room for what they write.
    #[must_use]
    pub fn wants_leaders(&self) -> bool {
        self.takes_leaders() && !self.is_full
    }

    /// Why it may not be given replicas, in words.
    #[must_use]
    pub fn refuses_replicas(&self, config: &SchedulerConfig) -> Option<&'static str> {
        if self.state != StoreState::Up {
            return Some("is not up");
        }
        if self.is_stopping {
            return Some("is stopping");
        }
        if self.is_full {
            return Some("has no room");
        }
        let is_low = self.capacity > 0 && self.filled_permille() > config.full_permille;
        is_low.then_some("has little room")
    }

    /// The value of a label; empty if it has none.
    #[must_use]
    pub fn label(&self, key: &str) -> &str {
        self.labels.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    /// In how many location labels, the widest first, it agrees with another; fewer is safer.
    #[must_use]
    pub fn nearness(&self, other: &StoreInfo, config: &SchedulerConfig) -> usize {
        let labels = &config.location_labels;
        labels.iter().take_while(|key| self.label(key) == other.label(key)).count()
    }

    /// How much of its disk is used, in thousandths; 0 if that is not known.
    #[must_use]
    pub fn filled_permille(&self) -> u64 {
        let used = self.capacity.saturating_sub(self.available);
        (u128::from(used) * 1000)
            .checked_div(self.capacity.into())
            .map_or(0, |share| u64::try_from(share).unwrap_or(1000))
    }
}

impl Cluster<'_> {
    /// Why nothing may be planned yet; `None` if enough is known.
    ///
    /// A new leader of placement knows no region. Were it to plan at once, it would take what has
    /// not been reported yet for missing. So it waits until the known regions leave no hole, or are
    /// nine in ten of those that there should be, or for five minutes.
    #[must_use]
    pub fn unprepared(&self) -> Option<String> {
        let (table, config) = (self.table, self.config);
        if table.is_whole() || self.now.since(self.since) >= config.prepared_after {
            return None;
        }
        let known = table.len() as u64;
        match self.expected {
            Some(expected) if expected > 0 => {
                let is_enough = u128::from(known) * 100
                    >= u128::from(expected) * u128::from(config.prepared_percent);
                (!is_enough).then(|| format!("only {known} of {expected} regions are known yet"))
            }
            _ => Some(format!("{known} regions are known yet, with holes between them")),
        }
    }

    /// What is not known of the regions; `None` if every key has one. Planning begins earlier: what
    /// stores say that they lead may be less than there is, as where regions have just begun.
    #[must_use]
    pub fn unknown(&self) -> Option<String> {
        self.unprepared().or_else(|| {
            let why = || "some keys are in no region that is known".to_owned();
            (!self.table.is_whole()).then(why)
        })
    }

    /// A store, if it is known.
    #[must_use]
    pub fn store(&self, id: StoreId) -> Option<&StoreInfo> {
        self.stores.get(&id)
    }

    /// Whether a store is heard of.
    #[must_use]
    pub fn is_alive(&self, id: StoreId) -> bool {
        self.store(id).is_some_and(|store| store.is_alive(self.config))
    }

    /// Whether replicas that are made now stay on a store: it is heard of, and not to be emptied.
    #[must_use]
    pub fn keeps(&self, id: StoreId) -> bool {
        self.store(id).is_some_and(|store| store.state == StoreState::Up)
    }

    /// Whether two stores do not reach each other, as one of them says: neither fills a replica on
    /// the other.
    #[must_use]
    pub fn are_apart(&self, one: StoreId, other: StoreId) -> bool {
        are_apart(self.stores, one, other)
    }

    /// Whether a peer is up: its store is heard of, and its leader hears of it.
    #[must_use]
    pub fn is_up(&self, entry: &RegionEntry, peer: RegionPeer) -> bool {
        self.is_alive(peer.store) && entry.silence(peer.id).is_none()
    }

    /// Whether a replica is given up: its store is, or its leader has not heard of it for that
    /// long.
    #[must_use]
    pub fn is_lost(&self, entry: &RegionEntry, peer: RegionPeer) -> bool {
        let store_is_lost = self.store(peer.store).is_none_or(|store| store.is_lost(self.config));
        store_is_lost || entry.silence(peer.id).is_some_and(|span| span >= self.config.down_after)
    }

    /// Whether all is as it should be with a region: nothing to repair, nothing in between.
    #[must_use]
    pub fn is_healthy(&self, entry: &RegionEntry) -> bool {
        entry.peers().len() == self.config.replicas
            && entry.voters().count() == self.config.replicas
            && !entry.is_joint()
            && entry
                .peers()
                .iter()
                .all(|peer| entry.is_current(peer.id) && self.is_alive(peer.store))
    }

    /// Whether a peer may lead: it votes, keeps up, and its store takes leaders.
    #[must_use]
    pub fn may_lead(&self, entry: &RegionEntry, peer: RegionPeer) -> bool {
        peer.role == types::PeerRole::Voter
            && entry.is_current(peer.id)
            && self.store(peer.store).is_some_and(StoreInfo::takes_leaders)
    }

    /// In how many location labels, the widest first, two stores agree; fewer is safer.
    #[must_use]
    pub fn nearness(&self, one: StoreId, other: StoreId) -> usize {
        let (Some(one), Some(other)) = (self.store(one), self.store(other)) else { return 0 };
        one.nearness(other, self.config)
    }
}

/// See [`Cluster::are_apart`].
pub(super) fn are_apart(
    stores: &BTreeMap<StoreId, StoreInfo>,
    one: StoreId,
    other: StoreId,
) -> bool {
    let says = |id, of| stores.get(&id).is_some_and(|store| store.unreached.contains(&of));
    says(one, other) || says(other, one)
}

impl fmt::Display for StoreState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreState::Joining => "joining",
            StoreState::Up => "up",
            StoreState::Disconnected => "disconnected",
            StoreState::Down => "down",
            StoreState::Draining => "draining",
            StoreState::Removed => "removed",
        })
    }
}
