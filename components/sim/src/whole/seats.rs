//! Who sits in placement's own group: looked at by its leader, one step at a time. Stands for
//! `driver::seats`; what is found and what is asked of the group are the real ones.

use multiraft::GroupStatus;
use multiraft::shard::Event;
use placement::SeatWatch;
use placement::scheduler::seats::{SeatFinding, SeatStep, Seats};
use placement::state::Life;
use types::{PeerId, StoreId};

use super::bugs::Planted;
use super::glue::Asked;
use super::leading::IdsFor;
use super::member::Proposed;
use super::tally::Kind;
use super::world::World;

impl World<'_> {
    pub(super) fn ask_seats(&mut self, at: usize) {
        if self.bug == Some(Planted::SeatsForgotten) {
            return;
        }
        let Some(member) = self.member(at) else { return };
        let asked = Asked::Member(member.attempt, Proposed::Seats);
        let group = placement::GROUP;
        self.ask(at, asked, |token| Event::Look { group, token });
    }

    pub(super) fn look_at_seats(&mut self, at: usize, status: &GroupStatus) {
        let Some(agreed) = self.state(at) else { return };
        let now = self.agenda.now();
        let Some(lead) = self.member(at).and_then(|member| member.lead.as_mut()) else { return };
        if !status.leads || status.term != lead.term {
            return;
        }
        let members = lead.seat_watch.look(now, status);
        let found = Seats {
            wanted: agreed.seats(),
            members: &members,
            is_joint: status.membership.is_joint(),
            leader: status.peer,
            stores: &lead.stores,
            given_up: lead.seat_watch.given_up(),
            config: &lead.config,
        }
        .next();
        let SeatFinding::Do { step, .. } = &found else { return };
        if let SeatStep::GiveUp(learner) = step {
            lead.seat_watch.gives_up(now, learner.store);
        }
        match *step {
            SeatStep::Invite(store) => {
                let is_asked = |one: &IdsFor| matches!(one, IdsFor::Seat(_));
                if !lead.waiting.iter().any(is_asked) {
                    lead.waiting.push_back(IdsFor::Seat(store));
                }
            }
            SeatStep::HandOver(heir) => {
                let (group, to) = (placement::GROUP, heir.id);
                self.tally.add(Kind::SeatHandedOver, 1);
                self.ask(at, Asked::Nothing, |token| Event::Transfer { group, token, to });
            }
            SeatStep::Seat { .. } | SeatStep::Dismiss(_) | SeatStep::GiveUp(_) => {
                self.change_seats(at, step, None);
            }
        }
        self.say(|_| format!("seats: {found}"));
    }

    pub(super) fn invite(&mut self, at: usize, store: StoreId, new: Option<PeerId>) {
        self.change_seats(at, &SeatStep::Invite(store), new);
    }

    fn change_seats(&mut self, at: usize, step: &SeatStep, new: Option<PeerId>) {
        self.tally.add(Kind::SeatChanged, 1);
        let (group, changes) = (placement::GROUP, placement::changes(step, new));
        self.ask(at, Asked::Nothing, |token| Event::Change { group, token, since: None, changes });
    }
}

/// What is wrong with placement's own group, now that everything has healed.
pub(super) fn unseated(world: &mut World<'_>) -> Option<String> {
    let Some(at) = world.placement_leader() else { return Some("nobody leads it".to_owned()) };
    let (agreed, status) = (world.state(at), world.look_from_outside(at, placement::GROUP));
    let (Some(agreed), Some(status)) = (agreed, status) else {
        return Some("its leader does not tell".to_owned());
    };
    let members = SeatWatch::default().look(world.agenda.now(), &status);
    let drains = |store| agreed.stores.get(&store).is_some_and(|of| of.life == Life::Draining);
    let is_well = members.len() == agreed.seats()
        && !status.membership.is_joint()
        && members.iter().all(|of| of.behind.is_none() && !drains(of.peer.store));
    if !is_well {
        return Some(format!("members {members:?}, of {}", agreed.seats()));
    }
    let sits = |store| members.iter().any(|of| of.peer.store == store);
    let stray = world.hosts.iter().find(|host| {
        let core = host.node.up.as_ref().and_then(|up| up.shard.core(placement::GROUP));
        let has_state = core.is_some_and(|core| core.status().log.last().index.0 > 0);
        has_state && host.store.is_some_and(|store| !sits(store))
    });
    stray.map(|host| format!("{} has a member that is none", host.node.id))
}
