//! Callers: they create groups, propose, read, change memberships and move leadership.

use std::collections::BTreeMap;

use multiraft::Roster;
use multiraft::shard::{Beginning, Event, Token};
use raft::{Change, RoleStatus, Seat};
use types::{EntryId, GroupId, Index, PeerId, StoreId, Term};

use crate::check::{Asked, What};
use crate::dice::Stream;
use crate::report::Count;
use crate::spawns::Child;
use crate::trim::Class;
use crate::world::{Happening, World};

/// What callers know.
#[derive(Default)]
pub(crate) struct Callers {
    next_token: u64,
    next_peer: u64,
    next_command: u64,
    /// Groups, with the stores of their first members.
    pub groups: BTreeMap<GroupId, Vec<(PeerId, StoreId)>>,
    /// Groups that end, or have ended.
    pub retired: Vec<GroupId>,
    /// Groups that commands bring into being.
    pub children: Vec<Child>,
    /// Where every peer lives.
    pub homes: BTreeMap<PeerId, StoreId>,
}

impl Callers {
    pub(crate) fn new_peer(&mut self, store: StoreId) -> PeerId {
        self.next_peer += 1;
        let peer = PeerId::new(self.next_peer).expect("not zero");
        self.homes.insert(peer, store);
        peer
    }

    pub(crate) fn new_command(&mut self) -> u64 {
        self.next_command += 1;
        self.next_command
    }
}

impl World<'_> {
    pub(crate) fn begin_groups(&mut self) {
        for id in 1..=self.plan.groups {
            self.create_group(id);
        }
    }

    fn create_group(&mut self, id: u64) {
        let group = GroupId::new(id).expect("not zero");
        let first = self.dice.of(Stream::Stores).below(self.nodes.len() as u64);
        let mut voters = Vec::new();
        for nth in 0..3 {
            let at = usize::try_from((first + nth) % self.nodes.len() as u64).expect("few");
            let store = self.nodes[at].id;
            voters.push((self.callers.new_peer(store), store));
        }
        let roster = Roster::of_voters(&voters).expect("three voters");
        for &(peer, store) in &voters {
            let at = EntryId::new(Term(1), Index(1));
            let beginning = Box::new(Beginning { peer, at, roster: roster.clone() });
            let node = self.nodes.iter().position(|node| node.id == store).expect("it is there");
            self.nodes[node].created.lock().insert(group);
            self.ask(node, group, What::Other, |token| Event::Create { group, token, beginning });
        }
        self.callers.groups.insert(group, voters);
        self.report.add(Count::Create, 1);
    }

    /// Asks a store something.
    pub(crate) fn ask(
        &mut self,
        at: usize,
        group: GroupId,
        what: What,
        event: impl FnOnce(Token) -> Event,
    ) {
        if self.nodes[at].up.is_none() || self.nodes[at].paused_until > self.agenda.now() {
            return;
        }
        self.callers.next_token += 1;
        let token = self.callers.next_token;
        let store = self.nodes[at].id.get();
        self.checks.lock().asked(token, Asked { store, group, what });
        let event = event(Token(token));
        self.with(at, None, |node, clock, _| {
            node.shard.handle(clock, event);
            Ok(())
        });
    }

    pub(crate) fn call(&mut self) {
        if self.healed {
            return;
        }
        let dice = self.dice.of(Stream::Callers);
        let wait = dice.between((1, self.plan.requests * 2));
        let (which, whom) = (dice.bits(), dice.bits());
        let (to_leader, spawns) = (dice.chance(900), dice.chance(self.plan.spawns));
        let what = dice.below(1_000);
        self.after(wait, Happening::Caller);
        self.hear_of_children();
        self.retire_some();
        let groups: Vec<GroupId> = self.callers.groups.keys().copied().collect();
        let Some(&group) = groups.get(among(which, groups.len())) else { return };
        let at = match self.leader(group) {
            Some(at) if to_leader => at,
            _ => among(whom, self.nodes.len()),
        };
        let mean = self.plan.requests;
        let rate = |every: u64| (1_000 * mean).checked_div(every).map_or(0, |rate| rate.min(300));
        let (change, transfer) = (rate(self.plan.changes), rate(self.plan.transfers));
        if spawns {
            return self.propose_spawn(at, group);
        }
        let class = match what {
            what if what < change => Class::Changes,
            what if what < change + transfer => Class::Transfers,
            what if what < change + transfer + 150 => Class::Reads,
            _ => return self.propose(at, group),
        };
        if !self.trim.has(class) {
            return;
        }
        if class == Class::Changes {
            self.change_membership(at, group);
        } else if class == Class::Transfers {
            self.transfer(at, group);
        } else {
            let before = self.checks.lock().states.last_acknowledged(group);
            self.ask(at, group, What::Read(before), |token| Event::Read { group, token });
        }
    }

    pub(crate) fn propose(&mut self, at: usize, group: GroupId) {
        let nth = self.callers.new_command();
        let mut command = format!("{}:{nth}", group.get()).into_bytes();
        let size = self.dice.of(Stream::Commands).between(self.plan.command);
        let size = usize::try_from(size).expect("short");
        command.resize(size.max(command.len()), b'.');
        let bytes = bytes::Bytes::from(command.clone());
        self.ask(at, group, What::Command(command), |token| Event::Propose {
            group,
            token,
            command: bytes,
            spawns: false,
        });
    }

    /// The store whose peer leads the latest term.
    pub(crate) fn leader(&self, group: GroupId) -> Option<usize> {
        let statuses = self.nodes.iter().enumerate().filter_map(|(at, node)| {
            let status = node.up.as_ref()?.shard.core(group)?.status();
            (status.role == RoleStatus::Leader).then_some((status.term, at))
        });
        statuses.max().map(|(_, at)| at)
    }

    fn transfer(&mut self, at: usize, group: GroupId) {
        let Some(node) = &self.nodes[at].up else { return };
        let Some(core) = node.shard.core(group) else { return };
        let peers: Vec<PeerId> = core.status().membership.1.iter().map(|m| m.id).collect();
        let Some(to) = self.dice.of(Stream::Transfers).pick(&peers) else { return };
        self.report.add(Count::Transfer, 1);
        self.ask(at, group, What::Other, |token| Event::Transfer { group, token, to });
    }

    /// A learner comes, is promoted, and another goes; or one is demoted.
    fn change_membership(&mut self, at: usize, group: GroupId) {
        let Some(node) = &self.nodes[at].up else { return };
        let Some(core) = node.shard.core(group) else { return };
        let members: Vec<raft::Member> = core.status().membership.1.iter().collect();
        let learner = members.iter().find(|m| m.seat == Some(Seat::Learner)).map(|m| m.id);
        let voters: Vec<PeerId> =
            members.iter().filter(|m| m.seat == Some(Seat::Voter)).map(|m| m.id).collect();
        let dice = self.dice.of(Stream::Changes);
        let changes = match learner {
            Some(learner) if dice.chance(700) => {
                let Some(leaves) = dice.pick(&voters) else { return };
                vec![(Change::Set(learner, Seat::Voter), None), (Change::Remove(leaves), None)]
            }
            Some(learner) => vec![(Change::Remove(learner), None)],
            None => {
                let stores: Vec<StoreId> = self.nodes.iter().map(|node| node.id).collect();
                let Some(store) = dice.pick(&stores) else { return };
                let peer = self.callers.new_peer(store);
                vec![(Change::Set(peer, Seat::Learner), Some(store))]
            }
        };
        self.report.add(Count::Change, 1);
        self.ask(at, group, What::Other, |token| Event::Change {
            group,
            token,
            since: None,
            changes,
        });
    }
}

/// One of `len`, by what was drawn before it was known how many there are.
fn among(drawn: u64, len: usize) -> usize {
    usize::try_from(drawn % len.max(1) as u64).expect("less than a length")
}
