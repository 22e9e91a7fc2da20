//! Lines over an axis, as SVG: within a page, or as a file of its own.

use std::fmt::Write as _;

use crate::html::escaped;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
/// Room for what stands beside the axes.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 24.0;
/// Room for a line of text, where a chart has a title or names its axis below.
const ROW: f64 = 22.0;
/// About how wide a letter of a name is, and what stands between two names.
const LETTER: f64 = 6.0;
const BETWEEN: f64 = 18.0;
/// Marks on an axis, at most.
const MARKS: i64 = 8;
/// How a file looks that stands alone, on a light page and on a dark one. Colours of lines can be
/// told apart on both.
const STYLE: &str = "text{font:11px system-ui,sans-serif;fill:#5b6675}\
    .title{font-size:13px;font-weight:600;fill:#1c2430}\
    @media(prefers-color-scheme:dark){text{fill:#a9b4c2}.title{fill:#e6eaf0}}";

/// Points from left to right.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is called; it stands above the chart.
    pub name: &'static str,
    /// As SVG names colours.
    pub colour: &'static str,
    /// Across and up.
    pub points: Vec<(f64, f64)>,
}

/// What is drawn.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// All over the same axes.
    pub lines: Vec<Line>,
    /// What a whole number says on the axes.
    pub marks: Marks,
    /// Whether the axis beside begins with zero.
    pub has_zero: bool,
    /// What the chart shows, and what its axes mean, with their units.
    pub titles: Option<Titles>,
}

/// What a whole number says on each axis: the one below, the one beside.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// On the axis below.
    pub across: fn(i64) -> String,
    /// On the axis beside.
    pub up: fn(i64) -> String,
}

impl Default for Marks {
    fn default() -> Marks {
        let plain = |number: i64| number.to_string();
        Marks { across: plain, up: plain }
    }
}

/// Words around a chart.
#[derive(Clone, Copy, Debug)]
pub struct Titles {
    /// Above it: what it shows, and what the axis beside means.
    pub above: &'static str,
    /// What the axis below means.
    pub across: &'static str,
}

/// From where to where an axis goes.
#[derive(Clone, Copy)]
struct Axis {
    from: i64,
    to: i64,
}

impl Axis {
    /// Whole numbers around all of these.
    #[expect(clippy::cast_possible_truncation, reason = "a picture of what fits into one")]
    fn around(values: impl Iterator<Item = f64>, has_zero: bool) -> Axis {
        let values: Vec<f64> = values.collect();
        let from = values.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let to = values.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
        if values.is_empty() {
            return Axis { from: 0, to: 1 };
        }
        let from = if has_zero { 0 } else { from as i64 };
        Axis { from, to: (to as i64).max(from + 1) }
    }

    /// How far along it a value is, from zero to one.
    fn part(self, value: f64) -> f64 {
        (value - self.from as f64) / (self.to - self.from) as f64
    }

    /// Whole numbers at round distances.
    fn marks(self) -> Vec<i64> {
        let mut step = 1;
        while (self.to - self.from) / step > MARKS {
            // 1, 2, 5, 10, 20, …
            let leading = step.to_string().starts_with('2');
            step = if leading { step / 2 * 5 } else { step * 2 };
        }
        let first = self.from.div_euclid(step) * step;
        (0..)
            .map(|nth| first + nth * step)
            .skip_while(|&at| at < self.from)
            .take_while(|&at| at <= self.to)
            .collect()
    }
}

impl Chart {
    /// As a part of a page, whose style applies.
    #[must_use]
    pub fn svg(&self) -> String {
        let height = self.height();
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n{}</svg>\n", self.drawn())
    }

    fn height(&self) -> f64 {
        HEIGHT + if self.titles.is_some() { 2.0 * ROW } else { 0.0 }
    }

    /// All within the frame.
    fn drawn(&self) -> String {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let across = Axis::around(all().map(|(x, _)| *x), true);
        let up = Axis::around(all().map(|(_, y)| *y), self.has_zero);
        let above = if self.titles.is_some() { ROW } else { 0.0 };
        let below = above + HEIGHT - BOTTOM;
        let x = |value: f64| LEFT + across.part(value) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| below - up.part(value) * (HEIGHT - TOP - BOTTOM);
        let mut svg = String::new();
        let mut draw = |text: String| svg.write_str(&text).expect("a string takes all");
        if let Some(Titles { above, across }) = self.titles {
            draw(format!(
                "<text class=\"title\" x=\"{LEFT}\" y=\"14\">{}</text>\n",
                escaped(above)
            ));
            draw(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                WIDTH - RIGHT,
                below + BOTTOM + 14.0,
                escaped(across)
            ));
        }
        for mark in up.marks() {
            let at = y(mark as f64);
            draw(format!(
                "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#8a94a3\" stroke-opacity=\"0.3\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                (self.marks.up)(mark)
            ));
        }
        for mark in across.marks() {
            draw(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                x(mark as f64),
                below + BOTTOM - 6.0,
                (self.marks.across)(mark)
            ));
        }
        let mut left = LEFT;
        for Line { name, colour, points } in &self.lines {
            let point = |&(at, value): &(f64, f64)| format!("{:.1},{:.1}", x(at), y(value));
            let points: Vec<String> = points.iter().map(point).collect();
            draw(format!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\
                 <text x=\"{left:.1}\" y=\"{:.1}\" style=\"fill:{colour}\">{}</text>\n",
                points.join(" "),
                above + 14.0,
                escaped(name)
            ));
            left += name.chars().count() as f64 * LETTER + BETWEEN;
        }
        svg
    }
}

/// Charts one below the other, as a file that needs nothing from elsewhere.
#[must_use]
pub fn file(charts: &[Chart]) -> String {
    let height: f64 = charts.iter().map(|chart| chart.height() + ROW).sum();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<style>{STYLE}</style>\n"
    );
    let mut top = 0.0;
    for chart in charts {
        write!(svg, "<g transform=\"translate(0 {top})\">\n{}</g>\n", chart.drawn())
            .expect("a string takes all");
        top += chart.height() + ROW;
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_is_marked_at_round_numbers() {
        assert_eq!(Axis { from: 0, to: 4 }.marks(), [0, 1, 2, 3, 4]);
        assert_eq!(Axis { from: -2, to: 2 }.marks(), [-2, -1, 0, 1, 2]);
        assert_eq!(Axis { from: 0, to: 23_456 }.marks(), [0, 5_000, 10_000, 15_000, 20_000]);
        assert_eq!(Axis { from: 0, to: 30 }.marks(), [0, 5, 10, 15, 20, 25, 30]);
    }

    #[test]
    fn axis_lies_around_its_values() {
        let of = |values: &[f64], has_zero| {
            let axis = Axis::around(values.iter().copied(), has_zero);
            (axis.from, axis.to)
        };
        assert_eq!(of(&[], false), (0, 1));
        assert_eq!(of(&[3.0], false), (3, 4));
        assert_eq!(of(&[-1.5, 2.5], false), (-2, 3));
        assert_eq!(of(&[100.0, 200.0], true), (0, 200));
    }
    #[test]
    fn file_stands_alone_and_has_all_charts_with_their_words() {
        let line = Line { name: "puts & gets", colour: "#2a6fdb", points: vec![(3.0, 1.0)] };
        let titles = Titles { above: "rate, ×", across: "stores" };
        let chart = Chart { lines: vec![line], titles: Some(titles), ..Chart::default() };
        let file = file(&[chart.clone(), chart]);
        assert_eq!(file.matches("<polyline").count(), 2);
        for inside in ["xmlns=\"http://www.w3.org/2000/svg\"", "rate, ×", "puts &amp; gets"] {
            assert!(file.contains(inside), "{inside}: {file}");
        }
        for outside in ["href=", "src=", "url(", "<script", "@import", "https:"] {
            assert!(!file.contains(outside), "{outside}");
        }
        assert!(file.contains("prefers-color-scheme:dark"));
    }
}
