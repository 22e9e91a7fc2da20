//! The table on the terminal and the JSON file.
//!
//! The last column is ours against the best peer of that row, turned so that more than 1 means ours
//! is better whichever way the unit points: the median of the turns' ratios. It is empty until both
//! sides take part.
//!
//! Rows also travel as lines of text from the counting program to the timing one.

use std::fmt::Write;

use crate::contender::{Contender, Side};
use crate::measure::median;

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// A rate.
    Higher,
    /// A cost.
    Lower,
}

/// One measurement of all contenders.
#[derive(Clone, Debug)]
pub struct Row {
    /// Path of the measurement.
    pub name: String,
    /// Unit of the values.
    pub unit: String,
    /// Which way is good.
    pub better: Better,
    /// Per contender, in the contenders' order, one value per turn.
    pub turns: Vec<Vec<f64>>,
}

impl Row {
    /// The value of one contender.
    fn value(&self, column: usize) -> f64 {
        median(&self.turns[column])
    }

    /// A row of costs as one line of text.
    pub fn to_line(&self) -> String {
        let values: Vec<String> =
            (0..self.turns.len()).map(|i| self.value(i).to_string()).collect();
        format!("{}\t{}\t{}", self.name, self.unit, values.join("\t"))
    }

    /// What `to_line` wrote, or nothing.
    pub fn from_line(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (name, unit) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        let turns = fields.map(|field| field.parse().ok().map(|value| vec![value]));
        Some(Self { name, unit, better: Better::Lower, turns: turns.collect::<Option<_>>()? })
    }
}

/// The columns.
pub struct Columns {
    names: Vec<&'static str>,
    sides: Vec<Side>,
}

impl Columns {
    /// One column per contender.
    pub fn new(contenders: &[Box<dyn Contender>]) -> Self {
        Self {
            names: contenders.iter().map(|c| c.name()).collect(),
            sides: contenders.iter().map(|c| c.side()).collect(),
        }
    }

    /// The column of a side's best contender.
    fn best(&self, row: &Row, side: Side) -> Option<usize> {
        let columns = (0..self.sides.len()).filter(|column| self.sides[*column] == side);
        let order = |a: &usize, b: &usize| row.value(*a).total_cmp(&row.value(*b));
        match row.better {
            Better::Higher => columns.max_by(order),
            Better::Lower => columns.min_by(order),
        }
    }

    /// Ours against the best peer; more than 1 is better.
    pub fn ratio(&self, row: &Row) -> Option<f64> {
        let (ours, peer) = (self.best(row, Side::Ours)?, self.best(row, Side::Peer)?);
        let ratio = |(ours, peer): (&f64, &f64)| match row.better {
            // Nothing against nothing is a draw; nothing against something stays infinite.
            _ if ours == peer => 1.0,
            Better::Higher => ours / peer,
            Better::Lower => peer / ours,
        };
        let ratios: Vec<f64> = row.turns[ours].iter().zip(&row.turns[peer]).map(ratio).collect();
        Some(median(&ratios))
    }

    /// The whole table.
    pub fn table(&self, rows: &[Row]) -> String {
        let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let mut text = format!("{:width$} {:>11}", "measurement", "unit");
        for name in &self.names {
            write!(text, " {name:>14}").expect("a string takes all");
        }
        text.push_str("  ours:best peer\n");
        for row in rows {
            write!(text, "{:width$} {:>11}", row.name, row.unit).expect("a string takes all");
            for column in 0..self.names.len() {
                write!(text, " {:>14}", number(row.value(column))).expect("a string takes all");
            }
            let ratio = self.ratio(row).map_or("-".to_owned(), |ratio| match ratio {
                1_000.0.. => ">1000x".to_owned(),
                _ => format!("{ratio:.2}x"),
            });
            writeln!(text, " {ratio:>15}").expect("a string takes all");
        }
        text
    }

    /// The same as JSON. Names hold nothing that needs escaping.
    pub fn json(&self, machine: &str, rows: &[Row]) -> String {
        let rows: Vec<String> = rows.iter().map(|row| self.json_row(row)).collect();
        format!("{{\"machine\": \"{machine}\",\n\"rows\": [\n{}\n]}}\n", rows.join(",\n"))
    }

    fn json_row(&self, row: &Row) -> String {
        let columns = self.names.iter().enumerate();
        let value = |(i, name)| format!("\"{name}\": {}", json_number(row.value(i)));
        let values: Vec<String> = columns.map(value).collect();
        format!(
            "{{\"name\": \"{}\", \"unit\": \"{}\", \"better\": \"{:?}\", \"values\": {{{}}}, \
             \"ratio\": {}}}",
            row.name,
            row.unit,
            row.better,
            values.join(", "),
            self.ratio(row).map_or("null".to_owned(), json_number),
        )
    }
}

/// JSON knows no infinity.
fn json_number(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { "null".to_owned() }
}

/// Three significant digits or whole thousands with separators.
fn number(value: f64) -> String {
    if value < 1000.0 {
        let decimals = usize::from(value < 100.0) + usize::from(value < 10.0);
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        Columns { names: vec!["ours", "a", "b"], sides: vec![Side::Ours, Side::Peer, Side::Peer] }
    }

    fn row(better: Better) -> Row {
        Row {
            name: "x".into(),
            unit: "u".into(),
            better,
            turns: vec![vec![6.0], vec![2.0], vec![3.0]],
        }
    }

    #[test]
    fn ratio_two_peers_uses_the_better_one() {
        assert_eq!(columns().ratio(&row(Better::Higher)), Some(2.0));
        assert_eq!(columns().ratio(&row(Better::Lower)), Some(1.0 / 3.0));
    }

    #[test]
    fn ratio_a_slow_spell_cancels() {
        let mut row = row(Better::Higher);
        row.turns = vec![vec![4.0, 40.0, 80.0], vec![2.0, 20.0, 30.0], vec![1.0, 10.0, 20.0]];
        assert_eq!(columns().ratio(&row), Some(2.0));
    }

    #[test]
    fn line_round_trip_keeps_the_values() {
        let row = Row::from_line(&row(Better::Lower).to_line()).unwrap();
        assert_eq!((row.name.as_str(), row.value(2)), ("x", 3.0));
    }

    #[test]
    fn number_large_value_gets_separators() {
        assert_eq!((number(1_234_567.0), number(1.234)), ("1,234,567".into(), "1.23".into()));
    }
}
