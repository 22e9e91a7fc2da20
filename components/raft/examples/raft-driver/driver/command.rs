//! The words of a command.
//!
//! Everything is checked here: nodes exist, numbers are in bounds, nothing is left over. What comes
//! out can be carried out.

use std::str::SplitWhitespace;

use raft::{Change, Seat};
use types::PeerId;

/// Most nodes: a membership cannot have more members.
const NODES_MAX: u64 = raft::MEMBERS_MAX as u64;
/// Most ticks of one command, a day of virtual time.
const TICKS_MAX: u64 = 864_000;
/// Most writes of one `sync`.
const WRITES_MAX: u64 = u32::MAX as u64;

/// What a line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Init { total: u64, voters: u64 },
    Campaign(PeerId),
    Tick(PeerId, u64),
    Propose(PeerId, String),
    Transfer(PeerId, PeerId),
    Read(PeerId),
    Conf(PeerId, Vec<Change>),
    Cut(PeerId, PeerId),
    CutOneWay(PeerId, PeerId),
    Heal,
    Ready(PeerId),
    Queue(PeerId),
    Sync(PeerId, u64),
    Deliver(PeerId, PeerId),
    Drop(PeerId, PeerId),
    Stabilize,
    Compact(PeerId),
    Restart(PeerId),
    Crash(PeerId),
    Observe,
}

/// The command on a line; `None` if there is none. `total` is the number of nodes, if there was an
/// `init` before.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(line: &str, total: Option<u64>) -> Result<Option<Command>, String> {
    let mut words = line.split_whitespace();
    let name = match words.next() {
        None => return Ok(None),
        Some(word) if word.starts_with('#') => return Ok(None),
        Some(name) => name,
    };
    let mut words = Words { words, nodes: total.unwrap_or(0) };
    if name != "init" && total.is_none() {
        return Err(format!("`{name}` before `init`"));
    }
    let command = match name {
        "init" => init(&mut words)?,
        "campaign" => Command::Campaign(words.node()?),
        "tick" => Command::Tick(words.node()?, words.number("ticks", 0, TICKS_MAX)?),
        "propose" => Command::Propose(words.node()?, words.next("payload")?.to_owned()),
        "transfer" => Command::Transfer(words.node()?, words.node()?),
        "read" => {
            let node = words.node()?;
            // Names the read in other cores; here every read is told apart by itself.
            words.next("name")?;
            Command::Read(node)
        }
        "conf" => Command::Conf(words.node()?, words.changes()?),
        "cut" => Command::Cut(words.node()?, words.node()?),
        "cut1" => Command::CutOneWay(words.node()?, words.node()?),
        "heal" => Command::Heal,
        "ready" => Command::Ready(words.node()?),
        "queue" => Command::Queue(words.node()?),
        "sync" => Command::Sync(words.node()?, words.number("writes", 0, WRITES_MAX)?),
        "deliver" => Command::Deliver(words.node()?, words.node()?),
        "drop" => Command::Drop(words.node()?, words.node()?),
        "stabilize" => Command::Stabilize,
        "compact" => Command::Compact(words.node()?),
        "restart" => Command::Restart(words.node()?),
        "crash" => Command::Crash(words.node()?),
        "obs" => Command::Observe,
        _ => return Err(format!("unknown command `{name}`")),
    };
    match words.words.next() {
        None => Ok(Some(command)),
        Some(word) => Err(format!("`{word}` is too much for `{name}`")),
    }
}

fn init(words: &mut Words<'_>) -> Result<Command, String> {
    let total = words.number("nodes", 1, NODES_MAX)?;
    let voters = words.number("voters", 1, total)?;
    // Always on in this core.
    words.number("pre-vote flag", 0, 1)?;
    words.number("check-quorum flag", 0, 1)?;
    Ok(Command::Init { total, voters })
}

/// The words behind the name of a command.
struct Words<'a> {
    words: SplitWhitespace<'a>,
    nodes: u64,
}

impl<'a> Words<'a> {
    fn next(&mut self, what: &str) -> Result<&'a str, String> {
        self.words.next().ok_or_else(|| format!("{what} missing"))
    }

    fn number(&mut self, what: &str, least: u64, most: u64) -> Result<u64, String> {
        let word = self.next(what)?;
        let number = word.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("{what}: `{word}` is not a number from {least} to {most}"))
    }

    fn node(&mut self) -> Result<PeerId, String> {
        let word = self.next("node")?;
        self.find(word).ok_or_else(|| format!("there is no node `{word}`"))
    }

    fn find(&self, word: &str) -> Option<PeerId> {
        word.parse().ok().filter(|&id| id <= self.nodes).and_then(PeerId::new)
    }

    fn changes(&mut self) -> Result<Vec<Change>, String> {
        let mut changes = Vec::new();
        while let Some(word) = self.words.next() {
            let mut rest = word.chars();
            let verb = rest.next();
            let Some(id) = self.find(rest.as_str()) else {
                return Err(format!("`{word}` is not a change of a node, such as v4"));
            };
            changes.push(match verb {
                Some('v') => Change::Set(id, Seat::Voter),
                Some('l') => Change::Set(id, Seat::Learner),
                Some('r') => Change::Remove(id),
                _ => return Err(format!("`{word}` is none of v, l and r")),
            });
        }
        if changes.is_empty() { Err("changes missing".to_owned()) } else { Ok(changes) }
    }
}
