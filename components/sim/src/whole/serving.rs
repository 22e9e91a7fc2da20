//! Reads and writes of clients on a store. Stands for `service::data` and `service::raw` of the
//! server.

use std::sync::Arc;

use bytes::Bytes;
use kv::command::{Action, Cas, Command, DeleteRange, Mutation};
use kv::edge::{Target, check};
use kv::read::{Reader, Scan, Values};
use kv::value::Stored;
use kv::{RegionError, RegionState, Reply};
use multiraft::Outcome;
use multiraft::shard::Event;
use storage::{Cf, Direction};
use types::GroupId;

use super::bugs::Planted;
use super::glue::Asked;
use super::tally::Kind;
use super::words::{Ask, Got, Message, Place, Request};
use super::world::{Happening, World};
use crate::dice::Stream;

/// A request that waits for its group.
#[derive(Debug)]
pub(crate) struct Served {
    request: Request,
    state: Arc<RegionState>,
    /// What it is answered with when it is done, if that is known already.
    known: Option<Option<Bytes>>,
}

fn keys(ask: &Ask) -> Vec<&[u8]> {
    match ask {
        Ask::Get(key) | Ask::Put(key, _) | Ask::Delete(key) | Ask::Cas { key, .. } => vec![key],
        Ask::Scan(_) | Ask::DeleteRange(_) => Vec::new(),
    }
}

fn put(key: &[u8], value: &[u8]) -> Mutation {
    Mutation::put(Cf::Default, key.to_vec(), Stored { expires: None, value })
}

fn action(ask: &Ask) -> Option<Action> {
    Some(match ask {
        Ask::Get(_) | Ask::Scan(_) => return None,
        Ask::Put(key, value) => Action::Write(vec![put(key, value)]),
        Ask::Delete(key) => Action::Write(vec![Mutation::delete(Cf::Default, key.clone())]),
        Ask::Cas { key, expected, value } => Action::Cas(Cas {
            mutation: put(key, value),
            expected: expected.clone(),
            now_seconds: 0,
        }),
        Ask::DeleteRange(range) => Action::DeleteRange(DeleteRange {
            families: vec![Cf::Default],
            start: range.start.clone().into(),
            end: range.end.clone().into(),
        }),
    })
}

impl World<'_> {
    /// The region that a request is for, if it is led from here and has these engine keys.
    fn find(&self, at: usize, target: &Target, ask: &Ask) -> Result<Arc<RegionState>, RegionError> {
        let (id, keys) = (target.region, keys(ask));
        let lost = RegionError::RegionNotFound(id);
        let (Some(store), Some(glue)) = (self.hosts[at].store, &self.hosts[at].glue) else {
            return Err(lost);
        };
        let standing = glue.standings.get(&id);
        let Some(state) = glue.regions.get(id) else {
            return Err(standing.map_or(lost, |_| RegionError::NotInitialized(id)));
        };
        if let Some(standing) = standing
            && !standing.leads()
            && !matches!(self.bug, Some(Planted::ReadUngranted | Planted::LeaseKept))
        {
            let leader = standing.leader.and_then(|leader| state.region.peer(leader));
            return Err(RegionError::NotLeader { region: id, leader });
        }
        check(store, &state.region, target, keys.iter().copied())
            .map_err(|error| glue.regions.explain(error, keys))?;
        Ok(state)
    }

    pub(crate) fn serve(&mut self, at: usize, request: Request) {
        let state = match self.find(at, &request.target, &request.ask) {
            Ok(state) => state,
            Err(error) => return self.fail(at, &request, error),
        };
        let group = request.target.region;
        let Some(mut action) = action(&request.ask) else {
            if self.bug == Some(Planted::ReadUngranted) {
                return self.look(at, &request, &state);
            }
            // Some ask all the same: what asking brings is to be seen as well.
            if self.is_leased(at, group) && self.dice.of(Stream::Leases).chance(700) {
                self.tally.add(Kind::Leased, 1);
                return self.look_later(at, request, state);
            }
            let asked = Asked::Serve(Box::new(Served { request, state, known: None }));
            return self.ask(at, asked, |token| Event::Read { group, token });
        };
        let mut known = None;
        if self.bug == Some(Planted::CasAtProposer)
            && let Action::Cas(cas) = &action
        {
            let Some(up) = &self.hosts[at].node.up else { return };
            let is = up.engine.get(Cf::Default, &cas.mutation.key).ok().flatten();
            let previous = is.as_deref().and_then(|stored| Stored::decode(stored).ok());
            let previous = previous.map(|stored| Bytes::copy_from_slice(stored.value));
            if previous == cas.expected {
                known = Some(previous);
                action = Action::Write(vec![cas.mutation.clone()]);
            }
        }
        let command = Command { epoch: state.region.epoch, action }.encode();
        if self.bug == Some(Planted::ProposedAsDone) && self.dice.of(Stream::Bugs).chance(100) {
            let got = Got::Done(group, types::Index(0));
            self.reply(at, &request, got);
        }
        let asked = Asked::Serve(Box::new(Served { request, state, known }));
        self.ask(at, asked, |token| Event::Propose { group, token, command, spawns: false });
    }

    pub(crate) fn served(&mut self, at: usize, served: Served, outcome: Outcome) {
        let Served { request, state, known } = served;
        let id = request.target.region;
        match outcome {
            Outcome::Readable(_) => match self.find(at, &request.target, &request.ask) {
                Ok(state) => self.look_later(at, request, state),
                Err(error) => self.fail(at, &request, error),
            },
            Outcome::Applied { index, reply } => {
                let reply = Reply::decode(&reply).expect("a region's reply");
                let got = match RegionError::of_reply(reply, &state.region) {
                    Ok(Reply::Done) => match known {
                        Some(previous) => Got::Cas { at: (id, index), succeeded: true, previous },
                        None => Got::Done(id, index),
                    },
                    Ok(Reply::Cas { succeeded, previous }) => {
                        Got::Cas { at: (id, index), succeeded, previous }
                    }
                    Ok(other) => {
                        let what = format!("{request:?} answered {other:?}");
                        let check = "requests are answered with what was asked";
                        let found = Err(crate::check::Violation { check, what });
                        return self.checks.lock().report(found);
                    }
                    Err(error) => return self.fail(at, &request, error),
                };
                self.reply(at, &request, got);
            }
            Outcome::Refused(refusal) => {
                let Some(own) = self.hosts[at].store else { return };
                let error = RegionError::of_refusal(&refusal, own, id, Some(&state.region));
                self.fail(at, &request, error);
            }
            _ if action(&request.ask).is_none() || self.bug == Some(Planted::UnknownAsRefused) => {
                self.fail(at, &request, RegionError::StaleCommand);
            }
            _ => self.fail(at, &request, RegionError::Undetermined),
        }
    }

    /// Whether readers need not ask, on that store's clock.
    fn is_leased(&mut self, at: usize, group: GroupId) -> bool {
        let clock = self.hosts[at].node.clock(self.agenda.now());
        let host = &mut self.hosts[at];
        let told = host.node.up.as_ref().and_then(|up| up.leases.get(&group).copied());
        let Some(glue) = &mut host.glue else { return false };
        let found = glue.leases.get(&group).copied();
        glue.leases.extend(told.map(|lease| (group, lease)));
        let is_kept = self.bug == Some(Planted::LeaseKept);
        let (Some(grant), Some(up)) = (told.or(found.filter(|_| is_kept)), &host.node.up) else {
            return false;
        };
        let lease = grant.lease(&up.pledges);
        if lease.holds(clock) && !grant.is_held_by_itself(clock) {
            self.tally.add(Kind::Pledged, 1);
        }
        lease.holds(clock)
    }

    fn look_later(&mut self, at: usize, request: Request, state: Arc<RegionState>) {
        let life = self.hosts[at].node.life;
        let wait = self.dice.of(Stream::Looks).between(self.plan.look);
        let request = Box::new((request, state));
        self.after(wait, Happening::Look { at, life, request });
    }

    /// A read that was granted takes its view, and is right if the region is the same then.
    pub(crate) fn look(&mut self, at: usize, request: &Request, state: &RegionState) {
        let (Some(up), Some(glue)) = (&self.hosts[at].node.up, &self.hosts[at].glue) else {
            return;
        };
        let view = up.engine.view();
        if self.bug != Some(Planted::NotStill)
            && let Err(error) = glue.regions.check_still(state)
        {
            self.tally.add(Kind::NotStill, 1);
            return self.fail(at, request, error);
        }
        let reader = Reader { view: &*view, region: &state.region, now_seconds: 0 };
        let got = match &request.ask {
            Ask::Get(key) => {
                reader.get(Cf::Default, key).map(|found| Got::Value(found.map(|found| found.value)))
            }
            Ask::Scan(range) => {
                let scan = Scan {
                    range: range.clone(),
                    direction: Direction::Forward,
                    pairs_max: usize::MAX,
                    bytes_max: usize::MAX,
                    values: Values::Whole,
                };
                let part = state.region.range.intersection(range);
                reader.scan(Cf::Default, &scan).map(|page| Got::Pairs(part, page.pairs))
            }
            _ => return,
        };
        // A disk that cannot be read answers nobody.
        if let Ok(got) = got {
            self.reply(at, request, got);
        }
    }

    fn fail(&mut self, at: usize, request: &Request, error: RegionError) {
        let error = match &self.hosts[at].glue {
            Some(glue) => glue.regions.explain(error, keys(&request.ask)),
            None => error,
        };
        match &error {
            RegionError::EpochNotMatch(_) => self.tally.add(Kind::EpochNotMatch, 1),
            RegionError::NotLeader { .. } => self.tally.add(Kind::NotLeader, 1),
            _ => {}
        }
        self.reply(at, request, Got::Failed(error));
    }

    fn reply(&mut self, at: usize, request: &Request, got: Got) {
        let message = Message::Got { serial: request.serial, got };
        self.send(Place::Host(at), Place::Client(request.client), message);
    }
}
