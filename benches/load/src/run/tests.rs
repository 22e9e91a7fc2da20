//! Runs against a target that does as it is told, in virtual time.

use super::*;
use crate::fake::Fake;
use crate::fill::fill;
use crate::verdict::{self, Errors};
use crate::workload::{Kind, Ycsb};

const MS: Duration = Duration::from_millis(1);

fn plan(workload: Workload, pace: Pace) -> Plan {
    Plan {
        workload,
        keys: Keys { prefix: "bench/".to_owned(), records: 1_000 },
        clients: 4,
        pace,
        warmup: 500 * MS,
        span: 4 * SECOND,
        value_bytes: 16,
        seed: 1,
    }
}

/// A target with all records, which takes so long for each call.
async fn filled(takes: Duration) -> (Arc<Fake>, Target) {
    let fake = Arc::new(Fake::default());
    let target = Target::Fake(Arc::clone(&fake));
    let plan = plan(Workload::get(), Pace::Closed);
    fill(&target, &plan.keys, &Values::new(plan.value_bytes, 1), &mut |_| ()).await.unwrap();
    fake.take(takes);
    (fake, target)
}

/// The pacer as a task: virtual time does not pass in threads.
fn paced(pacer: &Arc<Pacer>) {
    let pacer = Arc::clone(pacer);
    tokio::spawn(async move {
        while let Some(nap) = pacer.release() {
            tokio::time::sleep(nap).await;
        }
    });
}

async fn measure(target: &Target, plan: &Plan) -> Measured {
    drive(target, plan, &Watch::default(), &mut |_| (), paced).await
}

#[tokio::test(start_paused = true)]
async fn closed_loop_counts_what_begins_in_its_span() {
    let (_, target) = filled(10 * MS).await;
    let mut shown = 0;
    let plan = plan(Workload::get(), Pace::Closed);
    let measured =
        drive(&target, &plan, &Watch::default(), &mut |_| shown += 1, Pacer::start).await;
    // Four callers, a call each 10 ms.
    let operations = measured.tally.operations();
    assert!((1_590..=1_604).contains(&operations), "{operations}");
    assert_eq!((measured.seconds.len(), shown), (4, 4), "{:?}", measured.seconds);
    let in_lines: u64 = measured.seconds.iter().map(|second| second.operations).sum();
    assert!(operations - in_lines <= 8, "{in_lines}");
    let late = measured.elapsed - 4 * SECOND;
    assert!(late < 20 * MS, "{late:?}");
    let all_us = measured.tally.all_us();
    assert!((10_000..12_010).contains(&all_us.max()), "{}", all_us.max());
    assert!(verdict::reasons(&measured, Errors::Refuse).is_empty());
}

#[tokio::test(start_paused = true)]
async fn stall_of_the_target_is_seen_by_every_operation_of_an_open_loop() {
    let of = async |pace| {
        let (fake, target) = filled(MS).await;
        let from = Instant::now() + 2 * SECOND;
        fake.stall(from, from + SECOND);
        measure(&target, &plan(Workload::get(), pace)).await
    };
    let open = of(Pace::Open(100)).await;
    let (all_us, operations) = (open.tally.all_us(), open.tally.operations());
    assert_eq!((operations, open.never_begun), (400, 0), "none of the schedule is left out");
    // A hundred of them were to begin in that second: the first waited for all of it, the last
    // hardly. Half of them waited for more than half a second.
    let late = all_us.count_between(500_000, 2_000_000);
    assert!((45..=55).contains(&late), "{late}");
    assert!(all_us.max() >= 990_000, "{}", all_us.max());
    assert!(open.seconds.iter().any(|second| second.behind > 40), "{:?}", open.seconds);
    assert!(verdict::reasons(&open, Errors::Refuse).is_empty());

    let closed = of(Pace::Closed).await.tally.all_us();
    // One slow call of each caller among all the others: what an open loop is there to avoid.
    assert_eq!(closed.count_between(500_000, 2_000_000), 4);
}

#[tokio::test(start_paused = true)]
async fn rate_that_cannot_be_kept_is_no_result() {
    let (_, target) = filled(100 * MS).await;
    // Four callers with 100 ms each do 40 a second.
    let measured = measure(&target, &plan(Workload::get(), Pace::Open(1_000))).await;
    assert!(measured.never_begun > 3_000, "{}", measured.never_begun);
    let reasons = verdict::reasons(&measured, Errors::Refuse);
    assert!(reasons.iter().any(|why| why.contains("cannot keep this rate")), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_make_it_invalid_and_have_no_latency() {
    let (fake, target) = filled(10 * MS).await;
    fake.fail("timed out");
    let measured = measure(&target, &plan(Workload::put(), Pace::Closed)).await;
    assert_eq!(measured.tally.operations(), 0);
    // Four callers for 4.5 s, 20 ms each: failures count from the beginning.
    let failed = measured.tally.failed_operations();
    assert!((840..=904).contains(&failed), "{failed}");
    let reasons = verdict::reasons(&measured, Errors::Refuse);
    assert!(reasons.iter().any(|why| why.contains("failed (timed out)")), "{reasons:?}");
    assert_eq!(verdict::reasons(&measured, Errors::Allow), ["no operation ended well"]);
}

#[tokio::test(start_paused = true)]
async fn cluster_that_turns_unwell_makes_it_invalid() {
    let (_, target) = filled(10 * MS).await;
    let unwell = Instant::now() + 2 * SECOND;
    let ask = move || -> Wellness {
        Box::pin(async move {
            let is_well = Instant::now() < unwell || Instant::now() > unwell + SECOND;
            if is_well { Ok(()) } else { Err("store 2 is down".to_owned()) }
        })
    };
    let watch = Watch { wellness: Some(Arc::new(ask)), servers: Vec::new() };
    let plan = plan(Workload::put(), Pace::Closed);
    let measured = drive(&target, &plan, &watch, &mut |_| (), paced).await;
    assert_eq!(measured.problems, ["after 2 s: store 2 is down"]);
    assert_eq!(
        verdict::reasons(&measured, Errors::Allow),
        ["not healthy after 2 s: store 2 is down"]
    );
}

#[tokio::test(start_paused = true)]
async fn every_workload_finds_the_keys_that_it_asks_for() {
    let letters = [Ycsb::A, Ycsb::B, Ycsb::C, Ycsb::D, Ycsb::E, Ycsb::F].map(Workload::ycsb);
    let others = [Workload::put(), Workload::get(), Workload::scan(10), Workload::mixed(50)];
    for workload in letters.into_iter().chain(others).chain([Workload::cas()]) {
        let (fake, target) = filled(10 * MS).await;
        let measured = measure(&target, &plan(workload.clone(), Pace::Closed)).await;
        assert!(measured.tally.failures.is_empty(), "{}: {measured:?}", workload.name);
        for (kind, _) in &workload.mix {
            let of_kind = measured.tally.latencies_us(*kind).len();
            assert!(of_kind > 0, "{} has no {}", workload.name, kind.name());
        }
        let inserts = workload.mix.iter().any(|(kind, _)| *kind == Kind::Insert);
        assert_eq!(fake.len() > 1_000, inserts, "{}", workload.name);
    }
}

#[tokio::test(start_paused = true)]
async fn swappers_of_one_key_conflict() {
    let (_, target) = filled(10 * MS).await;
    let keys = Keys { prefix: "bench/".to_owned(), records: 1 };
    let plan = Plan { keys, ..plan(Workload::cas(), Pace::Closed) };
    let measured = measure(&target, &plan).await;
    assert!(measured.tally.conflicts > 100, "{}", measured.tally.conflicts);
    assert!(measured.tally.failures.is_empty());
}

#[tokio::test(start_paused = true)]
async fn absent_key_is_a_failure() {
    let target = Target::Fake(Arc::new(Fake::default()));
    let plan = Plan { span: SECOND, ..plan(Workload::get(), Pace::Open(10)) };
    let measured = measure(&target, &plan).await;
    assert_eq!(measured.tally.failures.keys().copied().collect::<Vec<_>>(), ["absent"]);
}
