//! A result as one page: it needs no network, and no script.
//!
//! Pictures are drawn in SVG, in the page itself: latency by quantile, on an axis where each
//! further nine is as wide as the one before; throughput, and latency, over time. What is invalid
//! says so above all else.

use std::fmt::Write as _;

use crate::chart::{Chart, Line, Marks};
use crate::summary::{Latencies, Second, Summary};
use crate::workload::Kind;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
    padding:0 1rem;color:#1c2430;background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem;\
    margin-top:2rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
    td,th{padding:.2rem .8rem .2rem 0;text-align:right}td:first-child,th:first-child\
    {text-align:left}th{border-bottom:1px solid #9aa4b2}.bad{background:#fde8e8;border:1px solid \
    #c0392b;padding:.5rem 1rem}dl{display:grid;grid-template-columns:max-content auto;\
    gap:.1rem 1rem}dt{color:#5b6675}dd{margin:0}svg{width:100%;height:auto}svg text{font-size:11px;\
    fill:#5b6675}";
/// A colour for each kind, in their order.
const COLOURS: [&str; 5] = ["#2a6fdb", "#d9822b", "#2e9e5b", "#8e44ad", "#c0392b"];

/// The page.
#[must_use]
pub fn page(of: &Summary) -> String {
    let title = escaped(&format!("crib bench {} on {}", of.workload.name, of.target.kind));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    );
    if !of.valid {
        page += "<div class=\"bad\"><strong>This result is invalid.</strong><ul>";
        of.reasons.iter().for_each(|why| page += &format!("<li>{}</li>", escaped(why)));
        page += "</ul></div>\n";
    }
    page += &facts(of);
    page += &latencies(&of.latencies);
    page += "<h2>Latency by quantile</h2>\n";
    page += &quantiles(&of.latencies);
    page += "<h2>Operations per second</h2>\n";
    page += &throughput(of);
    page += "<h2>Latency over time</h2>\n";
    page += &over_time(of);
    page += "</body></html>\n";
    page
}

/// What was measured, where, and what it comes to.
fn facts(of: &Summary) -> String {
    let mut list = String::from("<dl>\n");
    for (name, value) in of.facts() {
        writeln!(list, "<dt>{name}</dt><dd>{}</dd>", escaped(&value)).expect("a string takes all");
    }
    list + "</dl>\n"
}

fn latencies(of: &[Latencies]) -> String {
    let mut table = String::from(
        "<h2>Latency, ms</h2>\n<table><tr><th>operation</th><th>count</th><th>mean</th>\
         <th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th></tr>\n",
    );
    for of in of {
        let cells = of.cells().map(|cell| format!("<td>{cell}</td>")).concat();
        writeln!(table, "<tr><td>{}</td>{cells}</tr>", of.kind.name()).expect("a string takes all");
    }
    table + "</table>\n"
}

fn quantiles(of: &[Latencies]) -> String {
    let line = |of: &Latencies| {
        // The longest stands where the last operation does: one in as many as there are.
        let last = 1.0 / of.count.max(2) as f64;
        let nines = |quantile: f64| -(1.0 - quantile).max(last).log10();
        let points = of.curve.iter().map(|&(at, us)| (nines(at), log_ms(us)));
        Line { name: of.kind.name(), colour: colour(of.kind), points: points.collect() }
    };
    let chart = Chart {
        lines: of.iter().map(line).collect(),
        marks: Marks {
            across: |nines| match nines {
                0 => "0".to_owned(),
                1 => "p90".to_owned(),
                2 => "p99".to_owned(),
                nines => format!("p99.{}", "9".repeat(usize::try_from(nines - 2).unwrap_or(0))),
            },
            up: power_of_ms,
        },
        ..Chart::default()
    };
    chart.svg()
}

fn throughput(of: &Summary) -> String {
    let points = |value: fn(&Second) -> f64| {
        of.seconds.iter().map(|second| (second.at_seconds, value(second))).collect()
    };
    let mut lines = vec![Line {
        name: "ended well",
        colour: COLOURS[0],
        points: points(|second| second.operations_per_second),
    }];
    if of.failed > 0 {
        let points = points(|second| second.failed as f64);
        lines.push(Line { name: "failed", colour: COLOURS[4], points });
    }
    let chart = Chart {
        lines,
        marks: Marks { across: |seconds| format!("{seconds} s"), ..Marks::default() },
        has_zero: true,
        titles: None,
    };
    chart.svg()
}

fn over_time(of: &Summary) -> String {
    let line = |name, colour, of_second: fn(&Second) -> Option<u64>| {
        let point = |second: &Second| Some((second.at_seconds, log_ms(of_second(second)?)));
        Line { name, colour, points: of.seconds.iter().filter_map(point).collect() }
    };
    let chart = Chart {
        lines: vec![
            line("p50", COLOURS[0], |second| second.p50_us),
            line("p99", COLOURS[1], |second| second.p99_us),
            line("max", COLOURS[4], |second| second.max_us),
        ],
        marks: Marks { across: |seconds| format!("{seconds} s"), up: power_of_ms },
        ..Chart::default()
    };
    chart.svg()
}

/// The logarithm of a latency in milliseconds.
fn log_ms(us: u64) -> f64 {
    (us.max(1) as f64 / 1e3).log10()
}

/// What stands at a whole one on an axis.
fn power_of_ms(power: i64) -> String {
    format!("{} ms", 10_f64.powi(i32::try_from(power).unwrap_or_default()))
}

fn colour(kind: Kind) -> &'static str {
    COLOURS[kind as usize]
}

/// A text as it stands in a page.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::{measured, summary};
    use crate::tally::Tally;

    #[test]
    fn page_needs_nothing_from_elsewhere() {
        let page = page(&summary(&measured()));
        for outside in ["http:", "https:", "src=", "href=", "url(", "<script", "@import", "//"] {
            assert!(!page.contains(outside), "{outside}");
        }
        for inside in ["<svg", "p99", "fsync p50 0.42 ms", "a &lt;fast&gt; CPU", "modify"] {
            assert!(page.contains(inside), "{inside}: {page}");
        }
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(!page.contains("invalid"));
    }

    #[test]
    fn invalid_result_says_so_before_any_number() {
        let mut measured = measured();
        measured.problems.push("after 3 s: store 2 is <down>".to_owned());
        let page = page(&summary(&measured));
        let said = page.find("This result is invalid").unwrap();
        assert!(said < page.find("<dl>").unwrap());
        assert!(page.contains("store 2 is &lt;down&gt;"));
    }

    #[test]
    fn result_of_nothing_is_drawn_without_numbers() {
        let mut measured = measured();
        (measured.tally, measured.seconds) = (Tally::default(), Vec::new());
        let page = page(&summary(&measured));
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }
}
