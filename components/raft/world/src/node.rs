//! A host of one peer: it does for the core what a store does, with a model disk.
//!
//! This is the whole contract of the core as code: keep a copy of the log in step with
//! [`raft::Placed`], attach entries to appends, write in order, hand receipts back, apply what is
//! committed. It decides nothing.

use std::ops::Range;
use std::sync::Arc;

use raft::{
    Body, Boot, BootError, Config, Content, Event, Input, LogSizes, Outbox, Peer, Placed,
    ReadToken, Refused,
};
use types::{EntryId, Index, PeerId, Term, Time};

use crate::disk::{Disk, Entries};
use crate::entry::{App, Cargo, Entry, Packet, Payload, memberships, runs};

/// One host and its peer.
pub struct Node {
    /// The peer's id.
    pub id: PeerId,
    /// The core; `None` while the host is down.
    pub peer: Option<Peer>,
    /// The host's copy of the log.
    pub log: Entries,
    /// The state machine.
    pub app: App,
    /// The disk.
    pub disk: Disk,
    /// How often the host was started.
    pub incarnation: u64,
    config: Arc<Config>,
    seed: u64,
    out: Outbox,
}

/// What a turn of a node brought forth.
#[derive(Debug, Default)]
pub struct Turn {
    /// Packets to be carried.
    pub packets: Vec<Packet>,
    /// Slots that were committed and applied.
    pub committed: Option<Range<Index>>,
    /// Reads that ended.
    pub reads: Vec<(ReadToken, Result<Index, Refused>)>,
    /// News.
    pub events: Vec<Event>,
    /// Slots that were put into the log, newest contents.
    pub placed: Option<Range<Index>>,
    /// Whether a write was issued.
    pub wrote: bool,
}

impl Node {
    /// A host that starts for the first time. With [`App::new`]'s beginning shared by all first
    /// members, or an empty one to join a running group.
    ///
    /// # Errors
    /// As [`Peer::restore`].
    pub fn new(
        id: PeerId,
        config: Arc<Config>,
        seed: u64,
        app: App,
        now: Time,
    ) -> Result<Node, BootError> {
        let disk = Disk::new(app.clone(), app.applied.term);
        let log = disk.image.log.clone();
        let out = Outbox::new();
        let mut node = Node { id, peer: None, log, app, disk, incarnation: 0, config, seed, out };
        node.start(now)?;
        Ok(node)
    }

    /// Starts the host from its disk.
    ///
    /// # Errors
    /// As [`Peer::restore`].
    pub fn start(&mut self, now: Time) -> Result<(), BootError> {
        assert!(self.peer.is_none(), "a host is started when it is down");
        let image = &self.disk.image;
        self.log = image.log.clone();
        self.app = image.app.clone();
        self.incarnation += 1;
        let boot = Boot {
            id: self.id,
            seed: self.seed.wrapping_add(self.incarnation),
            restarted: self.incarnation > 1 && self.disk.is_used,
            term: image.term,
            vote: image.vote,
            commit: image.commit.max(image.app.applied.index),
            applied: image.app.applied.index,
            base: image.log.base,
            membership: (image.log.membership.0, &image.log.membership.1),
            runs: &runs(image.log.all()),
            last: image.log.last().index,
            memberships: &memberships(image.log.all()),
        };
        self.peer = Some(Peer::restore(self.config.clone(), &boot, now)?);
        Ok(())
    }

    /// The host stops; the oldest `keep` writes of its queue become durable, the rest is lost.
    pub fn crash(&mut self, keep: usize) {
        self.peer = None;
        self.disk.crash(keep);
        self.out.clear();
    }

    /// One thing happened. Does to the log what the core did to its own. Effects that need nothing
    /// durable wait in the outbox for [`Node::turn`].
    ///
    /// # Errors
    /// As [`Peer::step`].
    pub fn step(&mut self, now: Time, input: Input<'_>, turn: &mut Turn) -> Result<(), Refused> {
        let placed = self.core(now, input)?;
        if let Placed::Own(id, own) = placed {
            self.log.push(Entry { id, payload: own.into() });
            turn.note_placed(id.index..id.index.next());
        }
        Ok(())
    }

    /// Commands are proposed.
    ///
    /// # Errors
    /// As [`Peer::step`].
    pub fn propose(
        &mut self,
        now: Time,
        commands: &[&str],
        turn: &mut Turn,
    ) -> Result<Range<Index>, Refused> {
        let bytes = commands.iter().map(|command| command.len() as u64).sum();
        let input = Input::Propose { count: commands.len() as u64, bytes };
        let Placed::Payloads(range) = self.core(now, input)? else {
            panic!("a proposal is placed or refused")
        };
        let term = self.status_term();
        for (index, command) in (range.start.0..).map(Index).zip(commands) {
            let payload = Payload::Command(Arc::from(*command));
            self.log.push(Entry { id: EntryId::new(term, index), payload });
        }
        turn.note_placed(range.clone());
        Ok(range)
    }

    /// A packet arrived.
    ///
    /// # Errors
    /// As [`Peer::step`].
    pub fn receive(&mut self, now: Time, packet: Packet, turn: &mut Turn) -> Result<(), Refused> {
        let Packet { from, message, cargo, .. } = packet;
        match cargo {
            Cargo::None => {
                self.step(now, Input::Message { from, message, content: Content::None }, turn)
            }
            Cargo::Entries(entries) => {
                let (runs, memberships) = (runs(&entries), memberships(&entries));
                let content = Content::Entries { runs: &runs, memberships: &memberships };
                let placed = self.core(now, Input::Message { from, message, content })?;
                if let Placed::Payloads(range) = placed {
                    self.log.cut(range.start);
                    for entry in entries.into_iter().filter(|e| range.contains(&e.id.index)) {
                        self.log.push(entry);
                    }
                    turn.note_placed(range);
                }
                Ok(())
            }
            Cargo::Snapshot(app) => {
                let content = Content::Snapshot(&app.membership.1);
                let placed = self.core(now, Input::Message { from, message, content })?;
                if let Placed::Snapshot(id) = placed {
                    assert_eq!(id, app.applied, "installed another snapshot than was sent");
                    self.log = Entries::new(id, app.membership.clone());
                    self.app = *app;
                }
                Ok(())
            }
        }
    }

    /// The oldest queued write becomes durable, and the core hears of it.
    pub fn complete_write(&mut self, now: Time, turn: &mut Turn) {
        if let Some(receipt) = self.disk.complete() {
            self.step(now, Input::Persisted(receipt), turn).expect("receipts are never refused");
        }
    }

    /// Drops the log up to the durably applied slot.
    pub fn compact(&mut self, now: Time, turn: &mut Turn) {
        let app = self.disk.image.app.clone();
        if app.applied.index > self.log.base.index && self.log.get(app.applied.index).is_some() {
            self.log.compact(app.applied, app.membership.clone());
            self.disk.compact(app.applied, app.membership);
            let input = Input::Compacted(app.applied.index);
            self.step(now, input, turn).expect("what is applied may be compacted");
        }
    }

    /// Makes what is applied durable without waiting for a write to ride on. Only with an empty
    /// queue: order is kept.
    pub fn flush_app(&mut self) {
        if self.disk.queued() == 0 {
            self.disk.image.app = self.app.clone();
        }
    }

    /// Drains the core and carries out its effects, writes up to the queue.
    pub fn turn(&mut self, now: Time, turn: &mut Turn) {
        let Some(peer) = &mut self.peer else { return };
        peer.drain(now, &Sizes(&self.log), &mut self.out);
        for (to, message) in std::mem::take(&mut self.out.sends) {
            let cargo = match message.body {
                Body::Append { prev, last, .. } => {
                    Cargo::Entries(self.log.slice(prev.index.next(), last).to_vec())
                }
                _ => Cargo::None,
            };
            turn.packets.push(Packet { from: self.id, to, message, cargo });
        }
        for wanted in std::mem::take(&mut self.out.snapshots) {
            assert!(self.app.applied.index >= wanted.at_least, "compacted more than was applied");
            let message = wanted.header(self.app.applied);
            let cargo = Cargo::Snapshot(Box::new(self.app.clone()));
            turn.packets.push(Packet { from: self.id, to: wanted.to, message, cargo });
        }
        if let Some(write) = self.out.write.take() {
            self.disk.submit(write, &self.log, self.app.clone());
            turn.wrote = true;
        }
        let commit = self.out.commit.clone();
        if !commit.is_empty() {
            for entry in self.log.slice(commit.start, commit.end.prev()) {
                self.app.apply(entry);
            }
            let start = turn.committed.as_ref().map_or(commit.start, |range| range.start);
            turn.committed = Some(start..commit.end);
        }
        turn.reads.append(&mut self.out.reads);
        turn.events.append(&mut self.out.events);
        self.out.clear();
    }

    fn core(&mut self, now: Time, input: Input<'_>) -> Result<Placed, Refused> {
        let Some(peer) = &mut self.peer else { return Ok(Placed::Nothing) };
        peer.step(now, input, &mut self.out)
    }

    fn status_term(&self) -> Term {
        self.peer.as_ref().map_or(Term(0), |peer| peer.status().term)
    }
}

impl Turn {
    fn note_placed(&mut self, range: Range<Index>) {
        let start = self.placed.as_ref().map_or(range.start, |old| old.start.min(range.start));
        self.placed = Some(start..range.end);
    }
}

/// Sizes of the entries a host holds.
struct Sizes<'a>(&'a Entries);

impl LogSizes for Sizes<'_> {
    fn fit(&self, entries: Range<Index>, bytes_max: u64) -> (Index, u64) {
        let mut total = 0;
        for entry in self.0.slice(entries.start, entries.end.prev()) {
            let with = total + entry.payload.bytes();
            if with > bytes_max {
                return (entry.id.index, total);
            }
            total = with;
        }
        (entries.end, total)
    }
}
