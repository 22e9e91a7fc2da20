//! Column families: the key spaces of one engine. A batch spans all of them.

/// A key space of its own inside an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cf {
    /// Log entries and hard states. Written once, read rarely, deleted in ranges.
    Raft,
    /// Identity of the store, records of groups, how far each has applied.
    Meta,
    /// Data of state machines.
    Default,
    /// Locks of transactions.
    Lock,
    /// Commit records of transactions.
    Write,
}

impl Cf {
    /// All of them.
    pub const ALL: [Cf; 5] = [Cf::Raft, Cf::Meta, Cf::Default, Cf::Lock, Cf::Write];

    /// Its name on disk.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cf::Raft => "raft",
            Cf::Meta => "meta",
            Cf::Default => "default",
            Cf::Lock => "lock",
            Cf::Write => "write",
        }
    }

    /// Its place in [`Cf::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Cf> {
        Cf::ALL.get(usize::from(number)).copied()
    }
}
