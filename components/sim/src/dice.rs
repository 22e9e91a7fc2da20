//! Chance, for each purpose apart.
//!
//! A run draws from many streams, each with a seed of its own that follows from the run's. What is
//! drawn for one purpose moves nothing that is drawn for another: a run without crashes has its
//! partitions at the same instants, around the same stores, as the run with them, and its clients
//! want the same things in the same order. What a run is *like* at those instants differs from
//! where the first crash would have been: that is what a class of faults does, and no way of
//! drawing can take it out.

use std::collections::BTreeMap;

use raft_world::Rng;

/// What something is drawn for. Numbers are those of stores, hosts or clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stream {
    /// Stores and their clocks, at the beginning.
    Stores,
    Crashes,
    /// When a store that stopped starts again, and what its clock shows then.
    Starts(usize),
    /// What of its unsynced writes a store loses.
    PowerLoss(usize),
    Cuts,
    /// Which of those let the stores hear each other, and not their groups.
    Hushes,
    /// Which cuts break connections, and when that is noticed.
    Connections,
    /// When cut links heal, and disks do.
    Healing,
    Stalls,
    Pauses,
    SyncFaults,
    FullDisks,
    Nonsense,
    Breaks,
    Replays,
    /// From one end to another; clients come behind all stores.
    Link(usize, usize),
    Disk(usize),
    Lane(usize),
    Looks,
    /// Which reads ask nobody.
    Leases,
    /// Timers of a process that stood still.
    Timers,
    Callers,
    Commands,
    Changes,
    Transfers,
    Ends,
    Spawns,
    Client(usize),
    /// How long a client waits, and whom it turns to.
    Patience(usize),
    People,
    /// What is looked at from outside.
    Samples,
    /// What planted bugs do by chance.
    Bugs,
    /// Which sites of odd behaviour are on.
    Sites,
    /// What is odd at a store, in each of its lives; and what it is made to do oddly.
    Odd(usize),
    OddMoves,
    /// When settings change, and which node starts again when.
    Times,
}

/// All streams of a run.
pub(crate) struct Dice {
    seed: u64,
    streams: BTreeMap<Stream, Rng>,
}

impl Dice {
    /// Those of a seed.
    pub(crate) fn new(seed: u64) -> Dice {
        Dice { seed, streams: BTreeMap::new() }
    }

    /// The dice for a purpose.
    pub(crate) fn of(&mut self, stream: Stream) -> &mut Rng {
        let seed = self.seed;
        self.streams.entry(stream).or_insert_with(|| {
            let apart = Rng::new(stream.number()).bits();
            Rng::new(Rng::new(seed).bits() ^ apart)
        })
    }

    /// One of `len`.
    pub(crate) fn nth(&mut self, stream: Stream, len: usize) -> usize {
        usize::try_from(self.of(stream).below(len as u64)).expect("less than a length")
    }
}

impl Stream {
    /// A number that no other stream has.
    fn number(self) -> u64 {
        let (kind, one, other) = match self {
            Stream::Stores => (0, 0, 0),
            Stream::Crashes => (1, 0, 0),
            Stream::Starts(at) => (2, at, 0),
            Stream::PowerLoss(at) => (3, at, 0),
            Stream::Cuts => (4, 0, 0),
            Stream::Healing => (5, 0, 0),
            Stream::Stalls => (6, 0, 0),
            Stream::Pauses => (7, 0, 0),
            Stream::SyncFaults => (8, 0, 0),
            Stream::FullDisks => (9, 0, 0),
            Stream::Nonsense => (10, 0, 0),
            Stream::Breaks => (11, 0, 0),
            Stream::Replays => (12, 0, 0),
            Stream::Link(from, to) => (13, from, to),
            Stream::Disk(at) => (14, at, 0),
            Stream::Lane(at) => (15, at, 0),
            Stream::Looks => (16, 0, 0),
            Stream::Timers => (17, 0, 0),
            Stream::Callers => (18, 0, 0),
            Stream::Commands => (19, 0, 0),
            Stream::Changes => (20, 0, 0),
            Stream::Transfers => (21, 0, 0),
            Stream::Ends => (22, 0, 0),
            Stream::Spawns => (23, 0, 0),
            Stream::Client(client) => (24, client, 0),
            Stream::Patience(client) => (25, client, 0),
            Stream::People => (26, 0, 0),
            Stream::Samples => (27, 0, 0),
            Stream::Bugs => (28, 0, 0),
            Stream::Sites => (29, 0, 0),
            Stream::Odd(at) => (30, at, 0),
            Stream::OddMoves => (31, 0, 0),
            Stream::Leases => (32, 0, 0),
            Stream::Hushes => (33, 0, 0),
            Stream::Connections => (34, 0, 0),
            Stream::Times => (35, 0, 0),
        };
        kind << 48 | (one as u64) << 24 | other as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_none_moves_another() {
        let mut dice = Dice::new(7);
        let first: Vec<u64> = (0..4).map(|_| dice.of(Stream::Cuts).bits()).collect();
        let mut again = Dice::new(7);
        let mixed: Vec<u64> = (0..4)
            .map(|_| {
                again.of(Stream::Crashes).bits();
                again.of(Stream::Cuts).bits()
            })
            .collect();
        assert_eq!(first, mixed);
        assert_ne!(dice.of(Stream::Link(0, 1)).bits(), dice.of(Stream::Link(1, 0)).bits());
        assert_ne!(Dice::new(8).of(Stream::Cuts).bits(), first[0]);
    }
}
