//! A run that fails is made smaller by the runner, and what it prints replays the same failure.

mod runner;

use runner::sim;

/// What a run says in one line: steps and checker of its failure.
fn failure(arguments: &str) -> (u64, String) {
    let out = sim(&format!("{arguments} --terse"));
    assert_eq!(out.status.code(), Some(1), "{arguments} fails");
    let said = String::from_utf8(out.stdout).expect("text");
    let words: Vec<&str> = said.trim().splitn(4, ' ').collect();
    let ["failed", steps, _, check] = words[..] else { panic!("{arguments} said {said}") };
    (steps.parse().expect("a number"), check.to_owned())
}

/// The arguments that `--minimise` prints.
fn minimised(arguments: &str) -> String {
    let out = sim(&format!("{arguments} --minimise"));
    assert_eq!(out.status.code(), Some(1), "{arguments} fails");
    let said = String::from_utf8(out.stdout).expect("text");
    let replay = said.lines().find_map(|line| line.strip_prefix("replay: ./x sim "));
    replay.unwrap_or_else(|| panic!("no replay in {said}")).to_owned()
}

fn assert_smaller_and_the_same(arguments: &str) {
    let (steps, check) = failure(arguments);
    let smaller = minimised(arguments);
    let only = smaller.split_once("--only ").expect("most classes are left out").1;
    assert!(only.split(',').count() <= 3, "many classes stay: {smaller}");
    let (fewer, same) = failure(&smaller);
    assert_eq!(same, check, "{smaller}");
    assert!(fewer <= steps, "{fewer} steps of {steps}: {smaller}");
    assert_eq!(failure(&smaller), (fewer, same), "it replays");
}

#[test]
fn planted_bug_of_groups_is_made_smaller_and_replays() {
    assert_smaller_and_the_same("cluster --seed 2 --bug StaleRead");
}

#[test]
fn planted_bug_of_a_whole_cluster_is_made_smaller_and_replays() {
    assert_smaller_and_the_same("whole --seed 0 --bug WriteLeftOut");
}

#[test]
fn what_holds_is_not_made_smaller() {
    let out = sim("cluster --seed 2 --minimise");
    assert_eq!(out.status.code(), Some(0));
}

#[test]
fn wrong_classes_and_sizes_are_refused_with_those_that_there_are() {
    for (arguments, says) in [
        ("cluster --seed 2 --without joins", "no class `joins`; there are: crashes cuts"),
        ("cluster --seed 2 --only crash", "no class `crash`; there are: crashes cuts"),
        ("cluster --seed 2 --stores 2", "--stores 2: that is at least 3"),
        ("whole --seed 2 --groups 2", "--groups 2: that does not go here"),
        ("whole --seed 2 --bug StaleRead", "no bug `StaleRead`; there are: EpochUnchecked"),
    ] {
        let out = sim(arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments}");
        let said = String::from_utf8(out.stderr).expect("text");
        assert!(said.contains(says), "{arguments} said {said}");
    }
}

/// A site that is switched off is not reached, and its name is said.
#[test]
fn site_that_is_never_reached_fails_a_run_of_many_by_its_name() {
    let all = sim("cluster --seeds 0..40 --every-site");
    assert_eq!(all.status.code(), Some(0), "{}", String::from_utf8_lossy(&all.stdout));
    let some = sim("cluster --seeds 0..40 --every-site --without odd-merged,odd-slices");
    assert_eq!(some.status.code(), Some(1));
    let said = String::from_utf8(some.stdout).expect("text");
    assert!(said.ends_with("never reached: odd-slices odd-merged\n"), "{said}");
}

/// What is left out moves no other draw: two runs of a seed of which one has no crashes have the
/// same partitions, stalls and pauses as long as nothing has crashed.
#[test]
fn class_that_is_left_out_moves_no_other() {
    let told = |arguments: &str| {
        let out = sim(arguments);
        let said = String::from_utf8(out.stdout).expect("text");
        said.lines().skip(1).map(str::to_owned).collect::<Vec<String>>()
    };
    let whole = told("cluster --seed 5");
    let calm = told("cluster --seed 5 --without crashes");
    let crash = whole.iter().position(|line| line.ends_with(" crashes")).expect("one crashes");
    assert!(crash > 100, "too soon to say anything: {crash}");
    assert_eq!(whole[..crash], calm[..crash]);
    assert!(!calm.iter().any(|line| line.ends_with(" crashes")));
}
