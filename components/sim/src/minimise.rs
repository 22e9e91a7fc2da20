//! From a run that fails to a smaller one that fails in the same way.
//!
//! The search tries to leave out classes, halves of what is left first and single ones last; then
//! to have fewer of what a run has a number of; then to let everything heal sooner; and all of it
//! again, as long as something could be taken away and attempts are left. An attempt is taken if
//! the same checker fails in no more steps than in the run that it began with; a shorter safety
//! phase only if that takes fewer steps than the best so far.
//!
//! Not promised: the smallest run. Nor that it is the same bug: a checker can fail for two reasons.

use types::Time;

use crate::trim::{Shape, Size, Trim};

/// How a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which checker said so, or where the code under test panicked.
    pub check: String,
    /// When, in virtual time.
    pub at: Time,
    /// Steps until then.
    pub steps: u64,
}

/// How large the run of a seed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Milliseconds of virtual time until everything heals.
    pub until_ms: u64,
    /// How many there are of what a run has a number of.
    pub sizes: Vec<(Size, u64)>,
}

/// What the search has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smaller {
    /// What is left out.
    pub trim: Trim,
    /// How it fails now.
    pub found: Found,
    /// Runs that were done.
    pub attempts: u32,
}

struct Search<'a> {
    first: Found,
    trim: Trim,
    found: Found,
    attempts: u32,
    attempts_max: u32,
    attempt: &'a mut dyn FnMut(&Trim) -> Option<Found>,
}

/// Makes a failing run smaller, in at most so many attempts. `trim` and `first` are the run that
/// fails, and how; an attempt does a run and says how it failed.
pub fn minimise(
    (shape, extent): (Shape, &Extent),
    (trim, first): (Trim, Found),
    attempts_max: u32,
    attempt: &mut dyn FnMut(&Trim) -> Option<Found>,
) -> Smaller {
    let found = first.clone();
    let mut search = Search { first, trim, found, attempts: 0, attempts_max, attempt };
    loop {
        let before = search.trim.clone();
        search.leave_out_classes(shape);
        search.have_fewer(shape, extent);
        search.heal_sooner(extent);
        if search.trim == before || search.is_over() {
            break;
        }
    }
    let Search { trim, found, attempts, .. } = search;
    Smaller { trim, found, attempts }
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.attempts >= self.attempts_max
    }

    /// Tries a run, and keeps it if it fails in the same way in no more steps than said.
    fn takes(&mut self, trim: Trim, steps_max: u64) -> bool {
        if self.is_over() {
            return false;
        }
        self.attempts += 1;
        let found = (self.attempt)(&trim);
        let Some(found) =
            found.filter(|found| found.check == self.first.check && found.steps <= steps_max)
        else {
            return false;
        };
        (self.trim, self.found) = (trim, found);
        true
    }

    fn leave_out_classes(&mut self, shape: Shape) {
        let mut left = shape.classes.to_vec();
        left.retain(|&class| self.trim.has(class));
        let mut size = left.len();
        while size > 0 {
            let mut from = 0;
            while from < left.len() {
                let part = from..(from + size).min(left.len());
                let mut trim = self.trim.clone();
                trim.without.extend(&left[part.clone()]);
                if self.takes(trim, self.first.steps) {
                    left.drain(part);
                } else {
                    from = part.end;
                }
            }
            size /= 2;
        }
    }

    fn have_fewer(&mut self, shape: Shape, extent: &Extent) {
        for &(size, drawn) in &extent.sizes {
            let Some(least) = shape.least(size) else { continue };
            let (mut low, mut high) = (least, self.trim.size(size, drawn));
            while low < high && !self.is_over() {
                let middle = low.midpoint(high);
                let mut trim = self.trim.clone();
                trim.most.insert(size, middle);
                if self.takes(trim, self.first.steps) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
        }
    }

    fn heal_sooner(&mut self, extent: &Extent) {
        let failed_ms = self.found.at.0 / crate::plan::MS;
        let until = self.trim.until_ms.unwrap_or(extent.until_ms);
        let (mut low, mut high) = (0, until.min(failed_ms));
        while low + high / 16 < high && !self.is_over() {
            let middle = low.midpoint(high);
            let trim = Trim { until_ms: Some(middle), ..self.trim.clone() };
            if self.takes(trim, self.found.steps.saturating_sub(1)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trim::Class;

    const SHAPE: Shape = crate::SHAPE;

    fn found(check: &str, steps: u64) -> Found {
        Found { check: check.to_owned(), at: Time(9_000_000_000), steps }
    }

    fn search(attempts_max: u32, attempt: &mut dyn FnMut(&Trim) -> Option<Found>) -> Smaller {
        let extent = Extent { until_ms: 8_000, sizes: vec![(Size::Stores, 5), (Size::Groups, 12)] };
        let first = found("reads are linearizable", 9_000);
        minimise((SHAPE, &extent), (Trim::default(), first), attempts_max, attempt)
    }

    #[test]
    fn what_the_failure_needs_stays_and_the_rest_goes() {
        let needs = [Class::Cuts, Class::Transfers];
        let smaller = search(200, &mut |trim| {
            let until = trim.until_ms.unwrap_or(8_000);
            let fails = needs.iter().all(|&class| trim.has(class))
                && trim.size(Size::Groups, 12) >= 3
                && until >= 1_000;
            fails.then(|| found("reads are linearizable", until + 900))
        });
        let stays: Vec<Class> =
            SHAPE.classes.iter().copied().filter(|&class| smaller.trim.has(class)).collect();
        assert_eq!(stays, needs);
        assert_eq!(smaller.trim.most, [(Size::Stores, 3), (Size::Groups, 3)].into());
        let until = smaller.trim.until_ms.expect("it heals sooner");
        assert!((1_000..1_070).contains(&until), "{until}");
        assert_eq!(smaller.found.steps, until + 900);
    }

    #[test]
    fn another_failure_or_a_longer_run_is_not_taken() {
        let other = search(200, &mut |_| Some(found("replicas are the same", 10)));
        assert_eq!((other.trim, other.found.steps), (Trim::default(), 9_000));
        let longer = search(200, &mut |_| Some(found("reads are linearizable", 9_001)));
        assert_eq!((longer.trim, longer.found.steps), (Trim::default(), 9_000));
    }

    #[test]
    fn attempts_have_a_bound() {
        let mut done = 0;
        let smaller = search(7, &mut |_| {
            done += 1;
            None
        });
        assert_eq!((smaller.attempts, done), (7, 7));
    }
}
