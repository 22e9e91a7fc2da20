//! Steps: the undividable moves that a plan for a region is made of.
//!
//! A step is told apart from its effect: it is sent as an [`Order`] again and again until a report
//! shows its effect. So an order may be lost, doubled or late; the region's epoch in it keeps a
//! late one from being carried out on another form of the region.

use std::fmt;
use std::time::Duration;

use types::{Epoch, Escaped, GroupId, PeerRole, RegionPeer, StoreId};

use super::{Cluster, SchedulerConfig, StoreState};
use crate::table::RegionEntry;

/// One move of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A learner is added, and waited for until it has caught up.
    AddLearner(RegionPeer),
    /// Peers are set to their roles and others removed, at once, through a joint membership.
    ChangePeers {
        /// Members, with the roles that they are to have.
        set: Vec<RegionPeer>,
        /// Members that leave.
        remove: Vec<RegionPeer>,
    },
    /// Another peer leads.
    TransferLeader(RegionPeer),
    /// The region splits.
    Split {
        /// Engine keys; empty for halves of about equal size.
        keys: Vec<Vec<u8>>,
        /// The version that is split.
        version: u64,
    },
}

/// What a store is told to do with a region that it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The store that leads the region.
    pub store: StoreId,
    /// The region.
    pub region: GroupId,
    /// It is carried out on this form of the region alone.
    pub epoch: Epoch,
    /// What to do.
    pub step: OrderStep,
}

/// What an order asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderStep {
    /// Hand over leadership.
    TransferLeader {
        /// To this peer.
        to: RegionPeer,
    },
    /// Change the membership, at once.
    ChangePeers {
        /// Peers, with the roles that they are to have.
        set: Vec<RegionPeer>,
        /// Peers that leave.
        remove: Vec<RegionPeer>,
    },
    /// Split.
    Split {
        /// Engine keys; empty for halves of about equal size.
        keys: Vec<Vec<u8>>,
    },
}

impl Step {
    /// Whether the newest report shows the step's effect.
    #[must_use]
    pub fn is_finished(&self, entry: &RegionEntry) -> bool {
        match self {
            Step::AddLearner(peer) => {
                entry.region().peer(peer.id).is_some() && entry.is_current(peer.id)
            }
            Step::ChangePeers { set, remove } => {
                let has = |peer: &RegionPeer| entry.region().peer(peer.id) == Some(*peer);
                !entry.is_joint()
                    && set.iter().all(has)
                    && remove.iter().all(|peer| entry.region().peer(peer.id).is_none())
            }
            Step::TransferLeader(to) => entry.report.leader.id == to.id,
            Step::Split { version, .. } => entry.region().epoch.version > *version,
        }
    }

    /// Whether a region whose members were `before` when the step began can look like this, the
    /// step done, half done or not begun. If not, somebody else changed it.
    ///
    /// Members are compared rather than conf-versions counted: how many of those a change takes is
    /// for the engine to know.
    #[must_use]
    pub fn expects(&self, before: &[RegionPeer], entry: &RegionEntry) -> bool {
        let (set, remove): (&[RegionPeer], &[RegionPeer]) = match self {
            Step::AddLearner(peer) => (std::slice::from_ref(peer), &[]),
            Step::ChangePeers { set, remove } => (set, remove),
            Step::TransferLeader(_) => (&[], &[]),
            Step::Split { version, .. } if entry.region().epoch.version < *version => return false,
            Step::Split { .. } => (&[], &[]),
        };
        let same = |one: &RegionPeer, id| one.id == id;
        let knows = |peer: &RegionPeer| {
            before.iter().chain(set).any(|known| same(known, peer.id) && known.store == peer.store)
        };
        entry.peers().iter().all(knows)
            && before.iter().all(|peer| {
                entry.region().peer(peer.id).is_some()
                    || remove.iter().any(|gone| same(gone, peer.id))
            })
    }

    /// The members after the step, given those before it.
    #[must_use]
    pub fn applied_to(&self, members: &[RegionPeer]) -> Vec<RegionPeer> {
        let mut members = members.to_vec();
        let mut set_one = |peer: RegionPeer| match members.iter_mut().find(|m| m.id == peer.id) {
            Some(member) => member.role = peer.role,
            None => members.push(peer),
        };
        match self {
            Step::AddLearner(peer) => set_one(*peer),
            Step::ChangePeers { set, remove } => {
                set.iter().copied().for_each(&mut set_one);
                members.retain(|member| remove.iter().all(|gone| gone.id != member.id));
            }
            Step::TransferLeader(_) | Step::Split { .. } => {}
        }
        members.sort_by_key(|member| member.id);
        members
    }

    /// Why the step may not be taken now, in words: it would leave the region without a quorum of
    /// voters that are up, or put a second peer on a store.
    #[must_use]
    pub fn danger(&self, cluster: &Cluster, entry: &RegionEntry) -> Option<String> {
        if let Step::TransferLeader(to) = self {
            let peer = entry.region().peer(to.id);
            let is_able = peer.is_some_and(|peer| cluster.may_lead(entry, peer));
            return (!is_able).then(|| format!("{to} is not able to lead", to = told(*to)));
        }
        let after = self.applied_to(entry.peers());
        if let Some(peer) = self.newcomers(entry).find(|peer| !cluster.keeps(peer.store)) {
            return Some(format!("{} is on a store that is not up", told(peer)));
        }
        if let Step::AddLearner(peer) = self
            && entry.region().peer_on(peer.store).is_some_and(|other| other.id != peer.id)
        {
            return Some(format!("store {} has a peer of it already", peer.store.get()));
        }
        if let Step::ChangePeers { set, remove } = self {
            let votes = |peer: &&RegionPeer| peer.role == PeerRole::Voter;
            if remove.iter().any(|peer| peer.id == entry.report.leader.id) {
                return Some("it would remove the leader".to_owned());
            }
            if let Some(peer) = set.iter().filter(votes).find(|peer| !entry.is_current(peer.id)) {
                return Some(format!("{} has not caught up", told(*peer)));
            }
        }
        let voters: Vec<RegionPeer> =
            after.into_iter().filter(|peer| peer.role != PeerRole::Learner).collect();
        let counts =
            |peer: &&RegionPeer| cluster.is_up(entry, **peer) && !entry.is_pending(peer.id);
        let up = voters.iter().filter(counts).count();
        (up < voters.len() / 2 + 1)
            .then(|| format!("only {up} of {} voters would be up", voters.len()))
    }

    /// Why the step is not worth to be done any more, in words: what it makes would be on a store
    /// that is to be emptied, or given up.
    #[must_use]
    pub fn futility(&self, cluster: &Cluster, entry: &RegionEntry) -> Option<String> {
        let is_filled = match self {
            Step::AddLearner(peer) => Some(*peer),
            _ => None,
        };
        let leaves = |peer: &RegionPeer| {
            let store = cluster.store(peer.store);
            store.is_none_or(|store| {
                store.state == StoreState::Draining || store.is_lost(cluster.config)
            })
        };
        let peer = is_filled.into_iter().chain(self.newcomers(entry)).find(leaves)?;
        Some(format!("{} is on a store that is to be emptied, or is lost", told(peer)))
    }

    /// Whom the step makes a member or a voter, who is none yet.
    fn newcomers(&self, entry: &RegionEntry) -> impl Iterator<Item = RegionPeer> {
        let set = match self {
            Step::AddLearner(peer) => std::slice::from_ref(peer),
            Step::ChangePeers { set, .. } => set,
            Step::TransferLeader(_) | Step::Split { .. } => &[],
        };
        let is_new = |peer: &&RegionPeer| match entry.region().peer(peer.id) {
            None => true,
            Some(old) => old.role == PeerRole::Learner && peer.role == PeerRole::Voter,
        };
        set.iter().filter(is_new).copied()
    }

    /// How long the step may take for a region with so many bytes.
    #[must_use]
    pub fn timeout(&self, bytes: u64, config: &SchedulerConfig) -> Duration {
        match self {
            Step::AddLearner(_) => {
                let seconds = bytes.checked_div(config.fill_rate).unwrap_or(0);
                config.fill_timeout.saturating_add(Duration::from_secs(seconds))
            }
            _ => config.step_timeout,
        }
    }

    /// The order for the store that leads the region now.
    #[must_use]
    pub fn order(&self, entry: &RegionEntry) -> Order {
        let step = match self.clone() {
            Step::AddLearner(peer) => {
                OrderStep::ChangePeers { set: vec![peer], remove: Vec::new() }
            }
            Step::ChangePeers { set, remove } => OrderStep::ChangePeers { set, remove },
            Step::TransferLeader(to) => OrderStep::TransferLeader { to },
            Step::Split { keys, .. } => OrderStep::Split { keys },
        };
        let region = entry.region();
        Order { store: entry.leader_store(), region: region.id, epoch: region.epoch, step }
    }

    /// Whether there is something to send: a learner that is there and catching up is waited for.
    pub(super) fn is_to_be_sent(&self, entry: &RegionEntry) -> bool {
        match self {
            Step::AddLearner(peer) => entry.region().peer(peer.id).is_none(),
            _ => !self.is_finished(entry),
        }
    }
}

pub(super) fn told(peer: RegionPeer) -> String {
    format!("{} on store {}", peer.id, peer.store.get())
}

fn told_all(peers: &[RegionPeer]) -> String {
    peers.iter().map(|peer| told(*peer)).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AddLearner(peer) => write!(f, "add learner {} and fill it", told(*peer)),
            Step::ChangePeers { set, remove } => {
                let is_voter = |peer: &&RegionPeer| peer.role == PeerRole::Voter;
                let promote: Vec<_> = set.iter().filter(is_voter).copied().collect();
                let others: Vec<_> = set.iter().filter(|p| !is_voter(p)).copied().collect();
                let parts =
                    [("promote", promote), ("set learner", others), ("remove", remove.clone())];
                let told: Vec<String> = parts
                    .iter()
                    .filter(|(_, peers)| !peers.is_empty())
                    .map(|(verb, peers)| format!("{verb} {}", told_all(peers)))
                    .collect();
                f.write_str(&told.join("; "))
            }
            Step::TransferLeader(to) => write!(f, "make {} lead", told(*to)),
            Step::Split { keys, .. } if keys.is_empty() => f.write_str("split in halves"),
            Step::Split { keys, .. } => {
                let keys: Vec<_> = keys.iter().map(|key| Escaped(key).to_string()).collect();
                write!(f, "split at {}", keys.join(", "))
            }
        }
    }
}
