//! Logs of real writes, damaged in thousands of ways: what was acknowledged and witnessed is never
//! lost without a word, and the torn end of a crash is never called damage.
//!
//! `world` makes the logs and remembers what was acknowledged. The flips and tears are drawn from a
//! fixed seed. Most runs ask the audit alone; some open the engine and look at what is left.

#![cfg(feature = "rocksdb")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod files;
mod flips;
mod tears;
mod world;
