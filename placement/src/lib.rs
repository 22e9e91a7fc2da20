//! The placement driver as a library: who belongs to the cluster, which regions there are, where
//! their replicas live and should live.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
