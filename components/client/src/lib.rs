//! The client of a cluster: which region has a key, who leads it, and what to do when that changes.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
