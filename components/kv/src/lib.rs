//! The state machine of a region: a range of keys, their values, and how both change.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
