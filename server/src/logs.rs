//! Log lines: text on a terminal, JSON elsewhere, always on standard error.
//!
//! Times are UTC with microseconds. Keys and values appear at `debug` at most, which no part of a
//! node breaks; here is only how much is written and in which form.

use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{Log, LogFormat};

/// Libraries below us that say at `info` what concerns nobody.
const QUIET: &[&str] = &["h2", "hyper", "hyper_util", "rustls", "tonic", "tower"];

/// What is logged.
#[derive(Clone, Debug)]
pub struct Filter(Targets);

impl Filter {
    /// Reads `info`, or `info,raft=debug`; `None` if it is not of that form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Filter> {
        let mut all = None;
        let mut targets = QUIET
            .iter()
            .fold(Targets::new(), |targets, name| targets.with_target(*name, Level::WARN));
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                None if all.is_none() => all = Some(level(part)?),
                None => return None,
                Some((target, of)) if !target.is_empty() => {
                    targets = targets.with_target(target, level(of)?);
                }
                Some(_) => return None,
            }
        }
        Some(Filter(targets.with_default(all.unwrap_or(LevelFilter::INFO))))
    }
}

fn level(text: &str) -> Option<LevelFilter> {
    match text {
        "off" => Some(LevelFilter::OFF),
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

/// Begins to log. A second call has no effect.
pub fn init(log: &Log) {
    let Some(Filter(targets)) = Filter::parse(&log.level) else { return };
    let is_text = match log.format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let layer = if is_text {
        let has_colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        fmt::layer().with_writer(io::stderr).with_ansi(has_colour).boxed()
    } else {
        fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed()
    };
    // Somebody else may have been first, as in a test.
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_parts_are_read_and_nonsense_is_refused() {
        for text in ["info", "off", "info,raft=debug", "raft=trace, kv=warn"] {
            assert!(Filter::parse(text).is_some(), "{text}");
        }
        for text in ["", "loud", "info,warn", "raft=loud", "=info", "info,"] {
            assert!(Filter::parse(text).is_none(), "{text}");
        }
        let Filter(targets) = Filter::parse("info,raft=debug").unwrap();
        assert!(targets.would_enable("raft::peer", &Level::DEBUG));
        assert!(!targets.would_enable("kv", &Level::DEBUG));
        assert!(!targets.would_enable("h2::codec", &Level::INFO));
    }
}
