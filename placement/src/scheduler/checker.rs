//! What is wrong with a region, the most urgent first, and what is to be done about it.
//!
//! | found | done |
//! |---|---|
//! | a quorum is not up | nothing: nobody could carry it out |
//! | a membership between two for long | it is asked to end |
//! | a learner that nobody waits for | it takes the place that needs it, or goes |
//! | a lost replica | replaced; removed if there are enough without it |
//! | too few replicas | one is added |
//! | a replica on a store that drains | replaced |
//! | too many replicas | the worst is removed |
//! | replicas that share a place needlessly | one is moved |

use types::{PeerId, PeerRole, RegionPeer, StoreId};

use super::load::{Ledger, score_with};
use super::places::Places;
use super::step::{Step, told};
use super::{Cluster, StoreState, plan};
use crate::table::RegionEntry;

/// What a checker found out about a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing is to be done.
    Fine,
    /// These steps, for this reason.
    Mend {
        /// What is wrong, in words.
        reason: String,
        /// What helps.
        steps: Vec<Step>,
    },
    /// Something is wrong, and cannot be helped now.
    Stuck {
        /// What is wrong, in words.
        reason: String,
        /// Why nothing is done, in words.
        why: String,
    },
}

/// Looks at a region. `around`: what is under way, and where the cluster's stores are.
/// `overdue`: what of it has lasted for too long. `new_peer` gives the id for a new peer, if there
/// is one; it is asked at most once.
pub fn check(
    cluster: &Cluster,
    (ledger, places): (&Ledger, &Places),
    entry: &RegionEntry,
    overdue: Overdue,
    new_peer: &mut dyn FnMut() -> Option<PeerId>,
) -> Finding {
    if places.is_plainly_fine(entry) {
        return Finding::Fine;
    }
    check_closely(cluster, (ledger, places), entry, overdue, new_peer)
}

/// The same, without a glance before.
pub(super) fn check_closely(
    cluster: &Cluster,
    (ledger, places): (&Ledger, &Places),
    entry: &RegionEntry,
    overdue: Overdue,
    new_peer: &mut dyn FnMut() -> Option<PeerId>,
) -> Finding {
    let look = Look { cluster, ledger, places, entry, unfilled: overdue.unfilled };
    let up = entry.voters().filter(|peer| cluster.is_up(entry, *peer)).count();
    let voters = entry.voters().count();
    if up < voters / 2 + 1 {
        return Finding::Stuck {
            reason: format!("{up} of {voters} voters are up"),
            why: "without a quorum nothing can be changed".to_owned(),
        };
    }
    // Whoever leads it by now says so, and then it is looked at again. Until somebody does, plans
    // for it would take the places of others and be carried out by nobody.
    let leader = entry.leader_store();
    if !cluster.is_alive(leader) {
        return Finding::Stuck {
            reason: format!("store {}, which led it last, is not heard", leader.get()),
            why: "nobody would carry a change out".to_owned(),
        };
    }
    if entry.is_joint() {
        return look.joint(overdue.joint);
    }
    let finding = look.learner(overdue.learner);
    let finding = finding.or_else(|| look.lost(new_peer));
    let finding = finding.or_else(|| look.missing(new_peer));
    let finding = finding.or_else(|| look.draining(new_peer));
    let finding = finding.or_else(|| look.surplus());
    let finding = finding.or_else(|| look.crowded(new_peer));
    finding.unwrap_or(Finding::Fine)
}

/// What of a region has lasted for too long without an operator that sees to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Its membership is between two.
    pub joint: bool,
    /// A learner is being filled.
    pub learner: bool,
    /// On this store one was for too long, and was taken away. Another is tried next.
    pub unfilled: Option<StoreId>,
}

struct Look<'a> {
    cluster: &'a Cluster<'a>,
    ledger: &'a Ledger,
    places: &'a Places<'a>,
    entry: &'a RegionEntry,
    unfilled: Option<StoreId>,
}

impl Look<'_> {
    fn joint(&self, for_long: bool) -> Finding {
        let reason = "its membership is between two".to_owned();
        if !for_long {
            return Finding::Stuck { reason, why: "it is given time to end".to_owned() };
        }
        let settled = |peer: &RegionPeer| match peer.role {
            PeerRole::Incoming => Some(RegionPeer { role: PeerRole::Voter, ..*peer }),
            PeerRole::Demoting => Some(RegionPeer { role: PeerRole::Learner, ..*peer }),
            PeerRole::Voter | PeerRole::Learner => None,
        };
        let set = self.entry.peers().iter().filter_map(settled).collect();
        Finding::Mend { reason, steps: vec![Step::ChangePeers { set, remove: Vec::new() }] }
    }

    fn learner(&self, for_long: bool) -> Option<Finding> {
        let entry = self.entry;
        let learner = entry.learner()?;
        let reason = format!("{} is a learner without a plan", told(learner));
        let gone = plan::remove(entry, learner, None);
        if self.cluster.is_lost(entry, learner) || self.drains(learner) {
            return Some(Finding::Mend { reason, steps: gone });
        }
        let needed = self.entry.voters().count() < self.cluster.config.replicas;
        let worst = self.worst_voter();
        if !needed && worst.is_none() {
            return Some(Finding::Mend { reason, steps: gone });
        }
        if !entry.is_current(learner.id) {
            if for_long {
                let reason = format!("{} was not filled in time", told(learner));
                return Some(Finding::Mend { reason, steps: gone });
            }
            let why = "it is being filled".to_owned();
            return Some(Finding::Stuck { reason, why });
        }
        let steps = match worst {
            Some(old) if !needed => {
                plan::settle(entry, learner, old, self.heir().filter(|heir| heir.id != old.id))
            }
            _ => vec![plan::promote(learner)],
        };
        Some(Finding::Mend { reason, steps })
    }

    /// A voter that has to go: lost, or on a store that drains.
    fn worst_voter(&self) -> Option<RegionPeer> {
        let lost = self.entry.voters().find(|peer| self.cluster.is_lost(self.entry, *peer));
        lost.or_else(|| self.entry.voters().find(|peer| self.drains(*peer)))
    }

    fn lost(&self, new_peer: &mut dyn FnMut() -> Option<PeerId>) -> Option<Finding> {
        let entry = self.entry;
        let old = entry.voters().find(|peer| self.cluster.is_lost(entry, *peer))?;
        let reason = format!("{} is lost", told(old));
        if entry.voters().count() > self.cluster.config.replicas {
            return Some(self.guarded(reason, plan::remove(entry, old, self.heir())));
        }
        Some(self.replace(reason, old, new_peer))
    }

    fn missing(&self, new_peer: &mut dyn FnMut() -> Option<PeerId>) -> Option<Finding> {
        let (has, wants) = (self.entry.voters().count(), self.cluster.config.replicas);
        if has >= wants {
            return None;
        }
        let reason = format!("it has {has} of {wants} replicas");
        let store = match plan::target(self.cluster, self.ledger, self.entry, (None, self.unfilled))
        {
            Ok(store) => store,
            Err(why) => return Some(Finding::Stuck { reason, why }),
        };
        Some(match new_peer() {
            Some(id) => self.guarded(reason, plan::add(store, id)),
            None => Finding::Stuck { reason, why: NO_ID.to_owned() },
        })
    }

    fn drains(&self, peer: RegionPeer) -> bool {
        self.cluster.store(peer.store).is_some_and(|store| store.state == StoreState::Draining)
    }

    fn draining(&self, new_peer: &mut dyn FnMut() -> Option<PeerId>) -> Option<Finding> {
        let old = self.entry.voters().find(|peer| self.drains(*peer))?;
        let reason = format!("store {} drains", old.store.get());
        if self.entry.voters().count() > self.cluster.config.replicas {
            return Some(self.guarded(reason, plan::remove(self.entry, old, self.heir())));
        }
        // It is up meanwhile: rather later than near another replica.
        let nearest = plan::busy_but_farther(
            self.cluster,
            self.ledger,
            self.entry,
            (old.store, self.unfilled),
        );
        Some(match nearest {
            Some(why) => Finding::Stuck { reason, why },
            None => self.replace(reason, old, new_peer),
        })
    }

    fn surplus(&self) -> Option<Finding> {
        let (entry, config) = (self.entry, self.cluster.config);
        let voters = entry.voters().count();
        if voters <= config.replicas {
            return None;
        }
        // The one that is missed least: not up, behind, crowded, on a loaded store; rather a
        // follower.
        let worst = entry.voters().max_by_key(|peer| {
            let store = self.cluster.store(peer.store);
            let load = |store| score_with(self.cluster, self.ledger, store, (0, 0));
            (
                !self.cluster.is_up(entry, *peer),
                entry.is_pending(peer.id),
                entry.peers().iter().filter(|other| other.store == peer.store).count(),
                plan::crowding(self.cluster, entry, Some(peer.store), peer.store),
                peer.id != entry.report.leader.id,
                store.map_or(u64::MAX, load),
                peer.id,
            )
        })?;
        let reason = format!("it has {voters} replicas, {} are enough", config.replicas);
        Some(self.guarded(reason, plan::remove(entry, worst, self.heir())))
    }

    fn crowded(&self, new_peer: &mut dyn FnMut() -> Option<PeerId>) -> Option<Finding> {
        let (cluster, entry) = (self.cluster, self.entry);
        if cluster.config.location_labels.is_empty() || !cluster.is_healthy(entry) {
            return None;
        }
        let crowding =
            |peer: &RegionPeer| plan::crowding(cluster, entry, Some(peer.store), peer.store);
        let is_leader = |peer: &RegionPeer| peer.id == entry.report.leader.id;
        let old = entry.voters().max_by_key(|peer| (crowding(peer), !is_leader(peer), peer.id))?;
        let stay = entry.peers().iter().filter(|peer| peer.id != old.id);
        let stay: Vec<_> = stay.filter_map(|peer| cluster.store(peer.store)).collect();
        if self.places.least_crowding(&stay) >= crowding(&old) {
            return None;
        }
        let store =
            plan::target(cluster, self.ledger, entry, (Some(old.store), self.unfilled)).ok()?;
        if plan::crowding(cluster, entry, Some(old.store), store) >= crowding(&old) {
            return None;
        }
        let reason = format!("{} shares its place with another replica", told(old));
        Some(self.replace(reason, old, new_peer))
    }

    fn heir(&self) -> Option<RegionPeer> {
        plan::heir(self.cluster, self.ledger, self.entry).ok()
    }

    fn replace(
        &self,
        reason: String,
        old: RegionPeer,
        new_peer: &mut dyn FnMut() -> Option<PeerId>,
    ) -> Finding {
        match plan::target(self.cluster, self.ledger, self.entry, (Some(old.store), self.unfilled))
        {
            Err(why) => Finding::Stuck { reason, why },
            Ok(store) => match new_peer() {
                Some(id) => {
                    let heir = self.heir();
                    self.guarded(reason, plan::replace(self.entry, old, (store, id), heir))
                }
                None => Finding::Stuck { reason, why: NO_ID.to_owned() },
            },
        }
    }

    /// The steps, if the first may be taken now. The others are asked again when they are due.
    fn guarded(&self, reason: String, steps: Vec<Step>) -> Finding {
        match steps.first().and_then(|step| step.danger(self.cluster, self.entry)) {
            Some(why) => Finding::Stuck { reason, why },
            None => Finding::Mend { reason, steps },
        }
    }
}

pub(super) const NO_ID: &str = "there is no id for a new peer yet";
