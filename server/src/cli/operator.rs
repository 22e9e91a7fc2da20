//! `crib operator …` and `crib explain …`: what is done, and why.

use proto::crib::placement::v1::explain_request::What;
use serde_json::json;

use super::args::{Explain, Operator as Command};
use super::connect::Target;
use super::output::{Output, Table, seconds};
use super::{region, store};
use crate::errors::catalogue::{CATALOGUE, Entry, find};
use crate::errors::{self, Failure};
use crate::view::Operator;

/// Lists operators.
///
/// # Errors
/// If the cluster cannot be asked.
pub(super) async fn run(command: Command, target: &Target, output: &Output) -> Result<(), Failure> {
    let Command::List { all } = command;
    let found = target.admin().await?.list_operators(all).await?;
    let operators: Vec<Operator> = found.into_iter().map(Operator::from).collect();
    if operators.is_empty() && !output.is_json() {
        output.note("no operator runs");
        return Ok(());
    }
    output.data(&operators, || output.table(&table(&operators)))
}

/// Explains something. An error takes no cluster, and so it is not looked for.
///
/// # Errors
/// If there is no such thing, or the cluster cannot be asked.
pub(super) async fn explain(
    command: Explain,
    target: impl FnOnce() -> Result<Target, Failure>,
    output: &Output,
) -> Result<(), Failure> {
    let what = match command {
        Explain::Error { code } => return explain_error(code.as_deref(), output),
        Explain::Region { id } => What::RegionId(id),
        Explain::Store { id } => What::StoreId(id),
    };
    let admin = target()?.admin().await?;
    match what {
        What::RegionId(id) => region::find(&admin, id).await.map(drop)?,
        What::StoreId(id) => store::find(&admin, id).await.map(drop)?,
    }
    let lines = admin.explain(what).await?;
    output
        .data(&json!({ "lines": lines }), || lines.iter().map(|line| format!("{line}\n")).collect())
}

fn explain_error(code: Option<&str>, output: &Output) -> Result<(), Failure> {
    let Some(code) = code else {
        let all: Vec<_> = CATALOGUE.iter().map(|entry| object(entry)).collect();
        return output.data(&all, || {
            let mut table = Table::new(&["CODE", "EXIT", "MEANING"]);
            for entry in CATALOGUE {
                let exit = (entry.exit as u8).to_string();
                table.row([entry.code(), exit, entry.title.to_owned()]);
            }
            output.table(&table)
        });
    };
    let entry = find(code).ok_or_else(|| {
        Failure::new(&errors::USAGE, format!("there is no error {code}"))
            .next("`crib explain error` lists all of them")
    })?;
    output.data(&object(entry), || entry_text(entry))
}

fn object(entry: &Entry) -> serde_json::Value {
    json!({
        "code": entry.code(), "title": entry.title, "cause": entry.cause.replace('\n', " "),
        "try": entry.next, "exit_code": entry.exit as u8,
    })
}

fn entry_text(entry: &Entry) -> String {
    format!(
        "{}: {}\n\n{}\n\ntry: {}\nexit code: {}\n",
        entry.code(),
        entry.title,
        entry.cause,
        entry.next,
        entry.exit as u8
    )
}

fn table(operators: &[Operator]) -> Table {
    let mut table = Table::new(&["OPERATOR", "REGION", "STATE", "STEP", "AGE", "ORIGIN", "REASON"]);
    for operator in operators {
        let at = usize::try_from(operator.step).unwrap_or(usize::MAX);
        let step = match operator.steps.get(at) {
            Some(step) => format!("{}/{} {step}", at + 1, operator.steps.len()),
            None => format!("{0}/{0}", operator.steps.len()),
        };
        table.row([
            operator.id.to_string(),
            operator.region.to_string(),
            operator.state.clone(),
            step,
            seconds(operator.age_seconds),
            operator.origin.clone(),
            operator.reason.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operator_shows_the_step_that_it_is_at() {
        let operator = Operator {
            id: 9,
            region: 4,
            origin: "balance-region".to_owned(),
            reason: "store 1 has 9 regions, store 4 has 0".to_owned(),
            steps: vec!["add learner on store 4".to_owned(), "replace store 1".to_owned()],
            step: 1,
            state: "running".to_owned(),
            age_seconds: 3,
        };
        let done = Operator { step: 2, state: "done".to_owned(), ..operator.clone() };
        assert_eq!(
            table(&[operator, done]).plain(),
            "OPERATOR  REGION  STATE    STEP                 AGE  ORIGIN          REASON\n\
             9         4       running  2/2 replace store 1  3 s  balance-region  store 1 has 9 \
             regions, store 4 has 0\n\
             9         4       done     2/2                  3 s  balance-region  store 1 has 9 \
             regions, store 4 has 0\n"
        );
    }

    #[test]
    fn error_is_explained_with_cause_and_advice() {
        let text = entry_text(&errors::CONDITION_FAILED);
        assert_eq!(
            text,
            "CRIB-E2011: the condition does not hold\n\nCompare-and-swap found another value than \
             the one that was expected. Nothing was\nwritten.\n\ntry: read the value again, and \
             decide anew\nexit code: 6\n"
        );
    }
}
