//! Puts and linearizable gets of 256 bytes by few and many callers, beside etcd.
//!
//! In each turn every contender has the machine for the same time, after a moment that is not
//! counted. Ours is called through the batched stream, and call by call. The peer is called through
//! all its nodes, and through its leader alone; of the two, the one with more answers in that turn
//! is what ours are compared with.

use std::time::Duration;

use tokio::runtime::Handle;

use super::crib::Crib;
use super::etcd::Etcd;
use super::load::{self, Load, Op};
use super::nodes::{self, Node};
use super::target::Target;
use super::{Result, Settings};
use crate::meters::{Used, quantile};
use crate::report::Better;
use crate::table::Row;

const CLIENTS: [usize; 4] = [1, 16, 64, 256];
/// Callers that set all keys before anything is measured.
const FILLERS: usize = 64;

struct Plan {
    turns: usize,
    span: Duration,
    /// Before each turn, by the same callers.
    warm: Duration,
    keys: u64,
}

/// One contender in one turn.
#[derive(Clone, Copy, Debug)]
struct Figures {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    server_us: f64,
    client_us: f64,
}

/// What is shown of it.
type Column = (&'static str, &'static str, Better, fn(&Figures) -> f64);

const COLUMNS: [Column; 5] = [
    ("rate", "ops/s", Better::Higher, |of| of.per_second),
    ("p50", "us", Better::Lower, |of| of.p50_us),
    ("p99", "us", Better::Lower, |of| of.p99_us),
    ("server-cpu", "us/op", Better::Lower, |of| of.server_us),
    ("client-cpu", "us/op", Better::Lower, |of| of.client_us),
];

/// The clusters, and the ways to call them.
struct World<'a> {
    plan: Plan,
    crib: Crib<'a>,
    etcd: Option<Etcd>,
    ours: Vec<(&'static str, Target)>,
    peers: Vec<Target>,
}

/// Runs it.
///
/// # Errors
/// If a cluster is not well, or any call fails.
pub fn run(settings: &Settings, runtime: &Handle, show: &mut dyn FnMut(Row)) -> Result<()> {
    let cases: Vec<(Op, usize, String)> = [(Op::Put, "put"), (Op::Get, "get")]
        .iter()
        .flat_map(|&(op, name)| {
            CLIENTS.map(|clients| (op, clients, format!("{name}/clients={clients}")))
        })
        .filter(|(_, _, name)| settings.is_selected(name))
        .collect();
    if cases.is_empty() {
        return Ok(());
    }
    let dir = tempfile::tempdir_in(&settings.dir).map_err(|error| error.to_string())?;
    let mut world = World::start(settings, runtime, dir.path())?;
    for (op, clients, name) in cases {
        let load = Load { op, clients, span: world.plan.span, keys: world.plan.keys };
        let mut ours: Vec<Vec<Figures>> = vec![Vec::new(); world.ours.len()];
        let mut peer = Vec::new();
        for _ in 0..world.plan.turns {
            for (nth, of) in ours.iter_mut().enumerate() {
                of.push(world.turn_of_ours(runtime, nth, load)?);
            }
            peer.extend(world.turn_of_peer(runtime, load)?);
        }
        for ((mode, _), turns) in world.ours.iter().zip(&ours) {
            for (column, unit, better, of) in COLUMNS {
                show(Row {
                    name: format!("{name}/{mode}/{column}"),
                    unit,
                    better,
                    ours: turns.iter().map(of).collect(),
                    peer: peer.iter().map(of).collect(),
                });
            }
        }
    }
    Ok(())
}

impl<'a> World<'a> {
    fn start(settings: &'a Settings, runtime: &Handle, dir: &std::path::Path) -> Result<World<'a>> {
        let (turns, span, keys) = if settings.is_quick {
            (3, Duration::from_millis(800), 10_000)
        } else {
            (5, Duration::from_secs(2), 100_000)
        };
        let plan = Plan { turns, span, warm: Duration::from_millis(300), keys };
        let mut crib = Crib::start(settings, &dir.join("crib"), &[])?;
        let batched = crib.client(runtime, true)?;
        crib.cut(runtime, &batched, settings.regions, keys)?;
        let ours = vec![
            ("unary", Target::Crib(crib.client(runtime, false)?)),
            ("batched", Target::Crib(batched)),
        ];
        load::fill(runtime, &ours[1].1, keys, FILLERS)?;
        let mut world = World { plan, crib, etcd: None, ours, peers: Vec::new() };
        if let Some(binary) = &settings.etcd {
            let etcd = Etcd::start(settings, binary, &dir.join("etcd"), runtime)?;
            world.peers.push(Target::Etcd(etcd.spread(runtime)?));
            world.peers.push(Target::Etcd(etcd.direct(runtime)?));
            load::fill(runtime, &world.peers[0], keys, FILLERS)?;
            world.etcd = Some(etcd);
        }
        Ok(world)
    }

    fn turn_of_ours(&mut self, runtime: &Handle, nth: usize, load: Load) -> Result<Figures> {
        let figures = turn(runtime, &self.ours[nth].1, &self.crib.nodes, load, self.plan.warm);
        let figures = figures.map_err(|why| format!("crib, {}: {why}", self.ours[nth].0))?;
        self.crib.check_well()?;
        Ok(figures)
    }

    /// The better of its two ways; none where there is no peer.
    fn turn_of_peer(&mut self, runtime: &Handle, load: Load) -> Result<Option<Figures>> {
        let Some(etcd) = &mut self.etcd else { return Ok(None) };
        let mut best: Option<Figures> = None;
        for peer in &self.peers {
            let figures = turn(runtime, peer, &etcd.nodes, load, self.plan.warm)
                .map_err(|why| format!("etcd: {why}"))?;
            etcd.check_well(runtime)?;
            if best.is_none_or(|best| best.per_second < figures.per_second) {
                best = Some(figures);
            }
        }
        Ok(best)
    }
}

fn turn(
    runtime: &Handle,
    target: &Target,
    nodes: &[Node],
    load: Load,
    warm: Duration,
) -> Result<Figures> {
    load::run(runtime, target, Load { span: warm, ..load })?;
    let (client, servers_us) = (Used::now(), nodes::cpu_us(nodes));
    let answers = load::run(runtime, target, load)?;
    let servers_us = nodes::cpu_us(nodes) - servers_us;
    let client_us = client.cpu_us();
    let count = f64::from(u32::try_from(answers.took_us.len()).expect("a few seconds of calls"));
    Ok(Figures {
        per_second: count / answers.elapsed.as_secs_f64(),
        p50_us: quantile(&answers.took_us, 500),
        p99_us: quantile(&answers.took_us, 990),
        server_us: servers_us / count,
        client_us: client_us / count,
    })
}
