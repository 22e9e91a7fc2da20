//! Nodes, their clocks, what their hosts hold back, and the links between them.
//!
//! Every input to a core and every drain is shown to the checkers before anything follows from it.
//!
//! What is applied is durable at once, also while writes are queued: a core hands out only what is
//! committed *and* durable here, so the stored log always reaches the stored state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::{BootError, Change, Config, Input, Lease, Membership, ReadToken, Refused};
use raft_world::check::{Checks, Violation};
use raft_world::{App, Node, Turn};
use types::{EntryId, Index, PeerId, Term, Time};

use super::links::{Links, Parcel, Request};
use super::portions::portions;

const TICK: Duration = Duration::from_millis(100);

/// Where clocks begin: away from zero, which some fields of a core take for "never".
const BEGINNING: Time = Time(10_000_000_000);

/// A running group.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    /// By node.
    clocks: Vec<Time>,
    /// By node.
    desks: Vec<Desk>,
    pub(crate) links: Links,
    checks: Checks,
    /// Who asked each read that was handed to a leader and has not been answered.
    askers: BTreeMap<ReadToken, PeerId>,
    reads: u64,
}

/// What the host of a node holds beside core, disk and state machine.
#[derive(Default)]
struct Desk {
    /// Requests for a leader, which leave at the next drain.
    requests: Vec<(PeerId, Request)>,
    /// Forwarded reads that were confirmed, released at the next drain.
    confirmed: u64,
    /// Reads released, in all lives.
    released: u64,
    /// Inputs since the last drain.
    inputs: usize,
}

impl Cluster {
    /// Nodes `1..=voters` share a beginning, the others up to `total` know nothing.
    pub(crate) fn new(total: u64, voters: u64) -> Result<Cluster, Violation> {
        let ids = |count| (1..=count).filter_map(PeerId::new);
        let first: Vec<PeerId> = ids(voters).collect();
        let first = Membership::of_voters(&first).map_err(|why| broken("boot", why))?;
        let start = App::new(EntryId::new(Term(1), Index(1)), first);
        let nothing = App::new(EntryId::default(), Membership::unknown());
        let nodes: Result<Vec<Node>, BootError> = ids(total)
            .map(|id| {
                let app = if id.get() <= voters { start.clone() } else { nothing.clone() };
                Node::new(id, Arc::new(config(id)), id.get(), app, BEGINNING)
            })
            .collect();
        let nodes = nodes.map_err(|why| broken("boot", why))?;
        Ok(Cluster {
            clocks: vec![BEGINNING; nodes.len()],
            desks: nodes.iter().map(|_| Desk::default()).collect(),
            nodes,
            links: Links::default(),
            checks: Checks::new(),
            askers: BTreeMap::new(),
            reads: 0,
        })
    }

    pub(crate) fn len(&self) -> u64 {
        self.nodes.len() as u64
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = PeerId> + use<> {
        (1..=self.len()).filter_map(PeerId::new)
    }

    /// In id order.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Reads released so far, by node.
    pub(crate) fn released(&self) -> Vec<u64> {
        self.desks.iter().map(|desk| desk.released).collect()
    }

    pub(crate) fn campaign(&mut self, id: PeerId) -> Result<(), Violation> {
        self.act(id, |node, now, turn| node.step(now, Input::Campaign, turn)).map(drop)
    }

    /// The clock of a node goes on; each timer fires at its own instant.
    pub(crate) fn tick(&mut self, id: PeerId, ticks: u64) -> Result<(), Violation> {
        let at = slot(id);
        let ticks = u32::try_from(ticks).expect("bounded by the parser");
        let end = self.clocks[at].after(TICK * ticks);
        while let Some(deadline) = self.deadline(at).filter(|&deadline| deadline <= end) {
            self.clocks[at] = self.clocks[at].max(deadline);
            let _ = self.act(id, |node, now, turn| node.step(now, Input::Timer, turn))?;
            if self.deadline(at).is_some_and(|next| next <= self.clocks[at]) {
                return Err(broken("timers move on", format!("{id}'s is still {deadline}")));
            }
        }
        self.clocks[at] = end;
        Ok(())
    }

    fn deadline(&self, at: usize) -> Option<Time> {
        self.nodes[at].peer.as_ref()?.deadline()
    }

    /// Returns whether it was accepted or forwarded.
    pub(crate) fn propose(&mut self, id: PeerId, payload: String) -> Result<bool, Violation> {
        self.ask(id, Request::Propose(payload))
    }

    pub(crate) fn transfer(&mut self, id: PeerId, to: PeerId) -> Result<(), Violation> {
        self.ask(id, Request::Transfer(to)).map(drop)
    }

    pub(crate) fn change(&mut self, id: PeerId, changes: Vec<Change>) -> Result<(), Violation> {
        self.ask(id, Request::Change(changes)).map(drop)
    }

    pub(crate) fn read(&mut self, id: PeerId) -> Result<(), Violation> {
        let token = ReadToken(self.reads);
        self.reads += 1;
        self.askers.insert(token, id);
        self.ask(id, Request::Read(token)).map(drop)
    }

    /// Asks a node for what only a leader can do; one that knows the leader forwards it.
    fn ask(&mut self, id: PeerId, request: Request) -> Result<bool, Violation> {
        match self.submit(id, &request)? {
            Ok(()) => Ok(true),
            Err(Refused::NotLeader(Some(leader))) => {
                self.desks[slot(id)].requests.push((leader, request));
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    fn submit(&mut self, id: PeerId, request: &Request) -> Result<Result<(), Refused>, Violation> {
        let outcome = self.act(id, |node, now, turn| match request {
            Request::Propose(payload) => node.propose(now, &[payload], turn).map(drop),
            Request::Transfer(to) => node.step(now, Input::Transfer(*to), turn),
            Request::Read(token) => node.step(now, Input::Read(*token), turn),
            Request::Change(changes) => node.step(now, Input::Change(changes), turn),
        })?;
        if let (Request::Read(token), Ok(())) = (request, &outcome) {
            self.checks.on_read(*token);
        }
        Ok(outcome)
    }

    /// Drains a node until it has nothing to do, its writes durable at once. Returns whether there
    /// was anything.
    pub(crate) fn ready(&mut self, id: PeerId) -> Result<bool, Violation> {
        let mut has_moved = false;
        loop {
            has_moved |= self.queue(id)?;
            let writes = self.nodes[slot(id)].disk.queued();
            if writes == 0 {
                return Ok(has_moved);
            }
            self.sync(id, writes as u64)?;
            has_moved = true;
        }
    }

    /// Drains a node until it has nothing to do, its writes queued. Returns whether there was
    /// anything.
    pub(crate) fn queue(&mut self, id: PeerId) -> Result<bool, Violation> {
        let mut has_moved = false;
        while self.has_work(slot(id)) {
            self.drain(id)?;
            has_moved = true;
        }
        Ok(has_moved)
    }

    fn has_work(&self, at: usize) -> bool {
        let desk = &self.desks[at];
        let is_dirty = self.nodes[at].peer.as_ref().is_some_and(raft::Peer::is_dirty);
        is_dirty || !desk.requests.is_empty() || desk.confirmed > 0
    }

    /// The oldest writes of a node become durable, as far as there are as many.
    pub(crate) fn sync(&mut self, id: PeerId, writes: u64) -> Result<(), Violation> {
        for _ in 0..writes {
            if self.nodes[slot(id)].disk.queued() == 0 {
                break;
            }
            let _ = self.act(id, |node, now, turn| {
                node.complete_write(now, turn);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Hands over what is queued on a link. Returns whether there was anything.
    pub(crate) fn deliver(&mut self, from: PeerId, to: PeerId) -> Result<bool, Violation> {
        let parcels = self.links.take(from, to);
        let has_moved = !parcels.is_empty();
        let is_lost = self.links.is_blocked(from, to);
        for parcel in parcels {
            let is_snapshot = parcel.is_snapshot();
            if !is_lost {
                self.receive(to, parcel)?;
            }
            if is_snapshot && !is_lost {
                self.ready(to)?;
            }
            if is_snapshot {
                self.snapshot_ended(from, to)?;
            }
        }
        Ok(has_moved)
    }

    fn receive(&mut self, id: PeerId, parcel: Parcel) -> Result<(), Violation> {
        match parcel {
            Parcel::Packet(packet) => {
                let from = packet.from;
                let outcome = self.act(id, |node, now, turn| node.receive(now, packet, turn))?;
                if let Err(why @ Refused::Foreign(_)) = outcome {
                    let what = format!("{id} refuses a message of {from}: {why}");
                    return Err(broken("honest messages are taken", what));
                }
            }
            // Whoever forwarded it has had its answer; a leader that was deposed has none.
            Parcel::Request(request) => self.submit(id, &request).map(drop)?,
            Parcel::ReadConfirmed => self.desks[slot(id)].confirmed += 1,
        }
        Ok(())
    }

    fn snapshot_ended(&mut self, sender: PeerId, to: PeerId) -> Result<(), Violation> {
        let input = Input::SnapshotEnded(to);
        self.act(sender, |node, now, turn| node.step(now, input, turn)).map(drop)
    }

    pub(crate) fn compact(&mut self, id: PeerId) -> Result<(), Violation> {
        let compacted = self.act(id, |node, now, turn| {
            node.compact(now, turn);
            Ok(())
        });
        compacted.map(drop)
    }

    /// A node stops and starts again, its queued writes durable.
    pub(crate) fn restart(&mut self, id: PeerId) -> Result<(), Violation> {
        let writes = self.nodes[slot(id)].disk.queued();
        self.stop_and_start(id, writes)
    }

    /// A node stops and starts again, its queued writes lost.
    pub(crate) fn crash(&mut self, id: PeerId) -> Result<(), Violation> {
        self.stop_and_start(id, 0)
    }

    fn stop_and_start(&mut self, id: PeerId, writes_kept: usize) -> Result<(), Violation> {
        let at = slot(id);
        self.nodes[at].crash(writes_kept);
        self.nodes[at].start(self.clocks[at]).map_err(|why| broken("boot", why))?;
        self.desks[at] = Desk { released: self.desks[at].released, ..Desk::default() };
        self.observe(at, &Turn::default())?;
        for sender in self.links.lose_all_of(id) {
            self.snapshot_ended(sender, id)?;
        }
        Ok(())
    }

    /// One input to a node.
    fn act(
        &mut self,
        id: PeerId,
        does: impl FnOnce(&mut Node, Time, &mut Turn) -> Result<(), Refused>,
    ) -> Result<Result<(), Refused>, Violation> {
        let at = slot(id);
        let mut turn = Turn::default();
        let outcome = does(&mut self.nodes[at], self.clocks[at], &mut turn);
        self.desks[at].inputs += 1;
        self.observe(at, &turn)?;
        Ok(outcome)
    }

    /// One drain of a node.
    fn drain(&mut self, id: PeerId) -> Result<(), Violation> {
        let at = slot(id);
        let desk = &mut self.desks[at];
        desk.released += std::mem::take(&mut desk.confirmed);
        for (leader, request) in desk.requests.drain(..) {
            self.links.push(id, leader, Parcel::Request(request));
        }
        let inputs = std::mem::take(&mut desk.inputs);
        let mut turn = Turn::default();
        self.nodes[at].turn(self.clocks[at], &mut turn);
        self.store_app(at);
        let packets = turn.packets.clone();
        let reads = turn.reads.clone();
        for portion in portions(turn, inputs) {
            self.observe(at, &portion)?;
        }
        for packet in packets {
            self.links.push(id, packet.to, Parcel::Packet(packet));
        }
        for (token, result) in reads {
            self.answer(id, token, result.is_ok());
        }
        Ok(())
    }

    fn answer(&mut self, leader: PeerId, token: ReadToken, is_confirmed: bool) {
        let Some(asker) = self.askers.remove(&token).filter(|_| is_confirmed) else { return };
        if asker == leader {
            self.desks[slot(asker)].released += 1;
        } else {
            self.links.push(leader, asker, Parcel::ReadConfirmed);
        }
    }

    /// What a node has applied becomes durable. A snapshot does so with the write that installs it.
    fn store_app(&mut self, at: usize) {
        let Node { app, disk, .. } = &mut self.nodes[at];
        if disk.image.log.term(app.applied.index) == Some(app.applied.term) {
            disk.image.app = app.clone();
        }
    }

    fn observe(&mut self, at: usize, turn: &Turn) -> Result<(), Violation> {
        let clocks = &self.clocks;
        self.checks.observe(&self.nodes, at, turn, &|node| clocks[node])
    }
}

fn slot(id: PeerId) -> usize {
    usize::try_from(id.get() - 1).expect("few nodes")
}

fn broken(property: &'static str, what: impl ToString) -> Violation {
    Violation { property, what: what.to_string() }
}

/// The settings of a node. Windows and limits are out of the way.
fn config(id: PeerId) -> Config {
    let campaign_ticks = u32::try_from(10 + 2 * id.get()).expect("few nodes");
    Config {
        election_timeout: TICK * 10,
        campaign_after: TICK * campaign_ticks,
        campaign_spread: Duration::ZERO,
        heartbeat_interval: TICK * 2,
        lease: Lease::Off,
        restart_wait: Duration::ZERO,
        append_bytes_max: 1 << 40,
        window_bytes: 1 << 40,
        window_entries: 1 << 40,
        uncommitted_bytes_max: 1 << 40,
        reads_max: 1 << 20,
    }
}
