//! Who sits in placement's own group: the next step towards as many members as there are to be,
//! each on a store that is up and stays. Pure: a view in, a finding out.
//!
//! | found | done |
//! |---|---|
//! | the membership is between two | nothing: it ends by itself |
//! | fewer voters up than decide | nothing: nobody could carry it out |
//! | a member that leads has to go | another that may lead is handed leadership first |
//! | a learner whose store is not up any more, or that nobody needs | it goes |
//! | a learner that is not heard, or is not filled in time | it goes, and another store is next |
//! | a learner that is behind | it is given time |
//! | a learner that has caught up | one joint change: it votes, and who has to go is out |
//! | more voters than there are to be | the one that is missed least goes |
//! | a voter that has to go, or too few | a learner on another store |
//!
//! A member has to go if its store is lost, was removed, or drains, and if it was not heard for as
//! long as a store is lost after: its store may live, and its replica be damaged. What is found
//! follows from the membership and from what the leader sees of it, so that a new leader of
//! placement goes on where the old one stopped, and nobody needs to remember that a change is under
//! way.
//!
//! Invariants: a step follows only when the one before it is committed (the core refuses others);
//! at most one learner at a time; after each step a majority of the voters is on stores that are
//! up.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use types::{PeerId, PeerRole, RegionPeer, StoreId, Time};

use super::cluster::are_apart;
use super::{SchedulerConfig, StoreInfo, StoreState};

/// A member, as the leader of placement's group knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sitting {
    /// Who, where, and whether it votes.
    pub peer: RegionPeer,
    /// For how long it has been seen to lack more than a little of what is committed; `None` if it
    /// does not.
    pub behind: Option<Duration>,
    /// For how long the leader has been seen not to hear it; `None` if it does.
    pub unheard: Option<Duration>,
}

impl Sitting {
    /// A member of which nothing bad is known.
    #[must_use]
    pub fn well(peer: RegionPeer) -> Sitting {
        Sitting { peer, behind: None, unheard: None }
    }

    fn is_unheard_for(&self, span: Duration) -> bool {
        self.unheard.is_some_and(|unheard| unheard >= span)
    }
}

/// All that the next step depends on.
#[derive(Clone, Copy, Debug)]
pub struct Seats<'a> {
    /// How many voters there are to be.
    pub wanted: usize,
    /// The membership in force.
    pub members: &'a [Sitting],
    /// Whether it is between two.
    pub is_joint: bool,
    /// The member that leads, and asks.
    pub leader: PeerId,
    /// The stores.
    pub stores: &'a BTreeMap<StoreId, StoreInfo>,
    /// Those where a learner was given up, and when: others are tried first, then the one where
    /// that is longest ago.
    pub given_up: &'a BTreeMap<StoreId, Time>,
    /// When stores are lost, and where they are.
    pub config: &'a SchedulerConfig,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatStep {
    /// A new learner on this store.
    Invite(StoreId),
    /// The learner votes from now on, and who leaves is out.
    Seat {
        /// Who votes from now on.
        learner: RegionPeer,
        /// Whose place it takes, if it takes one.
        leaves: Option<RegionPeer>,
    },
    /// A member is out.
    Dismiss(RegionPeer),
    /// A learner that is not heard, or not filled in time, is out.
    GiveUp(RegionPeer),
    /// Another leads.
    HandOver(RegionPeer),
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatFinding {
    /// All is as it should be.
    Fine,
    /// This step, for this reason.
    Do {
        /// What is wrong, in words.
        reason: String,
        /// What helps.
        step: SeatStep,
    },
    /// Something has to happen first, and will.
    Wait {
        /// What is wrong, in words.
        reason: String,
        /// What is waited for, in words.
        why: String,
    },
    /// Something is wrong, and cannot be helped now.
    Stuck {
        /// What is wrong, in words.
        reason: String,
        /// Why nothing is done, in words.
        why: String,
    },
}

impl Seats<'_> {
    /// The next step.
    #[must_use]
    pub fn next(&self) -> SeatFinding {
        let wait = |reason: &str, why: &str| SeatFinding::Wait {
            reason: reason.to_owned(),
            why: why.to_owned(),
        };
        if self.is_joint {
            return wait("placement's membership is between two", "it ends by itself");
        }
        let (up, voters) = (self.up(self.voters()), self.voters().count());
        if up < voters / 2 + 1 {
            let reason = format!("{up} of {voters} members of placement are up");
            if self.voters().any(|of| self.state(of.peer.store) == Some(StoreState::Joining)) {
                return SeatFinding::Wait {
                    reason,
                    why: "others were not heard of yet".to_owned(),
                };
            }
            let why = "without a majority nothing can be changed".to_owned();
            return SeatFinding::Stuck { reason, why };
        }
        let bad = self.worst();
        if let Some((old, why)) = bad.filter(|(old, _)| old.id == self.leader)
            && let Some(heir) = self.heir()
        {
            let reason = format!("{} leads placement, and {why}", told(old));
            return SeatFinding::Do { reason, step: SeatStep::HandOver(heir) };
        }
        if let Some(learner) = self.learner() {
            return self.with_learner(learner, bad);
        }
        if voters > self.wanted {
            return self.surplus();
        }
        let reason = match bad {
            Some((old, why)) => format!("{} holds a seat of placement, and {why}", told(old)),
            None if voters < self.wanted => {
                format!("placement has {voters} of {} members", self.wanted)
            }
            None => return SeatFinding::Fine,
        };
        match self.place(bad.map(|(old, _)| old)) {
            Ok(store) => SeatFinding::Do { reason, step: SeatStep::Invite(store) },
            Err(why) => SeatFinding::Stuck { reason, why },
        }
    }

    /// Why nobody could take over the seat of a store that is to be emptied; `None` if somebody
    /// could, or it holds none.
    #[must_use]
    pub fn holds_on(&self, store: StoreId) -> Option<String> {
        let old = self.members.iter().map(|of| of.peer).find(|peer| peer.store == store)?;
        let votes = old.role != PeerRole::Learner;
        let is_spare = !votes || self.voters().count() > self.wanted;
        if is_spare {
            return None;
        }
        self.place(Some(old)).err()
    }

    /// A voter that is not heard from a store that is, in words: for a person to look at, before it
    /// is replaced and while it is.
    #[must_use]
    pub fn unheard(&self) -> Option<String> {
        let is_alive = |of: &Sitting| {
            self.stores.get(&of.peer.store).is_some_and(|store| store.is_alive(self.config))
        };
        let silent_after = self.config.silent_after;
        let of = self.voters().find(|of| is_alive(of) && of.is_unheard_for(silent_after))?;
        let left = self.config.down_after.saturating_sub(of.unheard?).as_secs();
        let seat = told(of.peer);
        let what = match self.place(Some(of.peer)) {
            Ok(_) if left == 0 => "another takes its place".to_owned(),
            Ok(_) => format!("another takes its place in {left} s"),
            Err(why) => why,
        };
        Some(format!(
            "{seat} holds a seat of placement, and its replica there is not heard: {what}"
        ))
    }

    fn voters(&self) -> impl Iterator<Item = Sitting> + '_ {
        self.members.iter().copied().filter(|of| of.peer.role != PeerRole::Learner)
    }

    fn learner(&self) -> Option<Sitting> {
        self.members.iter().copied().find(|of| of.peer.role == PeerRole::Learner)
    }

    fn up(&self, members: impl Iterator<Item = Sitting>) -> usize {
        members.filter(|of| self.is_up(of)).count()
    }

    fn state(&self, store: StoreId) -> Option<StoreState> {
        self.stores.get(&store).map(|store| store.state)
    }

    fn is_up(&self, of: &Sitting) -> bool {
        let store = self.stores.get(&of.peer.store);
        of.peer.id == self.leader
            || store.is_some_and(|store| store.is_alive(self.config))
                && !of.is_unheard_for(self.config.silent_after)
    }

    /// The voter that has to go first, and why.
    fn worst(&self) -> Option<(RegionPeer, &'static str)> {
        let lost = |of: &Sitting| match self.stores.get(&of.peer.store) {
            None => Some("its store is not known"),
            Some(store) if store.state == StoreState::Removed => Some("its store was removed"),
            Some(store) if store.is_lost(self.config) => Some("its store is lost"),
            Some(_) if of.is_unheard_for(self.config.down_after) => {
                Some("its replica there has not been heard for long")
            }
            Some(_) => None,
        };
        let drains = |of: &Sitting| {
            let store = self.stores.get(&of.peer.store)?;
            (store.state == StoreState::Draining).then_some("its store drains")
        };
        let lost = self.voters().find_map(|of| Some((of.peer, lost(&of)?)));
        lost.or_else(|| self.voters().find_map(|of| Some((of.peer, drains(&of)?))))
    }

    /// The member that leads in the leader's place.
    fn heir(&self) -> Option<RegionPeer> {
        let may_lead = |of: &Sitting| {
            let store = self.stores.get(&of.peer.store);
            of.peer.id != self.leader
                && (of.behind, of.unheard) == (None, None)
                && store.is_some_and(StoreInfo::takes_leaders)
        };
        self.voters().find(may_lead).map(|of| of.peer)
    }

    fn with_learner(&self, of: Sitting, bad: Option<(RegionPeer, &str)>) -> SeatFinding {
        let learner = of.peer;
        let reason = format!("{} is to be a member of placement", told(learner));
        let dismissed = |why: &str| SeatFinding::Do {
            reason: format!("{}, but {why}", reason.clone()),
            step: SeatStep::Dismiss(learner),
        };
        match self.state(learner.store) {
            Some(StoreState::Up) => {}
            Some(StoreState::Joining) => {
                let why = "its store was not heard of yet".to_owned();
                return SeatFinding::Wait { reason, why };
            }
            // What it has so far is not worth waiting for.
            _ => return dismissed("its store is not up"),
        }
        let voters = self.voters().count();
        if voters > self.wanted || (voters == self.wanted && bad.is_none()) {
            return dismissed("there are enough");
        }
        if of.behind.is_some() && self.is_apart(learner.store) {
            return dismissed("the store that leads does not reach it");
        }
        let given_up = |why: &str| SeatFinding::Do {
            reason: format!("{reason}, but {why}"),
            step: SeatStep::GiveUp(learner),
        };
        if of.is_unheard_for(self.config.silent_after) {
            return given_up("it is not heard");
        }
        if of.behind.is_some_and(|behind| behind >= self.config.fill_timeout) {
            return given_up("it was not filled in time");
        }
        if of.behind.is_some() {
            return SeatFinding::Wait { reason, why: "it is being filled".to_owned() };
        }
        let leaves = bad.map(|(old, _)| old).filter(|_| voters == self.wanted);
        SeatFinding::Do { reason, step: SeatStep::Seat { learner, leaves } }
    }

    /// Of more voters than there are to be, those that are not up go first, so that a majority of
    /// the rest is up; then those that have to go anyway, then those that share most places.
    fn surplus(&self) -> SeatFinding {
        let voters = self.voters().count();
        let reason = format!("placement has {voters} members, {} are enough", self.wanted);
        let missed = |of: &Sitting| {
            let store = of.peer.store;
            let drains = self.state(store) == Some(StoreState::Draining);
            let stays = |other: &Sitting| other.peer != of.peer;
            let near: usize = (self.voters().filter(stays))
                .map(|other| self.nearness(store, other.peer.store))
                .sum();
            (!self.is_up(of), drains, near, of.peer.id)
        };
        let others = self.voters().filter(|of| of.peer.id != self.leader);
        match others.max_by_key(missed) {
            Some(old) => SeatFinding::Do { reason, step: SeatStep::Dismiss(old.peer) },
            None => SeatFinding::Fine,
        }
    }

    /// The best store for a new member: far from those that stay, with much room.
    fn place(&self, leaving: Option<RegionPeer>) -> Result<StoreId, String> {
        let has_none = |store: &&StoreInfo| self.members.iter().all(|of| of.peer.store != store.id);
        let takes = |store: &&StoreInfo| {
            store.refuses_replicas(self.config).is_none() && !self.is_apart(store.id)
        };
        let nearness = |store: &StoreInfo| -> usize {
            let stay = self.voters().filter(|of| Some(of.peer) != leaving);
            stay.map(|of| self.nearness(of.peer.store, store.id)).sum()
        };
        let others = self.stores.values().filter(has_none);
        let cost = |store: &&StoreInfo| {
            let given_up = self.given_up.get(&store.id);
            (given_up, nearness(store), store.filled_permille() / 100, store.id)
        };
        let best = others.filter(takes).min_by_key(cost);
        best.map(|store| store.id).ok_or_else(|| {
            "every store that is up and has room holds a seat already: add a store".to_owned()
        })
    }

    /// Whether a store and that of the member that leads do not reach each other.
    fn is_apart(&self, store: StoreId) -> bool {
        let leads = self.members.iter().find(|of| of.peer.id == self.leader);
        leads.is_some_and(|of| are_apart(self.stores, of.peer.store, store))
    }

    fn nearness(&self, one: StoreId, other: StoreId) -> usize {
        match (self.stores.get(&one), self.stores.get(&other)) {
            (Some(one), Some(other)) => one.nearness(other, self.config),
            _ => 0,
        }
    }
}

fn told(peer: RegionPeer) -> String {
    format!("store {}", peer.store.get())
}

impl fmt::Display for SeatStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SeatStep::Invite(store) => write!(f, "a learner on store {}", store.get()),
            SeatStep::Seat { learner, leaves: None } => {
                write!(f, "{} becomes a member", told(*learner))
            }
            SeatStep::Seat { learner, leaves: Some(old) } => {
                write!(f, "{} becomes a member in the place of {}", told(*learner), told(*old))
            }
            SeatStep::Dismiss(old) | SeatStep::GiveUp(old) => {
                write!(f, "{} is no member any more", told(*old))
            }
            SeatStep::HandOver(heir) => write!(f, "{} is to lead", told(*heir)),
        }
    }
}

impl fmt::Display for SeatFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SeatFinding::Fine => f.write_str("all seats are taken"),
            SeatFinding::Do { reason, step } => write!(f, "{reason}: {step}"),
            SeatFinding::Wait { reason, why } => write!(f, "{reason}: {why}"),
            SeatFinding::Stuck { reason, why } => {
                write!(f, "{reason}, and nothing is done: {why}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
