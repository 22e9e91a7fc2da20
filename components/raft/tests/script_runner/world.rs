//! The test world: nodes, their disks, the links between them, one clock.
//!
//! One input of a node is: step, drain, and with an automatic disk the completion of each write
//! with a drain of its own. All that comes of it is told, and what must hold is checked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use raft::{Config, Event, Input, Refused};
use raft_world::{App, Node, Packet, Turn};
use types::{EntryId, Index, PeerId, Term, Time};

use crate::script_runner::checks::Checks;
use crate::script_runner::links::{Link, Links, Pick};
use crate::script_runner::story::{self, Scene};

/// Rounds after which a world that does not come to rest is called a live-lock.
const ROUNDS_MAX: usize = 500;

#[derive(Default)]
pub(crate) struct World {
    pub now: Time,
    pub hosts: BTreeMap<PeerId, Host>,
    pub links: Links,
    /// Stamps are told.
    pub stamps: bool,
    /// Senders of snapshots are told of their end by hand.
    pub manual_reports: bool,
    checks: Checks,
    story: Vec<String>,
}

/// A node and what the story must remember of it.
pub(crate) struct Host {
    pub node: Node,
    /// Writes stay queued.
    pub manual: bool,
    pub config: Arc<Config>,
    /// Its clock, relative to the world's.
    pub ahead_ns: i64,
    /// The writes in its queue.
    pub queue: VecDeque<String>,
    /// First slot placed since the last write.
    placed_from: Option<Index>,
    /// The last snapshot whose installation was written.
    installed: EntryId,
    /// The leader the host was last told of.
    told: Option<PeerId>,
}

impl World {
    pub(crate) fn new(now: Time) -> World {
        World { now, ..World::default() }
    }

    pub(crate) fn tell(&mut self, line: impl Into<String>) {
        self.story.push(line.into());
    }

    pub(crate) fn take_story(&mut self) -> String {
        self.checks.on_command(self.hosts.values().map(|host| &host.node));
        let mut text = self.story.join("\n");
        self.story.clear();
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    pub(crate) fn add_host(&mut self, id: PeerId, config: Config, seed: u64, app: App) {
        let config = Arc::new(config);
        let node = Node::new(id, config.clone(), seed, app, self.now).expect("a sound beginning");
        let host = Host {
            node,
            manual: false,
            config,
            ahead_ns: 0,
            queue: VecDeque::new(),
            placed_from: None,
            installed: EntryId::default(),
            told: None,
        };
        self.hosts.insert(id, host);
    }

    pub(crate) fn host(&mut self, id: PeerId) -> Result<&mut Host, String> {
        self.hosts.get_mut(&id).ok_or_else(|| format!("there is no {id}"))
    }

    /// What the clock of a node shows.
    pub(crate) fn now_of(&self, id: PeerId) -> Time {
        let ahead = self.hosts.get(&id).map_or(0, |host| host.ahead_ns);
        Time(self.now.0.saturating_add_signed(ahead))
    }

    /// One thing happens at a node; all that comes of it is told.
    pub(crate) fn act(
        &mut self,
        id: PeerId,
        what: impl FnOnce(&mut Node, Time, &mut Turn) -> Result<(), Refused>,
    ) {
        let now = self.now_of(id);
        let Some(host) = self.hosts.get_mut(&id) else { return };
        let Some(before) = host.node.peer.as_ref().map(Scene::of) else { return };
        let mut turn = Turn::default();
        let result = what(&mut host.node, now, &mut turn);
        host.node.turn(now, &mut turn);
        if let Err(why) = result {
            self.tell(format!("{id} refuses: {why}"));
        }
        self.after_turn(id, &before, turn);
        let is_waiting = |host: &Host| !host.manual && host.node.disk.queued() > 0;
        if self.hosts.get(&id).is_some_and(is_waiting) {
            self.complete_write(id);
        }
    }

    pub(crate) fn input(&mut self, id: PeerId, input: Input<'_>) {
        self.act(id, |node, now, turn| node.step(now, input, turn));
    }

    /// The oldest write of a node becomes durable.
    pub(crate) fn complete_write(&mut self, id: PeerId) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        let is_manual = host.manual;
        if let Some(write) = host.queue.pop_front()
            && is_manual
        {
            self.tell(format!("{id} has durable {write}"));
        }
        self.act(id, |node, now, turn| {
            node.complete_write(now, turn);
            Ok(())
        });
    }

    fn after_turn(&mut self, id: PeerId, before: &Scene, turn: Turn) {
        let Turn { packets, committed, reads, events, placed, wrote } = turn;
        let Some(host) = self.hosts.get_mut(&id) else { return };
        let Some(peer) = &host.node.peer else { return };
        let after = Scene::of(peer);
        self.story.extend(before.turns_into(&after, id));
        if let Some(placed) = &placed {
            let from = host.placed_from.map_or(placed.start, |from| from.min(placed.start));
            host.placed_from = Some(from);
            if placed.start <= before.last {
                let cut = story::slots(&(placed.start..before.last.next()));
                self.story.push(format!("{id} drops {cut}"));
            }
        }
        if wrote {
            let write = host.describe_write();
            let verb = if host.manual { "queues" } else { "writes" };
            self.story.push(format!("{id} {verb} {write}"));
            host.queue.push_back(write);
        }
        for event in &events {
            match *event {
                Event::Leader { leader, .. } => host.told = leader,
                Event::Membership(at) => {
                    let membership = &after_membership(&host.node);
                    self.story.push(format!("{id} takes up {membership} of {at}"));
                }
                Event::TransferEnded => {
                    self.story.push(format!("{id} gives up the transfer"));
                }
                Event::LetGo => self.story.push(format!("{id} asks to be let go")),
            }
        }
        assert_eq!(host.told, after.leader, "{id}: the host was not told of its leader");
        if let Some(committed) = &committed {
            self.checks.on_applied(&host.node, committed.clone());
        }
        self.checks.on_turn(&host.node);
        packets.into_iter().for_each(|packet| self.send(packet));
        if let Some(committed) = committed {
            self.tell(format!("{id} applies {}", story::slots(&committed)));
        }
        for (token, result) in reads {
            self.tell(match result {
                Ok(index) => format!("{id} read {} → {index}", token.0),
                Err(why) => format!("{id} read {} refused: {why}", token.0),
            });
        }
    }

    /// A packet leaves: onto its link, or into the void.
    pub(crate) fn send(&mut self, packet: Packet) {
        let Packet { from, to, message, .. } = &packet;
        let (from, to, term) = (*from, *to, message.term);
        let is_lost = self.links.is_cut((from, to)) || !self.hosts.contains_key(&to);
        let text = story::message(&packet, self.stamps);
        let mark = if is_lost { " ✗" } else { "" };
        self.tell(format!("{from}@{term} → {to} {text}{mark}"));
        if !is_lost {
            self.links.push(packet);
        } else if packet.is_snapshot() {
            self.report_snapshot(from, to);
        }
    }

    /// A packet arrives.
    pub(crate) fn arrive(&mut self, packet: Packet) {
        let (from, to, is_snapshot) = (packet.from, packet.to, packet.is_snapshot());
        self.act(to, |node, now, turn| node.receive(now, packet, turn));
        if is_snapshot {
            self.report_snapshot(from, to);
        }
    }

    /// The sender of a snapshot hears that sending has ended.
    pub(crate) fn report_snapshot(&mut self, from: PeerId, to: PeerId) {
        let is_up = self.hosts.get(&from).is_some_and(|host| host.node.peer.is_some());
        if is_up && !self.manual_reports {
            self.tell(format!("{from} hears that sending {to} a snapshot has ended"));
            self.input(from, Input::SnapshotEnded(to));
        }
    }

    /// Delivers everything that is not held, and what comes of it, until nothing moves.
    pub(crate) fn stabilize(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut moved = false;
            for link in self.links.busy() {
                for packet in self.links.take(link, &Pick::default(), false) {
                    moved = true;
                    self.arrive(packet);
                }
            }
            if !moved {
                return;
            }
        }
        panic!("LIVELOCK: no rest after {ROUNDS_MAX} rounds\n{}", self.story.join("\n"));
    }

    /// Time passes for all, or for one clock alone. Timers fire in order; in between, packets are
    /// carried if `flows`.
    pub(crate) fn pass(&mut self, span: Duration, only: Option<PeerId>, flows: bool) {
        let mut left = i64::try_from(span.as_nanos()).expect("a script is short");
        loop {
            if flows {
                self.stabilize();
            }
            let due = self.next_timer(only).filter(|(after, _)| *after <= left);
            let step = due.map_or(left, |(after, _)| after);
            match only.and_then(|id| self.hosts.get_mut(&id)) {
                Some(host) => host.ahead_ns += step,
                None => self.now = Time(self.now.0.saturating_add_signed(step)),
            }
            left -= step;
            let Some((_, id)) = due else { break };
            self.input(id, Input::Timer);
        }
        if flows {
            self.stabilize();
        }
    }

    /// The timer that is due first: in how many nanoseconds, and whose.
    fn next_timer(&self, only: Option<PeerId>) -> Option<(i64, PeerId)> {
        let wanted = |id: &PeerId| only.is_none_or(|only| only == *id);
        (self.hosts.iter())
            .filter(|(id, _)| wanted(id))
            .filter_map(|(id, host)| {
                let deadline = host.node.peer.as_ref()?.deadline()?;
                let after = deadline.0.saturating_sub(self.now_of(*id).0);
                Some((i64::try_from(after).ok()?, *id))
            })
            .min()
    }

    /// A node stops; the oldest `keep` writes of its queue made it to disk.
    pub(crate) fn crash(&mut self, id: PeerId, keep: usize) -> Result<(), String> {
        let host = self.host(id)?;
        host.node.crash(keep);
        let kept: Vec<String> = host.queue.drain(..).take(keep).collect();
        host.placed_from = None;
        for write in kept {
            self.tell(format!("{id} has durable {write}"));
        }
        self.tell(format!("{id} crashes"));
        Ok(())
    }

    /// A node starts from its disk, by a clock that shows `now`.
    pub(crate) fn start(&mut self, id: PeerId, now: Time) -> Result<(), String> {
        let host = self.host(id)?;
        host.told = None;
        host.installed = host.node.disk.image.log.base;
        let started = host.node.start(now);
        let name = format!("{id} ");
        let status = story::status(&host.node).trim_start_matches(&name).to_string();
        self.tell(match started {
            Ok(()) => format!("{id} starts: {status}"),
            Err(why) => format!("{id} cannot start: {why}"),
        });
        if self.host(id)?.node.peer.is_some() {
            self.act(id, |_, _, _| Ok(()));
        }
        Ok(())
    }

    /// All links between two groups of peers, both ways.
    pub(crate) fn between(&self, ones: &[PeerId], others: &[PeerId]) -> Vec<Link> {
        let pairs = ones.iter().flat_map(|&one| others.iter().map(move |&other| (one, other)));
        pairs.filter(|(one, other)| one != other).flat_map(|(a, b)| [(a, b), (b, a)]).collect()
    }
}

impl Host {
    /// What the write just issued stores.
    fn describe_write(&mut self) -> String {
        let Some(peer) = &self.node.peer else { return String::new() };
        let status = peer.status();
        let mut text = story::promise(status.term, status.vote);
        let base = status.log.base();
        if status.log.is_installing() && base != self.installed {
            self.installed = base;
            text += &format!(" snapshot={base}");
            self.placed_from = self.placed_from.filter(|from| *from > base.index);
        }
        if let Some(from) = self.placed_from.take()
            && from <= status.log.last().index
        {
            text += &format!(" entries={}", story::slots(&(from..status.log.last().index.next())));
        }
        text
    }
}

fn after_membership(node: &Node) -> String {
    node.peer.as_ref().map_or(String::new(), |peer| peer.status().membership.1.to_string())
}

/// The beginning that the first members share.
pub(crate) fn beginning(base: EntryId, membership: raft::Membership) -> App {
    App::new(base, membership)
}

/// What a joining peer begins with: nothing.
pub(crate) fn nothing() -> App {
    App::new(EntryId::new(Term(0), Index(0)), raft::Membership::unknown())
}
