//! Every byte on a wire or on disk: what is generated from the `.proto` files beside this crate.
//!
//! The files are the documentation. Nothing here is checked: whoever decodes a message turns it
//! into a type of its own, and refuses what makes no sense.

#![forbid(unsafe_code)]

mod convert;

pub use convert::NoRegion;

/// All of the files as data, an encoded `FileDescriptorSet`: what gRPC reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The packages of this project.
pub mod crib {
    /// Between stores: Raft messages, liveness, snapshots.
    pub mod raft {
        /// Version 1.
        #[expect(missing_docs, clippy::all, reason = "generated")]
        #[cfg_attr(
            feature = "services",
            expect(
                unused_qualifications,
                clippy::allow_attributes_without_reason,
                clippy::too_many_lines,
                reason = "generated"
            )
        )]
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/crib.raft.v1.rs"));
        }
    }
    /// On the disk of a store.
    pub mod store {
        /// Version 1.
        #[expect(missing_docs, clippy::all, reason = "generated")]
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/crib.store.v1.rs"));
        }
    }
    /// Regions: commands, records, snapshots.
    pub mod kv {
        /// Version 1.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/crib.kv.v1.rs"));
        }
    }
    /// Placement: its state, and what is said to it.
    pub mod placement {
        /// Version 1.
        #[cfg_attr(
            feature = "services",
            expect(
                unused_qualifications,
                clippy::allow_attributes_without_reason,
                clippy::too_many_lines,
                reason = "generated"
            )
        )]
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/crib.placement.v1.rs"));
        }
    }
}

/// Stores, regions, peers, in the TiKV client protocol.
pub mod metapb {
    include!(concat!(env!("OUT_DIR"), "/metapb.rs"));
}

/// Errors of regions, in the TiKV client protocol.
pub mod errorpb {
    include!(concat!(env!("OUT_DIR"), "/errorpb.rs"));
}

/// Requests and answers of keys and values, in the TiKV client protocol.
#[expect(clippy::struct_excessive_bools, reason = "generated")]
pub mod kvrpcpb {
    include!(concat!(env!("OUT_DIR"), "/kvrpcpb.rs"));
}

/// Routing and timestamps, in the TiKV client protocol.
#[cfg_attr(
    feature = "services",
    expect(
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "generated"
    )
)]
pub mod pdpb {
    include!(concat!(env!("OUT_DIR"), "/pdpb.rs"));
}

/// Keyspaces, in the TiKV client protocol.
#[cfg_attr(
    feature = "services",
    expect(unused_qualifications, clippy::allow_attributes_without_reason, reason = "generated")
)]
pub mod keyspacepb {
    include!(concat!(env!("OUT_DIR"), "/keyspacepb.rs"));
}

/// The service of a store, in the TiKV client protocol.
#[cfg_attr(
    feature = "services",
    expect(
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "generated"
    )
)]
pub mod tikvpb {
    include!(concat!(env!("OUT_DIR"), "/tikvpb.rs"));
}
