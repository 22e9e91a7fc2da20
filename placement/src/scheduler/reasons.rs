//! Why nothing happens: every refusal counted, with its reason in words.

use std::collections::BTreeMap;

use types::Time;

use super::operator::Origin;

/// Kinds of reasons remembered per scheduler: words have numbers in them, and must not pile up.
const REASONS_MAX: usize = 64;

/// What a scheduler came to when it last looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// When.
    pub at: Time,
    /// How many moves it planned.
    pub planned: usize,
    /// Why not more, in words.
    pub why: String,
}

/// The reasons of a controller.
#[derive(Debug, Default)]
pub struct Reasons {
    /// Why nothing is planned at all.
    pub(super) held: Option<String>,
    counts: BTreeMap<Origin, BTreeMap<String, u64>>,
    verdicts: BTreeMap<Origin, Verdict>,
}

impl Reasons {
    /// Why nothing is planned at all, in words; `None` if planning goes on.
    #[must_use]
    pub fn held(&self) -> Option<&str> {
        self.held.as_deref()
    }

    /// What a scheduler came to when it last looked.
    #[must_use]
    pub fn verdict(&self, origin: Origin) -> Option<&Verdict> {
        self.verdicts.get(&origin)
    }

    /// How often something was not done, by who did not do it and why.
    pub fn counts(&self) -> impl Iterator<Item = (Origin, &str, u64)> {
        self.counts.iter().flat_map(|(origin, counts)| {
            counts.iter().map(|(why, count)| (*origin, why.as_str(), *count))
        })
    }

    pub(super) fn refuse(&mut self, origin: Origin, why: &str) {
        let counts = self.counts.entry(origin).or_default();
        if let Some(count) = counts.get_mut(why) {
            *count += 1;
        } else if counts.len() < REASONS_MAX {
            counts.insert(why.to_owned(), 1);
        } else {
            *counts.entry("other reasons".to_owned()).or_default() += 1;
        }
    }

    pub(super) fn conclude(&mut self, origin: Origin, at: Time, planned: usize, why: &str) {
        // Without the numbers: the last verdict has them.
        let kind: String = why.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        self.refuse(origin, &kind);
        self.verdicts.insert(origin, Verdict { at, planned, why: why.to_owned() });
    }
}
