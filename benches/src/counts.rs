//! What a counting allocator saw while a closure ran.
//!
//! The allocator itself comes from the binary `raft-bench-alloc` as a `Counter`: a global allocator
//! is a property of a program. The timing program must not have one that counts: even switched
//! off it cost 15 % of the peer's throughput, and more the more a core allocates.

/// Allocations of one closure. A re-allocation counts as an allocation plus a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Allocations made.
    pub allocations: u64,
    /// Bytes asked for by those allocations.
    pub bytes: u64,
    /// Allocations still live at the end minus those live at the start.
    pub live_allocations: i64,
    /// Bytes still live at the end minus those live at the start.
    pub live_bytes: i64,
}

/// Runs a closure and counts; the binary supplies it.
pub type Counter = fn(&mut dyn FnMut()) -> Counts;

/// What dropping something gave back: its live heap bytes and allocations.
pub fn released(counter: Counter, mut drop_it: impl FnMut()) -> (f64, f64) {
    let counts = counter(&mut drop_it);
    (0.0 - counts.live_bytes as f64, 0.0 - counts.live_allocations as f64)
}
