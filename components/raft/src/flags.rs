//! What a peer owes, as one word: so that "anything to do?" is one load.

/// A set of small facts about a peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags(u16);

impl Flags {
    /// A drain may find something to do.
    pub(crate) const DIRTY: Flags = Flags(1);
    /// Term or vote changed: a write is owed.
    pub(crate) const HARD_OWED: Flags = Flags(1 << 1);
    /// The current term and vote are durable.
    pub(crate) const HARD_DURABLE: Flags = Flags(1 << 2);
    /// The candidate we voted for is to be told, once that is durable.
    pub(crate) const GRANT_OWED: Flags = Flags(1 << 3);
    /// The leader is owed an ack, once what it verified is durable.
    pub(crate) const ACK_OWED: Flags = Flags(1 << 4);
    /// The leader is owed an ack of whatever is durable now.
    pub(crate) const ACK_NOW: Flags = Flags(1 << 5);
    /// More of the log is durable than at the last drain.
    pub(crate) const STABLE_MOVED: Flags = Flags(1 << 6);
    /// A snapshot is to be installed by the next write.
    pub(crate) const INSTALL_OWED: Flags = Flags(1 << 7);
    /// The host vouches for the leader's store.
    pub(crate) const SUPPORTED: Flags = Flags(1 << 8);
    /// The host is to be told of another leader.
    pub(crate) const TELL_LEADER: Flags = Flags(1 << 9);
    /// The host is to be told of another membership.
    pub(crate) const TELL_MEMBERSHIP: Flags = Flags(1 << 10);
    /// A leader outside its membership steps down once it has told the others of the commit.
    pub(crate) const RETIRING: Flags = Flags(1 << 11);
    /// Someone else campaigns: the leader we sit still for is asked whether it still leads.
    pub(crate) const DOUBT: Flags = Flags(1 << 12);
    /// The host protects the leader.
    pub(crate) const PROTECTS: Flags = Flags(1 << 14);
    /// The host is to go on protecting the leader no longer.
    pub(crate) const LET_GO: Flags = Flags(1 << 13);
    /// A promise of before a restart binds this peer, whatever its settings are now.
    pub(crate) const PROMISED_BEFORE: Flags = Flags(1 << 15);

    pub(crate) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn set(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }

    pub(crate) fn clear(&mut self, flag: Flags) {
        self.0 &= !flag.0;
    }

    pub(crate) fn put(&mut self, flag: Flags, on: bool) {
        if on { self.set(flag) } else { self.clear(flag) }
    }

    /// Whether it was set; it is not any more.
    pub(crate) fn take(&mut self, flag: Flags) -> bool {
        let had = self.has(flag);
        self.clear(flag);
        had
    }
}
