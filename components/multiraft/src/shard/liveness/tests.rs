//! Stories of two and three stores (pitfalls 105–114 of multi-Raft stores).

use std::time::Duration;

use super::*;

const INTERVAL: Duration = Duration::from_millis(500);
const SPAN: Duration = Duration::from_millis(2_500);

fn store(id: u64) -> StoreId {
    StoreId::new(id).unwrap()
}

fn at(ms: u64) -> Time {
    Time(ms * 1_000_000)
}

/// Stores with clocks of their own, and links that can be cut one way.
struct World {
    now: u64,
    detectors: Vec<Option<Detector>>,
    pledges: Vec<Option<Arc<Pledges>>>,
    /// What is durable, by store.
    remembered: Vec<Remembered>,
    /// How far each clock is ahead.
    ahead: Vec<u64>,
    cut: Vec<(usize, usize)>,
    changes: Vec<(usize, StoreId, bool)>,
}

impl World {
    fn new(stores: usize) -> World {
        let mut world = World {
            now: 10_000,
            detectors: (0..stores).map(|_| None).collect(),
            pledges: vec![None; stores],
            remembered: vec![Remembered::default(); stores],
            ahead: (0..stores as u64).map(|nth| nth * 1_000_000).collect(),
            cut: Vec::new(),
            changes: Vec::new(),
        };
        (0..stores).for_each(|nth| world.start(nth));
        world
    }

    fn clock(&self, nth: usize) -> Time {
        at(self.now + self.ahead[nth])
    }

    fn start(&mut self, nth: usize) {
        self.remembered[nth].epoch += 1;
        let life = self.remembered[nth].epoch;
        let pledges = Arc::new(Pledges::new(life, &raft::Config::default()));
        self.pledges[nth] = Some(Arc::clone(&pledges));
        let (remembered, now) = (&self.remembered[nth], self.clock(nth));
        let mut detector = Detector::new(remembered, (INTERVAL, SPAN), pledges, now);
        for other in (0..self.detectors.len()).filter(|&other| other != nth) {
            detector.watch(store(other as u64 + 1));
        }
        self.detectors[nth] = Some(detector);
    }

    fn carry_out(&mut self, from: usize, out: LivenessEffects) {
        for op in out.records.iter() {
            let storage::Op::Put(_, key, value) = op else { panic!("only puts") };
            disk::remember(&mut self.remembered[from], key, value).unwrap();
        }
        self.changes.extend(out.changes.iter().map(|&(store, held)| (from, store, held)));
        for (to, message) in out.sends {
            let to = usize::try_from(to.get() - 1).unwrap();
            if self.cut.contains(&(from, to)) {
                continue;
            }
            let now = self.clock(to);
            let Some(detector) = &mut self.detectors[to] else { continue };
            let mut out = LivenessEffects::default();
            detector.on_message(now, store(from as u64 + 1), &message, &mut out);
            self.carry_out(to, out);
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 50 {
            self.now += 50;
            for nth in 0..self.detectors.len() {
                let now = self.clock(nth);
                let Some(detector) = &mut self.detectors[nth] else { continue };
                if detector.deadline() <= now {
                    let mut out = LivenessEffects::default();
                    detector.tick(now, &mut out);
                    self.carry_out(nth, out);
                }
            }
        }
    }

    /// What peers on `who` may pledge to leaders on `whom`.
    fn offer(&self, who: usize, whom: usize) -> Pledge {
        self.pledges[who].as_ref().expect("it has run").offer(store(whom as u64 + 1))
    }

    /// Until when `who` counts on what was pledged to it on `whom`, on its own clock.
    fn counts(&self, who: usize, whom: usize, pledge: Pledge) -> Option<Time> {
        let by = [(store(whom as u64 + 1), pledge)];
        let kept = self.pledges[who].as_ref().expect("it has run").kept(&by, 1);
        kept.map(|(_, until)| until)
    }

    fn vouches(&self, who: usize, whom: usize) -> bool {
        let now = self.clock(who);
        let detector = self.detectors[who].as_ref().expect("it runs");
        detector.vouches(store(whom as u64 + 1), now)
    }
}

#[test]
fn stores_that_hear_each_other_vouch_for_each_other_whatever_their_clocks_say() {
    let mut world = World::new(3);
    world.run(1_500);
    for (who, whom) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
        assert!(world.vouches(who, whom), "{who} for {whom}");
    }
    let told = world.changes.len();
    world.run(60_000);
    assert_eq!(world.changes.len(), told, "nothing changes while nothing happens");
}

#[test]
fn dead_store_is_given_up_by_everyone_within_the_span_and_one_interval() {
    let mut world = World::new(3);
    world.run(5_000);
    world.detectors[2] = None;
    world.changes.clear();
    world.run(3_000);
    let dead = store(3);
    assert!(world.changes.contains(&(0, dead, false)) && world.changes.contains(&(1, dead, false)));
    assert_eq!(world.changes.len(), 2, "and nobody else is: {:?}", world.changes);
    assert!(world.vouches(0, 1) && world.vouches(1, 0));
}

#[test]
fn restart_ends_one_life_and_begins_another() {
    let mut world = World::new(2);
    world.run(5_000);
    world.changes.clear();
    world.start(1);
    world.run(2_000);
    let of_first: Vec<bool> =
        world.changes.iter().filter(|change| change.0 == 0).map(|change| change.2).collect();
    assert_eq!(of_first, [false, true]);
    assert_eq!(world.detectors[0].as_ref().unwrap().supports(store(2)).unwrap().0, 2);
}

#[test]
fn one_way_cut_ends_it_on_both_sides_and_healing_begins_it_anew() {
    let mut world = World::new(2);
    world.run(5_000);
    world.cut.push((0, 1));
    world.run(6_000);
    assert!(!world.vouches(0, 1) && !world.vouches(1, 0));
    world.cut.clear();
    world.run(2_000);
    assert!(world.vouches(0, 1) && world.vouches(1, 0));
    assert!(world.detectors[0].as_ref().unwrap().epoch() > 1, "the withdrawn epoch is over");
}

#[test]
fn withdrawn_epoch_is_never_supported_again_even_after_the_supporter_restarts() {
    let mut world = World::new(2);
    world.run(5_000);
    world.cut = vec![(0, 1), (1, 0)];
    world.run(5_000);
    world.start(1);
    // A message of the withdrawn epoch was under way all the time.
    let late = Liveness { epoch: 1, sent_at: u64::MAX, ..Liveness::default() };
    let now = world.clock(1);
    let mut out = LivenessEffects::default();
    let detector = world.detectors[1].as_mut().unwrap();
    detector.on_message(now, store(1), &late, &mut out);
    assert_eq!(detector.supports(store(1)), None);
    assert!(out.records.is_empty());
}

#[test]
fn support_lent_before_a_restart_lasts_a_whole_span_after_it() {
    let mut world = World::new(2);
    world.run(5_000);
    world.cut = vec![(0, 1), (1, 0)];
    // The clock starts from zero with the process.
    world.ahead[1] = 0;
    world.start(1);
    let (epoch, until) = world.detectors[1].as_ref().unwrap().supports(store(1)).unwrap();
    assert_eq!((epoch, until), (1, world.clock(1).after(SPAN)));
    world.run(3_000);
    assert_eq!(world.detectors[1].as_ref().unwrap().supports(store(1)), None);
}

#[test]
fn delayed_message_of_a_dead_store_does_not_revive_it() {
    let mut world = World::new(2);
    world.run(5_000);
    world.detectors[0] = None;
    world.run(4_000);
    assert!(!world.vouches(1, 0));
    let (epoch, sent_at, supports, at_least, echo) = (1, 1, 1, 1, 1);
    let late = Liveness { epoch, sent_at, supports, at_least, echo, ..Liveness::default() };
    let now = world.clock(1);
    let mut out = LivenessEffects::default();
    world.detectors[1].as_mut().unwrap().on_message(now, store(1), &late, &mut out);
    assert!(out.changes.is_empty() && !world.vouches(1, 0));
}

#[test]
fn every_request_for_support_waits_for_the_disk() {
    let mut world = World::new(2);
    let now = world.clock(0);
    let mut out = LivenessEffects::default();
    world.detectors[0].as_mut().unwrap().tick(now, &mut out);
    assert!(out.sync && !out.sends.is_empty());
}

#[test]
fn what_asks_is_answered_at_once_and_an_answer_asks_for_nothing() {
    let mut world = World::new(2);
    world.run(1_500);
    let before = world.detectors[1].as_ref().unwrap().supports(store(1)).unwrap();
    let (now, mut out) = (world.clock(0), LivenessEffects::default());
    world.detectors[0].as_mut().unwrap().next_beat = now;
    world.detectors[0].as_mut().unwrap().tick(now, &mut out);
    let [(_, asks)] = out.sends.as_slice() else { panic!("one other store") };
    let (now, mut out) = (world.clock(1), LivenessEffects::default());
    world.detectors[1].as_mut().unwrap().on_message(now, store(1), asks, &mut out);
    let [(_, answer)] = out.sends.as_slice() else { panic!("one answer") };
    assert!(answer.answers && answer.echo == asks.sent_at && !out.sync);
    assert_eq!(answer.promise, world.offer(1, 0));
    let supported = world.detectors[0].as_ref().unwrap().supports(store(2));
    let (now, mut out) = (world.clock(0), LivenessEffects::default());
    world.detectors[0].as_mut().unwrap().on_message(now, store(2), answer, &mut out);
    assert!(out.sends.is_empty(), "no answer to an answer");
    assert_eq!(world.detectors[0].as_ref().unwrap().supports(store(2)), supported);
    assert!(world.detectors[1].as_ref().unwrap().supports(store(1)).unwrap() >= before);
}

#[test]
fn pledges_last_as_long_as_both_hear_each_other_and_no_longer_than_a_life() {
    let mut world = World::new(2);
    world.run(1_500);
    let pledge = world.offer(1, 0);
    world.run(60_000);
    assert_eq!(world.offer(1, 0), pledge, "nothing happened");
    let until = world.counts(0, 1, pledge).expect("it is kept");
    assert!(until > world.clock(0), "a beat every half second, and a lease of a second");
    // It hears us, and we do not hear it: we cannot count on what it keeps.
    world.cut = vec![(1, 0)];
    world.run(1_100);
    assert!(world.counts(0, 1, pledge).unwrap() <= world.clock(0));
    world.cut.clear();
    world.run(1_000);
    assert!(world.counts(0, 1, pledge).unwrap() > world.clock(0), "it was kept all the time");
    // Silence: what it renews later is another.
    world.cut = vec![(0, 1)];
    world.run(1_100);
    world.cut.clear();
    world.run(1_000);
    assert_ne!(world.offer(1, 0), pledge);
    assert_eq!(world.counts(0, 1, pledge), None);
    // Another life of either store.
    let pledge = world.offer(1, 0);
    world.start(0);
    world.run(600);
    assert_ne!(world.offer(1, 0), pledge, "who pledged itself did so to leaders that are gone");
    let pledge = world.offer(1, 0);
    world.start(1);
    world.run(600);
    assert!(world.offer(1, 0) > pledge && world.counts(0, 1, pledge).is_none());
}

#[test]
fn answer_does_not_take_the_place_of_what_asks() {
    let asks = Liveness { epoch: 3, sent_at: 7, supports: 1, ..Liveness::default() };
    let answer = Liveness { epoch: 3, sent_at: 9, supports: 2, answers: true, ..asks };
    let both = answer.in_place_of(Some(asks));
    assert_eq!((both.answers, both.sent_at, both.supports), (false, 7, 2));
    assert_eq!(asks.in_place_of(Some(answer)), asks);
    let later = Liveness { epoch: 4, ..answer };
    assert_eq!(later.in_place_of(Some(asks)), later, "support is not asked for another epoch");
    assert_eq!(answer.in_place_of(None), answer);
}

#[test]
fn echo_of_what_was_never_sent_is_worth_nothing() {
    let mut world = World::new(2);
    world.run(1_500);
    let pledge = world.offer(1, 0);
    let before = world.counts(0, 1, pledge).expect("it is kept");
    world.now += 10;
    let now = world.clock(0);
    let (epoch, supports, at_least, echo) = (1, 1, 1, now.0 + 1);
    let sent_at = world.clock(1).0;
    let said = Liveness { epoch, sent_at, supports, at_least, echo, ..Liveness::default() };
    let said = Liveness { promise: pledge, answers: true, ..said };
    let mut out = LivenessEffects::default();
    world.detectors[0].as_mut().unwrap().on_message(now, store(2), &said, &mut out);
    assert_eq!(world.counts(0, 1, pledge), Some(before));
    let said = Liveness { echo: now.0, ..said };
    world.detectors[0].as_mut().unwrap().on_message(now, store(2), &said, &mut out);
    assert!(world.counts(0, 1, pledge) > Some(before), "what may have been sent counts");
}
