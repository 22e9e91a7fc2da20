//! Beginnings: a cluster with its settings, and logs as a history before the script left them.

use std::time::Duration;

use raft::{Body, Change, Config, Lease, Message};
use raft_world::{Cargo, Entry, Packet, Payload, Turn};
use types::{EntryId, Index, PeerId, Term, Time};

use crate::script_runner::arguments::{self, Args, Failure};
use crate::script_runner::foreign;
use crate::script_runner::world::{World, beginning, nothing};

/// What the clock shows when a world begins.
const BEGINNING: Time = Time(10_000_000_000);
/// The leader that never was, who wrote what `seed` finds in logs.
const AUTHOR: PeerId = PeerId::new(1_000).expect("not zero");

/// `cluster v1 v2 v3 l4 e5 [settings]`
pub(crate) fn cluster(world: &mut World, args: &mut Args<'_>) -> Result<(), Failure> {
    *world = World::new(BEGINNING);
    let base = args.text("base").map_or(Ok(EntryId::default()), arguments::entry)?;
    let seed: u64 = args.key("seed")?.unwrap_or(1);
    let (config, stagger) = config(args)?;
    let (mut first, mut empty) = (Vec::new(), Vec::new());
    for word in args.words() {
        match word.strip_prefix('e') {
            Some(id) => empty.push(arguments::peer(id)?),
            None => first.push(arguments::change(word)?),
        }
    }
    args.end()?;
    let membership = arguments::members(&first)?;
    let first = first.into_iter().map(Change::peer).map(|id| (id, true));
    for (id, is_first) in first.chain(empty.into_iter().map(|id| (id, false))) {
        let late = u32::try_from(id.get()).expect("a script's peers are few");
        let campaign_after = config.campaign_after + stagger * late;
        let config = Config { campaign_after, ..config.clone() };
        let app = if is_first { beginning(base, membership.clone()) } else { nothing() };
        world.add_host(id, config, seed.wrapping_mul(1_000) + id.get(), app);
    }
    Ok(())
}

/// Settings of a cluster, and how much later each next peer's election timer runs out.
fn config(args: &mut Args<'_>) -> Result<(Config, Duration), Failure> {
    let mut config = Config { campaign_spread: Duration::ZERO, ..Config::default() };
    let mut millis = |key: &str, default: Duration| -> Result<Duration, Failure> {
        Ok(args.key(key)?.map_or(default, Duration::from_millis))
    };
    config.election_timeout = millis("timeout", config.election_timeout)?;
    config.campaign_after = millis("campaign_after", config.election_timeout)?;
    config.campaign_spread = millis("spread", config.campaign_spread)?;
    config.heartbeat_interval = millis("beat", config.heartbeat_interval)?;
    config.restart_wait = millis("restart_wait", config.election_timeout)?;
    let stagger = millis("stagger", Duration::from_millis(100))?;
    config.lease = match args.text("lease") {
        None => config.lease,
        Some("off") => Lease::Off,
        Some(drift) => Lease::On { drift_ppm: drift.parse()? },
    };
    config.append_bytes_max = args.key("append_bytes")?.unwrap_or(config.append_bytes_max);
    config.window_bytes = args.key("window_bytes")?.unwrap_or(config.window_bytes);
    config.window_entries = args.key("window_entries")?.unwrap_or(config.window_entries);
    config.uncommitted_bytes_max = args.key("quota")?.unwrap_or(config.uncommitted_bytes_max);
    config.reads_max = args.key("reads")?.unwrap_or(config.reads_max);
    Ok((config, stagger))
}

/// `seed P term=T [vote=Q] [commit=N] 1-3@1 4-5@2`: the peer wakes up with this on disk, its
/// restart wait over.
pub(crate) fn seed(world: &mut World, args: &mut Args<'_>) -> Result<(), Failure> {
    let id = args.peer()?;
    let term = Term(args.key("term")?.ok_or("term= is missing")?);
    let vote = args.text("vote").map(arguments::peer).transpose()?;
    let commit = Index(args.key("commit")?.unwrap_or(0));
    let log = entries(&args.words())?;
    args.end()?;
    let now = world.now_of(id);
    let host = world.host(id)?;
    let prev = host.node.log.base;
    let last = log.last().map_or(prev.index, |entry: &Entry| entry.id.index);
    let body = Body::Append { prev, last, commit, stamp: raft::Stamp(1) };
    let cargo = Cargo::Entries(log);
    let append = Packet { from: AUTHOR, to: id, message: Message { term, body }, cargo };
    let mut turn = Turn::default();
    host.node.receive(now, append, &mut turn).map_err(|why| why.to_string())?;
    host.node.turn(now, &mut turn);
    host.node.crash(host.node.disk.queued());
    host.node.disk.image.vote = vote;
    let long_ago = now.before(host.config.restart_wait);
    world.start(id, long_ago)?;
    Ok(())
}

/// `tamper P [term=T] [vote=Q] [commit=N]`: what a host that is down has stored is not what it was.
pub(crate) fn tamper(world: &mut World, args: &mut Args<'_>) -> Result<(), Failure> {
    let id = args.peer()?;
    let image = &mut world.host(id)?.node.disk.image;
    image.term = args.key("term")?.map_or(image.term, Term);
    image.commit = args.key("commit")?.map_or(image.commit, Index);
    if let Some(vote) = args.text("vote") {
        image.vote = Some(arguments::peer(vote)?);
    }
    Ok(())
}

/// `1-3@1 4@2`: entries by their terms. Their contents follow from where they stand.
fn entries(runs: &[&str]) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for run in runs {
        let (slots, term) = run.split_once('@').ok_or("a run is written 1-3@1")?;
        let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
        for index in first.parse()?..=last.parse()? {
            entries.push(foreign::invented(EntryId::new(Term(term.parse()?), Index(index))));
        }
    }
    Ok(entries)
}

/// A command of a certain size: the rest is padding.
pub(crate) fn padded(name: &str, size: usize) -> String {
    format!("{name:~<size$}")
}

/// Entries that exist somewhere in the world keep their contents.
pub(crate) fn known(world: &World, id: EntryId) -> Option<Entry> {
    let mut logs = world.hosts.values().map(|host| &host.node.log);
    let held = |entry: &&Entry| entry.id == id;
    logs.find_map(|log| log.get(id.index).filter(held).cloned())
}

/// The content of a command.
pub(crate) fn command(text: &str) -> Payload {
    Payload::Command(text.into())
}
