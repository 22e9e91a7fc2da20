//! Sequences of steps, drawn, carried out on an engine and on the model, and made small when the
//! two differ.

use std::marker::PhantomData;
use std::ops::Bound;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use storage::{Cf, Direction, Durability, View};

use crate::model::{Model, ModelOp, Pairs, batch, scan};
use crate::rig::Rig;

/// The same sequences each time.
const SEED: [u8; 32] = *b"one suite for all of the engines";
const STEPS: std::ops::Range<usize> = 1..40;
const VIEWS_MAX: usize = 3;

type Key = Vec<u8>;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write { ops: Vec<ModelOp>, is_synced: bool },
    Get(Cf, Key),
    Scan { cf: Cf, bounds: (Bound<Key>, Bound<Key>), direction: Direction, limit: usize },
    TakeView,
    DropView(usize),
    Flush(Cf),
    Checkpoint,
    Ingest(Cf, Vec<Pairs>),
    Restart,
    Crash { thousandths: u16, is_torn: bool },
}

fn cf() -> impl Strategy<Value = Cf> + Clone {
    prop::sample::select(&Cf::ALL[..])
}

/// What keys begin with.
const LIKE: [&[u8]; 4] = [b"", b"", b"\0\0\0\0\0\0\0\x07\x01", b"a\0\0\0\0\0\0\0\x07"];

/// Few keys, so that they meet; among them the empty one and some that others begin with. Half of
/// them begin like those of a store: RocksDB writes them where it wrote the like last.
fn key() -> impl Strategy<Value = Key> + Clone {
    let like = prop::sample::select(&LIKE[..]);
    let rest =
        prop::collection::vec(prop::sample::select(&[0u8, b'a', b'b', b'c', 0xff][..]), 0..3);
    (like, rest).prop_map(|(like, rest)| [like, &rest].concat())
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..6),
        // Longer than a block of the log.
        1 => any::<u8>().prop_map(|byte| vec![byte; 40_000]),
    ]
}

fn op() -> impl Strategy<Value = ModelOp> {
    prop_oneof![
        6 => (cf(), key(), value()).prop_map(|(cf, key, value)| ModelOp::Put(cf, key, value)),
        2 => (cf(), key()).prop_map(|(cf, key)| ModelOp::Delete(cf, key)),
        1 => (cf(), key(), key()).prop_map(|(cf, start, end)| ModelOp::DeleteRange(cf, start, end)),
    ]
}

fn bound() -> impl Strategy<Value = Bound<Key>> {
    prop_oneof![
        1 => Just(Bound::Unbounded),
        2 => key().prop_map(Bound::Included),
        2 => key().prop_map(Bound::Excluded),
    ]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(&[Direction::Forward, Direction::Reverse][..])
}

/// One table, or two that do not overlap.
fn tables() -> impl Strategy<Value = Vec<Pairs>> {
    let pairs = prop::collection::btree_map(key(), value(), 1..6);
    (pairs, any::<bool>()).prop_map(|(pairs, in_two)| {
        let mut first: Pairs = pairs.into_iter().collect();
        let second = first.split_off(if in_two { first.len().div_ceil(2) } else { first.len() });
        [first, second].into_iter().filter(|pairs| !pairs.is_empty()).collect()
    })
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::default()).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Step> {
        prop_oneof![
            24 => (prop::collection::vec(op(), 0..5), prop::bool::weighted(0.3))
                .prop_map(|(ops, is_synced)| Step::Write { ops, is_synced }),
            4 => (cf(), key()).prop_map(|(cf, key)| Step::Get(cf, key)),
            10 => (cf(), (bound(), bound()), direction(), 1..8usize)
                .prop_map(|(cf, bounds, direction, limit)| {
                    Step::Scan { cf, bounds, direction, limit }
                }),
            4 => Just(Step::TakeView),
            2 => (0..VIEWS_MAX).prop_map(Step::DropView),
            2 => cf().prop_map(Step::Flush),
            1 => Just(Step::Checkpoint),
            2 => (cf(), tables()).prop_map(|(cf, tables)| Step::Ingest(cf, tables)),
            1 => Just(Step::Restart),
            3 => (0..=1000u16, any::<bool>())
                .prop_map(|(thousandths, is_torn)| Step::Crash { thousandths, is_torn }),
        ]
        .boxed()
    }

    fn preconditions(state: &Model, step: &Step) -> bool {
        match step {
            Step::TakeView => state.views.len() < VIEWS_MAX,
            Step::DropView(at) => *at < state.views.len(),
            _ => true,
        }
    }

    fn apply(mut state: Model, step: &Step) -> Model {
        match step {
            Step::Write { ops, is_synced } => state.write(ops, *is_synced),
            Step::Get(..) | Step::Scan { .. } => {}
            Step::TakeView => state.views.push(state.now.clone()),
            Step::DropView(at) => _ = state.views.remove(*at),
            Step::Flush(_) => state.sync(),
            Step::Checkpoint => {
                state.sync();
                state.files += 1;
            }
            Step::Ingest(cf, tables) => {
                for (key, value) in tables.iter().flatten() {
                    state.now.apply(&[ModelOp::Put(*cf, key.clone(), value.clone())]);
                }
                state.sync();
                state.files += tables.len();
            }
            Step::Restart => state.restart(),
            Step::Crash { thousandths, .. } => state.crash(*thousandths),
        }
        state
    }
}

/// An engine beside the model.
pub(crate) struct UnderTest<R> {
    rig: R,
    views: Vec<Box<dyn View>>,
    /// The model as it was before the step.
    before: Model,
}

struct Test<R>(PhantomData<R>);

impl<R: Rig + 'static> StateMachineTest for Test<R> {
    type SystemUnderTest = UnderTest<R>;
    type Reference = Model;

    fn init_test(_: &Model) -> UnderTest<R> {
        UnderTest { rig: R::new(), views: Vec::new(), before: Model::default() }
    }

    fn apply(mut test: UnderTest<R>, model: &Model, step: Step) -> UnderTest<R> {
        test.step(model, step);
        let view = test.rig.engine().view();
        model.now.assert_shown_by(&*view, "now");
        for (view, state) in test.views.iter().zip(&model.views) {
            state.assert_shown_by(&**view, "in a view");
        }
        test.before = model.clone();
        test
    }
}

impl<R: Rig> UnderTest<R> {
    fn step(&mut self, model: &Model, step: Step) {
        let engine = self.rig.engine();
        match step {
            Step::Write { ops, is_synced } => {
                let durability = if is_synced { Durability::Synced } else { Durability::Buffered };
                engine.write(&batch(&ops), durability).unwrap();
                self.rig.on_write(is_synced);
            }
            Step::Get(cf, key) => {
                assert_eq!(engine.get(cf, &key).unwrap(), model.now.get(cf, &key));
                for (view, state) in self.views.iter().zip(&model.views) {
                    assert_eq!(view.get(cf, &key).unwrap(), state.get(cf, &key));
                }
            }
            Step::Scan { cf, bounds, direction, limit } => {
                let bounds = (bounds.0.as_ref().map(|k| &**k), bounds.1.as_ref().map(|k| &**k));
                let found = scan(&*engine.view(), cf, bounds, direction, limit);
                assert_eq!(found, model.now.scan(cf, bounds, direction, limit));
            }
            Step::TakeView => self.views.push(engine.view()),
            Step::DropView(at) => drop(self.views.remove(at)),
            Step::Flush(cf) => {
                engine.flush(cf).unwrap();
                self.rig.on_write(true);
            }
            Step::Checkpoint => self.checkpoint(model),
            Step::Ingest(cf, tables) => self.ingest(cf, &tables),
            Step::Restart => {
                self.views.clear();
                self.rig.restart();
            }
            Step::Crash { thousandths, is_torn } => {
                self.views.clear();
                self.rig.crash(self.before.kept(thousandths), is_torn);
            }
        }
    }

    fn checkpoint(&mut self, model: &Model) {
        let path = self.rig.path(&format!("checkpoint-{}", model.files));
        self.rig.engine().checkpoint(&path).unwrap();
        let copy = self.rig.open_checkpoint(&path);
        model.now.assert_shown_by(&*copy.view(), "in a checkpoint");
        copy.write(&batch(&[ModelOp::Delete(Cf::Meta, b"a".to_vec())]), Durability::Synced)
            .unwrap();
        self.rig.on_write(true);
    }

    fn ingest(&mut self, cf: Cf, tables: &[Pairs]) {
        let mut paths = Vec::new();
        for (at, pairs) in tables.iter().enumerate() {
            let path = self.rig.path(&format!("table-{}", self.before.files + at));
            let mut table = self.rig.engine().table(cf, &path).unwrap();
            pairs.iter().for_each(|(key, value)| table.put(key, value).unwrap());
            assert!(table.finish().unwrap() > 0);
            assert!(self.rig.file_exists(&path));
            paths.push(path);
        }
        self.rig.engine().ingest(cf, &paths).unwrap();
        assert!(paths.iter().all(|path| !self.rig.file_exists(path)), "moved away");
        self.rig.on_write(true);
    }
}

/// Tries as many sequences as the rig can afford.
pub(crate) fn run<R: Rig + 'static>() {
    let config = Config { cases: R::CASES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let steps = Model::sequential_strategy(STEPS);
    let result = runner.run(&steps, |(initial, steps, seen)| {
        Test::<R>::test_sequential(Config::default(), initial, steps, seen);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
