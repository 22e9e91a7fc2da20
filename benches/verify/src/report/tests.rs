//! Tests of reports: what makes one bad or worth nothing, and what it says.

use super::*;
use crate::history::Asked;

const MS: u64 = 1_000_000;

fn value(version: u64) -> Value {
    Value { version, client: 1, seq: u32::try_from(version).unwrap() }
}

fn record(at_ms: u64, asked: Asked, told: Told) -> Record {
    let ret = (told != Told::Maybe).then_some((at_ms + 1) * MS);
    let seq = u32::try_from(at_ms).unwrap();
    Record { client: 1, seq, key: Key::Owned(1), call: at_ms * MS, ret, asked, told }
}

fn put(at_ms: u64, version: u64) -> Record {
    record(at_ms, Asked::Put(value(version)), Told::Done)
}

fn read(at_ms: u64, found: Option<u64>) -> Record {
    record(at_ms, Asked::Read, Told::Found(found.map(value)))
}

fn mark(fault: Fault, proof: Option<&str>) -> Mark {
    Mark {
        fault,
        from_ms: 300,
        to_ms: 500,
        target: "<node>".to_owned(),
        proof: proof.map(str::to_owned),
        note: String::new(),
    }
}

fn end(found: &[u64]) -> End {
    let found = found.iter().map(|&version| (Key::Owned(1), value(version))).collect();
    End { is_calm: true, found, foreign: Vec::new() }
}

fn report(records: &[Record], end: Option<&End>, wanted: &[Fault], marks: Vec<Mark>) -> Report {
    let setup = Setup {
        seed: 7,
        duration_ms: 1_000,
        wanted: wanted.to_vec(),
        load_end: 1_000 * MS,
        ..Setup::default()
    };
    Report::of(setup, records, end, marks, BTreeMap::new())
}

fn good() -> Vec<Record> {
    vec![put(10, 1), read(20, Some(1)), put(30, 2), read(900, Some(2))]
}

#[test]
fn good_run_is_told_in_three_lines_and_its_faults() {
    let open = record(950, Asked::Put(value(3)), Told::Maybe);
    let records = [good(), vec![open]].concat();
    let kill = mark(Fault::Kill, Some("process 1 was gone"));
    let report = report(&records, Some(&end(&[2])), &[Fault::Kill], vec![kill]);
    assert_eq!((report.verdict, report.reasons.len()), (Verdict::Good, 0));
    assert_eq!(
        report.text(&["report verify.html".to_owned()]),
        "verify: 2 acknowledged writes, 0 lost, 0 duplicated, 1 unknown outcomes (0 applied, 1 \
         not)\n        longest gap without a success 0.87 s   history linearizable (per key, 1 \
         keys)   report verify.html\n        2 reads   second opinion: 0 keys wrong, 0 undecided   \
         seed 7\n        faults: 1 kill\n        verdict good\n"
    );
}

#[test]
fn what_was_seen_to_be_wrong_makes_it_bad() {
    let wrong = vec!["a store went on".to_owned()];
    let setup = Setup { wrong: wrong.clone(), load_end: 1_000 * MS, ..Setup::default() };
    let report = Report::of(setup, &good(), Some(&end(&[2])), Vec::new(), BTreeMap::new());
    assert_eq!((report.verdict, report.reasons), (Verdict::Bad, wrong));
}

#[test]
fn what_is_wrong_makes_it_bad() {
    let verdict = |records: &[Record], end: Option<&End>| {
        let report = report(records, end, &[], Vec::new());
        (report.verdict, report.reasons)
    };
    let (bad, reasons) = verdict(&good(), Some(&end(&[1])));
    assert_eq!((bad, reasons), (Verdict::Bad, vec!["1 acknowledged writes are lost".to_owned()]));
    assert_eq!(verdict(&good(), None).0, Verdict::Bad);
    let unseen = report(&good(), None, &[], Vec::new()).text(&[]);
    assert!(unseen.contains("not looked at") && !unseen.contains("0 lost"), "{unseen}");
    assert_eq!(verdict(&good(), Some(&End { is_calm: false, ..end(&[2]) })).0, Verdict::Bad);
    let foreign = End { foreign: vec!["verify/what".to_owned()], ..end(&[2]) };
    assert_eq!(verdict(&good(), Some(&foreign)).0, Verdict::Bad);
    let stale = [good(), vec![read(990, Some(1))]].concat();
    let (bad, reasons) = verdict(&stale, Some(&end(&[2])));
    assert_eq!((bad, reasons.len()), (Verdict::Bad, 2), "both checks see it");
}

#[test]
fn a_run_that_shows_nothing_is_not_good() {
    let invalid = |records: &[Record], wanted: &[Fault], marks: Vec<Mark>| {
        let last = end(&[2]);
        let report = report(records, Some(&last), wanted, marks);
        assert_eq!(report.verdict, Verdict::Invalid, "{report:?}");
        report.reasons.join(" ")
    };
    let unproven = invalid(&good(), &[Fault::Pause], vec![mark(Fault::Pause, None)]);
    assert!(unproven.contains("no pause is proven"), "{unproven}");
    let other = vec![mark(Fault::Kill, Some("gone"))];
    assert!(invalid(&good(), &[Fault::Pause], other).contains("pause"));
    let malformed = [good(), vec![put(30, 3)]].concat();
    let setup = Setup { load_end: 1_000 * MS, ..Setup::default() };
    let report = Report::of(setup, &malformed, Some(&end(&[3])), Vec::new(), BTreeMap::new());
    assert!(report.reasons.iter().any(|it| it.contains("its own rules")), "{report:?}");
    let nothing = Report::of(
        Setup::default(),
        &[],
        Some(&End { is_calm: true, ..End::default() }),
        Vec::new(),
        BTreeMap::new(),
    );
    assert_eq!(nothing.verdict, Verdict::Invalid);
}

#[test]
fn page_stands_alone_and_shows_faults_with_their_proofs() {
    let marks = vec![mark(Fault::Kill, Some("<b>gone</b>")), mark(Fault::Split, None)];
    let page = report(&good(), Some(&end(&[2])), &[], marks).html();
    for wanted in ["&lt;b&gt;gone", "&lt;node&gt;", "it may not have happened", "<svg", "</html>"] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    for foreign in ["http:", "https:", "src=", "href=", "@import", "<script"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn json_has_numbers_and_the_seed_as_text() {
    let report = report(&good(), Some(&end(&[2])), &[], Vec::new());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["verdict"], "good");
    assert_eq!(json["seed"], "7");
    assert_eq!(json["counts"]["acknowledged"], 2);
    assert_eq!(json["durability"]["lost"], 0);
    assert_eq!(json["successes"]["longest"]["ms"], 870);
}

#[test]
fn numbers_are_grouped() {
    assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    assert_eq!(seconds(1_319), "1.31 s");
}
