//! What mixes and distributions come to, over many calls of a fixed seed.

use std::collections::BTreeMap;

use super::*;

const CALLS: u64 = 100_000;

fn calls(workload: &Workload, records: u64) -> Vec<Call> {
    let numbers = Numbers::new(records);
    let mut script = Script::new(workload, records, 1, 0);
    (0..CALLS).map(|_| script.next(&numbers)).collect()
}

/// How often each number is asked for, the most frequent first.
fn frequencies(distribution: Distribution, records: u64) -> Vec<(u64, u64)> {
    let workload = Workload { distribution, ..Workload::get() };
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for call in calls(&workload, records) {
        let Call::Read(number) = call else { panic!("{call:?}") };
        *counts.entry(number).or_default() += 1;
    }
    let mut counts: Vec<(u64, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(number, count)| (std::cmp::Reverse(*count), *number));
    counts
}

#[test]
fn mixes_add_up_and_come_as_often_as_they_say() {
    let letters = [Ycsb::A, Ycsb::B, Ycsb::C, Ycsb::D, Ycsb::E, Ycsb::F].map(Workload::ycsb);
    let others = [
        Workload::put(),
        Workload::get(),
        Workload::scan(10),
        Workload::mixed(30),
        Workload::cas(),
    ];
    for workload in letters.iter().chain(&others) {
        assert_eq!(workload.mix.iter().map(|(_, percent)| percent).sum::<u64>(), 100);
        let calls = calls(workload, 1_000);
        for (kind, percent) in &workload.mix {
            let count = calls.iter().filter(|call| call.kind() == *kind).count();
            let percent_found = count as f64 * 100.0 / CALLS as f64;
            let off = (percent_found - *percent as f64).abs();
            assert!(off < 1.0, "{} {}: {percent_found}", workload.name, kind.name());
        }
    }
    assert_eq!(Workload::mixed(100).mix, [(Kind::Read, 100)]);
    assert_eq!(Workload::ycsb(Ycsb::A).mix_text(), "50 % read, 50 % update");
}

#[test]
fn same_seed_gives_the_same_calls_and_callers_differ() {
    let of = |seed, caller| {
        let numbers = Numbers::new(1_000);
        let mut script = Script::new(&Workload::ycsb(Ycsb::E), 1_000, seed, caller);
        (0..100).map(|_| script.next(&numbers)).collect::<Vec<Call>>()
    };
    assert_eq!(of(1, 0), of(1, 0));
    assert_ne!(of(1, 0), of(1, 1));
    assert_ne!(of(1, 0), of(2, 0));
}

#[test]
fn uniform_takes_every_record_as_often() {
    let counts = frequencies(Distribution::Uniform, 100);
    assert_eq!(counts.len(), 100);
    // Six standard deviations of 31.
    assert!(counts.iter().all(|(_, count)| count.abs_diff(1_000) < 190), "{counts:?}");
}

#[test]
fn zipfian_prefers_a_few_that_lie_far_apart() {
    let counts = frequencies(Distribution::Zipfian, 10_000);
    // The sum of 1 / k^0.99 over ten thousand ranks is 10.2.
    let share = |at: usize| counts[at].1 as f64 / CALLS as f64;
    assert!((share(0) - 1.0 / 10.2).abs() < 0.005, "{}", share(0));
    assert!((share(1) - 0.5 / 10.2).abs() < 0.005, "{}", share(1));
    let first: u64 = counts[..100].iter().map(|(_, count)| count).sum();
    assert!(first > CALLS / 2 && first < CALLS * 2 / 3, "{first}");
    let mut hot: Vec<u64> = counts[..10].iter().map(|(number, _)| *number).collect();
    hot.sort_unstable();
    assert!(hot.windows(2).all(|pair| pair[1] - pair[0] > 10), "{hot:?}");
}

#[test]
fn scattered_ranks_are_all_records() {
    for records in [1, 2, 3, 10, 97, 1_000, 65_536] {
        let stride = u128::from(stride(records));
        let places: std::collections::BTreeSet<u128> =
            (0..u128::from(records)).map(|rank| rank * stride % u128::from(records)).collect();
        assert_eq!(places.len() as u64, records);
    }
}

#[test]
fn latest_follows_what_is_inserted() {
    let numbers = Numbers::new(1_000);
    let workload = Workload { distribution: Distribution::Latest, ..Workload::get() };
    let mut script = Script::new(&workload, 1_000, 1, 0);
    let mut newest = |expected: u64| {
        let calls: Vec<Call> = (0..1_000).map(|_| script.next(&numbers)).collect();
        assert!(calls.contains(&Call::Read(expected)));
        let is_there = |call: &Call| matches!(call, Call::Read(number) if *number <= expected);
        assert!(calls.iter().all(is_there));
    };
    newest(999);
    let inserted = [numbers.insert(), numbers.insert()];
    numbers.settle(inserted[1]);
    newest(999);
    numbers.settle(inserted[0]);
    newest(1_001);
}

#[test]
fn sequential_takes_each_in_its_turn() {
    let workload = Workload { distribution: Distribution::Sequential, ..Workload::put() };
    let first: Vec<Call> = calls(&workload, 3).into_iter().take(4).collect();
    assert_eq!(first, [0, 1, 2, 0].map(Call::Update));
}

#[test]
fn scans_are_as_long_as_they_should_be() {
    let lengths = |workload: &Workload| -> Vec<u64> {
        let length = |call: Call| match call {
            Call::Scan(_, length) => Some(length),
            _ => None,
        };
        calls(workload, 1_000).into_iter().filter_map(length).collect()
    };
    assert!(lengths(&Workload::scan(10)).iter().all(|&length| length == 10));
    let any = lengths(&Workload::ycsb(Ycsb::E));
    assert_eq!((any.iter().min(), any.iter().max()), (Some(&1), Some(&SCAN_MAX)));
    let mean = any.iter().sum::<u64>() as f64 / any.len() as f64;
    assert!((mean - 50.5).abs() < 1.0, "{mean}");
}

#[test]
fn only_what_writes_alone_needs_no_records() {
    let needs = [Workload::put(), Workload::get(), Workload::cas(), Workload::mixed(0)]
        .map(|workload| workload.needs_records());
    assert_eq!(needs, [false, true, true, false]);
}
