//! The timestamps of a member of placement: windows that are saved, and what is taken from them.
//! Stands for `driver::timestamps`; what is given out next is the real oracle's to say.

use std::collections::VecDeque;

use multiraft::Outcome;
use multiraft::shard::Event;
use placement::state::{Command, Reply};
use placement::tso::NoTimestamp;
use types::{Term, Timestamp};

use super::bugs::Planted;
use super::glue::Asked;
use super::leading::Lead;
use super::member::{Proposed, Taken};
use super::tally::Kind;
use super::words::{Message, Place};
use super::world::{World, applied};

impl World<'_> {
    pub(super) fn save_window(&mut self, at: usize, is_first: bool) {
        let (wall, bug) = (self.hosts[at].wall_ms(self.agenda.now()), self.bug);
        let Some(member) = self.member(at).filter(|member| !member.is_saving) else { return };
        let Some(window) = member.oracle.wants(wall) else { return };
        if bug == Some(Planted::WindowNotSaved) && !is_first {
            return member.oracle.saved(window.until_ms, window.term);
        }
        member.is_saving = true;
        let proposed = Proposed::Window { term: window.term, is_first };
        self.propose(at, proposed, &Command::SaveWindow(window));
    }

    pub(super) fn window_saved(&mut self, at: usize, term: Term, is_first: bool, outcome: Outcome) {
        let reply = applied(outcome).ok().and_then(|reply| Reply::decode(&reply).ok());
        let leads_in = self.leads_in(at);
        let (config, state) = (self.plan.scheduler(), self.state(at));
        let clock = self.hosts[at].node.clock(self.agenda.now());
        let bug = self.bug;
        let Some(member) = self.member(at) else { return };
        member.is_saving = false;
        match reply {
            Some(Reply::Window(held)) => member.oracle.saved(held, term),
            Some(Reply::Refused(_)) => member.oracle.clear(),
            _ => {}
        }
        if is_first {
            let (true, Some(state)) = (member.oracle.is_ready() && leads_in == Some(term), state)
            else {
                return self.begin_later(at);
            };
            let mut lead = Lead::new(config, &state, term, clock);
            if bug == Some(Planted::IdsReused) && state.next_id > 1_500 {
                lead.ids.extend(state.next_id.saturating_sub(1_000)..state.next_id);
            }
            member.lead = Some(lead);
            self.tally.add(Kind::PlacementLead, 1);
        }
        self.give_stamps(at);
    }

    /// Takes timestamps for all who wait, then makes sure that it still leads.
    pub(super) fn give_stamps(&mut self, at: usize) {
        let (now, bug) = (self.agenda.now(), self.bug);
        let wall = self.hosts[at].wall_ms(now);
        let elsewhere = self.elsewhere(at);
        let logical = self.number();
        let Some(member) = self.member(at) else { return };
        if member.is_confirming || member.stamps.is_empty() {
            return;
        }
        let (mut taken, mut failed, mut left) = (Vec::new(), Vec::new(), VecDeque::new());
        for (from, serial, until) in std::mem::take(&mut member.stamps) {
            let got = if member.lead.is_some() {
                member.oracle.take(wall, 1)
            } else {
                Err(NoTimestamp::NotLeading)
            };
            match got {
                Ok((_, term)) if bug == Some(Planted::WindowIgnored) => {
                    let logical = logical % Timestamp::LOGICAL_MAX;
                    taken.push((from, serial, Timestamp::new(wall, logical), term));
                }
                Ok((stamp, term)) => taken.push((from, serial, stamp, term)),
                Err(NoTimestamp::Window) if until > now => left.push_back((from, serial, until)),
                Err(_) => failed.push((from, serial)),
            }
        }
        let is_short = !left.is_empty();
        member.stamps = left;
        member.is_confirming = !taken.is_empty();
        let attempt = member.attempt;
        for (from, serial) in failed {
            let at_ = Err(elsewhere);
            self.send(Place::Host(at), from, Message::Stamped { serial, at: at_ });
        }
        if is_short {
            self.save_window(at, false);
        }
        if taken.is_empty() {
            return;
        }
        let group = placement::GROUP;
        let asked = Asked::Member(attempt, Proposed::Confirm(taken));
        self.ask(at, asked, |token| Event::Read { group, token });
    }

    pub(super) fn confirmed(&mut self, at: usize, taken: Vec<Taken>, outcome: &Outcome) {
        self.stamped(at, taken, matches!(outcome, Outcome::Readable(_)));
    }

    pub(super) fn stamped(&mut self, at: usize, taken: Vec<Taken>, is_confirmed: bool) {
        let Some(window) = self.state(at).map(|state| state.window_term) else { return };
        let elsewhere = self.elsewhere(at);
        for (from, serial, stamp, term) in taken {
            let Some(member) = self.member(at) else { return };
            member.is_confirming = false;
            let is_ours = is_confirmed && member.oracle.may_answer(term, window);
            let got = if is_ours {
                Ok(stamp)
            } else {
                self.tally.add(Kind::TimestampDropped, 1);
                Err(elsewhere)
            };
            self.send(Place::Host(at), from, Message::Stamped { serial, at: got });
        }
        self.give_stamps(at);
    }
}
