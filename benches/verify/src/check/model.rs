//! Random histories that are right by construction, and ways to spoil them.
//!
//! A register is stepped: clients begin operations, these happen at one moment each, and end; some
//! answers are lost, some of those operations happen late or never; some are refused. Each moment
//! has a time of its own.

use proptest::prelude::*;

use crate::check::versioned;
use crate::check::wgl::{self, Verdict};
use crate::check::{Act, KeyHistory, NEVER, Op};
use crate::history::{Key, Value};
use crate::random::Random;

const STEPS: u64 = 2_000_000;
const CLIENTS: usize = 5;

/// How the key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every client swaps and reads.
    Swapped,
    /// One client puts, the others read.
    Put,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Called { call: u64, act: Act },
    Happened { call: u64, act: Act },
}

struct Model {
    random: Random,
    kind: Kind,
    now: u64,
    there: Option<Value>,
    /// What each client has seen last.
    seen: Vec<Option<Value>>,
    states: Vec<State>,
    /// Numbers of clients, changed when an answer is lost.
    names: Vec<u32>,
    next_name: u32,
    seq: u32,
    put_version: u64,
    /// Writes whose answers are lost, and that may still happen.
    late: Vec<Act>,
    history: KeyHistory,
}

/// A history of about as many operations.
pub(crate) fn linearizable(seed: u64, operations: usize, kind: Kind) -> KeyHistory {
    let history = KeyHistory { key: Key::Shared(0), ops: Vec::new(), refused: Vec::new() };
    let mut model = Model {
        random: Random::new(seed),
        kind,
        now: 0,
        there: None,
        seen: vec![None; CLIENTS],
        states: vec![State::Idle; CLIENTS],
        names: (0..).take(CLIENTS).collect(),
        next_name: 100,
        seq: 0,
        put_version: 0,
        late: Vec::new(),
        history,
    };
    // Three steps make an operation.
    for _ in 0..operations * 3 {
        model.step();
    }
    for client in 0..CLIENTS {
        model.lose(client);
    }
    model.history.ops.sort_by_key(|op| op.call);
    model.history.refused.sort_unstable();
    model.history
}

impl Model {
    fn step(&mut self) {
        self.now += 1;
        if !self.late.is_empty() && self.random.below(20) == 0 {
            let at = self.random.below(self.late.len());
            let act = self.late.swap_remove(at);
            self.happen(act);
        }
        let client = self.random.below(CLIENTS);
        match self.states[client] {
            State::Idle => {
                if let Some(act) = self.choose(client) {
                    self.states[client] = State::Called { call: self.now, act };
                }
            }
            _ if self.random.below(40) == 0 => self.lose(client),
            State::Called { call, act } => {
                if self.random.below(30) == 0 {
                    self.refuse(act);
                    self.states[client] = State::Idle;
                } else {
                    let act = self.happen(act);
                    self.states[client] = State::Happened { call, act };
                }
            }
            State::Happened { call, act } => {
                let op = Op { client: self.names[client], call, ret: self.now, act };
                self.seen[client] = match act {
                    Act::Read(found) | Act::Unequal { found, .. } => found,
                    Act::Put(value) | Act::Swap { new: value, .. } => Some(value),
                };
                if let Act::Unequal { expected, .. } = act {
                    let wanted = self.wanted(client, expected);
                    self.history.refused.push(wanted);
                }
                self.history.ops.push(op);
                self.states[client] = State::Idle;
            }
        }
    }

    /// A value that nothing else has, for an unequal swap, whose own is not kept.
    fn wanted(&mut self, client: usize, expected: Option<Value>) -> Value {
        self.seq += 1;
        let version = expected.map_or(0, |value| value.version).saturating_add(1);
        Value { version, client: self.names[client], seq: self.seq }
    }

    fn choose(&mut self, client: usize) -> Option<Act> {
        self.seq += 1;
        let (name, seq) = (self.names[client], self.seq);
        match self.kind {
            Kind::Swapped if self.random.below(2) == 0 => {
                let expected = self.seen[client];
                let version = expected.map_or(0, |value| value.version).saturating_add(1);
                let new = Value { version, client: name, seq };
                Some(Act::Swap { expected, new, found: None })
            }
            // Once its answer is lost, the writer is another, and does not put any more.
            Kind::Put if client == 0 && name != 0 => None,
            Kind::Put if client == 0 => {
                self.put_version += 1;
                Some(Act::Put(Value { version: self.put_version, client: name, seq }))
            }
            _ => Some(Act::Read(None)),
        }
    }

    /// It happens now: what it becomes by what is there.
    fn happen(&mut self, act: Act) -> Act {
        match act {
            Act::Read(_) => Act::Read(self.there),
            Act::Put(value) => {
                self.there = Some(value);
                act
            }
            Act::Swap { expected, new, .. } if expected == self.there => {
                self.there = Some(new);
                Act::Swap { expected, new, found: Some(expected) }
            }
            Act::Swap { expected, .. } | Act::Unequal { expected, .. } => {
                Act::Unequal { expected, found: self.there }
            }
        }
    }

    fn refuse(&mut self, act: Act) {
        if let Act::Put(value) | Act::Swap { new: value, .. } = act {
            self.history.refused.push(value);
        }
    }

    /// The answer of a client is lost, whether it has happened or not; it goes on as another.
    fn lose(&mut self, client: usize) {
        let (call, act, has_happened) = match self.states[client] {
            State::Idle => return,
            State::Called { call, act } => (call, act, false),
            State::Happened { call, act } => (call, act, true),
        };
        let open = match act {
            Act::Put(_) => Some(act),
            Act::Swap { expected, new, .. } => Some(Act::Swap { expected, new, found: None }),
            Act::Read(_) | Act::Unequal { .. } => None,
        };
        if let Some(act) = open {
            self.history.ops.push(Op { client: self.names[client], call, ret: NEVER, act });
            if !has_happened {
                self.late.push(act);
            }
            self.names[client] = self.next_name;
            self.next_name += 1;
        }
        self.states[client] = State::Idle;
    }
}

/// Changes one thing, which most often makes it wrong.
fn spoil(history: &KeyHistory, random: &mut Random) -> KeyHistory {
    let mut spoilt = history.clone();
    if spoilt.ops.is_empty() {
        return spoilt;
    }
    let values: Vec<Value> =
        history.ops.iter().filter_map(Op::writes).chain(history.refused.clone()).collect();
    let at = random.below(spoilt.ops.len());
    let any = match random.below(values.len() + 1) {
        0 => None,
        nth => Some(values[nth - 1]),
    };
    let op = &mut spoilt.ops[at];
    let (is_open, way) = (op.is_open(), random.below(3));
    match &mut op.act {
        Act::Read(found) if way < 2 => *found = any,
        Act::Unequal { found, .. } if way < 2 => *found = any,
        Act::Swap { found, .. } if way == 0 && !is_open => *found = Some(any),
        // It is refused after all.
        Act::Put(value) | Act::Swap { new: value, .. } if way == 1 => {
            spoilt.refused.push(*value);
            spoilt.ops.remove(at);
        }
        Act::Put(_) => {}
        // It was at another time; puts stay, since they follow each other.
        Act::Read(_) | Act::Unequal { .. } | Act::Swap { .. } => {
            let length = if is_open { 0 } else { op.ret - op.call };
            op.call = op.call.saturating_sub(30) + random.below(60) as u64;
            op.ret = if is_open { NEVER } else { op.call + length };
        }
    }
    spoilt.ops.sort_by_key(|op| op.call);
    spoilt.refused.sort_unstable();
    spoilt
}

/// An unequal swap is told to be done.
fn succeed(history: &KeyHistory, random: &mut Random) -> KeyHistory {
    let mut spoilt = history.clone();
    let is_unequal = |op: &Op| matches!(op.act, Act::Unequal { .. });
    let all: Vec<usize> = (0..spoilt.ops.len()).filter(|&at| is_unequal(&spoilt.ops[at])).collect();
    if all.is_empty() {
        return spoilt;
    }
    let op = &mut spoilt.ops[all[random.below(all.len())]];
    if let Act::Unequal { expected, .. } = op.act {
        let version = expected.map_or(0, |value| value.version).saturating_add(1);
        let seq = u32::try_from(random.below(1 << 30)).unwrap();
        let new = Value { version, client: 9_999, seq };
        op.act = Act::Swap { expected, new, found: Some(expected) };
    }
    spoilt
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Swapped), Just(Kind::Put)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn histories_of_a_register_are_accepted_by_both(
        seed: u64,
        size in 1_usize..150,
        kind in kind(),
    ) {
        let history = linearizable(seed, size, kind);
        prop_assert_eq!(versioned::check(&history).map(|_| ()), Ok(()));
        prop_assert_eq!(wgl::check(&history, STEPS), Verdict::Linearizable);
    }

    #[test]
    fn spoilt_histories_are_judged_alike_by_both(
        seed: u64,
        size in 1_usize..120,
        kind in kind(),
        times in 1_usize..4,
    ) {
        let mut history = linearizable(seed, size, kind);
        let mut random = Random::new(seed ^ 1);
        for _ in 0..times {
            history = match random.below(5) {
                0 => succeed(&history, &mut random),
                _ => spoil(&history, &mut random),
            };
        }
        match (versioned::check(&history), wgl::check(&history, STEPS)) {
            (Ok(_), Verdict::Linearizable) => {}
            (Err(wrong), Verdict::NotLinearizable) if !wrong.is_malformed() => {}
            other => prop_assert!(false, "{other:?}: {history:#?}"),
        }
    }
}

/// That the ones above see anything at all.
#[test]
fn most_spoilt_histories_are_rejected() {
    let mut rejected = 0;
    for seed in 0..500 {
        let history = linearizable(seed, 60, Kind::Swapped);
        let spoilt = spoil(&history, &mut Random::new(seed));
        rejected += usize::from(versioned::check(&spoilt).is_err());
    }
    assert!((150..500).contains(&rejected), "{rejected} of 500");
}
