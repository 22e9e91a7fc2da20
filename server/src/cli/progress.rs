//! What is seen of a command that waits: a bar on a terminal, a line now and then elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::output::Output;

/// How often a line is written where there is no terminal.
const TELL: Duration = Duration::from_secs(5);

/// How far it is.
pub(crate) struct Progress<'a> {
    bar: ProgressBar,
    what: String,
    told: Instant,
    output: &'a Output,
}

impl<'a> Progress<'a> {
    /// Of so many `units`; without a number, only that it goes on. Lines begin with `what`.
    pub(crate) fn new(
        output: &'a Output,
        what: impl Into<String>,
        whole: Option<u64>,
        units: &str,
    ) -> Progress<'a> {
        let hidden = output.is_quiet;
        let drawn =
            if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(whole, drawn);
        let form = match whole {
            Some(_) => format!("[{{bar:24}}] {{pos}}/{{len}} {units}  {{msg}}"),
            None => "{spinner} {msg}".to_owned(),
        };
        if let Ok(style) = ProgressStyle::with_template(&form) {
            bar.set_style(style.progress_chars("##-"));
        }
        Progress { bar, what: what.into(), told: Instant::now(), output }
    }

    /// So many are done, and what else there is to say.
    pub(crate) fn at(&mut self, done: u64, more: &str) {
        self.bar.set_position(done);
        self.bar.set_message(more.to_owned());
        self.bar.tick();
        if self.bar.is_hidden() && self.told.elapsed() >= TELL {
            self.told = Instant::now();
            let left = self.bar.length().map(|whole| whole.saturating_sub(done));
            let left = left.map(|left| format!("{left} left")).unwrap_or_default();
            let parts = [left.as_str(), more].into_iter().filter(|part| !part.is_empty());
            let parts = parts.collect::<Vec<&str>>().join(", ");
            self.output.note(&format!("{}: {parts}", self.what));
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
