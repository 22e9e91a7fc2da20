//! A host of one peer with a disk on which writes complete, and are told of, when the test says so.
//!
//! Its log is the naive model: a plain list of entries, changed as the Raft paper says and not as
//! the core says. Comparing the two is the test.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use raft::{
    Body, Boot, Config, Content, Input, LogSizes, Membership, Outbox, Peer, Placed, Receipt, Run,
    Write,
};
use raft_world::{Cargo, Entry, Packet, Payload};
use types::{EntryId, Index, Term, Time};

use crate::leaders::{id, index, membership_of, slot};

/// What survives a crash. The list goes on below the base, for comparison alone.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) term: Term,
    commit: Index,
    base: usize,
    pub(crate) log: Vec<Entry>,
}

/// A peer, its disk, and the model of what its log must be.
pub(crate) struct Host {
    pub(crate) peer: Peer,
    out: Outbox,
    pub(crate) image: Image,
    /// Writes under way, with what they write.
    queue: VecDeque<(Write, Vec<Entry>)>,
    /// Receipts of completed writes, oldest first.
    receipts: Vec<Receipt>,
    /// The model: every slot from 0 on, also those below the base.
    pub(crate) log: Vec<Entry>,
    pub(crate) base: usize,
    pub(crate) term: Term,
    pub(crate) commit: usize,
    /// Known to agree with the leader of `term`.
    verified: usize,
    /// The newest commit index that the leader of the term told.
    heard: usize,
}

const NOW: Time = Time(1_000_000);

struct Weightless;

impl LogSizes for Weightless {
    fn fit(&self, entries: Range<Index>, _: u64) -> (Index, u64) {
        (entries.end, 0)
    }
}

fn runs(entries: &[Entry]) -> Vec<Run> {
    let chunks = entries.chunk_by(|one, next| one.id.term == next.id.term);
    chunks.map(|chunk| Run { first: chunk[0].id.index, term: chunk[0].id.term }).collect()
}

fn memberships(entries: &[Entry]) -> Vec<(Index, Membership)> {
    let membership = |entry: &Entry| match &entry.payload {
        Payload::Membership(membership) => Some((entry.id.index, membership.clone())),
        _ => None,
    };
    entries.iter().filter_map(membership).collect()
}

fn restore(image: &Image, restarted: bool) -> Peer {
    let (base, entries) = (image.log[image.base].id, &image.log[image.base + 1..]);
    let (at, membership) = membership_of(&image.log[..=image.base]);
    let boot = Boot {
        restarted,
        term: image.term,
        commit: image.commit.max(base.index),
        applied: base.index,
        base,
        membership: (at, &membership),
        runs: &runs(entries),
        last: index(image.log.len() - 1),
        memberships: &memberships(entries),
        ..Boot::empty(id(1), 9)
    };
    Peer::restore(Arc::new(Config::default()), &boot, NOW).expect("what was written can be read")
}

impl Host {
    pub(crate) fn new() -> Host {
        let nothing = Entry { id: EntryId::default(), payload: Payload::Empty };
        let log = vec![nothing];
        let image = Image { term: Term(0), commit: Index(0), base: 0, log: log.clone() };
        Host {
            peer: restore(&image, false),
            out: Outbox::new(),
            image,
            queue: VecDeque::new(),
            receipts: Vec::new(),
            log,
            base: 0,
            term: Term(0),
            commit: 0,
            verified: 0,
            heard: 0,
        }
    }

    /// A packet arrives, sent by a leader whose whole log was `theirs`.
    pub(crate) fn receive(&mut self, packet: &Packet, theirs: &[Entry]) {
        let Packet { from, message, cargo, .. } = packet.clone();
        let placed = match &cargo {
            Cargo::None => self.step(Input::Message { from, message, content: Content::None }),
            Cargo::Entries(entries) => {
                let (runs, memberships) = (runs(entries), memberships(entries));
                let content = Content::Entries { runs: &runs, memberships: &memberships };
                self.step(Input::Message { from, message, content })
            }
            Cargo::Snapshot(app) => {
                let content = Content::Snapshot(&app.membership.1);
                self.step(Input::Message { from, message, content })
            }
        };
        let before = self.log.clone();
        if message.term >= self.term {
            if message.term > self.term {
                self.term = message.term;
                self.verified = self.commit;
                self.heard = self.commit;
            }
            self.model(&message.body, &cargo, theirs);
        }
        // What the core says of the change is what the change was.
        let kept = before.iter().zip(&self.log).take_while(|(old, new)| old == new).count();
        match placed {
            Placed::Nothing => assert_eq!(before, self.log, "the core placed nothing"),
            Placed::Payloads(range) => {
                assert_eq!(range, index(kept)..index(self.log.len()), "placed by the core");
            }
            Placed::Snapshot(snapshot) => assert_eq!(slot(snapshot.index), self.base),
            Placed::Own(..) => panic!("a follower makes no entries"),
        }
    }

    /// The paper, word by word: thesis figure 3.1 (append) and 5.3 (install).
    fn model(&mut self, body: &Body, cargo: &Cargo, theirs: &[Entry]) {
        match (*body, cargo) {
            (Body::Append { prev, last, commit, .. }, Cargo::Entries(entries)) => {
                let at = slot(prev.index);
                let agrees = self.log.get(at).is_some_and(|entry| entry.id == prev);
                if !agrees && at >= self.base {
                    return;
                }
                for entry in entries.iter().filter(|entry| slot(entry.id.index) > self.base) {
                    let at = slot(entry.id.index);
                    if self.log.get(at).is_none_or(|own| own.id != entry.id) {
                        self.log.truncate(at);
                        self.log.push(entry.clone());
                    }
                }
                self.verified = self.verified.max(slot(last));
                self.commit_to(slot(commit));
            }
            (Body::Install { snapshot, .. }, Cargo::Snapshot(_)) => {
                let at = slot(snapshot.index);
                if at > self.commit {
                    if self.log.get(at).is_none_or(|own| own.id != snapshot) {
                        self.log = theirs[..=at].to_vec();
                        self.base = at;
                    }
                    self.verified = self.verified.max(at);
                    self.commit = at;
                }
            }
            (Body::Beat { commit, .. }, _) => {
                self.commit_to(slot(commit));
            }
            other => panic!("leaders here do not send {other:?}"),
        }
    }

    fn step(&mut self, input: Input<'_>) -> Placed {
        self.peer.step(NOW, input, &mut self.out).expect("honest input is not refused")
    }

    /// Drains; a write goes to the disk's queue. Acks are true of what is durable right now.
    pub(crate) fn drain(&mut self) {
        self.peer.drain(NOW, &Weightless, &mut self.out);
        if let Some(write) = self.out.write.take() {
            let entries = self.log[slot(write.entries.start)..slot(write.entries.end)].to_vec();
            self.queue.push_back((write, entries));
        }
        for (_, message) in std::mem::take(&mut self.out.sends) {
            if let Body::Ack { matched, verified, .. } = message.body {
                assert!(self.image.term >= message.term, "acked in a term that is not durable");
                assert_eq!(slot(verified), self.verified, "acked as verified");
                assert!(self.is_durable_to(slot(matched)), "acked {matched}, which is not durable");
            }
        }
        self.out.clear();
    }

    /// Whether the disk has the same entries up to this slot.
    pub(crate) fn is_durable_to(&self, at: usize) -> bool {
        self.image.log.len() > at && self.image.log[..=at] == self.log[..=at]
    }

    /// The oldest write becomes durable; nobody tells the core yet.
    pub(crate) fn complete(&mut self) {
        let Some((write, entries)) = self.queue.pop_front() else { return };
        self.image.term = write.receipt.term;
        self.image.commit = self.image.commit.max(write.commit);
        if let Some(base) = write.install {
            // Comes with the snapshot, so all of it is what the model had when it was installed.
            self.image.base = slot(base.index);
            self.image.log = self.log_at(base);
        }
        if !entries.is_empty() {
            assert!(self.image.log.len() >= slot(write.entries.start), "a gap on disk");
            self.image.log.truncate(slot(write.entries.start));
            self.image.log.extend(entries);
        }
        self.receipts.push(write.receipt);
    }

    fn commit_to(&mut self, told: usize) {
        self.heard = self.heard.max(told);
        self.commit = self.commit.max(self.heard.min(self.verified));
    }

    /// What is committed up to `base`: the same in every log that reaches that far.
    fn log_at(&self, base: EntryId) -> Vec<Entry> {
        let log = self.log[..=slot(base.index)].to_vec();
        assert_eq!(log.last().map(|entry| entry.id), Some(base), "a committed slot has changed");
        log
    }

    /// The core hears of one of the completed writes, not for the first time perhaps.
    pub(crate) fn tell(&mut self, back: usize) {
        if let Some(nth) = self.receipts.len().checked_sub(1 + back) {
            let receipt = self.receipts[nth];
            assert_eq!(self.step(Input::Persisted(receipt)), Placed::Nothing);
        }
    }

    pub(crate) fn compact(&mut self, lag: usize) {
        let upto = slot(self.peer.status().reported).saturating_sub(lag);
        if upto > self.base && upto >= self.image.base {
            self.base = upto;
            self.image.base = upto;
            assert_eq!(self.step(Input::Compacted(index(upto))), Placed::Nothing);
        }
    }

    /// Power is lost after `keep` more writes, and the peer starts again from the disk.
    pub(crate) fn crash(&mut self, keep: usize) {
        for _ in 0..keep {
            self.complete();
        }
        self.queue.clear();
        self.receipts.clear();
        self.out.clear();
        self.peer = restore(&self.image, true);
        self.log = self.image.log.clone();
        (self.base, self.term) = (self.image.base, self.image.term);
        self.commit = slot(self.image.commit).max(self.base);
        (self.verified, self.heard) = (self.commit, self.commit);
    }

    /// Everything is written and told: nothing may be left that is not durable.
    pub(crate) fn settle(&mut self) {
        self.drain();
        while !self.queue.is_empty() {
            self.complete();
        }
        self.tell(0);
        self.drain();
        assert!(self.queue.is_empty(), "a write was owed and not handed out");
    }
}
