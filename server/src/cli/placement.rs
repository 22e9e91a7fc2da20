//! `crib placement …`: the stores that placement lives on, and the replicas that it makes.

use std::time::Duration;

use client::Admin;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::args::Placement as Command;
use super::connect::Target;
use super::output::Output;
use super::progress::Progress;
use crate::errors::{self, Failure};
use crate::view::Status;

/// How often what is waited for is looked at.
const POLL: Duration = Duration::from_millis(300);
/// How long it is waited for, if nothing else is said. Replicas are filled with data.
const SEATS_PATIENCE: Duration = Duration::from_mins(1);
const REPLICAS_PATIENCE: Duration = Duration::from_mins(10);

/// Does what a command says.
///
/// # Errors
/// If the cluster cannot be asked or refuses, or what is waited for is not so when time is up.
pub(super) async fn run(command: Command, target: &Target, output: &Output) -> Result<(), Failure> {
    let admin = target.admin().await?;
    match command {
        Command::Seats { count, wait } => {
            admin.set_seats(count).await?;
            let is_done = |status: &Status| !wait || is_seated(status, count);
            let mut progress = Progress::new(output, "seats", Some(count.into()), "seats");
            let look = |status: &Status| {
                progress.at(voters(status).len() as u64, "");
                is_done(status)
            };
            let (status, in_time) = watched(&admin, target, SEATS_PATIENCE, look).await?;
            drop(progress);
            let held = voters(&status);
            if !in_time {
                let why = format!("{} of {count} are", held.len());
                return Err(late(&status, "seats of placement are not taken yet", why));
            }
            output.data(&json!({ "seats": count, "stores": held }), || seats(count, &held))
        }
        // With `--none`, there are no keys.
        Command::Labels { keys, none: _ } => {
            admin.set_location_labels(keys.clone()).await?;
            output.data(&json!({ "location_labels": keys }), || match keys.is_empty() {
                true => "replicas are kept apart by stores alone\n".to_owned(),
                false => format!("replicas are kept apart in: {}\n", keys.join(", ")),
            })
        }
        Command::Replicas { count, wait } => {
            admin.set_replicas(count).await?;
            let is_done = |status: &Status| !wait || left(status, count) == 0;
            let mut progress: Option<Progress<'_>> = None;
            let look = |status: &Status| {
                let (all, left) = (status.regions, left(status, count));
                let new = || Progress::new(output, "regions", Some(all), "regions");
                progress.get_or_insert_with(new).at(all.saturating_sub(left), "");
                is_done(status)
            };
            let (status, in_time) = watched(&admin, target, REPLICAS_PATIENCE, look).await?;
            drop(progress);
            let left = left(&status, count);
            if !in_time {
                let why = format!("{left} of {} do not", status.regions);
                return Err(late(&status, "not all regions have their replicas yet", why));
            }
            let all = status.regions;
            output.data(&json!({ "replicas": count, "regions": all, "left": left }), || {
                let done = all.saturating_sub(left);
                format!("regions are to have {count} replicas; {done} of {all} have them\n")
            })
        }
    }
}

/// The first status in which it is done, or the last before time was up; and whether it is the
/// first.
async fn watched(
    admin: &Admin,
    target: &Target,
    patience: Duration,
    mut is_done: impl FnMut(&Status) -> bool,
) -> Result<(Status, bool), Failure> {
    let deadline = Instant::now() + target.timeout.unwrap_or(patience);
    let mut status = Status::from(admin.status().await?);
    while !is_done(&status) {
        if Instant::now() + POLL >= deadline {
            return Ok((status, false));
        }
        sleep(POLL).await;
        status = Status::from(admin.status().await?);
    }
    Ok((status, true))
}

fn late(status: &Status, what: &str, why: String) -> Failure {
    let failure = Failure::new(&errors::UNHEALTHY, what).why(why);
    status.problems.iter().fold(failure, Failure::why)
}

/// Regions that do not have so many replicas: all of them, as long as another number is wanted.
fn left(status: &Status, replicas: u32) -> u64 {
    if status.replicas == replicas {
        status.regions_under_replicated + status.regions_over_replicated
    } else {
        status.regions
    }
}

/// The stores with a member of placement that votes.
fn voters(status: &Status) -> Vec<u64> {
    let votes = |seat: &str| matches!(seat, "member" | "leader");
    status.stores.iter().filter(|store| votes(store.placement)).map(|store| store.id).collect()
}

/// Whether placement has as many members as it should, and none is on its way.
fn is_seated(status: &Status, count: u32) -> bool {
    let is_filled = |seat: &str| seat == "learner";
    voters(status).len() == count as usize
        && !status.stores.iter().any(|store| is_filled(store.placement))
}

fn seats(count: u32, held: &[u64]) -> String {
    let held: Vec<String> = held.iter().map(u64::to_string).collect();
    format!("placement is to have {count} seats; it has them on stores {}\n", held.join(", "))
}

#[cfg(test)]
mod tests {
    use proto::crib::placement::v1;
    use proto::crib::placement::v1::PlacementSeat::{Leader, Learner, Member, None};

    use super::*;
    use crate::view::tests as fake;

    #[test]
    fn seats_are_taken_when_so_many_members_vote_and_none_is_filled() {
        let with = |seats: [v1::PlacementSeat; 3]| {
            let mut of = fake::status();
            for (store, seat) in of.stores.iter_mut().zip(seats) {
                store.set_placement(seat);
            }
            Status::from(of)
        };
        let one = with([None, Leader, Learner]);
        assert!(!is_seated(&one, 1) && !is_seated(&one, 3));
        let two = with([Member, Leader, None]);
        assert!(!is_seated(&two, 1) && !is_seated(&two, 3));
        assert!(is_seated(&with([Member, Leader, Member]), 3));
        assert!(is_seated(&with([None, Leader, None]), 1));
        assert_eq!(
            seats(3, &voters(&two)),
            "placement is to have 3 seats; it has them on stores 1, 2\n"
        );
    }

    #[test]
    fn regions_are_left_while_they_have_fewer_or_more_or_another_number_is_wanted() {
        let with = |replicas, under, over| {
            let mut of = fake::status();
            (of.replicas, of.regions) = (replicas, 5);
            (of.regions_under_replicated, of.regions_over_replicated) = (under, over);
            left(&Status::from(of), 3)
        };
        assert_eq!(with(3, 0, 0), 0);
        assert_eq!(with(3, 2, 1), 3);
        assert_eq!(with(5, 0, 0), 5);
    }
}
