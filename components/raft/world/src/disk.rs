//! A model disk: writes queue up and become durable oldest first; a crash keeps a prefix.
//!
//! What the state machine applied is not synced by itself: it rides along with the next write, as
//! it would in one write-ahead log shared with the Raft log. After a crash it may be older than
//! what was applied, and is applied again from the log.

use std::collections::VecDeque;

use raft::{Membership, Receipt, Write};
use types::{EntryId, Index, PeerId, Term};

use crate::entry::{App, Entry};

/// Entries behind a base, in memory or on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    /// The entry before the first one.
    pub base: EntryId,
    /// The membership in force at the base, and its slot.
    pub membership: (Index, Membership),
    list: Vec<Entry>,
}

impl Entries {
    /// No entries behind a base.
    #[must_use]
    pub fn new(base: EntryId, membership: (Index, Membership)) -> Entries {
        Entries { base, membership, list: Vec::new() }
    }

    /// The last entry, or the base.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.list.last().map_or(self.base, |entry| entry.id)
    }

    /// The entry in this slot.
    #[must_use]
    pub fn get(&self, index: Index) -> Option<&Entry> {
        let at = index.0.checked_sub(self.base.index.0 + 1)?;
        self.list.get(usize::try_from(at).ok()?)
    }

    /// The term in this slot, that of the base included.
    #[must_use]
    pub fn term(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.get(index).map(|entry| entry.id.term)
    }

    /// The entries of slots `first..=last`, all of which must be there.
    #[must_use]
    pub fn slice(&self, first: Index, last: Index) -> &[Entry] {
        let offset = |index: Index| {
            usize::try_from(index.0 - self.base.index.0 - 1).expect("a test's log is short")
        };
        if first > last { &[] } else { &self.list[offset(first)..=offset(last)] }
    }

    /// All entries.
    #[must_use]
    pub fn all(&self) -> &[Entry] {
        &self.list
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        assert_eq!(entry.id.index, self.last().index.next(), "a gap in the log");
        self.list.push(entry);
    }

    /// Drops everything from `from` on.
    pub(crate) fn cut(&mut self, from: Index) {
        assert!(from > self.base.index, "cut into what is compacted");
        let keep = usize::try_from(from.0 - self.base.index.0 - 1).expect("a test's log is short");
        self.list.truncate(keep);
    }

    /// Drops everything up to `base`, which is applied.
    pub(crate) fn compact(&mut self, base: EntryId, membership: (Index, Membership)) {
        let drop = usize::try_from(base.index.0.saturating_sub(self.base.index.0));
        let drop = drop.expect("a test's log is short").min(self.list.len());
        self.list.drain(..drop);
        self.base = base;
        self.membership = membership;
    }
}

/// What survives a crash.
#[derive(Clone, Debug)]
pub struct Image {
    /// Stored term.
    pub term: Term,
    /// Stored vote.
    pub vote: Option<PeerId>,
    /// Stored commit index.
    pub commit: Index,
    /// Stored log.
    pub log: Entries,
    /// Stored state machine.
    pub app: App,
}

/// A write on its way to the disk.
#[derive(Clone, Debug)]
struct Queued {
    write: Write,
    entries: Vec<Entry>,
    /// The state machine when the write was issued.
    app: App,
}

/// The disk of one host.
#[derive(Clone, Debug)]
pub struct Disk {
    /// What is durable.
    pub image: Image,
    /// Whether anything of the peer is: a host that joined may stop before.
    pub is_used: bool,
    queue: VecDeque<Queued>,
}

impl Disk {
    /// A disk of a peer that starts from this beginning.
    #[must_use]
    pub fn new(app: App, term: Term) -> Disk {
        let log = Entries::new(app.applied, app.membership.clone());
        let commit = app.applied.index;
        let is_used = !app.membership.1.is_empty();
        let image = Image { term, vote: None, commit, log, app };
        Disk { image, is_used, queue: VecDeque::new() }
    }

    /// Writes that are not durable yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn submit(&mut self, write: Write, log: &Entries, app: App) {
        let entries = log.slice(write.entries.start, write.entries.end.prev()).to_vec();
        self.queue.push_back(Queued { write, entries, app });
    }

    /// The oldest write becomes durable.
    pub(crate) fn complete(&mut self) -> Option<Receipt> {
        let Queued { write, entries, app } = self.queue.pop_front()?;
        self.is_used = true;
        let image = &mut self.image;
        image.term = write.receipt.term;
        image.vote = write.receipt.vote;
        image.commit = image.commit.max(write.commit);
        if let Some(base) = write.install {
            image.log = Entries::new(base, app.membership.clone());
        }
        if let Some(first) = entries.first() {
            image.log.cut(first.id.index);
        }
        for entry in entries {
            image.log.push(entry);
        }
        if app.applied.index >= image.app.applied.index {
            image.app = app;
        }
        Some(write.receipt)
    }

    /// Power is lost: the oldest `keep` writes made it.
    pub(crate) fn crash(&mut self, keep: usize) {
        for _ in 0..keep {
            self.complete();
        }
        self.queue.clear();
    }

    /// The log is compacted, here and in what is queued behind.
    pub(crate) fn compact(&mut self, base: EntryId, membership: (Index, Membership)) {
        if base.index > self.image.log.base.index {
            self.image.log.compact(base, membership);
        }
    }
}
