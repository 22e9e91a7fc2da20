//! Where answers go: data to standard output, everything else to standard error.
//!
//! Tables are as wide as the terminal on a terminal, and plain columns elsewhere, so that what
//! reads them need not know about widths. Nothing moves or has colours when it is not a terminal.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use comfy_table::presets;
use serde::Serialize;

use super::args::{Form, Global, When};
use crate::errors::{self, Exit, Failure};

/// How to answer.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The form of data.
    pub form: Form,
    /// Nothing but data and errors.
    pub is_quiet: bool,
    /// How much is told beside.
    pub verbose: u8,
    colour: When,
}

impl Output {
    /// As the flags say, or else the environment.
    ///
    /// # Errors
    /// If the environment says something else than a flag could.
    pub fn new(global: &Global, env: impl Fn(&str) -> Option<String>) -> Result<Output, Failure> {
        let form = match (global.output, env("CRIB_OUTPUT")) {
            (Some(form), _) => form,
            (None, Some(text)) => one_of("CRIB_OUTPUT", &text)?,
            (None, None) => Form::Table,
        };
        let colour = match (global.color, env("CRIB_COLOR")) {
            (Some(when), _) => when,
            (None, Some(text)) => one_of("CRIB_COLOR", &text)?,
            (None, None) if env("NO_COLOR").is_some_and(|value| !value.is_empty()) => When::Never,
            (None, None) => When::Auto,
        };
        Ok(Output { form, is_quiet: global.quiet, verbose: global.verbose, colour })
    }

    /// Whether data is for machines.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Prints data: `value` as JSON, or else the text.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn data<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.is_json() { self.line(&json(value)) } else { self.text(&text()) }
    }

    /// Prints a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn line(&self, line: &str) -> Result<(), Failure> {
        self.text(&format!("{line}\n"))
    }

    /// Prints text as it is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            // Whoever read it has had enough, as `head` does.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => Err(Failure::new(&errors::OUTPUT_FAILED, "cannot write the answer")
                .why(error.to_string())),
        }
    }

    /// Says something that is not data.
    pub fn note(&self, text: &str) {
        if !self.is_quiet {
            // Nobody may be reading any more, and that is no reason to break off.
            let _unread = writeln!(io::stderr(), "{text}");
        }
    }

    /// Says that it is done, where there is nothing else to say.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn done(&self) -> Result<(), Failure> {
        match self.form {
            Form::Json => self.line("{\"ok\":true}"),
            _ if self.is_quiet => Ok(()),
            _ => self.line("ok"),
        }
    }

    /// A table as it is printed here.
    #[must_use]
    pub fn table(&self, table: &Table) -> String {
        // Tests compare letter by letter, wherever they run.
        if io::stdout().is_terminal() && !cfg!(test) {
            table.wide(self.has_colour())
        } else {
            table.plain()
        }
    }

    fn has_colour(&self) -> bool {
        match self.colour {
            When::Always => true,
            When::Never => false,
            When::Auto => io::stdout().is_terminal(),
        }
    }

    /// Prints a failure, and says what the process ends with.
    #[must_use]
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        fail(failure, self.is_json())
    }
}

/// Prints a failure on standard error.
#[must_use]
pub fn fail(failure: &Failure, is_json: bool) -> ExitCode {
    let text = if is_json { format!("{}\n", failure.json()) } else { failure.to_string() };
    // There is nowhere left to complain.
    let _ = io::stderr().write_all(text.as_bytes());
    failure.exit().into()
}

/// The exit code for whoever did what it was asked.
#[must_use]
pub fn succeed() -> ExitCode {
    Exit::Done.into()
}

fn one_of<T: clap::ValueEnum>(name: &str, text: &str) -> Result<T, Failure> {
    T::from_str(text, true).map_err(|_unknown| {
        let names = T::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
        let names: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
        Failure::new(&errors::USAGE, format!("{name} is `{text}`"))
            .next(format!("set it to one of {}", names.join(", ")))
    })
}

/// JSON in a line.
#[must_use]
pub fn json<T: Serialize>(value: &T) -> String {
    // Only maps with keys that are no strings fail, and there are none.
    serde_json::to_string(value).unwrap_or_default()
}

/// Rows under a head.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(head: &[&'static str]) -> Table {
        Table { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// In columns, two blanks apart, without any at the end of a line.
    #[must_use]
    pub fn plain(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|&cell| cell.to_owned()).collect();
        let mut widths: Vec<usize> = head.iter().map(String::len).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<String>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn wide(&self, has_colour: bool) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        let bold = |cell: &&str| {
            let cell = comfy_table::Cell::new(*cell);
            if has_colour { cell.add_attribute(comfy_table::Attribute::Bold) } else { cell }
        };
        table.set_header(self.head.iter().map(bold));
        for row in &self.rows {
            table.add_row(row);
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n") + "\n"
    }
}

/// A number of bytes for people, in a unit of 1,024.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut tenths = 0;
    let mut unit = 0;
    while value >= 1_024 && unit + 1 < UNITS.len() {
        tenths = value % 1_024 * 10 / 1_024;
        value /= 1_024;
        unit += 1;
    }
    if unit > 0 && value < 10 {
        return format!("{value}.{tenths} {}", UNITS[unit]);
    }
    format!("{value} {}", UNITS[unit])
}

/// A length of time for people.
#[must_use]
pub fn seconds(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// For what is compared letter by letter.
    pub(crate) fn plain() -> Output {
        Output { form: Form::Table, is_quiet: false, verbose: 0, colour: When::Never }
    }

    #[test]
    fn plain_table_is_aligned_and_has_no_blanks_at_the_end() {
        let mut table = Table::new(&["ID", "STATE", "NOTE"]);
        table.row(["1".to_owned(), "disconnected".to_owned(), String::new()]);
        table.row(["10".to_owned(), "up".to_owned(), "well".to_owned()]);
        let expected = "ID  STATE         NOTE\n1   disconnected\n10  up            well\n";
        assert_eq!(table.plain(), expected);
    }

    #[test]
    fn wide_table_has_every_cell() {
        let mut table = Table::new(&["ID", "STATE"]);
        table.row(["1".to_owned(), "up".to_owned()]);
        let text = table.wide(false);
        assert!(["ID", "STATE", "1", "up"].iter().all(|cell| text.contains(cell)), "{text}");
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(
            [0, 1_023, 1_536, 50 << 20, 3 << 40].map(bytes),
            ["0 B", "1023 B", "1.5 KiB", "50 MiB", "3.0 TiB"]
        );
        assert_eq!([5, 125, 7_300, 200_000].map(seconds), ["5 s", "2 min", "2 h", "2 d"]);
    }
}
