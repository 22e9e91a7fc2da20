//! The thinnest path that a put can take here: what a cluster cannot be cheaper than.
//!
//! ```text
//!  callers ═gRPC═► service ─► leader: log thread ──frames──► follower: log, sync, ack, apply
//!                     ▲            sync │    ▲                    (twice, one thread each)
//!                     └── applier ◄─────┘    └── acks ◄─────────────┘
//! ```
//!
//! The same libraries, messages, engine, settings and allocator as ours have, and nothing that
//! decides: no terms, no elections, no regions, no liveness, no limits, no figures; frames over
//! plain TCP. All puts that wait go into one frame, one write and one sync; a put is answered when
//! it is durable on two of three and applied by the leader. If anything breaks, all of it ends.
//!
//! Modules: `disk` what all three write; `follower`, `leader`; `service` what callers speak with.
//!
//! Not here: who starts the processes and calls them (`cluster::floor`).

mod disk;
mod follower;
mod leader;
mod service;

use std::net::TcpStream;

pub use follower::follow;
pub use leader::lead;

/// Says that this process listens: it connects to whoever waits for that.
fn listens(waits: &str) {
    drop(TcpStream::connect(waits).expect("somebody waits for this"));
}
