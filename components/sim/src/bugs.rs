//! Planted bugs: what a checker must find. None of them is in shipped code; each is something that
//! the shell of a store, or its disk, does wrong.

use multiraft::shard::Token;
use multiraft::{Outcome, Refusal};
use storage::{Batch, Cf, Durability, Engine, Op};
use types::Index;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Writes of the log are not synced.
    NoSync,
    /// Writes are reported durable before they are.
    AckBeforeWrite,
    /// Term and vote are not written after the first time.
    VoteNotWritten,
    /// After a restart the last applied slots are applied as if they were new ones.
    AppliedForgotten,
    /// The last entry of a log is lost at a restart.
    LastEntryLost,
    /// Entries are written without those before them.
    FirstEntryOfWriteLost,
    /// The commands of a replica are lost at a restart, but not that they were applied.
    DataLost,
    /// What was said of the log's beginning is lost at a restart.
    BaseLost,
    /// Some callers are answered twice.
    AnsweredTwice,
    /// Some callers are not answered.
    NotAnswered,
    /// Some callers are told that what was done was refused.
    DoneAndRefused,
    /// Some callers are told of another slot.
    AnotherSlot,
    /// Reads see the state of the beginning.
    StaleRead,
    /// One store's machine alters what it applies.
    AppliedDifferently,
    /// One store's machine leaves out some commands.
    LeftOut,
    /// One store's machine restores all but the last pair of a chunk.
    RestoredInPart,
    /// The data of a state machine is never deleted.
    DataKept,
    /// Where a log begins is not written.
    BaseNotWritten,
    /// The membership that was applied last is not written.
    RosterNotWritten,
    /// Tombstones are not synced.
    TombstoneNotSynced,
    /// Tombstones are lost at a restart.
    TombstoneLost,
    /// Entries that others took the place of are not deleted.
    SuffixKept,
    /// Support is said before it is written.
    SupportNotWritten,
    /// Support, lent and withdrawn, is lost at a restart.
    SupportForgotten,
    /// A store's own epoch is lost at a restart.
    EpochForgotten,
    /// A write of the log overtakes the one before it.
    WritesReordered,
    /// A failed sync counts as one that succeeded.
    SyncFailureIgnored,
    /// A write for which there was no room counts as written.
    FullIgnored,
    /// Callers are answered when their command is committed, and not applied yet.
    AnsweredEarly,
    /// Nobody hears that a store is not vouched for any more.
    VouchedForEver,
    /// Nobody hears that a store is vouched for.
    NeverVouched,
    /// Some clocks run twice as fast as they may.
    FastClock,
    /// One store's machines admit every snapshot.
    AdmittedAnyway,
    /// What an empty peer voted for is lost when its group begins.
    VoteLostAtBeginning,
    /// The tombstone of a peer is not looked at when its group begins.
    TombstoneIgnored,
    /// What is known of a group that begins is not written together with its command.
    BegunLater,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 36] = [
        Bug::NoSync,
        Bug::AckBeforeWrite,
        Bug::VoteNotWritten,
        Bug::AppliedForgotten,
        Bug::LastEntryLost,
        Bug::FirstEntryOfWriteLost,
        Bug::DataLost,
        Bug::BaseLost,
        Bug::AnsweredTwice,
        Bug::NotAnswered,
        Bug::DoneAndRefused,
        Bug::AnotherSlot,
        Bug::StaleRead,
        Bug::AppliedDifferently,
        Bug::LeftOut,
        Bug::RestoredInPart,
        Bug::DataKept,
        Bug::BaseNotWritten,
        Bug::RosterNotWritten,
        Bug::TombstoneNotSynced,
        Bug::TombstoneLost,
        Bug::SuffixKept,
        Bug::SupportNotWritten,
        Bug::SupportForgotten,
        Bug::EpochForgotten,
        Bug::WritesReordered,
        Bug::SyncFailureIgnored,
        Bug::FullIgnored,
        Bug::AnsweredEarly,
        Bug::VouchedForEver,
        Bug::NeverVouched,
        Bug::FastClock,
        Bug::AdmittedAnyway,
        Bug::VoteLostAtBeginning,
        Bug::TombstoneIgnored,
        Bug::BegunLater,
    ];

    /// What becomes of a write of the log.
    pub(crate) fn in_write(self, batch: &Batch) -> (Batch, Durability) {
        let is_hard_state = |key: &[u8]| key.len() == 9 && key[8] == 0;
        let is_entry = |key: &[u8]| key.len() == 17 && key[8] == 1;
        let mut seen_entry = false;
        let kept = |op: &Op<'_>| match (self, *op) {
            (Bug::VoteNotWritten, Op::Put(Cf::Raft, key, _)) => !is_hard_state(key),
            (Bug::FirstEntryOfWriteLost, Op::Put(Cf::Raft, key, _)) if is_entry(key) => {
                std::mem::replace(&mut seen_entry, true)
            }
            (Bug::SuffixKept, Op::DeleteRange(Cf::Raft, ..)) => false,
            (Bug::SupportNotWritten, Op::Put(Cf::Meta, key, _)) => key.first() != Some(&b's'),
            _ => true,
        };
        let durability = match self {
            Bug::NoSync => Durability::Buffered,
            _ => Durability::Synced,
        };
        (filtered(batch, kept), durability)
    }

    /// What becomes of the answers to callers.
    pub(crate) fn in_answers(self, answers: Vec<(Token, Outcome)>) -> Vec<(Token, Outcome)> {
        let mut out = Vec::new();
        for (token, outcome) in answers {
            let strikes = token.0 % 40 == 0;
            match (self, outcome) {
                (Bug::AnsweredTwice, outcome) if strikes => {
                    out.push((token, outcome.clone()));
                    out.push((token, outcome));
                }
                (Bug::NotAnswered, _) if strikes => {}
                (Bug::DoneAndRefused, Outcome::Applied { .. }) if strikes => {
                    out.push((token, Outcome::Refused(Refusal::Superseded)));
                }
                (Bug::AnotherSlot, Outcome::Applied { index, reply }) if strikes => {
                    out.push((token, Outcome::Applied { index: index.next(), reply }));
                }
                (Bug::StaleRead, Outcome::Readable(_)) => {
                    out.push((token, Outcome::Readable(Index(0))));
                }
                (_, outcome) => out.push((token, outcome)),
            }
        }
        out
    }

    /// What happens to a disk before it is read.
    pub(crate) fn at_start(self, engine: &dyn Engine) {
        let mut batch = Batch::new();
        let mut last: Option<Vec<u8>> = None;
        let (cf, wanted): (Cf, Wanted<'_>) = match self {
            Bug::AppliedForgotten => (Cf::Meta, &|key| key.first() == Some(&b'a')),
            Bug::BaseLost => (Cf::Meta, &|key| key.first() == Some(&b'b')),
            Bug::LastEntryLost => (Cf::Raft, &|key| key.len() == 17 && key[8] == 1),
            Bug::DataLost => (Cf::Default, &|key| key.len() == 16 && key[8..] != [0; 8]),
            Bug::TombstoneLost => (Cf::Meta, &|key| key.first() == Some(&b'g')),
            Bug::SupportForgotten => (Cf::Meta, &|key| key.first() == Some(&b's')),
            Bug::EpochForgotten => (Cf::Meta, &|key| key == b"e"),
            _ => return,
        };
        let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        engine
            .view()
            .scan(cf, all, storage::Direction::Forward, &mut |key, value| {
                if !wanted(key) {
                    return true;
                }
                match self {
                    Bug::TombstoneLost if !crate::spoiled::is_buried(value) => {}
                    Bug::LastEntryLost | Bug::DataLost => last = Some(key.to_vec()),
                    _ => batch.delete(cf, key),
                }
                true
            })
            .expect("a healthy disk can be read");
        if let Some(key) = last {
            batch.delete(cf, &key);
        }
        engine.write(&batch, Durability::Synced).expect("a healthy disk can be written");
    }
}

/// Which keys a bug is about.
type Wanted<'a> = &'a dyn Fn(&[u8]) -> bool;

/// The operations that are kept.
pub(crate) fn filtered(batch: &Batch, mut kept: impl FnMut(&Op<'_>) -> bool) -> Batch {
    let mut out = Batch::new();
    for op in batch.iter().filter(|op| kept(op)) {
        match op {
            Op::Put(cf, key, value) => out.put(cf, key, value),
            Op::Delete(cf, key) => out.delete(cf, key),
            Op::DeleteRange(cf, start, end) => out.delete_range(cf, start, end),
        }
    }
    out
}
