//! Networks that talk to each other, and to strangers, through real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod certificates;
mod fake;
mod strangers;
mod talk;
mod world;
