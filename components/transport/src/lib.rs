//! The network between stores: Raft messages, liveness and snapshots over gRPC.
//!
//! ```text
//!  Transport::send ─► queue ═══ Talk ══════► deliver ─┐
//!                     queue ═══ Snapshots ═► deliver ─┤ Inbox
//!  another store  ◄─ deliver ◄══ Talk ════════ queue  ┘
//! ```
//!
//! # Lanes
//!
//! To each store that something was sent to there are two lanes, of messages and of snapshot
//! frames, each a connection of its own with one stream on it: no message waits behind a snapshot,
//! neither in a queue nor in a socket. Whoever has something to say dials; the answering side of a
//! stream carries a `Hello`, and at the end the reason why it is closed. So two stores that talk
//! have two connections for messages, one in each direction. Sharing one would save a socket per
//! pair, and cost a rule for who dials, a rule for two that dial at once, and a state in which a
//! store that can be reached cannot reach.
//!
//! # Guarantees
//!
//! - [`multiraft::Transport::send`] never blocks, on any thread; what waits is bounded.
//! - A parcel is sent only to a process that has said the right cluster, store, protocol version
//!   and [`Config::agreed`] settings, and is delivered only from one.
//! - Parcels of one kind to a store arrive in order, with gaps; at a gap, [`multiraft::Inbox`] is
//!   told that something was lost, on the network's own thread. Streams that follow each other
//!   quickly may overlap at the receiver.
//! - Whatever arrives was decoded and checked, see [`multiraft::wire`]. Payloads share the buffer
//!   they arrived in.
//!
//! # Not here
//!
//! Retry, and what a message means: those of the groups. Where stores live: [`Resolver`]. Binding a
//! certificate to a store id: any certificate of the signer may speak as any store, see
//! [`TlsFiles::ca`].
//!
//! Reading order: `config`, `lane` with `queue`, `dial`, `serve`, `network`; `tls` with `secure`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod accept;
mod backoff;
mod config;
mod dial;
mod hello;
mod lane;
mod links;
mod network;
mod queue;
mod secure;
mod serve;
mod tls;

use types::StoreId;

pub use config::{BadConfig, Config, TlsFiles};
pub use links::Unreached;
pub use network::{Network, StartError, Traffic};
pub use secure::{Io, Stream};
pub use tls::{BadTls, Certificates, Port};

/// Where stores live.
pub trait Resolver: Send + Sync {
    /// The address of a store, `host:port`; `None` if none is known. Asked anew each time the store
    /// is dialed, on the network's thread: it must not block.
    fn address(&self, store: StoreId) -> Option<String>;

    /// Whether a store may speak from this disk ([`Config::disk`]). One that comes back with
    /// another has forgotten what it promised and whom it voted for. Whoever remembers disks keeps
    /// the first that a store spoke from, durably, before this returns: it may block for as long as
    /// that takes, once for each store. Asked before anything of a stream is delivered or sent.
    ///
    /// # Errors
    /// Why not. The other end is told.
    fn admits(&self, store: StoreId, disk: u64) -> Result<(), NotAdmitted> {
        let _ = (store, disk);
        Ok(())
    }

    /// Another store does not admit this one, as [`NotAdmitted::OtherDisk`].
    fn disowned(&self, by: StoreId, why: &str) {
        let _ = (by, why);
    }
}

/// Why a store may not speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// It is known by another disk. Only this is held against it.
    OtherDisk(String),
    /// By which disk it is known cannot be kept, so that it is not heard for now.
    Unkept(String),
}

impl NotAdmitted {
    /// In words.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            NotAdmitted::OtherDisk(why) | NotAdmitted::Unkept(why) => why,
        }
    }
}
