//! The second opinion, which looks at no version: is there any order of a key's operations that
//! explains all answers and puts none before what had ended when it began?
//!
//! The search of Wing and Gong, with the memory of Lowe: go through calls and ends in time; take an
//! operation that has been called and fits to the state; at an end whose operation was not taken,
//! go back and take another one. What was once reached — which operations were taken, and the state
//! — is not tried again. An operation of unknown outcome has no end: it may be taken at any time
//! after its call, or never.
//!
//! The problem is hard in general, so the work is bounded, and [`Verdict::Undecided`] is an answer.
//! Histories of few clients on a key, few unknown outcomes, and distinct values are decided soon.

use std::collections::BTreeSet;

use super::{Act, KeyHistory, Op};
use crate::history::Value;

/// Whether a key's operations have an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They have one.
    Linearizable,
    /// They have none.
    NotLinearizable,
    /// It was not found out within the bound. This says nothing for the history.
    Undecided,
}

/// Checks a key. At most so many operations are tried.
#[must_use]
pub fn check(history: &KeyHistory, steps_max: u64) -> Verdict {
    check_counting(history, steps_max).0
}

/// The same, and how many were tried.
#[must_use]
pub fn check_counting(history: &KeyHistory, steps_max: u64) -> (Verdict, u64) {
    Search::new(history).run(steps_max)
}

/// What an operation does to the state, with values by number; zero is none.
#[derive(Clone, Copy, Debug)]
enum Step {
    Find(u32),
    Set(u32),
    Swap {
        from: u32,
        to: u32,
    },
    FindOther {
        than: u32,
        found: u32,
    },
    /// No state fits.
    Impossible,
}

impl Step {
    fn take(self, state: u32) -> Option<u32> {
        match self {
            Step::Find(found) => (found == state).then_some(state),
            Step::Set(to) => Some(to),
            Step::Swap { from, to } => (from == state).then_some(to),
            Step::FindOther { than, found } => (found == state && found != than).then_some(state),
            Step::Impossible => None,
        }
    }
}

/// What stands in the list of calls and ends.
#[derive(Clone, Copy, Debug)]
enum Event {
    Call(usize),
    End,
}

/// The end of the list, in both directions.
const NIL: usize = usize::MAX;

/// Operations that were taken: of those that end, all before `first`, and some behind; and those
/// that are open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reached {
    state: u32,
    first: usize,
    behind: Vec<u64>,
    open: Vec<u64>,
}

struct Search {
    steps: Vec<Step>,
    /// Operations below this end; those from here on are open. Both by their calls.
    ending: usize,
    events: Vec<Event>,
    /// Neighbours of events, and where the end of a call's operation is.
    next: Vec<usize>,
    before: Vec<usize>,
    end_of: Vec<usize>,
    head: usize,
    /// Operations that must still be taken.
    left: usize,
    taken: Vec<u64>,
    first: usize,
}

impl Search {
    fn new(history: &KeyHistory) -> Search {
        let mut ops: Vec<&Op> = history.ops.iter().collect();
        ops.sort_by_key(|op| (op.is_open(), op.call));
        let ending = ops.iter().filter(|op| !op.is_open()).count();
        let numbers = Numbers::of(&ops);
        let steps = ops.iter().map(|op| numbers.step(op.act)).collect();
        // At one time, calls come first: then the two are not ordered.
        let mut times: Vec<(u64, bool, usize)> = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            times.push((op.call, false, at));
            if !op.is_open() {
                times.push((op.ret, true, at));
            }
        }
        times.sort_unstable();
        let mut end_of = vec![NIL; ops.len()];
        let mut events = Vec::new();
        for (at, &(_, is_end, op)) in times.iter().enumerate() {
            if is_end {
                end_of[op] = at;
            }
            events.push(if is_end { Event::End } else { Event::Call(op) });
        }
        let count = events.len();
        let next = (1..=count).map(|at| if at == count { NIL } else { at }).collect();
        let before = (0..count).map(|at| at.checked_sub(1).unwrap_or(NIL)).collect();
        Search {
            steps,
            ending,
            events,
            next,
            before,
            end_of,
            head: if count == 0 { NIL } else { 0 },
            left: ending,
            taken: vec![0; ops.len().div_ceil(64)],
            first: 0,
        }
    }

    fn run(mut self, steps_max: u64) -> (Verdict, u64) {
        let mut reached: BTreeSet<Reached> = BTreeSet::new();
        // What was taken: where its call is, and the state before.
        let mut path: Vec<(usize, u32)> = Vec::new();
        let mut state = 0;
        let mut at = self.head;
        let mut tried = 0;
        while self.left > 0 {
            // An end of what must be taken is still in the list, so this is no end of the list.
            match self.events[at] {
                Event::Call(op) => {
                    tried += 1;
                    if tried > steps_max {
                        return (Verdict::Undecided, tried);
                    }
                    let to = self.steps[op].take(state);
                    if let Some(to) = to.filter(|&to| reached.insert(self.with(op, to))) {
                        path.push((at, state));
                        state = to;
                        self.lift(at, op);
                        at = self.head;
                    } else {
                        at = self.next[at];
                    }
                }
                Event::End => {
                    let Some((call, earlier)) = path.pop() else {
                        return (Verdict::NotLinearizable, tried);
                    };
                    state = earlier;
                    if let Event::Call(op) = self.events[call] {
                        self.put_back(call, op);
                    }
                    at = self.next[call];
                }
            }
        }
        (Verdict::Linearizable, tried)
    }

    /// What would be reached by taking an operation.
    fn with(&mut self, op: usize, state: u32) -> Reached {
        self.mark(op);
        let (first, word) = (self.first, self.first / 64);
        let last = self.ending.div_ceil(64);
        let mut behind: Vec<u64> = Vec::new();
        for at in word..last {
            behind.push(self.taken[at] & mask(at, first, self.ending));
        }
        while behind.last() == Some(&0) {
            behind.pop();
        }
        let from = self.ending / 64;
        let open = (from..self.taken.len())
            .map(|at| self.taken[at] & mask(at, self.ending, usize::MAX))
            .collect();
        self.unmark(op);
        Reached { state, first, behind, open }
    }

    fn mark(&mut self, op: usize) {
        self.taken[op / 64] |= 1 << (op % 64);
        while self.first < self.ending && self.taken[self.first / 64] >> (self.first % 64) & 1 == 1
        {
            self.first += 1;
        }
    }

    fn unmark(&mut self, op: usize) {
        self.taken[op / 64] &= !(1 << (op % 64));
        self.first = self.first.min(op);
    }

    fn lift(&mut self, call: usize, op: usize) {
        self.mark(op);
        self.unlink(call);
        if self.end_of[op] != NIL {
            self.unlink(self.end_of[op]);
            self.left -= 1;
        }
    }

    /// The reverse of [`Search::lift`], in the reverse order.
    fn put_back(&mut self, call: usize, op: usize) {
        if self.end_of[op] != NIL {
            self.relink(self.end_of[op]);
            self.left += 1;
        }
        self.relink(call);
        self.unmark(op);
    }

    fn unlink(&mut self, at: usize) {
        let (before, next) = (self.before[at], self.next[at]);
        match before {
            NIL => self.head = next,
            before => self.next[before] = next,
        }
        if next != NIL {
            self.before[next] = before;
        }
    }

    /// Its own links are as they were when it was taken out.
    fn relink(&mut self, at: usize) {
        let (before, next) = (self.before[at], self.next[at]);
        match before {
            NIL => self.head = at,
            before => self.next[before] = at,
        }
        if next != NIL {
            self.before[next] = at;
        }
    }
}

/// The bits of a word that stand for operations from `from` on, and below `to`.
fn mask(word: usize, from: usize, to: usize) -> u64 {
    let start = word * 64;
    let low = match from.saturating_sub(start) {
        0 => u64::MAX,
        shift @ 1..64 => u64::MAX << shift,
        _ => 0,
    };
    let high = match to.saturating_sub(start) {
        64.. => u64::MAX,
        bits => !(u64::MAX << bits),
    };
    low & high
}

/// Values by number.
struct Numbers(Vec<Value>);

impl Numbers {
    fn of(ops: &[&Op]) -> Numbers {
        let mut values: Vec<Value> = ops.iter().filter_map(|op| op.writes()).collect();
        values.sort_unstable();
        values.dedup();
        Numbers(values)
    }

    /// None for a value that nobody writes.
    fn number(&self, value: Option<Value>) -> Option<u32> {
        let Some(value) = value else { return Some(0) };
        let at = self.0.binary_search(&value).ok()?;
        u32::try_from(at + 1).ok()
    }

    fn step(&self, act: Act) -> Step {
        self.possible(act).unwrap_or(Step::Impossible)
    }

    fn possible(&self, act: Act) -> Option<Step> {
        Some(match act {
            Act::Read(found) => Step::Find(self.number(found)?),
            Act::Put(value) => Step::Set(self.number(Some(value))?),
            Act::Swap { expected, new, found } => {
                if found.is_some_and(|found| found != expected) {
                    return None;
                }
                Step::Swap { from: self.number(expected)?, to: self.number(Some(new))? }
            }
            Act::Unequal { expected, found } => Step::FindOther {
                // What nobody writes is not found: any number that no value has.
                than: self.number(expected).unwrap_or(u32::MAX),
                found: self.number(found)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::script;

    #[test]
    fn what_cannot_be_decided_in_time_is_not_called_right() {
        let history = script::read("put 1 @0-10; read 1 @5-20; read - @6-9");
        assert_eq!(check(&history, 1_000), Verdict::Linearizable);
        assert_eq!(check(&history, 1), Verdict::Undecided);
    }

    #[test]
    fn masks_cut_words() {
        assert_eq!(mask(0, 0, 64), u64::MAX);
        assert_eq!(mask(0, 3, 5), 0b1_1000);
        assert_eq!(mask(1, 3, 5), 0);
        assert_eq!(mask(1, 65, usize::MAX), u64::MAX - 1);
        assert_eq!(mask(0, 64, 128), 0);
    }
}
