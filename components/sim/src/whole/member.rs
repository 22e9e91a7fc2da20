//! A member of placement: follows, or leads and decides. Stands for `driver`, `driver::timestamps`,
//! `driver::stores` and the services; the state machine, the timestamps, the table and the planner
//! are the real ones.

use std::collections::VecDeque;
use std::sync::Arc;

use multiraft::shard::Event;
use multiraft::{Outcome, Standing};
use placement::scheduler::{Controller, Order};
use placement::state::{Bootstrap, Cluster, Command, FIRST_ID, Life, Reply, State, Store};
use placement::tso::Oracle;
use types::{GroupId, PeerId, StoreId, Term, Time, Timestamp};

use super::glue::Asked;
use super::leading::{IdsFor, Lead};
use super::tally::Kind;
use super::words::{Elsewhere, Message, Place};
use super::world::{World, applied};
use crate::check::Violation;
use crate::plan::MS;

const RETRY: u64 = 100 * MS;
const WINDOW_TICK: u64 = 200 * MS;
const PLAN_TICK: u64 = 300 * MS;
const STAMP_PATIENCE: u64 = 1_500 * MS;
const IDS_AT_ONCE: u32 = 1_000;

/// What is a member if its store holds a seat, and knows of the members otherwise.
#[derive(Default)]
pub(crate) struct Member {
    /// Rises with every change of who leads: what was asked before is forgotten.
    pub(super) attempt: u64,
    standing: Option<Standing>,
    pub(super) oracle: Oracle,
    pub lead: Option<Lead>,
    /// When it tries to begin to lead.
    begins_at: Option<Time>,
    window_at: Time,
    pub(super) is_saving: bool,
    plan_at: Time,
    pub(super) stamps: VecDeque<(Place, u64, Time)>,
    pub(super) is_confirming: bool,
}

/// A timestamp that was taken, and for whom.
pub(crate) type Taken = (Place, u64, Timestamp, Term);

/// What a member has asked placement's group.
#[derive(Debug)]
pub(crate) enum Proposed {
    Begin,
    Bootstrap,
    /// With it the leadership begins, or goes on.
    Window {
        term: Term,
        is_first: bool,
    },
    Confirm(Vec<Taken>),
    Ids,
    Join(Place),
    Life,
    /// How the group itself is.
    Seats,
}

impl World<'_> {
    pub(crate) fn member(&mut self, at: usize) -> Option<&mut Member> {
        self.hosts[at].glue.as_mut()?.member.as_mut()
    }

    pub(crate) fn state(&self, at: usize) -> Option<Arc<State>> {
        Some(self.hosts[at].glue.as_ref()?.view.get())
    }

    /// Whom a member takes for the leader.
    pub(super) fn elsewhere(&mut self, at: usize) -> Elsewhere {
        let own = self.hosts[at].store;
        let toward = self.hosts.get(self.hosts[at].toward).and_then(|host| host.store);
        let state = self.state(at);
        let Some(member) = self.member(at) else { return Elsewhere(None) };
        // From hearsay, whoever is no member.
        let Some(standing) = member.standing else {
            return Elsewhere(toward.filter(|&id| Some(id) != own));
        };
        let store_of = |peer: PeerId| {
            let known = state?.members.get(&peer).map(|member| member.store);
            known.or_else(|| StoreId::new(peer.get()).filter(|store| store.get() < FIRST_ID))
        };
        Elsewhere(standing.leader.and_then(store_of).filter(|&id| Some(id) != own))
    }

    /// Who leads placement's group changed.
    pub(crate) fn member_standing(&mut self, at: usize, standing: Option<Standing>) {
        let now = self.agenda.now();
        let Some(member) = self.member(at) else { return };
        member.standing = standing;
        member.attempt += 1;
        member.is_saving = false;
        let term = standing.filter(Standing::leads).map(|standing| standing.term);
        // Timestamps first.
        if member.oracle.term() != term {
            member.oracle.clear();
        }
        let over = member.lead.take_if(|lead| Some(lead.term) != term);
        if let Some(lead) = &mut member.lead {
            lead.ids_are_asked = false;
        }
        member.begins_at = (term.is_some() && member.lead.is_none()).then_some(now);
        for (store, (stream, _)) in over.map(|lead| lead.streams).unwrap_or_default() {
            if let Some(to) = self.place_of(store) {
                self.send(Place::Host(at), Place::Host(to), Message::StreamEnds(stream));
            }
        }
        self.member_chores(at);
    }

    pub(crate) fn member_chores(&mut self, at: usize) {
        let now = self.agenda.now();
        let Some(member) = self.member(at) else { return };
        if member.begins_at.is_some_and(|due| due <= now) {
            member.begins_at = None;
            let attempt = member.attempt;
            let group = placement::GROUP;
            let asked = Asked::Member(attempt, Proposed::Begin);
            return self.ask(at, asked, |token| Event::Read { group, token });
        }
        if member.lead.is_none() {
            return self.give_stamps(at);
        }
        if member.window_at <= now {
            member.window_at = Time(now.0 + WINDOW_TICK);
            self.save_window(at, false);
        }
        let Some(member) = self.member(at) else { return };
        if member.lead.is_some() && member.plan_at <= now {
            member.plan_at = Time(now.0 + PLAN_TICK);
            self.plan_cluster(at);
        }
        self.give_stamps(at);
    }

    pub(super) fn propose(&mut self, at: usize, proposed: Proposed, command: &Command) {
        let Some(member) = self.member(at) else { return };
        let asked = Asked::Member(member.attempt, proposed);
        let (group, command) = (placement::GROUP, command.encode().into());
        self.ask(at, asked, |token| Event::Propose { group, token, command, spawns: false });
    }

    /// The term that this member leads in.
    pub(super) fn leads_in(&mut self, at: usize) -> Option<Term> {
        self.member(at)?.standing.filter(Standing::leads).map(|standing| standing.term)
    }

    pub(crate) fn member_answered(
        &mut self,
        at: usize,
        attempt: u64,
        proposed: Proposed,
        outcome: Outcome,
    ) {
        if let Proposed::Confirm(taken) = proposed {
            return self.confirmed(at, taken, &outcome);
        }
        let Some(member) = self.member(at) else { return };
        if member.attempt != attempt {
            return;
        }
        match proposed {
            Proposed::Begin if matches!(outcome, Outcome::Readable(_)) => self.begin(at),
            Proposed::Begin => self.begin_later(at),
            Proposed::Bootstrap => match applied(outcome) {
                Ok(_) => self.begin(at),
                Err(_) => self.begin_later(at),
            },
            Proposed::Window { term, is_first } => self.window_saved(at, term, is_first, outcome),
            Proposed::Ids => {
                let reply = applied(outcome).ok().and_then(|reply| Reply::decode(&reply).ok());
                let Some(lead) = self.member(at).and_then(|member| member.lead.as_mut()) else {
                    return;
                };
                lead.ids_are_asked = false;
                match reply {
                    Some(Reply::Ids(first, count)) => {
                        lead.ids.extend(first..first + count);
                        self.give_ids(at);
                    }
                    _ => lead.waiting.clear(),
                }
            }
            Proposed::Join(to) => {
                let reply = applied(outcome).ok().and_then(|reply| Reply::decode(&reply).ok());
                let Some(Reply::Store(Store { id: Some(id), nonce, .. })) = reply else { return };
                let mut checks = self.checks.lock();
                let found = checks.ids.handed(id.get(), &format!("store {nonce}"));
                checks.report(found);
                drop(checks);
                self.look_at_stores(at);
                self.send(Place::Host(at), to, Message::Joined(Ok(id)));
            }
            Proposed::Life => self.look_at_stores(at),
            Proposed::Seats => {
                if let Outcome::Status(status) = outcome {
                    self.look_at_seats(at, &status);
                }
            }
            Proposed::Confirm(_) => unreachable!("looked at above"),
        }
    }

    pub(super) fn begin_later(&mut self, at: usize) {
        let due = Time(self.agenda.now().0 + RETRY);
        if let Some(member) = self.member(at) {
            member.begins_at = Some(due);
        }
    }

    /// It has read the state of its own term: the cluster is born, or goes on.
    fn begin(&mut self, at: usize) {
        let (Some(state), Some(term)) = (self.state(at), self.leads_in(at)) else { return };
        if state.cluster.is_none() {
            let birth = self.birth();
            return self.propose(at, Proposed::Bootstrap, &Command::Bootstrap(birth));
        }
        let wall = self.hosts[at].wall_ms(self.agenda.now());
        let Some(member) = self.member(at) else { return };
        member.oracle.begin(term, state.window_until_ms, wall);
        self.save_window(at, true);
    }

    fn birth(&self) -> Bootstrap {
        let api = self.plan.api;
        let ids: Vec<StoreId> = (1..=self.plan.founders as u64).filter_map(StoreId::new).collect();
        let stores = ids.iter().map(|&id| stored(Some(id), 0)).collect();
        let regions = placement::first_regions(api, 3, &ids);
        let seats = 3;
        let cluster = Cluster {
            id: self.cluster,
            api_version: api,
            replicas: 3,
            regions,
            seats,
            location_labels: None,
        };
        Bootstrap { cluster, stores }
    }

    fn look_at_stores(&mut self, at: usize) {
        let clock = self.hosts[at].node.clock(self.agenda.now());
        let Some(state) = self.state(at) else { return };
        if let Some(lead) = self.member(at).and_then(|member| member.lead.as_mut()) {
            lead.look_at_stores(&state, clock);
        }
    }

    fn plan_cluster(&mut self, at: usize) {
        self.look_at_stores(at);
        let clock = self.hosts[at].node.clock(self.agenda.now());
        let Some(lead) = self.member(at).and_then(|member| member.lead.as_mut()) else { return };
        let wanted = lead.controller.ids_wanted(&lead.config);
        let is_waiting = |one: &IdsFor| matches!(one, IdsFor::Planner(_));
        if wanted > 0 && !lead.waiting.iter().any(is_waiting) {
            lead.waiting.push_back(IdsFor::Planner(wanted));
        }
        let orders = lead.with_cluster(clock, Controller::tick);
        self.send_orders(at, orders);
        self.ask_seats(at);
        self.give_ids(at);
    }

    fn send_orders(&mut self, at: usize, orders: Vec<Order>) {
        for order in orders {
            let Some(lead) = self.member(at).and_then(|member| member.lead.as_mut()) else {
                return;
            };
            if !lead.streams.contains_key(&order.store) {
                continue;
            }
            let Some(to) = self.place_of(order.store) else { continue };
            self.tally.add(Kind::Order, 1);
            self.send(Place::Host(at), Place::Host(to), Message::Order(Box::new(order)));
        }
    }

    /// Ids for whoever waits for them, in turn.
    fn give_ids(&mut self, at: usize) {
        loop {
            let checks = Arc::clone(&self.checks);
            let Some(lead) = self.member(at).and_then(|member| member.lead.as_mut()) else {
                return;
            };
            let Some(first) = lead.waiting.front().cloned() else { return };
            let count = match first {
                IdsFor::Planner(count) => count,
                IdsFor::Seat(_) => 1,
                IdsFor::Split { count, peers, .. } => count * (1 + peers),
            };
            if lead.ids.len() < count {
                if !lead.ids_are_asked {
                    lead.ids_are_asked = true;
                    self.propose(at, Proposed::Ids, &Command::AllocIds(IDS_AT_ONCE));
                }
                return;
            }
            let ids: Vec<u64> = lead.ids.drain(..count).collect();
            lead.waiting.pop_front();
            let mut checks = checks.lock();
            for &id in &ids {
                let found = checks.ids.handed(id, &format!("{first:?}"));
                checks.report(found);
            }
            drop(checks);
            match first {
                IdsFor::Planner(_) => {
                    lead.controller.offer_ids(ids.into_iter().filter_map(PeerId::new));
                }
                IdsFor::Seat(store) => {
                    self.invite(at, store, ids.first().copied().and_then(PeerId::new));
                }
                IdsFor::Split { from, serial, peers, .. } => {
                    let new = ids.chunks(1 + peers).filter_map(|ids| {
                        let (&region, peers) = ids.split_first()?;
                        let peers = peers.iter().filter_map(|&id| PeerId::new(id)).collect();
                        Some((GroupId::new(region)?, peers))
                    });
                    let ids = Ok(new.collect());
                    // A region's peers have rising ids.
                    lead.controller.forget_ids();
                    self.send(Place::Host(at), from, Message::SplitIds { serial, ids });
                }
            }
        }
    }

    /// What a member is asked over the network.
    pub(crate) fn member_hears(&mut self, at: usize, from: Place, message: Message) {
        let elsewhere = self.elsewhere(at);
        let clock = self.hosts[at].node.clock(self.agenda.now());
        let now = self.agenda.now();
        let Some(state) = self.state(at) else { return };
        let Some(member) = self.member(at) else { return };
        let answer = match (message, &mut member.lead) {
            (Message::Stamp { serial }, Some(_)) => {
                member.stamps.push_back((from, serial, Time(now.0 + STAMP_PATIENCE)));
                return self.give_stamps(at);
            }
            (Message::Stamp { serial }, None) => Message::Stamped { serial, at: Err(elsewhere) },
            (Message::Route { serial, key }, Some(lead)) => {
                let entry = lead.table.by_key(&key);
                let route = entry.map(|entry| (entry.region().clone(), entry.report.leader));
                self.tally.add(Kind::Route, u64::from(route.is_some()));
                Message::Routed { serial, route: Ok(route) }
            }
            (Message::Route { serial, .. }, None) => {
                Message::Routed { serial, route: Err(elsewhere) }
            }
            (Message::Beat { store, leaders }, Some(lead)) => {
                let life = state.stores.get(&store).map(|store| store.life);
                if matches!(life, None | Some(Life::Removed)) {
                    return;
                }
                lead.hear(store, leaders, &state, clock);
                Message::Beaten(Ok(()))
            }
            (Message::Beat { .. }, None) => Message::Beaten(Err(elsewhere)),
            (Message::Reports { store, stream, nth, reports }, _) => {
                return self.hear_reports(at, from, (store, stream, nth), reports);
            }
            (Message::AskSplit { serial, region, count }, Some(lead)) => {
                let peers = region.peers.len();
                lead.waiting.push_back(IdsFor::Split { from, serial, count, peers });
                return self.give_ids(at);
            }
            (Message::AskSplit { serial, .. }, None) => {
                Message::SplitIds { serial, ids: Err(elsewhere) }
            }
            (Message::Join { nonce }, Some(_)) => {
                let command = Command::PutStore(stored(None, nonce));
                return self.propose(at, Proposed::Join(from), &command);
            }
            (Message::Join { .. }, None) => Message::Joined(Err(elsewhere)),
            _ => return,
        };
        self.send(Place::Host(at), from, answer);
    }

    fn hear_reports(
        &mut self,
        at: usize,
        from: Place,
        (store, stream, nth): (StoreId, u64, u64),
        mut reports: Vec<placement::table::RegionReport>,
    ) {
        let clock = self.hosts[at].node.clock(self.agenda.now());
        let is_here = self.state(at).is_some_and(|state| {
            state.stores.get(&store).is_some_and(|store| store.life != Life::Removed)
        });
        let lead = self.member(at).and_then(|member| member.lead.as_mut());
        let Some(lead) = lead.filter(|_| is_here) else {
            return self.send(Place::Host(at), from, Message::StreamEnds(stream));
        };
        if nth > 0 && lead.streams.get(&store) != Some(&(stream, nth)) {
            return self.send(Place::Host(at), from, Message::StreamEnds(stream));
        }
        reports.retain(|report| report.leader.store == store);
        let (taken, mut orders) = lead.report(reports, clock);
        lead.streams.insert(store, (stream, nth + 1));
        if nth == 0 {
            let more = lead
                .with_cluster(clock, |controller, cluster| controller.orders_for(cluster, store));
            orders.extend(more);
        }
        self.tally.add(Kind::Report, taken);
        self.send_orders(at, orders);
    }

    /// The host whose member leads and answers, as far as it knows.
    pub(crate) fn placement_leader(&mut self) -> Option<usize> {
        (0..self.hosts.len()).find(|&at| {
            self.hosts[at].node.up.is_some()
                && self.member(at).is_some_and(|member| member.lead.is_some())
        })
    }

    /// A person decides about a store.
    pub(crate) fn set_life(&mut self, at: usize, store: StoreId, life: Life) {
        self.propose(at, Proposed::Life, &Command::SetLife(store, life));
    }

    /// Whether emptying a store could end, as placement's leader sees it.
    pub(crate) fn may_drain(&mut self, at: usize, store: StoreId) -> Result<(), Violation> {
        let clock = self.hosts[at].node.clock(self.agenda.now());
        let refused = |what: String| Violation { check: "a store can be drained", what };
        let lead = self.member(at).and_then(|member| member.lead.as_mut());
        let lead = lead.ok_or_else(|| refused("nobody leads".to_owned()))?;
        lead.with_cluster(clock, |_, cluster| placement::scheduler::drain_check(cluster, store))
            .map(|_| ())
            .map_err(refused)
    }
}

fn stored(id: Option<StoreId>, nonce: u64) -> Store {
    let number = id.map_or(nonce, StoreId::get);
    Store {
        id,
        nonce,
        address: format!("host-{number}:1"),
        http_address: String::new(),
        labels: Vec::new(),
        version: String::new(),
        life: Life::Live,
    }
}
