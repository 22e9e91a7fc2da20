//! What a store does by itself: it tells placement that it is there and how its regions are, and
//! begins the first regions. Stands for `birth`, `reports` and `link` of the server's node.

use std::sync::Arc;

use multiraft::shard::{Beginning, Event};
use multiraft::{GroupStatus, Outcome, Refusal, Roster, Standing};
use placement::table::{Figure, RegionReport};
use types::{EntryId, GroupId, Index, PeerId, Region, RegionPeer, StoreId, Term};

use super::host::{Stream, Told};
use super::member::Proposed;
use super::serving::Served;
use super::tally::Kind;
use super::words::{Elsewhere, Message, Place};
use super::world::{Happening, World};
use crate::plan::MS;

/// The place in the log at which groups begin.
const BEGINNING: EntryId = EntryId { index: Index(1), term: Term(1) };
/// Between two rounds of chores.
const CHORES: u64 = 50 * MS;
const BEAT_EVERY: u64 = 300 * MS;
const LOOK_EVERY: u64 = 200 * MS;
const TELL_EVERY: u64 = 500 * MS;
const MEASURE_EVERY: u64 = 200 * MS;
const STRAYS_EVERY: u64 = 15_000 * MS;
const TELL_LOAD_EVERY: u64 = 2_000 * MS;
const TELL_ALL_EVERY: u64 = 10_000 * MS;
const LEADER_PATIENCE: u64 = 1_200 * MS;
/// Entries by which a peer may be behind and still count.
const BEHIND_MAX: u64 = 2_048;

/// What a store has asked one of its groups.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Nothing depends on the answer.
    Nothing,
    /// For whoever looks at the world from outside.
    Status,
    Serve(Box<Served>),
    Split,
    Report {
        urgent: bool,
    },
    /// Whether a first region has state here; and its creation.
    IsKnown(Box<(usize, Region)>),
    Create(Box<(usize, Region)>),
    Member(u64, Proposed),
}

impl World<'_> {
    /// A group has answered a store.
    pub(crate) fn answered(&mut self, at: usize, asked: Asked, outcome: Outcome) {
        match asked {
            Asked::Nothing => {}
            Asked::Status => {
                if let Outcome::Status(status) = outcome {
                    self.status = Some(*status);
                }
            }
            Asked::Serve(served) => self.served(at, *served, outcome),
            Asked::Split => self.was_split(at, outcome),
            Asked::Report { urgent } => {
                if let Outcome::Status(status) = outcome {
                    self.tell(at, &status, urgent);
                }
            }
            Asked::IsKnown(first) => {
                let is_known =
                    matches!(outcome, Outcome::Status(status) if status.last.index > Index(0));
                if !is_known {
                    self.begin_first(at, first.0, first.1);
                }
            }
            Asked::Create(first) => self.created(at, first.0, &first.1, &outcome),
            Asked::Member(attempt, proposed) => {
                self.member_answered(at, attempt, proposed, outcome);
            }
        }
    }

    pub(crate) fn chores(&mut self, at: usize, life: u64) {
        let now = self.agenda.now();
        self.after(CHORES, Happening::Chore { at, life });
        self.begin_born(at);
        let due = |due: &mut types::Time, every: u64| {
            let is_due = *due <= now;
            if is_due {
                due.0 = now.0 + every;
            }
            is_due
        };
        let Some(glue) = &mut self.hosts[at].glue else { return };
        let (beats, looks) =
            (due(&mut glue.beat_at, BEAT_EVERY), due(&mut glue.look_at, LOOK_EVERY));
        let tells = due(&mut glue.tell_at, TELL_EVERY) || std::mem::take(&mut glue.is_urgent);
        let measures = due(&mut glue.measure_at, MEASURE_EVERY);
        let seeks_strays = due(&mut glue.strays_at, STRAYS_EVERY);
        if beats {
            self.beat(at);
        }
        if looks {
            self.look_at_regions(at);
        }
        if measures {
            self.measure_regions(at);
        }
        if tells {
            self.send_reports(at);
        }
        if seeks_strays {
            self.look_for_strays(at);
        }
        self.member_chores(at);
    }

    /// Tells placement that the store is there, or seeks who leads it.
    fn beat(&mut self, at: usize) {
        let Some(store) = self.hosts[at].store else { return };
        let count = self.hosts.len();
        let host = &mut self.hosts[at];
        let Some(glue) = &mut host.glue else { return };
        if self.agenda.now().0 > glue.beaten_at.0 + LEADER_PATIENCE {
            glue.beaten_at = self.agenda.now();
            glue.stream = None;
            host.toward = (host.toward + 1) % count;
        }
        let leaders = glue
            .standings
            .iter()
            .filter(|(group, standing)| **group != placement::GROUP && standing.leads())
            .count() as u64;
        let to = host.toward;
        self.send(Place::Host(at), Place::Host(to), Message::Beat { store, leaders });
    }

    /// Placement's leader has answered, or is elsewhere.
    pub(crate) fn beaten(&mut self, at: usize, from: Place, answer: Result<(), Elsewhere>) {
        let hint = match answer {
            Ok(()) => None,
            Err(Elsewhere(hint)) => Some(hint.and_then(|store| self.place_of(store))),
        };
        let id = self.number();
        let (now, count) = (self.agenda.now(), self.hosts.len());
        let host = &mut self.hosts[at];
        let Some(glue) = &mut host.glue else { return };
        if from != Place::Host(host.toward) {
            return;
        }
        match hint {
            None => {
                glue.beaten_at = now;
                if glue.stream.is_none() {
                    glue.stream = Some(Stream { id, to: host.toward, next: 0 });
                    self.send_reports(at);
                }
            }
            Some(hint) => {
                glue.stream = None;
                host.toward = hint.unwrap_or((host.toward + 1) % count);
            }
        }
    }

    pub(crate) fn stream_broke(&mut self, at: usize, stream: u64) {
        let Some(glue) = &mut self.hosts[at].glue else { return };
        if glue.stream.is_some_and(|known| known.id == stream) {
            glue.stream = None;
            self.tally.add(Kind::StreamBroken, 1);
        }
    }

    /// What changes, behind the first telling of all.
    fn send_reports(&mut self, at: usize) {
        let Some(store) = self.hosts[at].store else { return };
        let Some(glue) = &mut self.hosts[at].glue else { return };
        let Some(stream) = &mut glue.stream else { return };
        let nth = stream.next;
        let changed = std::mem::take(&mut glue.changed);
        let reports: Vec<RegionReport> = if nth == 0 {
            glue.reports.values().cloned().collect()
        } else {
            changed.iter().filter_map(|id| glue.reports.get(id).cloned()).collect()
        };
        if nth > 0 && reports.is_empty() {
            return;
        }
        stream.next += 1;
        let (to, stream) = (Place::Host(stream.to), stream.id);
        self.send(Place::Host(at), to, Message::Reports { store, stream, nth, reports });
    }

    pub(crate) fn on_standing(&mut self, at: usize, group: GroupId, standing: Option<Standing>) {
        let Some(glue) = &mut self.hosts[at].glue else { return };
        match standing {
            Some(standing) => glue.standings.insert(group, standing),
            None => glue.standings.remove(&group),
        };
        if group == placement::GROUP {
            return self.member_standing(at, standing);
        }
        if standing.is_some_and(|standing| standing.leads()) {
            self.tally.add(Kind::Lead, 1);
            self.ask_report(at, group, true);
        } else {
            glue.told.remove(&group);
            glue.reports.remove(&group);
            glue.changed.remove(&group);
        }
    }

    pub(crate) fn ask_report(&mut self, at: usize, group: GroupId, urgent: bool) {
        self.ask(at, Asked::Report { urgent }, |token| Event::Look { group, token });
    }

    /// Compares what is with what was told.
    fn look_at_regions(&mut self, at: usize) {
        let now = self.agenda.now();
        let Some(glue) = &self.hosts[at].glue else { return };
        let mut news = Vec::new();
        for (&id, standing) in glue.standings.iter().filter(|(id, _)| **id != placement::GROUP) {
            let Some(state) = glue.regions.get(id).filter(|_| standing.leads()) else { continue };
            let Some(last) = glue.told.get(&id) else {
                news.push((id, true));
                continue;
            };
            let age = now.0 - last.at.0;
            let bytes = state.load.bytes().unwrap_or(0);
            let has_changed = bytes.abs_diff(last.bytes) > last.bytes / 16
                || state.load.written_bytes() != last.written;
            if last.epoch != state.region.epoch {
                news.push((id, true));
            } else if last.has_pending
                || age >= TELL_ALL_EVERY
                || age >= TELL_LOAD_EVERY && has_changed
            {
                news.push((id, false));
            }
        }
        for (id, urgent) in news {
            self.ask_report(at, id, urgent);
        }
    }

    fn tell(&mut self, at: usize, status: &GroupStatus, urgent: bool) {
        let now = self.agenda.now();
        let Some(glue) = &mut self.hosts[at].glue else { return };
        let id = status.group;
        let Some(state) = glue.regions.get(id).filter(|_| status.leads) else { return };
        let region = &state.region;
        let Some(leader) = region.peer(status.peer) else { return };
        let is_pending = |peer: &&RegionPeer| status.is_behind(peer.id, BEHIND_MAX);
        let pending: Vec<PeerId> =
            region.peers.iter().filter(is_pending).map(|peer| peer.id).collect();
        let told = Told {
            epoch: region.epoch,
            has_pending: !pending.is_empty(),
            bytes: state.load.bytes().unwrap_or(0),
            written: state.load.written_bytes(),
            at: now,
        };
        let last = glue.told.insert(id, told);
        let caught_up = last.is_some_and(|last| last.has_pending) && pending.is_empty();
        let report = RegionReport {
            region: region.clone(),
            leader,
            term: status.term,
            down: Vec::new(),
            pending,
            bytes: Figure::from(told.bytes),
            keys: Figure::from(state.load.keys().unwrap_or(0)),
            written_per_second: Figure::default(),
            read_per_second: Figure::default(),
        };
        glue.reports.insert(id, report);
        glue.changed.insert(id);
        glue.is_urgent |= urgent || caught_up;
    }

    /// Creates a founder's peer of placement's group. To do it again is to do it once.
    pub(crate) fn found(&mut self, at: usize) {
        let Some(store) = self.hosts[at].store else { return };
        if at >= self.plan.founders {
            return;
        }
        let voters: Vec<(PeerId, StoreId)> = (1..=self.plan.founders as u64)
            .filter_map(|id| Some((PeerId::new(id)?, StoreId::new(id)?)))
            .collect();
        let roster = Roster::of_voters(&voters).expect("founders are few and different");
        let peer = PeerId::new(store.get()).expect("stores are not zero");
        let beginning = Box::new(Beginning { peer, at: BEGINNING, roster });
        let group = placement::GROUP;
        self.ask(at, Asked::Nothing, |token| Event::Create { group, token, beginning });
    }

    /// Once the cluster is born, a founder begins its peers of the first regions.
    fn begin_born(&mut self, at: usize) {
        let Some(store) = self.hosts[at].store else { return };
        let Some(glue) = &mut self.hosts[at].glue else { return };
        if glue.is_born {
            return;
        }
        let Some(first) = glue.view.get().cluster.as_ref().map(|of| of.regions.clone()) else {
            return;
        };
        glue.is_born = true;
        for (nth, region) in first.into_iter().enumerate() {
            let Some(glue) = &self.hosts[at].glue else { return };
            if region.peer_on(store).is_none() || glue.regions.get(region.id).is_some() {
                continue;
            }
            let group = region.id;
            let asked = Asked::IsKnown(Box::new((nth, region)));
            self.ask(at, asked, |token| Event::Look { group, token });
        }
    }

    fn begin_first(&mut self, at: usize, nth: usize, region: Region) {
        let Some(store) = self.hosts[at].store else { return };
        let (Some(up), Some(glue)) = (&self.hosts[at].node.up, &self.hosts[at].glue) else {
            return;
        };
        match glue.regions.prepare(&*up.engine, &region) {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => return self.crash_of_disk(at),
        }
        let voters: Vec<(PeerId, StoreId)> =
            region.peers.iter().map(|peer| (peer.id, peer.store)).collect();
        let roster = Roster::of_voters(&voters).expect("first regions have voters");
        let peer = region.peer_on(store).expect("looked at before").id;
        let beginning = Box::new(Beginning { peer, at: BEGINNING, roster });
        let group = region.id;
        let asked = Asked::Create(Box::new((nth, region)));
        self.ask(at, asked, |token| Event::Create { group, token, beginning });
    }

    fn created(&mut self, at: usize, nth: usize, region: &Region, outcome: &Outcome) {
        let Some(store) = self.hosts[at].store else { return };
        let group = region.id;
        if *outcome == Outcome::Done {
            let goes_first = region.peers.get(nth % region.peers.len());
            if goes_first.is_some_and(|peer| peer.store == store) {
                self.ask(at, Asked::Nothing, |token| Event::Campaign { group, token });
            }
            return;
        }
        let (Some(up), Some(glue)) = (&self.hosts[at].node.up, &self.hosts[at].glue) else {
            return;
        };
        if glue.regions.withdraw(&*up.engine, group).is_err() {
            return self.crash_of_disk(at);
        }
        if !matches!(outcome, Outcome::Refused(Refusal::Destroyed(_) | Refusal::Exists(_))) {
            let what = format!("{group} on {store}: {outcome:?}");
            let found = Err(crate::check::Violation { check: "first regions begin", what });
            self.checks.lock().report(found);
        }
    }

    /// A machine asks to become a store.
    pub(crate) fn ask_to_join(&mut self, at: usize) {
        let (to, nonce) = (self.hosts[at].toward, self.hosts[at].nonce);
        self.hosts[at].toward = (to + 1) % self.hosts.len();
        self.send(Place::Host(at), Place::Host(to), Message::Join { nonce });
        self.after(700 * MS, Happening::Start { at });
    }

    pub(crate) fn joined(&mut self, at: usize, answer: Result<StoreId, Elsewhere>) {
        if self.hosts[at].store.is_some() {
            return;
        }
        match answer {
            Ok(store) => {
                self.hosts[at].store = Some(store);
                self.hosts[at].node.id = store;
                self.tally.add(Kind::Join, 1);
                self.start(at);
            }
            Err(Elsewhere(Some(store))) => {
                self.hosts[at].toward = self.place_of(store).unwrap_or(0);
            }
            Err(Elsewhere(None)) => {}
        }
    }

    /// What a host hears, whatever runs on it.
    pub(crate) fn heard(&mut self, at: usize, from: Place, message: Message) {
        if let Message::Joined(answer) = message {
            return self.joined(at, answer);
        }
        if self.hosts[at].node.up.is_none() {
            return self.lose(from, &message);
        }
        match message {
            Message::Ask(request) => self.serve(at, request),
            Message::Order(order) => self.carry_order(at, &order),
            Message::Beaten(answer) => self.beaten(at, from, answer),
            Message::StreamEnds(stream) => self.stream_broke(at, stream),
            Message::SplitIds { serial, ids } => self.split_ids(at, serial, ids),
            other => self.member_hears(at, from, other),
        }
    }

    /// The region of a store, if it is there.
    pub(crate) fn state_of(&self, at: usize, id: GroupId) -> Option<Arc<kv::RegionState>> {
        self.hosts[at].glue.as_ref()?.regions.get(id)
    }
}
