//! Placement's own group: its leader looks who sits there, and takes the next step.
//!
//! ```text
//! every tick: status of the group ─► scheduler::seats ─► change or transfer on the own group
//! ```
//!
//! From tick to tick it is remembered how long members have been seen to be unwell, and no step.
//! One that is refused, since another is not committed yet or leadership has moved, is found again
//! while it is still right.

use multiraft::{Change, Outcome, Seat};
use tracing::{debug, info};
use types::{Index, PeerId, StoreId};

use super::{Driver, Lead, Unavailable};
use crate::GROUP;
use crate::scheduler::seats::{SeatFinding, SeatStep, Seats};

/// What a step asks of placement's group; a newcomer has the id `new`.
#[must_use]
pub fn changes(step: &SeatStep, new: Option<PeerId>) -> Vec<(Change, Option<StoreId>)> {
    match step {
        SeatStep::Invite(store) => {
            let invite = |id| (Change::Set(id, Seat::Learner), Some(*store));
            new.map(invite).into_iter().collect()
        }
        SeatStep::Seat { learner, leaves } => {
            let leaves = leaves.map(|old| (Change::Remove(old.id), None));
            let seat = (Change::Set(learner.id, Seat::Voter), Some(learner.store));
            std::iter::once(seat).chain(leaves).collect()
        }
        SeatStep::Dismiss(old) | SeatStep::GiveUp(old) => vec![(Change::Remove(old.id), None)],
        SeatStep::HandOver(_) => Vec::new(),
    }
}

impl Driver {
    /// Looks who sits in placement's group, and does something about it if that is called for.
    pub(super) async fn keep_seats(&self, lead: &Lead) {
        let ((finding, unheard), since) = match self.look_at_seats(lead, next).await {
            Ok(found) => found,
            Err(why) => return debug!(%why, "the seats of placement are not looked at"),
        };
        lead.found_seats(&finding, unheard);
        if let SeatFinding::Do { step, .. } = &finding {
            if let SeatStep::GiveUp(learner) = step {
                lead.seat_watch.lock().gives_up(lead.clock.now(), learner.store);
            }
            match self.take_step(lead, since, step).await {
                Ok(()) => {
                    info!("{finding}");
                    lead.tell("placement", 0, finding.to_string());
                }
                Err(why) => debug!(%why, %finding, "not done now"),
            }
        }
    }

    /// Does something with the seats as they are now.
    pub(super) async fn with_seats<T>(
        &self,
        lead: &Lead,
        with: impl FnOnce(&Seats<'_>) -> T,
    ) -> Result<T, Unavailable> {
        self.look_at_seats(lead, with).await.map(|(found, _)| found)
    }

    /// As [`Driver::with_seats`], and says in which slot the membership stands that was seen.
    async fn look_at_seats<T>(
        &self,
        lead: &Lead,
        with: impl FnOnce(&Seats<'_>) -> T,
    ) -> Result<(T, Index), Unavailable> {
        let Outcome::Status(status) = self.handle.status(GROUP).await else {
            return Err(self.not_leader());
        };
        if !status.leads || status.term != lead.term {
            return Err(self.not_leader());
        }
        let (stores, config, now) = (lead.stores(), lead.config(), lead.clock.now());
        let mut watch = lead.seat_watch.lock();
        let members = watch.look(now, &status);
        let found = with(&Seats {
            wanted: self.view.get().seats(),
            members: &members,
            is_joint: status.membership.is_joint(),
            leader: status.peer,
            stores: &stores,
            given_up: watch.given_up(),
            config: &config,
        });
        Ok((found, status.since))
    }

    /// What was decided by the membership of slot `since` is not done to another.
    async fn take_step(
        &self,
        lead: &Lead,
        since: Index,
        step: &SeatStep,
    ) -> Result<(), Unavailable> {
        if let SeatStep::HandOver(heir) = step {
            return asked(self.handle.transfer(GROUP, heir.id).await);
        }
        let new = match step {
            SeatStep::Invite(_) => self.one_id(lead).await?,
            _ => None,
        };
        asked(self.handle.change_since(GROUP, since, changes(step, new)).await)
    }
}

fn next(seats: &Seats<'_>) -> (SeatFinding, Option<String>) {
    (seats.next(), seats.unheard())
}

fn asked(outcome: Outcome) -> Result<(), Unavailable> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Refused(why) => Err(Unavailable::Failed(why.to_string())),
        other => Err(Unavailable::Failed(format!("{other:?}"))),
    }
}
