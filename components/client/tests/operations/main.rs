//! The client against a cluster that does as it is told, see `world`.

mod certificates;
mod connecting;
mod faults;
mod raw;
mod routing;
mod storm;
mod world;
