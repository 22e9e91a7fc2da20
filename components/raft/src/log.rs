//! The log as metadata: which term each slot has, and how far it is durable.
//!
//! The core never holds an entry. A log is a list of *runs*, one per leader whose entries are in
//! it, so term look-ups, conflict searches and up-to-date checks are array look-ups that can
//! neither fail nor block. A typical log has one run or two, and two are held without a heap
//! allocation. The first run begins at the *base*, the entry everything before which is compacted.
//!
//! Stability. `changed_by` is the term of the leader whose append (or snapshot) last modified this
//! log; our own term when we lead. Every write is identified by the [`LogMark`] (`changed_by`,
//! last index) at its time. Once a leader of term T has modified the log, the log is a prefix of
//! that leader's, and that leader never truncates; so under one `changed_by` the content of a slot
//! never changes and a completed write with that mark makes everything up to its index durable. A
//! mark with another term is ignored: a later leader overwrote the log and owes a write of its own.
//! This is what makes the append ABA race harmless (`scripts/durability/append_aba_race`).
//!
//! Invariants: `base ≤ stable ≤ last` unless a snapshot is being installed (then `stable < base`);
//! `stable ≤ written ≤ last` likewise; runs start at strictly rising indexes with strictly rising
//! terms. Model-tested against a plain list of terms in `tests/log_model.rs`.

use alloc::vec::Vec;
use core::ops::Range;

use types::{EntryId, Index, Term};

use crate::message::Run;
use crate::outbox::LogMark;

/// Runs held without a heap allocation.
const INLINE: usize = 2;

/// Terms and durability of one peer's log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Term runs; the first starts at the base, which is an entry no longer in the log.
    runs: Runs,
    last: Index,
    /// Everything up to here survives a crash.
    stable: Index,
    /// Everything up to here has been handed to the host to write.
    written: Index,
    changed_by: Term,
}

#[derive(Clone, Debug)]
enum Runs {
    Inline { len: u8, runs: [Run; INLINE] },
    Heap(Vec<Run>),
}

impl Log {
    /// A log without entries behind `base`, all of it durable.
    pub(crate) fn new(base: EntryId) -> Log {
        Log {
            runs: Runs::one(Run { first: base.index, term: base.term }),
            last: base.index,
            stable: base.index,
            written: base.index,
            changed_by: base.term,
        }
    }

    /// The entry up to which the log is compacted: `0@0` for a log from the very beginning.
    #[must_use]
    pub fn base(&self) -> EntryId {
        let base = self.runs.as_slice()[0];
        EntryId::new(base.term, base.first)
    }

    /// The last entry, or the base if there is none.
    #[must_use]
    pub fn last(&self) -> EntryId {
        let runs = self.runs.as_slice();
        EntryId::new(runs[runs.len() - 1].term, self.last)
    }

    /// Everything up to here survives a crash. Below the base while a snapshot is being installed.
    #[must_use]
    pub fn stable(&self) -> Index {
        self.stable
    }

    /// Whether an installed snapshot is not durable yet.
    #[must_use]
    pub fn is_installing(&self) -> bool {
        self.stable < self.base().index
    }

    /// The term of the entry in this slot; `None` beyond the end and before the base.
    #[must_use]
    pub fn term(&self, index: Index) -> Option<Term> {
        if index > self.last {
            return None;
        }
        self.runs.as_slice().iter().rev().find(|run| run.first <= index).map(|run| run.term)
    }

    /// Whether this very entry is in the log, or is its base.
    #[must_use]
    pub fn contains(&self, id: EntryId) -> bool {
        self.term(id.index) == Some(id.term)
    }

    /// The latest position at or before `id.index` whose term is at most `id.term`, down to the
    /// base: the last place where a log that says `id` of itself can agree with this one. One such
    /// step on each side skips a whole diverged tail (thesis §3.5, end; etcd#11964).
    #[must_use]
    pub fn floor(&self, id: EntryId) -> EntryId {
        let runs = self.runs.as_slice();
        let mut end = self.last.min(id.index);
        for run in runs.iter().rev() {
            if run.first <= end {
                if run.term <= id.term {
                    return EntryId::new(run.term, end);
                }
                end = run.first.prev();
            }
        }
        self.base()
    }

    /// The first slot after `prev` that a leader's `runs`, ending at `last`, have and this log has
    /// not, or has otherwise. `None` if this log holds them all. Slots up to the base count as
    /// held: they are committed.
    #[must_use]
    pub(crate) fn first_new(&self, prev: Index, runs: &[Run], last: Index) -> Option<Index> {
        let mut at = prev.max(self.base().index).next();
        for (nth, run) in runs.iter().enumerate() {
            let end = runs.get(nth + 1).map_or(last, |next| next.first.prev());
            while at <= end {
                match self.run_at(at) {
                    Some((term, held)) if term == run.term => at = held.min(end).next(),
                    _ => return Some(at),
                }
            }
        }
        None
    }

    /// The term of the run that covers `index` and where that run ends.
    fn run_at(&self, index: Index) -> Option<(Term, Index)> {
        if index > self.last {
            return None;
        }
        let runs = self.runs.as_slice();
        let at = runs.iter().rposition(|run| run.first <= index)?;
        let end = runs.get(at + 1).map_or(self.last, |next| next.first.prev());
        Some((runs[at].term, end))
    }

    /// Appends `count` entries of the leader's own term, as leader. Returns their slots.
    pub(crate) fn append(&mut self, term: Term, count: u64) -> Range<Index> {
        debug_assert!(term >= self.last().term, "terms never fall");
        let start = self.last.next();
        self.runs.push(Run { first: start, term });
        self.last = Index(self.last.0 + count);
        self.changed_by = term;
        start..self.last.next()
    }

    /// Replaces everything from `from` on by the leader of `leader_term`'s entries, whose terms are
    /// `runs` and whose last slot is `last`.
    pub(crate) fn replace(&mut self, from: Index, runs: &[Run], last: Index, leader_term: Term) {
        debug_assert!(from > self.base().index && from <= last);
        self.runs.truncate_from(from);
        self.stable = self.stable.min(from.prev());
        self.written = self.written.min(from.prev());
        for (nth, run) in runs.iter().enumerate() {
            let end = runs.get(nth + 1).map_or(last, |next| next.first.prev());
            if end >= from {
                self.runs.push(Run { first: run.first.max(from), term: run.term });
            }
        }
        self.last = last;
        self.changed_by = leader_term;
    }

    /// Replaces the whole log by a snapshot that the leader of `leader_term` sent. Not durable
    /// until the write that installs it is.
    pub(crate) fn install(&mut self, base: EntryId, leader_term: Term) {
        self.runs = Runs::one(Run { first: base.index, term: base.term });
        self.last = base.index;
        self.stable = Index(0);
        self.written = base.index;
        self.changed_by = leader_term;
    }

    /// Forgets everything up to `index`, which is durable. Nothing to do at or before the base.
    pub(crate) fn compact(&mut self, index: Index) {
        let Some(term) = self.term(index).filter(|_| index > self.base().index) else { return };
        debug_assert!(index <= self.stable, "only what is durable is compacted");
        self.runs.compact(Run { first: index, term });
    }

    /// What the next write makes durable.
    pub(crate) fn mark(&self) -> LogMark {
        LogMark { term: self.changed_by, index: self.last }
    }

    /// The entries the host has not been given to write yet; it has them from now on.
    pub(crate) fn take_unwritten(&mut self) -> Range<Index> {
        let range = self.written.next()..self.last.next();
        self.written = self.last;
        range
    }

    /// Whether there is something for [`Log::take_unwritten`].
    pub(crate) fn has_unwritten(&self) -> bool {
        self.written < self.last
    }

    /// A write with this mark is durable. Returns whether that moved `stable`.
    pub(crate) fn on_persisted(&mut self, mark: LogMark) -> bool {
        let upto = mark.index.min(self.last);
        if mark.term != self.changed_by || upto <= self.stable {
            return false;
        }
        self.stable = upto;
        true
    }

    /// Takes over runs read from disk at start; all of it is durable. The caller has checked them.
    pub(crate) fn restore(base: EntryId, runs: &[Run], last: Index) -> Log {
        let mut log = Log::new(base);
        if last > base.index {
            log.replace(base.index.next(), runs, last, runs[runs.len() - 1].term);
            log.stable = last;
            log.written = last;
        }
        log
    }
}

impl Runs {
    fn one(run: Run) -> Runs {
        Runs::Inline { len: 1, runs: [run, Run::default()] }
    }

    fn as_slice(&self) -> &[Run] {
        match self {
            Runs::Inline { len, runs } => &runs[..usize::from(*len)],
            Runs::Heap(runs) => runs,
        }
    }

    /// Begins a run, unless the last one already has this term.
    fn push(&mut self, run: Run) {
        if self.as_slice().last().is_some_and(|last| last.term == run.term) {
            return;
        }
        match self {
            Runs::Inline { len, runs } if usize::from(*len) < INLINE => {
                runs[usize::from(*len)] = run;
                *len += 1;
            }
            Runs::Inline { runs, .. } => {
                let mut heap = Vec::with_capacity(2 * INLINE);
                heap.extend_from_slice(runs);
                heap.push(run);
                *self = Runs::Heap(heap);
            }
            Runs::Heap(runs) => runs.push(run),
        }
    }

    /// Drops the runs that begin at `from` or later. The base run always stays.
    fn truncate_from(&mut self, from: Index) {
        let keep = self.as_slice().iter().filter(|run| run.first < from).count().max(1);
        match self {
            Runs::Inline { len, .. } => *len = u8::try_from(keep).expect("at most INLINE"),
            Runs::Heap(runs) => runs.truncate(keep),
        }
    }

    /// Makes `base` the first run and drops what lies before it.
    fn compact(&mut self, base: Run) {
        let mut compacted = Runs::one(base);
        for run in self.as_slice().iter().filter(|run| run.first > base.first) {
            compacted.push(*run);
        }
        *self = compacted;
    }
}
