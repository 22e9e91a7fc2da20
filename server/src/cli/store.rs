//! `crib store …`: stores, and how they leave.

use std::time::Duration;

use client::Admin;
use proto::crib::placement::v1;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::args::Store as Command;
use super::connect::Target;
use super::output::{Output, Table, bytes, seconds};
use super::progress::Progress;
use crate::errors::{self, Failure};
use crate::view::{Store, Unreached};

/// After so many seconds without a word, what a store last said of itself does not count.
const SILENT: u64 = 10;
/// How often a store that is waited for is looked at.
const POLL: Duration = Duration::from_millis(500);

/// Does what a command says.
///
/// # Errors
/// If the cluster cannot be asked, has no such store, or refuses.
pub(super) async fn run(command: Command, target: &Target, output: &Output) -> Result<(), Failure> {
    let admin = target.admin().await?;
    match command {
        Command::List { all } => {
            let mut stores = stores(&admin, all).await?;
            stores.sort_by_key(|store| store.id);
            output.data(&stores, || output.table(&table(&stores)))
        }
        Command::Show { id } => {
            let store = find(&admin, id).await?;
            output.data(&store, || details(&store))
        }
        Command::Drain { id, dry_run, wait } => {
            find(&admin, id).await?;
            drain(&admin, id, dry_run, output).await?;
            if wait { until_empty(&admin, id, target, output).await } else { Ok(()) }
        }
        Command::Undrain { id } => {
            find(&admin, id).await?;
            admin.undrain_store(id).await?;
            output.done()
        }
        Command::Remove { id, force } => {
            let store = find(&admin, id).await?;
            let removed = match force {
                true => admin.remove_store_by_force(id).await,
                false => admin.remove_store(id).await,
            };
            removed.map_err(|error| {
                let failure = Failure::from(error);
                match failure.entry == &errors::REFUSED && store.regions > 0 {
                    true => failure.next(format!("empty it first: crib store drain {id} --wait")),
                    false => failure,
                }
            })?;
            output.done()
        }
    }
}

async fn stores(admin: &Admin, with_removed: bool) -> Result<Vec<Store>, Failure> {
    Ok(admin.list_stores(with_removed).await?.into_iter().map(Store::from).collect())
}

/// A store by its id.
///
/// # Errors
/// If there is none.
pub(super) async fn find(admin: &Admin, id: u64) -> Result<Store, Failure> {
    let all = stores(admin, true).await?;
    let known: Vec<String> = all.iter().map(|store| store.id.to_string()).collect();
    all.into_iter().find(|store| store.id == id).ok_or_else(|| {
        Failure::new(&errors::STORE_NOT_FOUND, format!("store not found: {id}"))
            .why(format!("the cluster has stores {}", known.join(", ")))
    })
}

async fn drain(admin: &Admin, id: u64, dry_run: bool, output: &Output) -> Result<(), Failure> {
    let plan = admin.drain_store(id, dry_run).await.map_err(|error| match error {
        client::Error::Refused(why) => {
            let what = format!("store {id} is not drained");
            Failure::new(&errors::CANNOT_END, what).why(why)
        }
        other => Failure::from(other),
    })?;
    let object = json!({
        "store": id, "dry_run": dry_run, "regions": plan.regions, "leaders": plan.leaders,
        "bytes": plan.bytes, "seconds": plan.seconds,
    });
    output.data(&object, || drain_text(id, dry_run, &plan))
}

fn drain_text(id: u64, dry_run: bool, plan: &v1::DrainStoreResponse) -> String {
    let about = match plan.seconds {
        0 => String::new(),
        known => format!(", about {}", seconds(known)),
    };
    let what =
        format!("{} replicas ({}), {} leaders", plan.regions, bytes(plan.bytes), plan.leaders);
    if dry_run {
        format!("would move {what} from store {id}{about}; nothing was done\n")
    } else {
        format!("draining store {id}: {what}{about}\n")
    }
}

/// What is left on a store that is emptied. Of one that does not speak, placement knows better.
fn left(store: &Store) -> u64 {
    let regions = match store.silent_seconds >= SILENT {
        true => 0,
        false => store.regions,
    };
    // A seat of placement moves as replicas do.
    let seat = u64::from(store.placement != "none");
    store.regions_left.unwrap_or(0).max(regions) + seat
}

/// Waits until nothing is left on a store.
async fn until_empty(
    admin: &Admin,
    id: u64,
    target: &Target,
    output: &Output,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let whole = left(&find(admin, id).await?);
    let mut progress = Progress::new(output, format!("store {id}"), Some(whole), "replicas");
    loop {
        let store = find(admin, id).await?;
        let rest = left(&store);
        if rest == 0 {
            drop(progress);
            output.note(&format!("store {id} holds nothing; it may be removed and stopped"));
            return Ok(());
        }
        if store.state != "draining" {
            let what = format!("store {id} is not draining any more, but {}", store.state);
            return Err(Failure::new(&errors::REFUSED, what)
                .next(format!("see why with crib explain store {id}")));
        }
        let about = store.seconds_left.map(|left| format!("about {} left", seconds(left)));
        progress.at(whole.saturating_sub(rest), &about.unwrap_or_default());
        if target.timeout.is_some_and(|timeout| begun.elapsed() + POLL > timeout) {
            let what = format!("store {id} is not empty yet: {rest} replicas are left");
            return Err(Failure::new(&errors::UNHEALTHY, what)
                .next(format!("it goes on; wait again with crib store drain {id} --wait")));
        }
        sleep(POLL).await;
    }
}

/// Stores, a row each.
#[must_use]
pub(super) fn table(stores: &[Store]) -> Table {
    let mut table =
        Table::new(&["STORE", "STATE", "ADDRESS", "LEADERS", "REGIONS", "USED", "FREE", "LABELS"]);
    for store in stores {
        let state = match store.full {
            true => format!("{}, full", store.state),
            false => store.state.to_owned(),
        };
        table.row([
            store.id.to_string(),
            state,
            store.address.clone(),
            store.leaders.to_string(),
            store.regions.to_string(),
            bytes(store.used_bytes),
            bytes(store.available_bytes),
            labels(store),
        ]);
    }
    table
}

fn labels(store: &Store) -> String {
    let pairs = store.labels.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<String>>().join(",")
}

fn details(store: &Store) -> String {
    let mut text = format!(
        "store      {}\nstate      {}\naddress    {}\nhttp       {}\nversion    {}\n\
         labels     {}\nlife       {} (how often it was started)\nsilent     {}\n\
         placement  {}\nregions    {}, leads {}\ndisk       {} used, {} free of {}\n\
         traffic    {}/s written, {}/s read\n",
        store.id,
        store.state,
        store.address,
        store.http_address,
        store.version,
        labels(store),
        store.life,
        seconds(store.silent_seconds),
        placement(store.placement),
        store.regions,
        store.leaders,
        bytes(store.used_bytes),
        bytes(store.available_bytes),
        bytes(store.capacity_bytes),
        bytes(store.written_bytes_per_second),
        bytes(store.read_bytes_per_second),
    );
    if let Some(left) = store.regions_left {
        let about = store.seconds_left.map(|left| format!(", about {}", seconds(left)));
        text += &format!("drain      {left} replicas left{}\n", about.unwrap_or_default());
    }
    for Unreached { store, seconds: span, why } in &store.unreached {
        text += &format!("unreached  store {store} for {}: {why}\n", seconds(*span));
    }
    // A line without a value, as of a store without labels, ends with its name.
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// What a store is for placement.
fn placement(seat: &str) -> &'static str {
    match seat {
        "leader" => "leads",
        "member" => "holds a seat",
        "learner" => "is to hold a seat, and is being filled",
        _ => "no seat",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests as fake;

    #[test]
    fn draining_store_tells_what_is_left() {
        let mut of = fake::store(3, v1::StoreState::Draining);
        of.regions_left = 4;
        of.seconds_left = 150;
        of.labels.clear();
        of.set_placement(v1::PlacementSeat::Member);
        let why = "connection refused".to_owned();
        of.unreached = vec![v1::Unreached { store_id: 2, seconds: 9, why }];
        assert_eq!(
            details(&Store::from(of)),
            "store      3\nstate      draining\naddress    127.0.0.1:6713\n\
             http       127.0.0.1:6783\nversion    0.1.0\nlabels\n\
             life       1 (how often it was started)\nsilent     0 s\n\
             placement  holds a seat\nregions    5, leads 1\n\
             disk       1.5 MiB used, 60 GiB free of 100 GiB\n\
             traffic    0 B/s written, 0 B/s read\ndrain      4 replicas left, about 2 min\n\
             unreached  store 2 for 9 s: connection refused\n"
        );
    }

    #[test]
    fn plan_of_a_drain_says_whether_it_was_begun() {
        let plan = v1::DrainStoreResponse { regions: 9, leaders: 3, bytes: 312 << 20, seconds: 17 };
        assert_eq!(
            drain_text(3, true, &plan),
            "would move 9 replicas (312 MiB), 3 leaders from store 3, about 17 s; nothing was \
             done\n"
        );
        let plan = v1::DrainStoreResponse { seconds: 0, ..plan };
        assert_eq!(
            drain_text(3, false, &plan),
            "draining store 3: 9 replicas (312 MiB), 3 leaders\n"
        );
    }
}
