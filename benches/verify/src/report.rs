//! What a run says about the cluster: numbers, the verdict with its reasons; as text, as JSON, and
//! as a page.

mod html;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use load::grouped;
use serde::Serialize;

use crate::check::KeyHistory;
use crate::check::durability::{self, Durability};
use crate::check::versioned;
use crate::check::wgl;
use crate::faults::Mark;
use crate::gaps::{self, Successes};
use crate::history::{Key, Record, Told, Value};
use crate::script::Fault;

/// Operations that the second opinion tries, of a key and of all.
const KEY_STEPS_MAX: u64 = 200_000;
const ALL_STEPS_MAX: u64 = 50_000_000;
/// Of so many keys it may give up on one.
const UNDECIDED_EACH: u64 = 100;
/// Lines about keys that are wrong; further ones are only counted.
const LINES_MAX: usize = 20;

/// What a run says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The cluster kept its word, and it was put to the test.
    Good,
    /// It did not.
    Bad,
    /// The run shows nothing.
    Invalid,
}

/// What the run was to be, and how it went.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Of everything that was drawn.
    pub seed: u64,
    /// How long the load was to go on.
    pub duration_ms: u64,
    /// Clients that wrote, at a time.
    pub writers: u32,
    /// Clients that read.
    pub readers: u32,
    /// Regions in the beginning.
    pub regions: usize,
    /// The faults that were asked for.
    pub wanted: Vec<Fault>,
    /// When the load ended, in nanoseconds.
    pub load_end: u64,
    /// What broke on our side.
    pub broken: Vec<String>,
    /// What the cluster did wrong, as who did the harm has seen.
    pub wrong: Vec<String>,
}

/// What was found in the end.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// The cluster said that all was well.
    pub is_calm: bool,
    /// What is there.
    pub found: Vec<(Key, Value)>,
    /// Keys that are none of a history.
    pub foreign: Vec<String>,
}

/// How operations ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub operations: u64,
    /// Reads with an answer.
    pub reads: u64,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Swaps that found something else than they expected.
    pub unequal: u64,
    /// Operations that were told not to be done.
    pub refused: u64,
    /// Writes whose outcome was not known.
    pub unknown: u64,
}

/// What the checks of keys found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Linearizability {
    /// Keys that were checked.
    pub keys: u64,
    /// Main check: keys that are wrong.
    pub wrong: u64,
    /// Main check: keys whose load broke its own rules.
    pub malformed: u64,
    /// Second opinion: keys that are wrong.
    pub second_wrong: u64,
    /// Second opinion: keys on which it gave up.
    pub second_undecided: u64,
    /// Some of what is wrong, in words.
    pub lines: Vec<String>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it comes down to.
    pub verdict: Verdict,
    /// Why, if it is not good.
    pub reasons: Vec<String>,
    /// Of everything that was drawn. A string, as all numbers that may be large.
    pub seed: String,
    /// How long the load went on.
    pub duration_ms: u64,
    /// Clients that wrote, at a time.
    pub writers: u32,
    /// Clients that read.
    pub readers: u32,
    /// Regions in the beginning.
    pub regions: usize,
    /// How operations ended.
    pub counts: Counts,
    /// What was there in the end; none if the cluster did not answer.
    pub durability: Option<Durability>,
    /// What the checks of keys found.
    pub linearizability: Linearizability,
    /// When operations succeeded.
    pub successes: Successes,
    /// What was done to the cluster.
    pub faults: Vec<Mark>,
    /// What did not go well, and how often.
    pub errors: BTreeMap<String, u64>,
}

impl Report {
    /// Checks everything.
    #[must_use]
    pub fn of(
        setup: Setup,
        records: &[Record],
        end: Option<&End>,
        faults: Vec<Mark>,
        errors: BTreeMap<String, u64>,
    ) -> Report {
        let histories = KeyHistory::of(records);
        let durability = end.map(|end| {
            let mut found = durability::check(&histories, &end.found);
            end.foreign.iter().for_each(|name| found.add_foreign(name));
            found
        });
        let mut report = Report {
            verdict: Verdict::Good,
            reasons: Vec::new(),
            seed: setup.seed.to_string(),
            duration_ms: setup.duration_ms,
            writers: setup.writers,
            readers: setup.readers,
            regions: setup.regions,
            counts: counts(records),
            durability,
            linearizability: linearizability(&histories),
            successes: gaps::measure(records, 0, setup.load_end),
            faults,
            errors,
        };
        let (bad, invalid) = (report.bad(end, &setup), report.invalid(&setup));
        report.verdict = match (bad.is_empty(), invalid.is_empty()) {
            (false, _) => Verdict::Bad,
            (true, false) => Verdict::Invalid,
            (true, true) => Verdict::Good,
        };
        report.reasons = bad.into_iter().chain(invalid).collect();
        report
    }

    fn bad(&self, end: Option<&End>, setup: &Setup) -> Vec<String> {
        let mut reasons: Vec<String> = setup.wrong.clone();
        let mut note = |count: u64, what: &str| {
            if count > 0 {
                reasons.push(format!("{} {what}", grouped(count)));
            }
        };
        if let Some(found) = &self.durability {
            note(found.lost, "acknowledged writes are lost");
            note(found.duplicated, "keys or values are there twice");
            note(found.phantom, "values are there that nobody wrote");
        }
        note(self.linearizability.wrong, "keys are not linearizable, by their versions");
        note(self.linearizability.second_wrong, "keys are not linearizable, by any order");
        match end {
            None => reasons.push("the cluster does not answer, without any fault".to_owned()),
            Some(end) if !end.is_calm => {
                reasons.push("the cluster is not well again, without any fault".to_owned());
            }
            Some(_) => {}
        }
        reasons
    }

    fn invalid(&self, setup: &Setup) -> Vec<String> {
        let mut reasons: Vec<String> = setup.broken.clone();
        let found = &self.linearizability;
        if self.counts.acknowledged == 0 || self.counts.reads == 0 {
            reasons.push("no write or no read succeeded".to_owned());
        }
        if found.malformed > 0 {
            reasons.push(format!("the load broke its own rules on {} keys", found.malformed));
        }
        if found.second_undecided > found.keys / UNDECIDED_EACH {
            let undecided = grouped(found.second_undecided);
            reasons.push(format!("the second opinion gave up on {undecided} keys"));
        }
        for fault in &setup.wanted {
            let its: Vec<&Mark> = self.faults.iter().filter(|mark| mark.fault == *fault).collect();
            if its.iter().all(|mark| mark.proof.is_none()) {
                let why = its.last().map(|mark| format!(": {}", mark.note)).unwrap_or_default();
                reasons.push(format!("no {fault} is proven to have happened{why}"));
            }
        }
        reasons
    }

    /// As text. `saved` names files that were written.
    #[must_use]
    pub fn text(&self, saved: &[String]) -> String {
        let mut text = String::new();
        self.write_text(saved, &mut text);
        text
    }

    fn write_text(&self, saved: &[String], text: &mut String) {
        let end = self.durability.clone().unwrap_or_default();
        let found = &self.linearizability;
        let (acknowledged, unknown) =
            (grouped(self.counts.acknowledged), grouped(self.counts.unknown));
        // Writing to a string does not fail.
        let _ = match &self.durability {
            Some(end) => writeln!(
                text,
                "verify: {acknowledged} acknowledged writes, {} lost, {} duplicated, {unknown} \
                 unknown outcomes ({} applied, {} not)",
                grouped(end.lost),
                grouped(end.duplicated),
                grouped(end.unknown_applied),
                grouped(end.unknown_not),
            ),
            None => writeln!(
                text,
                "verify: {acknowledged} acknowledged writes, {unknown} unknown outcomes; what is \
                 left of them was not looked at",
            ),
        };
        let linearizable = match found.wrong + found.second_wrong {
            0 => "linearizable",
            _ => "NOT linearizable",
        };
        let files: String = saved.iter().map(|file| format!("   {file}")).collect();
        let _ = writeln!(
            text,
            "        longest gap without a success {}   history {linearizable} (per key, {} \
             keys){files}",
            seconds(self.successes.longest.ms),
            grouped(found.keys),
        );
        let _ = writeln!(
            text,
            "        {} reads   second opinion: {} keys wrong, {} undecided   seed {}",
            grouped(self.counts.reads),
            grouped(found.second_wrong),
            grouped(found.second_undecided),
            self.seed,
        );
        let _ = writeln!(text, "        faults: {}", self.faults_in_short());
        let verdict = match self.verdict {
            Verdict::Good => "good",
            Verdict::Bad => "BAD",
            Verdict::Invalid => "INVALID: this run shows nothing",
        };
        let _ = writeln!(text, "        verdict {verdict}");
        for reason in &self.reasons {
            let _ = writeln!(text, "          {reason}");
        }
        for line in end.lines.iter().chain(&found.lines) {
            let _ = writeln!(text, "          {line}");
        }
    }

    /// How many of each kind are proven to have happened.
    fn faults_in_short(&self) -> String {
        let mut kinds: BTreeMap<Fault, (u32, u32)> = BTreeMap::new();
        for mark in &self.faults {
            let (done, proven) = kinds.entry(mark.fault).or_default();
            *done += 1;
            *proven += u32::from(mark.proof.is_some());
        }
        if kinds.is_empty() {
            return "none".to_owned();
        }
        let each = kinds.iter().map(|(fault, (done, proven))| match done == proven {
            true => format!("{proven} {fault}"),
            false => format!("{proven} {fault} ({} not proven)", done - proven),
        });
        each.collect::<Vec<String>>().join(", ")
    }

    /// As a page that needs nothing else.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(self)
    }
}

fn counts(records: &[Record]) -> Counts {
    let mut counts = Counts::default();
    for record in records {
        counts.operations += 1;
        match record.told {
            Told::Found(_) => counts.reads += 1,
            Told::Done | Told::Swapped(_) => counts.acknowledged += 1,
            Told::Unequal(_) => counts.unequal += 1,
            Told::No => counts.refused += 1,
            Told::Maybe => counts.unknown += u64::from(record.writes().is_some()),
        }
    }
    counts
}

fn linearizability(histories: &[KeyHistory]) -> Linearizability {
    let mut found = Linearizability { keys: histories.len() as u64, ..Linearizability::default() };
    let mut left = ALL_STEPS_MAX;
    for history in histories {
        let judged = versioned::check(history);
        let steps = KEY_STEPS_MAX.min(left);
        let (second, tried) = wgl::check_counting(history, steps);
        left -= tried.min(left);
        if let Err(wrong) = &judged {
            *if wrong.is_malformed() { &mut found.malformed } else { &mut found.wrong } += 1;
            if found.lines.len() < LINES_MAX {
                found.lines.push(format!("{}: {wrong}", history.key));
            }
        }
        match second {
            wgl::Verdict::Linearizable => {}
            wgl::Verdict::NotLinearizable => found.second_wrong += 1,
            wgl::Verdict::Undecided => found.second_undecided += 1,
        }
    }
    found
}

fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10)
}

#[cfg(test)]
mod tests;
