//! What a store serves to clients: raw keys and values, one by one and in batches.
//!
//! Translation alone: what a request means, and whether it makes sense, is `kv`'s to say; whether
//! it may be done, the engine's.

mod batch;
mod data;
mod errors;
mod gather;
mod raw;
mod requests;
mod tikv;
mod transactions;

pub(crate) use data::{Bounds, Data, gather};
pub(crate) use raw::{Raw, scan_bytes_max};
pub(crate) use requests::Requests;
pub(crate) use tikv::Service;
