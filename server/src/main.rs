//! The binary `crib`.

fn main() {}
