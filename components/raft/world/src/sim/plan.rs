//! The mix of a run: each kind of trouble is on or off, mild or harsh, as the seed says. A run with
//! everything at once shows less than many runs with different parts of it.

use std::sync::Arc;
use std::time::Duration;

use raft::{Config, Lease, Membership};
use types::{EntryId, Index, PeerId, Term, Time};

use super::clock::Clock;
use crate::entry::App;
use crate::node::Node;
use crate::rng::Rng;

/// What may happen in a run, and how often. Chances are in a thousand.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each kind of trouble is on or off")]
pub(crate) struct Plan {
    pub hosts: usize,
    pub first_voters: usize,
    pub safety_until: Time,
    pub loss: u64,
    pub duplicate: u64,
    pub keeps_order: bool,
    pub delay_ns: (u64, u64),
    pub disk_ns: (u64, u64),
    pub drift_ppm: u64,
    pub clock_jumps: bool,
    pub fault_every_ns: (u64, u64),
    pub client_every_ns: (u64, u64),
    pub crashes: bool,
    pub cuts: bool,
    pub stalls: bool,
    pub pauses: bool,
    pub changes: bool,
    pub transfers: bool,
    pub compacts: bool,
    pub quiesces: bool,
    pub meddles: bool,
    pub config: Arc<Config>,
}

const MS: u64 = 1_000_000;

impl Plan {
    pub(crate) fn draw(rng: &mut Rng) -> Plan {
        let hosts = 3 + usize::try_from(rng.below(5)).expect("small");
        let most = hosts.min(5) as u64;
        let least = if rng.chance(100) { 1 } else { 3 };
        let first_voters = usize::try_from(rng.between((least, most))).expect("small");
        let clock_jumps = rng.chance(150);
        let leases = !clock_jumps && rng.chance(600);
        let drift_ppm = if rng.chance(500) { 20_000 } else { 100 };
        let slow_net = rng.chance(200);
        Plan {
            hosts,
            first_voters,
            safety_until: Time(rng.between((2_000, 8_000)) * MS),
            loss: if rng.chance(500) { rng.below(200) } else { 0 },
            duplicate: if rng.chance(500) { rng.below(200) } else { 0 },
            keeps_order: rng.chance(500),
            delay_ns: (MS / 10, if slow_net { 150 * MS } else { rng.between((MS, 20 * MS)) }),
            disk_ns: (MS / 20, if rng.chance(300) { 60 * MS } else { 2 * MS }),
            drift_ppm,
            clock_jumps,
            fault_every_ns: (10 * MS, rng.between((50, 800)) * MS),
            client_every_ns: (MS, rng.between((5, 60)) * MS),
            crashes: rng.chance(700),
            cuts: rng.chance(700),
            stalls: rng.chance(400),
            pauses: rng.chance(300),
            changes: rng.chance(500),
            transfers: rng.chance(500),
            compacts: rng.chance(600),
            quiesces: rng.chance(400),
            meddles: rng.chance(300),
            config: Arc::new(draw_config(rng, leases, drift_ppm)),
        }
    }

    /// The hosts at the beginning: the first voters share a beginning, the others know nothing.
    pub(crate) fn first_nodes(&self, seed: u64, clocks: &[Clock]) -> Vec<Node> {
        let id = |at: usize| PeerId::new(at as u64 + 1).expect("counted from one");
        let voters: Vec<PeerId> = (0..self.first_voters).map(id).collect();
        let first = Membership::of_voters(&voters).expect("at least one voter");
        let start = App::new(EntryId::new(Term(1), Index(1)), first);
        let nothing = App::new(EntryId::default(), Membership::unknown());
        (0..self.hosts)
            .map(|at| {
                let app = if at < self.first_voters { start.clone() } else { nothing.clone() };
                let seed = seed.wrapping_mul(31).wrapping_add(at as u64) << 8;
                Node::new(id(at), self.config.clone(), seed, app, clocks[at].local(Time::ZERO))
                    .expect("the beginning is in order")
            })
            .collect()
    }
}

fn draw_config(rng: &mut Rng, leases: bool, drift_ppm: u64) -> Config {
    let election_timeout = Duration::from_millis(300);
    let drift_ppm = u32::try_from(drift_ppm).expect("bounded above");
    let tight = rng.chance(400);
    let append_bytes_max = if tight { 40 } else { 1 << 20 };
    Config {
        election_timeout,
        campaign_after: election_timeout,
        campaign_spread: Duration::from_millis(rng.between((50, 300))),
        heartbeat_interval: Duration::from_millis(rng.between((20, 100))),
        lease: if leases { Lease::On { drift_ppm } } else { Lease::Off },
        // Peers that come back in a group without leases need not wait.
        restart_wait: if leases { election_timeout } else { Duration::ZERO },
        append_bytes_max,
        window_bytes: append_bytes_max * 4,
        window_entries: if tight { 5 } else { 1_000 },
        uncommitted_bytes_max: if tight { 200 } else { 1 << 20 },
        reads_max: if tight { 3 } else { 1_000 },
    }
}
