//! `crib status`: how the cluster is, on one screen.

use std::time::Duration;

use client::Admin;
use tokio::time::{Instant, sleep};

use super::args::StatusArgs;
use super::connect::Target;
use super::output::Output;
use super::progress::Progress;
use super::store;
use crate::errors::{self, Failure};
use crate::view::Status;

/// How often a cluster is asked that is waited for.
const POLL: Duration = Duration::from_millis(100);
/// How long it is waited for, if nobody says.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does what the command says.
///
/// # Errors
/// If the cluster cannot be asked, or is not well though it was to be.
pub async fn run(args: StatusArgs, target: &Target, output: &Output) -> Result<(), Failure> {
    let status = if args.exit_when_healthy {
        let patience = target.timeout.unwrap_or(PATIENCE);
        healthy(target, 1, Instant::now() + patience, output).await?
    } else {
        Status::from(target.admin().await?.status().await?)
    };
    output.data(&status, || text(&status, output))?;
    if args.exit_code && !status.healthy { Err(unhealthy(&status)) } else { Ok(()) }
}

/// Waits until all is well, and there are as many stores.
///
/// # Errors
/// If it is not when time is up: with what was wrong at last.
pub(crate) async fn healthy(
    target: &Target,
    stores: usize,
    deadline: Instant,
    output: &Output,
) -> Result<Status, Failure> {
    let mut progress = Progress::new(output, "waiting", None, "");
    let quick = target.within(Duration::from_secs(2));
    let mut admin: Option<Admin> = None;
    loop {
        let asked = match &admin {
            Some(admin) => admin.status().await.map_err(Failure::from),
            None => match quick.admin().await {
                Ok(connected) => admin.insert(connected).status().await.map_err(Failure::from),
                Err(failure) => Err(failure),
            },
        };
        let last = match asked.map(Status::from) {
            Ok(status) if status.healthy && status.stores.len() >= stores => return Ok(status),
            Ok(status) if status.healthy => Failure::new(
                &errors::UNHEALTHY,
                format!("{} of {stores} stores have joined", status.stores.len()),
            ),
            Ok(status) => unhealthy(&status),
            // Certificates do not get better by waiting.
            Err(failure) if failure.exit() == errors::Exit::Denied => return Err(failure),
            Err(failure) => {
                admin = None;
                let none = Failure::new(&errors::UNHEALTHY, "the cluster did not become healthy");
                failure.why.iter().fold(none.why(failure.what), Failure::why)
            }
        };
        progress.at(0, last.why.first().unwrap_or(&last.what));
        if Instant::now() + POLL >= deadline {
            return Err(last);
        }
        sleep(POLL).await;
    }
}

fn unhealthy(status: &Status) -> Failure {
    let failure = Failure::new(&errors::UNHEALTHY, "the cluster is not healthy");
    wrong(status).into_iter().fold(failure, Failure::why)
}

/// All that keeps a cluster from being healthy, in words.
pub(super) fn wrong(status: &Status) -> Vec<String> {
    let mut lines = status.problems.clone();
    if status.placement_leader.is_none() {
        lines.push("placement has no leader".to_owned());
    }
    if status.regions == 0 {
        lines.push("no region was heard of yet".to_owned());
    }
    let counts = [
        (status.regions_without_leader, "without a leader"),
        (status.regions_under_replicated, "with too few replicas"),
    ];
    for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
        lines.push(format!("{count} of {} regions {what}", status.regions));
    }
    for store in &status.stores {
        if !matches!(store.state, "up" | "draining" | "removed") {
            lines.push(format!("store {} ({}) is {}", store.id, store.address, store.state));
        }
    }
    lines
}

/// What to do about placement on one store, where there are enough for more.
fn advice(status: &Status) -> &'static str {
    let up = status.stores.iter().filter(|store| store.state == "up").count();
    if status.placement_seats == 1 && up >= 3 {
        "  (to outlive that store: crib placement seats 3)"
    } else {
        ""
    }
}

fn text(status: &Status, output: &Output) -> String {
    let health = if status.healthy { "healthy" } else { "NOT HEALTHY" };
    let list = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<String>>().join(", ");
    let leader = status
        .placement_leader
        .map_or_else(|| "no leader".to_owned(), |leader| format!("store {leader} leads"));
    let mut text = format!(
        "cluster    {}  {health}  api {}  replicas {}\n\
         placement  {leader}  of stores {}{}{}\n\
         regions    {}  without leader {}  under-replicated {}  operators {}\n\n",
        status.cluster_id,
        status.api_version,
        status.replicas,
        list(&status.placement_stores),
        advice(status),
        if status.prepared { "" } else { "  still gathering" },
        status.regions,
        status.regions_without_leader,
        status.regions_under_replicated,
        status.operators,
    );
    text += &output.table(&store::table(&status.stores));
    let wrong = wrong(status);
    if !wrong.is_empty() {
        text += "\nproblems\n";
        for line in wrong {
            text += &format!("  {line}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::output::tests::plain;
    use super::*;
    use crate::view::tests as fake;

    #[test]
    fn screen_of_a_healthy_cluster() {
        let status = Status::from(fake::status());
        assert_eq!(
            text(&status, &plain()),
            "cluster    7383792418829112008  healthy  api v2  replicas 3\n\
             placement  store 1 leads  of stores 1, 2, 3\n\
             regions    5  without leader 0  under-replicated 0  operators 0\n\
             \n\
             STORE  STATE  ADDRESS         LEADERS  REGIONS  USED     FREE    LABELS\n\
             1      up     127.0.0.1:6711  3        5        1.5 MiB  60 GiB  zone=z1\n\
             2      up     127.0.0.1:6712  1        5        1.5 MiB  60 GiB  zone=z2\n\
             3      up     127.0.0.1:6713  1        5        1.5 MiB  60 GiB  zone=z3\n"
        );
    }

    #[test]
    fn screen_of_a_sick_cluster_says_what_is_wrong() {
        let mut of = fake::status();
        of.stores[2].set_state(proto::crib::placement::v1::StoreState::Down);
        of.placement_leader = 0;
        of.is_prepared = false;
        of.regions_without_leader = 2;
        of.problems = vec!["store 3 is full".to_owned()];
        let status = Status::from(of);
        let text = text(&status, &plain());
        assert!(text.contains("NOT HEALTHY"), "{text}");
        assert!(text.contains("no leader  of stores 1, 2, 3  still gathering"), "{text}");
        let problems = "\nproblems\n  store 3 is full\n  placement has no leader\n  \
             2 of 5 regions without a leader\n  store 3 (127.0.0.1:6713) is down\n";
        assert!(text.ends_with(problems), "{text}");
        assert_eq!(unhealthy(&status).why.len(), 4);
    }
}
