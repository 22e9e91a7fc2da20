//! `crib placement …`: the stores that placement lives on.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::args::Placement as Command;
use super::connect::Target;
use super::output::Output;
use crate::errors::{self, Failure};
use crate::view::Status;

/// How often seats that are waited for are looked at.
const POLL: Duration = Duration::from_millis(300);
/// How long they are waited for, if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does what a command says.
///
/// # Errors
/// If the cluster cannot be asked or refuses, or the seats are not taken when time is up.
pub(super) async fn run(command: Command, target: &Target, output: &Output) -> Result<(), Failure> {
    let Command::Seats { count, wait } = command;
    let admin = target.admin().await?;
    admin.set_seats(count).await?;
    let deadline = Instant::now() + target.timeout.unwrap_or(PATIENCE);
    let mut status = Status::from(admin.status().await?);
    while wait && !is_seated(&status, count) {
        if Instant::now() + POLL >= deadline {
            let left = Failure::new(&errors::UNHEALTHY, "seats of placement are not taken yet");
            let held = format!("{} of {count} are", voters(&status).len());
            return Err(status.problems.iter().fold(left.why(held), Failure::why));
        }
        sleep(POLL).await;
        status = Status::from(admin.status().await?);
    }
    let held = voters(&status);
    output.data(&json!({ "seats": count, "stores": held }), || text(count, &held))
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

fn text(count: u32, held: &[u64]) -> String {
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
            text(3, &voters(&two)),
            "placement is to have 3 seats; it has them on stores 1, 2\n"
        );
    }
}
