//! Lines over an axis, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
/// Room for what stands beside the axes.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 24.0;
/// Marks on an axis, at most.
const MARKS: i64 = 8;

/// Points from left to right.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) colour: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// What is drawn.
pub(super) struct Chart {
    pub(super) lines: Vec<Line>,
    /// What a whole number says on the axis below.
    pub(super) across: fn(i64) -> String,
    /// What one says on the axis beside.
    pub(super) up: fn(i64) -> String,
    /// Whether the axis beside begins with zero.
    pub(super) has_zero: bool,
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
    pub(super) fn svg(&self) -> String {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let across = Axis::around(all().map(|(x, _)| *x), true);
        let up = Axis::around(all().map(|(_, y)| *y), self.has_zero);
        let x = |value: f64| LEFT + across.part(value) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - up.part(value) * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
        let mut draw = |text: String| svg.write_str(&text).expect("a string takes all");
        for mark in up.marks() {
            let at = y(mark as f64);
            draw(format!(
                "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#e3e7ec\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                (self.up)(mark)
            ));
        }
        for mark in across.marks() {
            draw(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                x(mark as f64),
                HEIGHT - 6.0,
                (self.across)(mark)
            ));
        }
        for (nth, line) in self.lines.iter().enumerate() {
            let point = |&(at, value): &(f64, f64)| format!("{:.1},{:.1}", x(at), y(value));
            let points: Vec<String> = line.points.iter().map(point).collect();
            let Line { name, colour, .. } = line;
            draw(format!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"14\" style=\"fill:{colour}\">{name}</text>\n",
                points.join(" "),
                LEFT + 90.0 * nth as f64
            ));
        }
        svg + "</svg>\n"
    }
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
}
