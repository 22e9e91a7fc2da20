//! The model against what can be said without it.

use super::*;

const US: Duration = Duration::from_micros(1);

fn costs() -> Costs {
    Costs { put_leader: 30 * US, put_follower: 15 * US, get: 10 * US }
}

/// More callers than the cores can serve.
fn settings(stores: usize, operation: Operation, pick: Pick) -> Settings {
    Settings {
        stores,
        cores: 2,
        sync: 400 * US,
        hop: 50 * US,
        regions: 900,
        keys: 90_000,
        deal: Deal::Balanced,
        callers: 200 * stores,
        operation,
        pick,
        costs: costs(),
        warm: Duration::from_millis(20),
        span: Duration::from_millis(100),
    }
}

fn cpu_of(operation: Operation) -> Duration {
    match operation {
        Operation::Put => costs().put_leader + 2 * costs().put_follower,
        Operation::Get => costs().get,
    }
}

const BOTH: [Operation; 2] = [Operation::Put, Operation::Get];

#[test]
fn one_caller_waits_for_exactly_what_is_on_its_way() {
    let alone = |operation| {
        let mut settings = settings(3, operation, Pick::Uniform);
        settings.callers = 1;
        run(&settings, 1).p99_us
    };
    // There and back, and the work.
    assert_eq!(alone(Operation::Get), 2.0 * 50.0 + 10.0);
    // The second copy is on disk after a hop, the follower's work, its sync, and a hop back: later
    // than the leader's own, which began one hop and that work earlier. But a follower may still
    // sync its copy of the put before, which the other follower had first: then it waits for that.
    let least = 2.0 * 50.0 + 30.0 + (50.0 + 15.0 + 400.0 + 50.0);
    let put = alone(Operation::Put);
    assert!((least..=least + 400.0).contains(&put), "{put}");
}

#[test]
fn no_store_does_more_than_its_cores_can() {
    for operation in BOTH {
        for pick in [Pick::Uniform, Pick::Zipfian] {
            for deal in [Deal::Balanced, Deal::Random] {
                let mut settings = settings(6, operation, pick);
                settings.deal = deal;
                let outcome = run(&settings, 1);
                let most = settings.span * 2;
                assert!(outcome.busy.iter().all(|busy| *busy <= most), "{:?}", outcome.busy);
                // Counted by what was answered: at most what was under way had been done before.
                let done = cpu_of(operation) * u32::try_from(outcome.operations).unwrap();
                let before = cpu_of(operation) * 1_200;
                assert!(done <= most * 6 + before, "{done:?}");
                assert!(outcome.busy.iter().sum::<Duration>() + before >= done);
            }
        }
    }
}

#[test]
fn equal_load_scales_with_the_stores() {
    for operation in BOTH {
        let of = |stores| run(&settings(stores, operation, Pick::Uniform), 1);
        let three = of(3);
        // Three stores are busy nearly all the time: what bounds them is the cores.
        let possible = 3.0 * 2.0 / cpu_of(operation).as_secs_f64();
        assert!(three.per_second > 0.9 * possible, "{} of {possible}", three.per_second);
        for times in [2, 3] {
            let ratio = of(3 * times).per_second / three.per_second;
            let linear = f64::from(u32::try_from(times).unwrap());
            assert!((ratio / linear - 1.0).abs() < 0.08, "{operation:?} × {times}: {ratio}");
        }
    }
}

#[test]
fn work_of_one_store_is_not_sped_up_by_more() {
    for operation in BOTH {
        let of = |stores| {
            // One region: its leader does all that leaders do.
            let settings =
                Settings { regions: 1, callers: 600, ..settings(stores, operation, Pick::Uniform) };
            run(&settings, 1).per_second
        };
        let (three, nine) = (of(3), of(9));
        assert!((nine / three - 1.0).abs() < 0.01, "{operation:?}: {three} and {nine}");
    }
}

#[test]
fn frequent_keys_and_uneven_deals_cost_some_of_it() {
    for operation in BOTH {
        let even = run(&settings(9, operation, Pick::Uniform), 1).per_second;
        let skewed = run(&settings(9, operation, Pick::Zipfian), 1).per_second;
        assert!(skewed < 0.95 * even, "{operation:?}: {skewed} and {even}");
        let uneven = Settings { deal: Deal::Random, ..settings(9, operation, Pick::Uniform) };
        let uneven = run(&uneven, 1).per_second;
        assert!(uneven < 0.99 * even, "{operation:?}: {uneven} and {even}");
    }
}

#[test]
fn slow_disks_are_waited_for_and_shared() {
    let of =
        |sync| run(&Settings { sync, ..settings(3, Operation::Put, Pick::Uniform) }, 1).per_second;
    let (quick, slow) = (of(400 * US), of(40_000 * US));
    assert!(slow < 0.5 * quick, "{slow} and {quick}");
    // One sync for each put would allow 25 a second on a store.
    assert!(slow > 1_000.0, "{slow}");
}

#[test]
fn outcome_follows_from_the_seed() {
    let settings = settings(3, Operation::Put, Pick::Zipfian);
    assert_eq!(run(&settings, 1), run(&settings, 1));
    assert_ne!(run(&settings, 1), run(&settings, 2));
}
