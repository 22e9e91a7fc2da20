//! The short fixed part: some scenarios with fixed seeds. The others, and other seeds, by
//! `./x chaos`.

use chaos::scenario::find;
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
