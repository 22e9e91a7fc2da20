//! The report as one page: a picture of successes over time with what was done to the cluster, and
//! the numbers as tables. It asks for nothing from anywhere.

use std::fmt::Write as _;

use load::{escaped, grouped};

use super::{Report, Verdict, seconds};
use crate::faults::Mark;
use crate::gaps::Gap;
use crate::script::Fault;

/// The picture, in its own units.
const WIDTH: u64 = 1_000;
const HEIGHT: u64 = 220;
/// Where the bars stand.
const FLOOR: u64 = 190;
const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;max-width:1040px;margin:2em auto;\
    padding:0 1em;color:#222}table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em \
    .8em;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}.good{color:#176f2c}\
    .bad{color:#b3261e}.invalid{color:#8a6100}svg{width:100%;height:auto;background:#fafafa}";

pub(super) fn page(report: &Report) -> String {
    let mut page = String::new();
    write(report, &mut page);
    page
}

/// Writing to a string does not fail.
fn write(report: &Report, page: &mut String) {
    let (class, verdict) = match report.verdict {
        Verdict::Good => ("good", "good"),
        Verdict::Bad => ("bad", "bad"),
        Verdict::Invalid => ("invalid", "invalid: this run shows nothing"),
    };
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>crib bench verify: {class}</title><style>{STYLE}</style></head><body>\n\
         <h1>crib bench verify</h1>\n<p>Verdict: <b class=\"{class}\">{verdict}</b></p>\n"
    );
    list(&report.reasons, page);
    let _ = writeln!(page, "<pre>{}</pre>", escaped(&report.text(&[])));
    picture(report, page);
    faults(&report.faults, page);
    parts(report, page);
    let errors: Vec<String> =
        report.errors.iter().map(|(text, count)| format!("{} × {text}", grouped(*count))).collect();
    if !errors.is_empty() {
        page.push_str("<h2>What clients were told when it did not go well</h2>\n");
        list(&errors, page);
    }
    page.push_str("</body></html>\n");
}

fn list(lines: &[String], page: &mut String) {
    if lines.is_empty() {
        return;
    }
    page.push_str("<ul>");
    for line in lines {
        let _ = write!(page, "<li>{}</li>", escaped(line));
    }
    page.push_str("</ul>\n");
}

/// Successes in each tenth of a second; behind them what was done, and the longest gap.
fn picture(report: &Report, page: &mut String) {
    let bars = &report.successes.bars;
    let length_ms = (bars.len() as u64 * 100).max(1);
    let most = u64::from(bars.iter().copied().max().unwrap_or(0)).max(1);
    let x = |ms: u64| ms.min(length_ms) * WIDTH * 10 / length_ms;
    let _ = writeln!(
        page,
        "<h2>Successes per 100 ms</h2>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"successes over time\">"
    );
    for mark in &report.faults {
        band(x(mark.from_ms), x(mark.to_ms), colour(mark.fault), &label(mark), page);
    }
    let Gap { from_ms, ms } = report.successes.longest;
    let title = format!("longest gap without a success: {}", seconds(ms));
    let (from, to) = (x(from_ms), x(from_ms + ms));
    let _ = writeln!(
        page,
        "<rect x=\"{}\" y=\"{FLOOR}\" width=\"{}\" height=\"6\" fill=\"#b3261e\"><title>{}\
         </title></rect>",
        tenths(from),
        tenths((to - from).max(10)),
        escaped(&title),
    );
    let mut path = String::new();
    for (at, &count) in bars.iter().enumerate() {
        let from = x(at as u64 * 100);
        let to = x(at as u64 * 100 + 100);
        let height = u64::from(count) * (FLOOR - 20) / most;
        if height > 0 {
            let _ = write!(
                path,
                "M{} {FLOOR}V{}H{}V{FLOOR}Z",
                tenths(from),
                FLOOR - height,
                tenths(to)
            );
        }
    }
    let _ = writeln!(page, "<path d=\"{path}\" fill=\"#2b6cb0\"/>");
    let _ = writeln!(
        page,
        "<text x=\"2\" y=\"12\" font-size=\"11\">at most {} per 100 ms</text>\
         <text x=\"2\" y=\"212\" font-size=\"11\">0 s</text>\
         <text x=\"{WIDTH}\" y=\"212\" font-size=\"11\" text-anchor=\"end\">{}</text></svg>",
        grouped(most),
        seconds(length_ms),
    );
}

fn band(from: u64, to: u64, colour: &str, title: &str, page: &mut String) {
    let _ = writeln!(
        page,
        "<rect x=\"{}\" y=\"16\" width=\"{}\" height=\"{}\" fill=\"{colour}\" opacity=\"0.35\">\
         <title>{}</title></rect>",
        tenths(from),
        tenths(to.saturating_sub(from).max(20)),
        FLOOR - 16,
        escaped(title),
    );
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

fn colour(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill | Fault::KillAll | Fault::Power => "#d9480f",
        Fault::Pause => "#9c36b5",
        Fault::Restart => "#e8a400",
        Fault::Transfer => "#2f9e44",
        Fault::Split => "#1098ad",
        Fault::Drain | Fault::Join => "#868e96",
        Fault::Cut | Fault::Packets | Fault::Snapshot => "#364fc7",
        Fault::Fill | Fault::Slow | Fault::Hang => "#5f3dc4",
        Fault::FailSync | Fault::FailWrite | Fault::FailRead => "#c2255c",
        Fault::RotLog | Fault::RotTable => "#5c940d",
        Fault::Jump | Fault::Drift => "#0b7285",
    }
}

fn label(mark: &Mark) -> String {
    let what = mark.proof.as_deref().unwrap_or("not proven");
    format!("{} {}: {what}", mark.fault, mark.target)
}

fn faults(marks: &[Mark], page: &mut String) {
    if marks.is_empty() {
        page.push_str("<p>Nothing was done to the cluster.</p>\n");
        return;
    }
    page.push_str(
        "<h2>What was done</h2>\n<table><tr><th>from<th>to<th>what<th>to what<th>proof<th></tr>\n",
    );
    for mark in marks {
        let proof = mark.proof.as_deref().unwrap_or("none: it may not have happened");
        let _ = writeln!(
            page,
            "<tr><td>{}<td>{}<td style=\"color:{}\"><b>{}</b><td>{}<td>{}<td>{}</tr>",
            seconds(mark.from_ms),
            seconds(mark.to_ms),
            colour(mark.fault),
            mark.fault,
            escaped(&mark.target),
            escaped(proof),
            escaped(&mark.note),
        );
    }
    page.push_str("</table>\n");
}

fn parts(report: &Report, page: &mut String) {
    page.push_str(
        "<h2>Longest gap of each sixteenth of the keys</h2>\n\
         <table><tr><th>keys<th>from<th>how long</tr>\n",
    );
    for part in &report.successes.parts {
        let _ = writeln!(
            page,
            "<tr><td>{}…<td>{}<td>{}</tr>",
            escaped(&part.part),
            seconds(part.gap.from_ms),
            seconds(part.gap.ms),
        );
    }
    let _ = writeln!(
        page,
        "</table>\n<p>Longest gap of writes: {}, from {} on.</p>",
        seconds(report.successes.longest_of_writes.ms),
        seconds(report.successes.longest_of_writes.from_ms),
    );
}
