//! One machine: cores, and a disk for the log.

use super::{Nanos, Op};

/// A store.
pub(super) struct Store {
    /// From when on each core is free.
    cores: Vec<Nanos>,
    /// What was done of it in the span that counts.
    busy: Nanos,
    counted: (Nanos, Nanos),
    /// Its disk.
    pub(super) log: Log,
}

impl Store {
    /// With so many cores, whose work is counted within a span.
    pub(super) fn new(cores: usize, sync: Nanos, counted: (Nanos, Nanos)) -> Store {
        let log = Log { sync, syncing: Vec::new(), gathered: Vec::new() };
        Store { cores: vec![0; cores], busy: 0, counted, log }
    }

    /// Takes up work that came now, after all that came before; returns when it is done.
    pub(super) fn work(&mut self, now: Nanos, cost: Nanos) -> Nanos {
        let core = self.cores.iter_mut().min().expect("at least one core");
        let begun = now.max(*core);
        *core = begun + cost;
        let (from, until) = self.counted;
        self.busy += (*core).min(until).saturating_sub(begun.max(from));
        *core
    }

    /// CPU used in the span that counts.
    pub(super) fn busy(&self) -> Nanos {
        self.busy
    }
}

/// A disk that syncs all that has gathered, while more gathers.
pub(super) struct Log {
    sync: Nanos,
    syncing: Vec<Op>,
    gathered: Vec<Op>,
}

impl Log {
    /// Takes an entry; if that makes the disk sync, returns when it will have.
    pub(super) fn write(&mut self, now: Nanos, op: Op) -> Option<Nanos> {
        if self.syncing.is_empty() {
            self.syncing.push(op);
            return Some(now + self.sync);
        }
        self.gathered.push(op);
        None
    }

    /// A sync has ended: what is on disk with it, and when the next will have ended.
    pub(super) fn synced(&mut self, now: Nanos) -> (Vec<Op>, Option<Nanos>) {
        let next = std::mem::take(&mut self.gathered);
        let durable = std::mem::replace(&mut self.syncing, next);
        (durable, (!self.syncing.is_empty()).then_some(now + self.sync))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_waits_for_a_free_core_and_counts_within_the_span() {
        let mut store = Store::new(2, 0, (5, 25));
        assert_eq!([store.work(0, 10), store.work(0, 10), store.work(0, 20)], [10, 10, 30]);
        // 5 to 10 twice, and 10 to 25.
        assert_eq!(store.busy(), 25);
    }

    #[test]
    fn log_syncs_together_what_came_while_it_synced() {
        let mut store = Store::new(1, 7, (0, 1));
        let log = &mut store.log;
        assert_eq!([log.write(0, 1), log.write(3, 2), log.write(6, 3)], [Some(7), None, None]);
        assert_eq!(log.synced(7), (vec![1], Some(14)));
        assert_eq!(log.synced(14), (vec![2, 3], None));
        assert_eq!(log.write(20, 4), Some(27));
    }
}
