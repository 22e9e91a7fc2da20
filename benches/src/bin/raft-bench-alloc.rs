//! `raft-bench-alloc [PATTERN]`: counts allocations, bytes and messages, one row a line.
//!
//! Linking `allocation_counter` makes it this program's allocator, which is why the counts have a
//! program of their own: `raft-bench` runs it and puts its rows into the table.

use benches::counts::Counts;

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    for row in benches::memory::rows(&benches::contenders(), count, &only) {
        println!("{}", row.to_line());
    }
}

fn count(work: &mut dyn FnMut()) -> Counts {
    let info = allocation_counter::measure(work);
    Counts {
        allocations: info.count_total,
        bytes: info.bytes_total,
        live_allocations: info.count_current,
        live_bytes: info.bytes_current,
    }
}
