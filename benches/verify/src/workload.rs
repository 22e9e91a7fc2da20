//! What clients do, as they choose it: writers append, put and swap; readers look.
//!
//! Each writer has owned keys, to which it alone puts rising versions; all share the shared keys,
//! which they read and swap; and each writes a log of keys that are written once. After an outcome
//! that is not known a writer is another client, and the key that it owned is given up: see the
//! rules of [`crate::check::versioned`].
//!
//! Not here: doing it (`run`).

use crate::history::{Asked, Key, Told, Value};
use crate::random::Random;

/// Hands out what must be unique in a run.
pub(crate) trait Fresh {
    /// A number of a client that nobody had.
    fn client(&self) -> u32;
    /// An owned key that nobody had.
    fn owned(&self) -> Key;
    /// How many owned keys were handed out.
    fn owned_count(&self) -> u32;
    /// A key that was written not long ago.
    fn recent(&self, nth: usize) -> Option<Key>;
}

/// What a writer does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Puts this.
    Put(Key, Value),
    /// Reads this key, then swaps in what [`Writer::swap`] says.
    Swap(Key),
}

/// A client that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    random: Random,
    client: u32,
    seq: u32,
    shared: u32,
    /// Owned keys, with the version that was tried last.
    owned: Vec<(Key, u64)>,
}

/// A client that reads.
#[derive(Debug)]
pub(crate) struct Reader {
    random: Random,
    shared: u32,
}

impl Writer {
    /// A writer with so many owned keys, and the shared keys below a number.
    pub(crate) fn new(seed: u64, shared: u32, owned: u32, fresh: &dyn Fresh) -> Writer {
        let owned = (0..owned.max(1)).map(|_| (fresh.owned(), 0)).collect();
        let (random, client) = (Random::new(seed), fresh.client());
        Writer { random, client, seq: 0, shared: shared.max(1), owned }
    }

    /// Who it is now.
    #[must_use]
    pub(crate) fn client(&self) -> u32 {
        self.client
    }

    /// The number of its next operation.
    pub(crate) fn seq(&mut self) -> u32 {
        self.seq += 1;
        self.seq
    }

    /// What it does next.
    pub(crate) fn next(&mut self) -> Next {
        let (client, seq) = (self.client, self.seq + 1);
        match self.random.below(10) {
            0..4 => Next::Swap(shared(&mut self.random, self.shared)),
            4..8 => {
                let at = self.random.below(self.owned.len());
                let (key, version) = &mut self.owned[at];
                *version += 1;
                Next::Put(*key, Value { version: *version, client, seq })
            }
            _ => Next::Put(Key::Log(client, seq), Value { version: 1, client, seq }),
        }
    }

    /// How it swaps what it has read.
    #[must_use]
    pub(crate) fn swap(&self, found: Option<Value>) -> Asked {
        // One that is foreign has the last version there is.
        let version = found.map_or(0, |found| found.version).saturating_add(1);
        let new = Value { version, client: self.client, seq: self.seq + 1 };
        Asked::Swap { expected: found, new }
    }

    /// How an operation ended.
    pub(crate) fn told(&mut self, key: Key, told: Told, fresh: &dyn Fresh) {
        if told != Told::Maybe {
            return;
        }
        self.client = fresh.client();
        self.seq = 0;
        for owned in &mut self.owned {
            if owned.0 == key {
                *owned = (fresh.owned(), 0);
            }
        }
    }
}

impl Reader {
    /// A reader of the shared keys below a number, of owned keys, and of what was written last.
    #[must_use]
    pub(crate) fn new(seed: u64, shared: u32) -> Reader {
        Reader { random: Random::new(seed), shared: shared.max(1) }
    }

    /// What it reads next.
    pub(crate) fn next(&mut self, fresh: &dyn Fresh) -> Key {
        let owned = fresh.owned_count();
        match self.random.below(10) {
            0..2 => shared(&mut self.random, self.shared),
            2..4 if owned > 0 => Key::Owned(below(&mut self.random, owned)),
            _ => {
                let recent = fresh.recent(self.random.below(1 << 16));
                recent.unwrap_or_else(|| shared(&mut self.random, self.shared))
            }
        }
    }
}

fn shared(random: &mut Random, count: u32) -> Key {
    Key::Shared(below(random, count))
}

fn below(random: &mut Random, limit: u32) -> u32 {
    u32::try_from(random.below(limit as usize)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::check::{KeyHistory, versioned};
    use crate::history::Record;

    #[derive(Default)]
    struct Numbers {
        clients: Cell<u32>,
        owned: Cell<u32>,
    }

    impl Fresh for Numbers {
        fn client(&self) -> u32 {
            self.clients.replace(self.clients.get() + 1)
        }

        fn owned(&self) -> Key {
            Key::Owned(self.owned.replace(self.owned.get() + 1))
        }

        fn owned_count(&self) -> u32 {
            self.owned.get()
        }

        fn recent(&self, _nth: usize) -> Option<Key> {
            None
        }
    }

    #[test]
    fn what_is_foreign_is_swapped_in_vain_and_ends_nothing() {
        let writer = Writer::new(1, 4, 2, &Numbers::default());
        let Asked::Swap { expected, new } = writer.swap(Some(Value::FOREIGN)) else {
            panic!("a swap");
        };
        assert_eq!(expected, Some(Value::FOREIGN));
        assert_ne!(new, Value::FOREIGN);
    }

    /// Against nothing at all, where every tenth outcome is not known and every seventh is a no:
    /// the load keeps to its rules, whatever it is told.
    #[test]
    fn load_keeps_to_the_rules_of_the_checker() {
        let fresh = Numbers::default();
        let mut writer = Writer::new(3, 4, 3, &fresh);
        let mut records = Vec::new();
        for now in 0..5_000_u64 {
            let (key, asked) = match writer.next() {
                Next::Put(key, value) => (key, Asked::Put(value)),
                Next::Swap(key) => (key, writer.swap(None)),
            };
            let told = match (now % 10, now % 7, asked) {
                (0, ..) => Told::Maybe,
                (_, 0, _) => Told::No,
                (.., Asked::Put(_)) => Told::Done,
                (.., Asked::Swap { new, .. }) => Told::Unequal(Some(new)),
                (.., Asked::Read) => unreachable!("a writer"),
            };
            let (client, seq) = (writer.client(), writer.seq());
            let ret = (told != Told::Maybe).then_some(now * 10 + 5);
            records.push(Record { client, seq, key, call: now * 10, ret, asked, told });
            writer.told(key, told, &fresh);
        }
        let mut unique: Vec<(u32, u32)> = records.iter().map(|it| (it.client, it.seq)).collect();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), records.len());
        assert!(fresh.clients.get() > 400, "{}", fresh.clients.get());
        for history in KeyHistory::of(&records) {
            let judged = versioned::check(&history);
            assert!(judged.as_ref().err().is_none_or(|wrong| !wrong.is_malformed()), "{judged:?}");
        }
    }
}
