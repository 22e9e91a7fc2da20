//! What a test sees of its world, and asks of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use multiraft::shard::{Event, Token};
use multiraft::{Config, Lease, Outcome, Parcel, SnapshotBody, Standing};
use parking_lot::MutexGuard;
use raft::{Change, RoleStatus};
use types::{GroupId, Index};

use super::{GROUP, World, group, store};
use crate::ledger::{Ways, commands};

impl World {
    /// Stores that start from now on have an election timeout of so many milliseconds, and the
    /// least of everything that goes with it.
    pub(crate) fn set_election_timeout(&mut self, ms: u64) {
        let timeout = Duration::from_millis(ms);
        self.set_raft(|raft| {
            raft.election_timeout = timeout;
            raft.campaign_after = timeout;
            raft.campaign_spread = timeout;
            raft.restart_wait = timeout;
            raft.heartbeat_interval = timeout / 2;
        });
    }

    /// Tasks of a store's apply lane that came with entries from memory.
    pub(crate) fn attached(&self, id: u64) -> usize {
        self.nodes[&id].up.as_ref().expect("the store runs").attached
    }

    /// Groups of stores that start from now on have these settings.
    pub(crate) fn set_raft(&mut self, change: impl FnOnce(&mut raft::Config)) {
        self.set_config(|config| change(Arc::make_mut(&mut config.raft)));
    }

    /// As [`World::set_raft`], of all settings.
    pub(crate) fn set_config(&mut self, change: impl FnOnce(&mut Config)) {
        change(Arc::make_mut(&mut self.config));
    }

    pub(crate) fn ask(&mut self, id: u64, event: impl FnOnce(GroupId, Token) -> Event) -> Token {
        let token = self.token();
        self.handle(id, event(group(GROUP), token));
        token
    }

    /// As [`World::ask`] of any group, and in the same moment the store begins to stop.
    pub(crate) fn ask_and_stop(
        &mut self,
        (id, of): (u64, u64),
        event: impl FnOnce(GroupId, Token) -> Event,
    ) -> Token {
        let token = self.token();
        let now = self.now;
        let up = self.node(id).up.as_mut().expect("the store runs");
        up.shard.handle(now, event(group(of), token));
        up.shard.stop();
        self.turn(id);
        token
    }

    pub(crate) fn propose(&mut self, id: u64, command: &str) -> Token {
        self.propose_to(id, GROUP, command)
    }

    pub(crate) fn change(&mut self, id: u64, change: Change, home: Option<u64>) -> Token {
        let changes = vec![(change, home.map(store))];
        self.ask(id, |group, token| Event::Change { group, token, since: None, changes })
    }

    pub(crate) fn answers(&self, token: Token) -> &[Outcome] {
        &self.answers[&token.0]
    }

    pub(crate) fn assert_each_answered_once(&self) {
        for (token, answers) in &self.answers {
            assert_eq!(answers.len(), 1, "request {token}: {answers:?}");
        }
    }

    pub(crate) fn peer_at(&self, id: u64, of: u64) -> Option<&raft::Peer> {
        self.nodes[&id].up.as_ref()?.shard.core(group(of))
    }

    pub(crate) fn hosts(&self, id: u64) -> bool {
        self.hosts_of(id, GROUP)
    }

    pub(crate) fn hosts_of(&self, id: u64, of: u64) -> bool {
        let up = self.nodes[&id].up.as_ref().expect("the store runs");
        up.shard.groups().any(|hosted| hosted == group(of))
    }

    pub(crate) fn leads(&self, id: u64) -> bool {
        self.leads_of(id, GROUP)
    }

    pub(crate) fn leads_of(&self, id: u64, of: u64) -> bool {
        self.peer_at(id, of).is_some_and(|peer| peer.status().role == RoleStatus::Leader)
    }

    /// How the ledgers of a store behave.
    pub(crate) fn ways(&self, id: u64) -> MutexGuard<'_, Ways> {
        self.nodes[&id].machines.ways.lock()
    }

    /// How often the ledgers of a store were told this.
    pub(crate) fn calls(&self, id: u64, what: &str) -> usize {
        self.ways(id).calls.iter().filter(|call| *call == what).count()
    }

    pub(crate) fn state(&self, id: u64) -> Vec<String> {
        self.state_of(id, GROUP)
    }

    pub(crate) fn state_of(&self, id: u64, of: u64) -> Vec<String> {
        let commands = commands(&*self.engine(id), group(of)).into_iter();
        commands.map(|command| String::from_utf8(command).expect("text")).collect()
    }

    /// Entries that are being read back.
    pub(crate) fn fetches(&mut self, id: u64) -> usize {
        self.running(id).fetches.len()
    }

    /// As [`World::ask`], of any group.
    pub(crate) fn ask_of(
        &mut self,
        id: u64,
        of: u64,
        event: impl FnOnce(GroupId, Token) -> Event,
    ) -> Token {
        let token = self.token();
        self.handle(id, event(group(of), token));
        token
    }

    /// Hands a command to a group on this store.
    pub(crate) fn propose_to(&mut self, id: u64, of: u64, command: &str) -> Token {
        let spawns = command.starts_with("spawn ");
        let command = Bytes::copy_from_slice(command.as_bytes());
        self.ask_of(id, of, |group, token| Event::Propose { group, token, command, spawns })
    }

    /// The disk of this store does not answer.
    pub(crate) fn stand_down(&mut self, id: u64) {
        let now = self.now;
        self.running(id).shard.stand_down(now);
        self.turn(id);
    }

    /// What a store told of who leads a group, in order.
    pub(crate) fn told(&self, id: u64, of: u64) -> Vec<Option<Standing>> {
        let of = group(of);
        let here = self.standings.iter().filter(|told| told.0 == id && told.1 == of);
        here.map(|told| told.2).collect()
    }

    /// Lets time pass until something has come about.
    pub(crate) fn run_until(&mut self, what: &str, has: impl Fn(&World) -> bool) {
        let mut waited = 0;
        while !has(self) {
            self.run(10);
            waited += 1;
            assert!(waited < 1_000, "{what}");
        }
    }

    /// Every store vouches for every other.
    pub(crate) fn vouch(&mut self) {
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for (id, other) in ids.iter().flat_map(|id| ids.iter().map(move |other| (*id, *other))) {
            if id != other {
                self.handle(id, Event::Support { store: store(other), held: true });
            }
        }
    }

    /// What may be read on a store without asking, at this instant.
    pub(crate) fn lease(&self, id: u64) -> Option<Lease> {
        let told = self.leases.get(&(id, group(GROUP))).copied().flatten();
        let lease = told?.lease(&self.nodes[&id].up.as_ref()?.pledges);
        lease.holds(self.now).then_some(lease)
    }

    /// What the snapshots cover that were offered to a store.
    pub(crate) fn offers_to(&self, id: u64) -> Vec<Index> {
        let covered = |parcel: &Parcel| match parcel {
            Parcel::Snapshot(frame) => match &frame.body {
                SnapshotBody::Offer(offer) => Some(offer.covers.index),
                _ => None,
            },
            _ => None,
        };
        let sent = self.sent.iter().filter(|(_, to, _)| *to == id);
        sent.filter_map(|(_, _, parcel)| covered(parcel)).collect()
    }

    /// Snapshots of a group that arrived as a whole.
    pub(crate) fn installs(&self, of: u64) -> usize {
        let is_done = |parcel: &Parcel| match parcel {
            Parcel::Snapshot(frame) => frame.group == group(of) && frame.body == SnapshotBody::Done,
            _ => false,
        };
        self.sent.iter().filter(|(_, _, parcel)| is_done(parcel)).count()
    }

    /// Limits of a store are others from now on.
    pub(crate) fn reconfigure(&mut self, id: u64, change: impl FnOnce(&mut Config)) {
        self.try_reconfigure(id, change).expect("within bounds");
    }

    /// Limits of a store are others from now on, if they are within bounds.
    pub(crate) fn try_reconfigure(
        &mut self,
        id: u64,
        change: impl FnOnce(&mut Config),
    ) -> Result<(), Vec<raft::BadConfig>> {
        let mut config = (*self.config).clone();
        change(&mut config);
        let (config, up) = (Arc::new(config), self.running(id));
        up.shard.reconfigure(&config)?;
        up.courier.reconfigure(&config);
        Ok(())
    }
}
