//! Timestamps rise, whatever clocks and leaders do.

use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3_600_000;

fn leading(held: u64, now: u64) -> Oracle {
    let mut oracle = Oracle::new();
    oracle.begin(Term(1), held, now);
    let Window { until_ms: until, term, .. } =
        oracle.wants(now).expect("a window is wanted at first");
    oracle.saved(until, term);
    oracle
}

/// Takes, and saves windows as they are wanted.
fn take(oracle: &mut Oracle, now: u64, count: u32) -> Timestamp {
    loop {
        match oracle.take(now, count) {
            Ok((at, _)) => return at,
            Err(NoTimestamp::Window) => {
                let Window { until_ms: until, term, .. } =
                    oracle.wants(now).expect("a window is wanted");
                oracle.saved(until, term);
            }
            Err(why) => panic!("{why:?}"),
        }
    }
}

#[test]
fn nothing_is_given_before_a_window_is_saved_nor_after_the_end() {
    let mut oracle = Oracle::new();
    assert_eq!(oracle.take(5, 1), Err(NoTimestamp::NotLeading));
    oracle.begin(Term(4), 10, 5);
    assert_eq!(oracle.take(5, 1), Err(NoTimestamp::Window));
    assert_eq!(
        oracle.wants(5),
        Some(Window { until_ms: 11 + WINDOW_MS, term: Term(4), after_ms: 10 })
    );
    oracle.saved(11 + WINDOW_MS, Term(3));
    assert!(!oracle.is_ready());
    oracle.saved(11 + WINDOW_MS, Term(4));
    assert_eq!(oracle.take(5, 1), Ok((Timestamp::new(11, 0), Term(4))));
    assert_eq!(oracle.take(5, 3), Ok((Timestamp::new(11, 3), Term(4))));
    oracle.clear();
    assert!(!oracle.is_ready());
    assert_eq!(oracle.take(5, 1), Err(NoTimestamp::NotLeading));
}

#[test]
fn counter_that_is_full_moves_to_the_next_millisecond() {
    let mut oracle = leading(0, 1_000);
    let (mut last, _) = oracle.take(1_000, 1).expect("given");
    for _ in 0..5 {
        let (next, _) = oracle.take(1_000, COUNT_MAX).expect("given");
        let first = next.0 - u64::from(COUNT_MAX) + 1;
        assert!(first > last.0 && Timestamp(first).physical() == next.physical());
        last = next;
    }
    assert!(last.physical() > 1_000);
    assert_eq!(oracle.take(1_000, COUNT_MAX + 1), Err(NoTimestamp::Count));
    assert_eq!(oracle.take(1_000, 0), Err(NoTimestamp::Count));
}

#[test]
fn clock_that_jumps_an_hour_either_way_is_survived() {
    let mut oracle = leading(0, 10 * HOUR);
    let one = take(&mut oracle, 10 * HOUR, 1);
    let back = take(&mut oracle, 9 * HOUR, 1);
    assert!(back > one);
    assert_eq!(oracle.take(11 * HOUR, 1), Err(NoTimestamp::Window));
    let ahead = take(&mut oracle, 11 * HOUR, 1);
    assert_eq!(ahead.physical(), 11 * HOUR);
    assert!(take(&mut oracle, 10 * HOUR, 1) > ahead);
}

#[test]
fn window_of_another_term_is_noticed() {
    let oracle = leading(0, 1_000);
    assert!(oracle.may_answer(Term(1), Term(1)));
    // Another has led since; this node may lead again without having been told.
    assert!(!oracle.may_answer(Term(1), Term(2)));
    // It was told, and has begun anew; what was taken before is not given.
    assert!(!leading(0, 1_000).may_answer(Term(0), Term(1)));
    assert!(!Oracle::new().may_answer(Term(1), Term(1)));
}

/// One step of the world of nodes that lead in turn.
#[derive(Clone, Debug)]
enum Step {
    /// A node becomes leader. Neither it nor the others notice before they are told.
    Elect(usize),
    /// A node is told whether it leads.
    Tell(usize),
    /// A client asks a node.
    Ask(usize, u32),
    /// A client asks, and the answer is held back: the node is paused before it confirms.
    AskAndPause(usize, u32),
    /// A paused node goes on.
    Resume(usize),
    /// A node's clock jumps by so many milliseconds.
    Clock(usize, i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..3_usize;
    let hour = i64::try_from(HOUR).expect("small");
    let step = prop_oneof![
        2 => node.clone().prop_map(Step::Elect),
        4 => node.clone().prop_map(Step::Tell),
        6 => (node.clone(), 1..70_000_u32).prop_map(|(node, count)| Step::Ask(node, count)),
        2 => (node.clone(), 1..70_000_u32).prop_map(|(node, count)| Step::AskAndPause(node, count)),
        2 => node.clone().prop_map(Step::Resume),
        2 => (node.clone(), -hour..hour).prop_map(|(node, by)| Step::Clock(node, by)),
        4 => (node, 0..4_000_i64).prop_map(|(node, by)| Step::Clock(node, by)),
    ];
    proptest::collection::vec(step, 1..120)
}

struct Node {
    oracle: Oracle,
    clock: u64,
    /// What it took for a request, which came when so much had been answered.
    held: Option<Held>,
}

#[derive(Clone, Copy)]
struct Held {
    taken: Timestamp,
    term: Term,
    count: u32,
    before: Timestamp,
}

/// The truth: who leads, and which window is saved, by whom.
struct World {
    nodes: Vec<Node>,
    leader: usize,
    term: Term,
    window: (u64, Term),
    /// The largest that any client has got.
    answered: Timestamp,
}

impl World {
    /// The log takes proposals of the leader alone, whichever term it believes in.
    fn save(&mut self, at: usize) {
        let (node, leads) = (&mut self.nodes[at], self.leader == at);
        let Some(wanted) = node.oracle.wants(node.clock) else { return };
        let Window { until_ms: until, term, after_ms } = wanted;
        // As the state machine decides it.
        let is_fenced = term > self.window.1 && after_ms != self.window.0;
        if leads && term >= self.window.1 && !is_fenced {
            self.window = (self.window.0.max(until), term);
            node.oracle.saved(self.window.0, term);
        }
    }

    fn take(&mut self, at: usize, count: u32) -> Option<Held> {
        let before = self.answered;
        self.save(at);
        let node = &mut self.nodes[at];
        let (taken, term) = node.oracle.take(node.clock, count).ok()?;
        Some(Held { taken, term, count, before })
    }

    /// The read that confirms leadership, then the answer.
    fn confirm(&mut self, at: usize, held: Held) {
        let oracle = &self.nodes[at].oracle;
        if self.leader != at || !oracle.may_answer(held.term, self.window.1) {
            return;
        }
        let first = Timestamp(held.taken.0 - u64::from(held.count) + 1);
        assert!(first > held.before, "{first} was given after {}", held.before);
        self.answered = self.answered.max(held.taken);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Elect(at) => {
                self.leader = at;
                self.term = self.term.next();
            }
            Step::Tell(at) => {
                let (held, term, leads) = (self.window.0, self.term, self.leader == at);
                let node = &mut self.nodes[at];
                node.oracle.clear();
                if leads {
                    node.oracle.begin(term, held, node.clock);
                }
            }
            Step::Ask(at, count) => {
                if let Some(held) = self.take(at, count) {
                    self.confirm(at, held);
                }
            }
            Step::AskAndPause(at, count) => {
                if let Some(held) = self.take(at, count) {
                    self.nodes[at].held = Some(held);
                }
            }
            Step::Resume(at) => {
                if let Some(held) = self.nodes[at].held.take() {
                    self.confirm(at, held);
                }
            }
            Step::Clock(at, by) => {
                let clock = &mut self.nodes[at].clock;
                *clock = clock.saturating_add_signed(by);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn timestamps_rise_in_the_order_of_real_time(steps in steps()) {
        let clock = |at: u64| 100 * HOUR + at * 500;
        let node = |at| Node { oracle: Oracle::new(), clock: clock(at), held: None };
        let mut world = World {
            nodes: (0..3).map(node).collect(),
            leader: 0,
            term: Term(0),
            window: (0, Term(0)),
            answered: Timestamp(0),
        };
        world.step(&Step::Elect(0));
        world.step(&Step::Tell(0));
        for step in &steps {
            world.step(step);
        }
    }
}
