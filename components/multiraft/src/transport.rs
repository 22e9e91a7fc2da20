//! How stores reach each other: the contract of a network.

use types::StoreId;

use crate::message::Parcel;

/// A network between stores. Shared by the threads of a store.
///
/// # What an implementation owes
///
/// - [`Transport::send`] never blocks and never waits for a connection: a parcel that does not fit
///   into a bounded queue is dropped, the oldest first where that is possible. Raft, liveness and
///   snapshots all repeat what matters.
/// - Losing, delaying, repeating and reordering parcels is allowed; altering them is not, so a
///   network without checksums of its own needs some. Parcels of one kind between two stores should
///   stay in order: a reordered network is correct and slow.
/// - A parcel reaches the store it was addressed to or nobody: a process that has taken over an
///   address, of another store or another cluster, must not be given it.
/// - Messages of groups do not wait behind snapshots.
/// - When parcels to a store were lost in a way that it notices (a broken connection, a full
///   queue), it says [`Inbox::lost`], once for each time this begins.
pub trait Transport: Send + Sync {
    /// Sends a parcel, some time or never.
    fn send(&self, to: StoreId, parcel: Parcel);
}

/// Where a network hands in what arrives. Implemented by a store; cheap, never blocks.
pub trait Inbox: Send + Sync {
    /// A parcel arrived. Whatever it says, it is checked; `from` is who the network knows it to be
    /// from.
    fn deliver(&self, from: StoreId, parcel: Parcel);

    /// What was sent to this store since the last time may be lost.
    fn lost(&self, to: StoreId);
}
