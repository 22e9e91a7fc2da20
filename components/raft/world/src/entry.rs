//! What hosts store and send: entries, snapshots, packets.

use std::fmt;
use std::sync::Arc;

use raft::{Membership, Message, Own, Run};
use types::{EntryId, Index, PeerId};

/// An entry with its content, as a host keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub id: EntryId,
    /// What it says.
    pub payload: Payload,
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A new leader's first entry.
    Empty,
    /// A command for the state machine.
    Command(Arc<str>),
    /// A membership.
    Membership(Membership),
}

impl Payload {
    /// Size in bytes, as the flow control counts it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Payload::Command(text) => text.len() as u64,
            Payload::Empty | Payload::Membership(_) => 0,
        }
    }
}

impl From<Own> for Payload {
    fn from(own: Own) -> Payload {
        match own {
            Own::Empty => Payload::Empty,
            Own::Membership(membership) => Payload::Membership(membership),
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Empty => write!(f, "-"),
            Payload::Command(text) => write!(f, "{text}"),
            Payload::Membership(membership) => write!(f, "{membership}"),
        }
    }
}

/// The state machine: a running hash over everything applied, and the membership applied last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The last entry applied.
    pub applied: EntryId,
    /// FNV-1a, 64 bits, over `index:payload;` of every entry in order.
    pub hash: u64,
    /// The membership applied last and its slot.
    pub membership: (Index, Membership),
}

impl App {
    /// A state machine that has applied nothing but a shared beginning.
    #[must_use]
    pub fn new(applied: EntryId, membership: Membership) -> App {
        App { applied, hash: 0xcbf2_9ce4_8422_2325, membership: (applied.index, membership) }
    }

    pub(crate) fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.id.index, self.applied.index.next(), "applied out of order");
        self.applied = entry.id;
        let text = match &entry.payload {
            Payload::Empty => "",
            Payload::Command(text) => text,
            Payload::Membership(membership) => {
                self.membership = (entry.id.index, membership.clone());
                "cc"
            }
        };
        for byte in format!("{}:{text};", entry.id.index).bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// What travels between hosts.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Sender.
    pub from: PeerId,
    /// Receiver.
    pub to: PeerId,
    /// What the core said.
    pub message: Message,
    /// What the host attached.
    pub cargo: Cargo,
}

/// What a host attaches to a message.
#[derive(Clone, Debug)]
pub enum Cargo {
    /// Nothing.
    None,
    /// The entries of an append.
    Entries(Vec<Entry>),
    /// A snapshot.
    Snapshot(Box<App>),
}

impl Packet {
    /// Whether this carries a snapshot, so that the sender's core waits to hear how it went.
    #[must_use]
    pub fn is_snapshot(&self) -> bool {
        matches!(self.cargo, Cargo::Snapshot(_))
    }
}

/// The terms of entries, as runs.
#[must_use]
pub(crate) fn runs(entries: &[Entry]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in entries {
        if runs.last().is_none_or(|run| run.term != entry.id.term) {
            runs.push(Run { first: entry.id.index, term: entry.id.term });
        }
    }
    runs
}

/// The memberships among entries.
#[must_use]
pub(crate) fn memberships(entries: &[Entry]) -> Vec<(Index, Membership)> {
    (entries.iter())
        .filter_map(|entry| match &entry.payload {
            Payload::Membership(membership) => Some((entry.id.index, membership.clone())),
            _ => None,
        })
        .collect()
}
