//! What must hold of a random script, told from what the driver prints and from nothing else.
//!
//! A run is the script with `obs` after every command, and an epilogue: all links heal, all clocks
//! go on together, everything is delivered; then one more command is proposed.
//!
//! Of one run: no `ERROR`, no `VIOLATION`, no `LIVELOCK`. Terms, commit indexes and applied indexes
//! of a node never fall between two observations without a restart of that node in between; reads
//! released never fall at all. Two nodes, or one node at two times, that have applied as much have
//! the same hash and the same membership. In the end there is one leader, no change is under way,
//! all members follow it with the same log, all of it committed and applied, and the last proposal
//! is in it.
//!
//! Of two runs that are the same up to some command (*agreement*): both print the same up to there;
//! and what was applied by then is never lost: in the end both have applied at least as much, and
//! by way of the same hashes. Behind that they may differ, as a restart loses messages.

use std::collections::{BTreeMap, BTreeSet};

use crate::driver::{Driver, Stop};

/// Rounds of the epilogue, in which all clocks go on by a tick. A transfer is given up within the
/// least; elections, one after the other, must be over within the most.
const ROUNDS_LEAST: usize = 15;
const ROUNDS_MOST: usize = 120;

/// A run that came to rest.
pub(crate) struct Run {
    /// Everything printed.
    pub(crate) printed: String,
    /// How much was printed after each command of the script.
    ends: Vec<usize>,
    /// Hash and membership after each slot, as far as seen, and the first command after which it
    /// was.
    states: BTreeMap<u64, (State, usize)>,
    last_applied: u64,
}

type State = (String, String);

/// A line of an observation.
#[derive(Clone, Debug)]
struct Seen {
    id: u64,
    role: String,
    term: u64,
    leader: u64,
    commit: u64,
    applied: u64,
    last: (u64, u64),
    members: [BTreeSet<u64>; 3],
    state: State,
}

impl Run {
    /// Runs a script and its epilogue.
    ///
    /// # Errors
    /// What does not hold.
    pub(crate) fn of(script: &[String]) -> Result<Run, String> {
        let mut stage = Stage::default();
        let mut ends = Vec::new();
        for command in script {
            stage.run(command)?;
            ends.push(stage.printed.len());
        }
        stage.run("heal")?;
        for round in 0..ROUNDS_MOST {
            if round >= ROUNDS_LEAST && resting_leader(&stage.seen).is_ok() {
                break;
            }
            stage.everyone_ticks()?;
        }
        let leader = resting_leader(&stage.seen)?.clone();
        stage.run(&format!("propose {} the_last", leader.id))?;
        stage.run("stabilize")?;
        stage.everyone_ticks()?;
        let last = resting_leader(&stage.seen)?;
        if (last.id, last.applied) != (leader.id, leader.applied + 1) {
            return Err(format!("the last command was not applied:\n{leader:?}\n{last:?}"));
        }
        let last_applied = last.applied;
        Ok(Run { printed: stage.printed, ends, states: stage.states, last_applied })
    }

    /// Whether the other run, the same in the first `same` commands, agrees with this one.
    ///
    /// # Errors
    /// What they disagree about.
    pub(crate) fn agrees_with(&self, other: &Run, same: usize) -> Result<(), String> {
        let end = self.ends[same - 1];
        if self.ends[..same] != other.ends[..same] || self.printed[..end] != other.printed[..end] {
            return Err(format!("the first {same} commands print otherwise"));
        }
        for (applied, (state, command)) in &self.states {
            if *command >= same {
                continue;
            }
            if other.states.get(applied).map(|(state, _)| state) != Some(state) {
                return Err(format!("after a restart {applied} leads to another state"));
            }
            if other.last_applied < *applied {
                return Err(format!("after a restart {applied} is lost"));
            }
        }
        Ok(())
    }
}

/// A driver that is observed after every command.
#[derive(Default)]
struct Stage {
    driver: Driver,
    printed: String,
    commands: usize,
    seen: Vec<Seen>,
    reads: Vec<u64>,
    states: BTreeMap<u64, (State, usize)>,
}

impl Stage {
    fn everyone_ticks(&mut self) -> Result<(), String> {
        for id in 1..=self.seen.len() {
            self.say(&format!("tick {id} 1"))?;
        }
        self.run("stabilize")
    }

    fn run(&mut self, command: &str) -> Result<(), String> {
        self.say(command)?;
        let from = self.printed.len();
        self.say("obs")?;
        let lines: Vec<String> = self.printed[from..].lines().map(str::to_owned).collect();
        let (reads, nodes) = lines.split_last().ok_or("nothing was observed")?;
        let seen: Option<Vec<Seen>> = nodes.iter().map(|line| Seen::parse(line)).collect();
        let seen = seen.ok_or_else(|| format!("not an observation: {lines:?}"))?;
        let reads = reads.strip_prefix("READS ").and_then(list).ok_or("reads are missing")?;
        self.compare(command, &seen, &reads)?;
        (self.seen, self.reads) = (seen, reads);
        self.commands += 1;
        Ok(())
    }

    fn say(&mut self, command: &str) -> Result<(), String> {
        let mut text = String::new();
        let outcome = self.driver.line(command, &mut text);
        self.printed.push_str(&text);
        match outcome {
            Ok(()) if text.contains("LIVELOCK") => Err(format!("`{command}` never ends")),
            Ok(()) => Ok(()),
            Err(Stop::Error(what)) => Err(format!("ERROR at `{command}`: {what}")),
            Err(Stop::Violation(what)) => Err(format!("VIOLATION at `{command}`: {what}")),
        }
    }

    fn compare(&mut self, command: &str, seen: &[Seen], reads: &[u64]) -> Result<(), String> {
        for now in seen {
            let at = self.commands;
            let first = self.states.entry(now.applied).or_insert((now.state.clone(), at));
            if first.0 != now.state {
                return Err(format!("{} leads to {first:?} and to {now:?}", now.applied));
            }
        }
        let is_restart =
            |id: u64| command == format!("restart {id}") || command == format!("crash {id}");
        for (before, now) in self.seen.iter().zip(seen).filter(|(_, now)| !is_restart(now.id)) {
            let has_fallen = now.term < before.term
                || now.commit < before.commit
                || now.applied < before.applied;
            if has_fallen {
                return Err(format!("`{command}` takes back:\n{before:?}\n{now:?}"));
            }
        }
        if self.reads.iter().zip(reads).any(|(before, now)| now < before) {
            return Err(format!("`{command}` takes back reads"));
        }
        Ok(())
    }
}

/// The one leader of a group at rest.
fn resting_leader(seen: &[Seen]) -> Result<&Seen, String> {
    let state = || seen.iter().map(|seen| format!("{seen:?}\n")).collect::<String>();
    let mut leaders = seen.iter().filter(|seen| seen.role == "L");
    let (Some(leader), None) = (leaders.next(), leaders.next()) else {
        return Err(format!("there is not one leader:\n{}", state()));
    };
    let [voters, outgoing, learners] = &leader.members;
    let follows = |seen: &Seen| {
        seen.term == leader.term
            && seen.leader == leader.id
            && seen.last == leader.last
            && seen.commit == leader.last.0
            && seen.applied == leader.last.0
            && seen.state == leader.state
    };
    let is_member = |seen: &&Seen| voters.contains(&seen.id) || learners.contains(&seen.id);
    let is_at_rest = outgoing.is_empty()
        && voters.contains(&leader.id)
        && seen.iter().filter(is_member).all(follows);
    if is_at_rest { Ok(leader) } else { Err(format!("not at rest:\n{}", state())) }
}

impl Seen {
    /// `OBS I ROLE t=TERM lead=L c=COMMIT a=APPLIED last=LAST lt=LASTTERM cs=[…][…][…] app=HASH`
    fn parse(line: &str) -> Option<Seen> {
        let (head, tail) = line.strip_prefix("OBS ")?.split_once(" cs=[")?;
        let (lists, hash) = tail.split_once("] app=")?;
        let words: Vec<&str> = head.split(' ').collect();
        let &[id, role, term, leader, commit, applied, last, last_term] = words.as_slice() else {
            return None;
        };
        let number = |word: &str, key: &str| word.strip_prefix(key)?.parse::<u64>().ok();
        let members: Option<Vec<BTreeSet<u64>>> = (lists.split("]["))
            .map(|ids| Some(list(&format!("[{ids}]"))?.into_iter().collect()))
            .collect();
        Some(Seen {
            id: number(id, "")?,
            role: role.to_owned(),
            term: number(term, "t=")?,
            leader: number(leader, "lead=")?,
            commit: number(commit, "c=")?,
            applied: number(applied, "a=")?,
            last: (number(last, "last=")?, number(last_term, "lt=")?),
            members: members?.try_into().ok()?,
            state: (lists.to_owned(), hash.to_owned()),
        })
    }
}

/// `[1, 2, 3]`
fn list(text: &str) -> Option<Vec<u64>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    inner.split(", ").map(|word| word.parse().ok()).collect()
}
