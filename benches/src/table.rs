//! Results: one row a measurement, of ours and of what it is measured against.

use std::fmt::Write;

use crate::measure::median;
use crate::report::Better;

/// One measurement, turn by turn.
#[derive(Clone, Debug)]
pub struct Row {
    /// Path of the measurement.
    pub name: String,
    /// Unit of the values.
    pub unit: &'static str,
    /// Which way is good.
    pub better: Better,
    /// Ours.
    pub ours: Vec<f64>,
    /// The peer in the same turns. Empty where an absolute figure is asked for.
    pub peer: Vec<f64>,
}

impl Row {
    /// A figure that stands alone.
    pub fn alone(name: String, unit: &'static str, value: f64) -> Row {
        Row { name, unit, better: Better::Lower, ours: vec![value], peer: Vec::new() }
    }

    /// Ours against the peer, more than 1 is better: least, median and greatest of the turns'.
    pub fn ratio(&self) -> Option<[f64; 3]> {
        let pairs = self.ours.iter().zip(&self.peer);
        let ratios: Vec<f64> = pairs
            .map(|(ours, peer)| match self.better {
                Better::Higher => ours / peer,
                Better::Lower => peer / ours,
            })
            .collect();
        (!ratios.is_empty()).then(|| spread(&ratios))
    }

    /// The row as text; columns are `ours`, `peer` and the ratio.
    pub fn text(&self) -> String {
        let peer = if self.peer.is_empty() { "-".to_owned() } else { text(&self.peer) };
        let ratio = self.ratio().map_or("-".to_owned(), |[least, middle, most]| {
            format!("{least:.2} / {middle:.2} / {most:.2}")
        });
        let Row { name, unit, .. } = self;
        format!("{name:58} {unit:>8} {:>30} {peer:>30} {ratio:>20}", text(&self.ours))
    }

    fn json(&self) -> String {
        let mut out = String::new();
        let Row { name, unit, better, .. } = self;
        write!(out, "{{\"name\": \"{name}\", \"unit\": \"{unit}\", \"better\": \"{better:?}\"")
            .expect("a string takes all");
        for (key, values) in [("ours", &self.ours), ("peer", &self.peer)] {
            let values: Vec<String> = values.iter().map(|value| json_number(*value)).collect();
            write!(out, ", \"{key}\": [{}]", values.join(", ")).expect("a string takes all");
        }
        let ratio = self.ratio().map_or("null".to_owned(), |[_, middle, _]| json_number(middle));
        write!(out, ", \"ratio\": {ratio}}}").expect("a string takes all");
        out
    }
}

/// The line above the rows.
pub fn head() -> String {
    format!(
        "{:58} {:>8} {:>30} {:>30} {:>20}",
        "measurement (min / median / max)", "unit", "ours", "peer", "ours : peer"
    )
}

/// All rows as JSON, and why they are not all that was wanted. Names hold nothing that needs
/// escaping.
pub fn json(machine: &str, rows: &[Row], invalid: Option<&String>) -> String {
    let rows: Vec<String> = rows.iter().map(Row::json).collect();
    // Of a message, quotes and backslashes are what could break a string, and ends of lines.
    let plain = |why: &String| why.replace(['"', '\\'], "'").replace(char::is_control, " ");
    let invalid = invalid.map_or("null".to_owned(), |why| format!("\"{}\"", plain(why)));
    format!(
        "{{\"machine\": \"{machine}\",\n\"invalid\": {invalid},\n\"rows\": [\n{}\n]}}\n",
        rows.join(",\n")
    )
}

fn spread(values: &[f64]) -> [f64; 3] {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [least, median(values), most]
}

fn text(values: &[f64]) -> String {
    if let [only] = values {
        return number(*only);
    }
    spread(values).map(number).join(" / ")
}

/// Whole from a hundred on, else three digits.
fn number(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// JSON knows no infinity.
fn json_number(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { "null".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_the_median_of_the_turns() {
        let mut row = Row::alone("x".into(), "u", 1.0);
        assert_eq!(row.ratio(), None);
        row.ours = vec![2.0, 40.0, 60.0];
        row.peer = vec![4.0, 40.0, 30.0];
        assert_eq!(row.ratio(), Some([0.5, 1.0, 2.0]));
        row.better = Better::Higher;
        assert_eq!(row.ratio(), Some([0.5, 1.0, 2.0]));
    }
}
