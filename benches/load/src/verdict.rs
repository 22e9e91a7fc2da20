//! Whether a result may be used. It is not, and says why, if anything happened that its figures do
//! not show.

use std::collections::BTreeMap;

use crate::run::Measured;
use crate::tally::Failures;
use crate::words::grouped;

/// Whether operations may fail. What else is wrong counts in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    /// None may.
    Refuse,
    /// They are counted, and the rest is a result all the same.
    Allow,
}

/// Why a result is invalid; nothing if it is valid.
#[must_use]
pub fn reasons(measured: &Measured, errors: Errors) -> Vec<String> {
    let mut reasons = Vec::new();
    if measured.tally.operations() == 0 {
        reasons.push("no operation ended well".to_owned());
    }
    if errors == Errors::Refuse {
        reasons.extend(failures(&measured.tally.failures));
    }
    if measured.never_begun > 0 {
        let count = grouped(measured.never_begun);
        reasons.push(format!(
            "{count} operations of the schedule never began: the target cannot keep this rate, and \
             the latencies are too low"
        ));
    }
    reasons.extend(measured.problems.iter().map(|problem| format!("not healthy {problem}")));
    reasons
}

fn failures(failures: &BTreeMap<&'static str, Failures>) -> Vec<String> {
    let line = |(kind, failures): (&&str, &Failures)| {
        let Failures { count, example } = failures;
        let operations = if *count == 1 { "operation" } else { "operations" };
        format!("{} {operations} failed ({kind}), the first one so: {example}", grouped(*count))
    };
    failures.iter().map(line).collect()
}
