//! The short fixed part: some scenarios with fixed seeds. The others, and other seeds, by
//! `./x chaos`.

use chaos::scenario::{BEYOND, find};
use verify::report::Verdict;

/// The program: it is the node as well.
const PROGRAM: &str = env!("CARGO_BIN_EXE_chaos");
const SEED: u64 = 1;

async fn holds(name: &str) {
    let scenario = find(name).expect("it is in the table");
    let Some(outcome) = scenario.run(PROGRAM, SEED, scenario.seconds).await else { return };
    let text = outcome.report.text(&[]);
    println!("{name}: {text}");
    assert_eq!(outcome.report.verdict, Verdict::Good, "{name}: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_nothing() {
    holds("kill").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_that_stood_still_answers_nothing_stale() {
    holds("pause").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_ways_divide_nothing() {
    holds("cut").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_that_split_and_move_lose_nothing() {
    holds("regions").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_give_no_stale_read() {
    holds("clocks").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_whose_disk_hangs_stops_and_the_others_go_on() {
    holds("hang").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_whose_log_fails_stops_and_acknowledges_nothing_more() {
    holds("files").await;
}

/// The clocks of a store are moved, and what comes of a lease that is believed for too long is
/// seen: without this, `clocks` could be good because nothing was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clock_that_hides_a_pause_is_seen() {
    let Some(outcome) = BEYOND.run(PROGRAM, SEED, BEYOND.seconds).await else { return };
    let report = &outcome.report;
    println!("{}: {}", BEYOND.name, report.text(&[]));
    assert_eq!(report.verdict, Verdict::Bad, "stale reads are to be seen");
    assert!(report.linearizability.wrong > 0 && report.linearizability.second_wrong > 0);
}
