//! `crib region …`: regions, where they are, and what happens to them.

use std::ffi::OsString;
use std::time::Duration;

use client::{Admin, Fate};
use proto::crib::placement::v1::{self, ListRegionsRequest, RegionReport};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tonic::Streaming;
use types::encode_key;

use super::args::{Coding, Region as Command};
use super::connect::Target;
use super::output::{Output, Table, bytes, json, seconds};
use crate::errors::{self, Failure};
use crate::view::{Event, Region};

/// Regions that are asked for at a time.
const PAGE: u32 = 1_000;
/// How often a stream of events is asked for again.
const WATCH_AGAIN: Duration = Duration::from_millis(200);
/// What stands before a key of the keyspace that always exists.
const DEFAULT_KEYSPACE: &[u8] = b"r\0\0\0";

/// Does what a command says.
///
/// # Errors
/// If the cluster cannot be asked, has no such region, or refuses.
pub(super) async fn run(command: Command, target: &Target, output: &Output) -> Result<(), Failure> {
    let admin = target.admin().await?;
    match command {
        Command::List { limit } => {
            let regions = list(&admin, limit).await?;
            output.data(&regions, || output.table(&table(&regions)))?;
            if limit > 0 && regions.len() >= limit as usize {
                output.note(&format!("there may be more regions than {limit}; --limit 0 for all"));
            }
            Ok(())
        }
        Command::Show { id } => {
            let region = find(&admin, id).await?;
            output.data(&region, || details(&region, output))
        }
        Command::Find { key, coding } => {
            let version = admin.status().await?.api_version;
            let region =
                holder(&admin, engine_key(&coding.read(&key)?, &version), &version).await?;
            output.data(&region, || details(&region, output))
        }
        Command::Split { id, at, coding } => split(&admin, id, &at, coding, output).await,
        Command::TransferLeader { id, to } => {
            let region = find(&admin, id).await?;
            if !region.peers.iter().any(|peer| peer.store == to) {
                let has: Vec<String> =
                    region.peers.iter().map(|peer| peer.store.to_string()).collect();
                let what = format!("region {id} has no replica on store {to}");
                return Err(Failure::new(&errors::USAGE, what)
                    .why(format!("it has replicas on stores {}", has.join(", "))));
            }
            admin.transfer_leader(id, to).await?;
            output.done()
        }
        Command::Watch => watch(&admin, output).await,
    }
}

async fn split(
    admin: &Admin,
    id: Option<u64>,
    at: &[OsString],
    coding: Coding,
    output: &Output,
) -> Result<(), Failure> {
    let version = admin.status().await?.api_version;
    let keys: Result<Vec<Vec<u8>>, Failure> =
        at.iter().map(|key| Ok(engine_key(&coding.read(key)?, &version))).collect();
    let keys = keys?;
    let region = match (id, keys.first()) {
        (Some(id), _) => find(admin, id).await?,
        (None, Some(key)) => holder(admin, key.clone(), &version).await?,
        (None, None) => return Err(Failure::new(&errors::USAGE, "which region is not said")),
    };
    admin.split_region(region.id, keys).await?;
    output.done()
}

/// The region that has an engine key.
async fn holder(admin: &Admin, key: Vec<u8>, version: &str) -> Result<Region, Failure> {
    let start_key = bytes::Bytes::from(key);
    let request = ListRegionsRequest {
        start_key: start_key.clone(),
        limit: 1,
        ..ListRegionsRequest::default()
    };
    let found = admin.list_regions(request).await?.into_iter().next();
    // Where none is known with the key, the next one is told.
    let holds = |of: &RegionReport| of.region.as_ref().is_some_and(|of| of.start_key <= start_key);
    found.filter(holds).map(|found| Region::new(found, version)).ok_or_else(|| {
        Failure::new(&errors::REGION_NOT_FOUND, "placement knows no region with this key")
            .next("it may still be gathering: see crib status, and ask again")
    })
}

async fn list(admin: &Admin, limit: u32) -> Result<Vec<Region>, Failure> {
    let version = admin.status().await?.api_version;
    let mut regions: Vec<Region> = Vec::new();
    let mut start_key = bytes::Bytes::new();
    loop {
        let missing = match limit {
            0 => PAGE,
            limit => limit.saturating_sub(u32::try_from(regions.len()).unwrap_or(limit)),
        };
        if missing == 0 {
            return Ok(regions);
        }
        let page = missing.min(PAGE);
        let request =
            ListRegionsRequest { start_key, limit: page, ..ListRegionsRequest::default() };
        let found = admin.list_regions(request).await?;
        let is_last = found.len() < page as usize;
        let end = found.last().and_then(|last| last.region.as_ref()).map(|it| it.end_key.clone());
        regions.extend(found.into_iter().map(|found| Region::new(found, &version)));
        match end.filter(|end| !end.is_empty() && !is_last) {
            Some(end) => start_key = end,
            None => return Ok(regions),
        }
    }
}

/// A region by its id.
///
/// # Errors
/// If there is none.
pub(super) async fn find(admin: &Admin, id: u64) -> Result<Region, Failure> {
    let version = admin.status().await?.api_version;
    let request = ListRegionsRequest { region_id: id, limit: 1, ..ListRegionsRequest::default() };
    let found = match id {
        // For placement, zero is all of them.
        0 => None,
        _ => admin.list_regions(request).await?.into_iter().next(),
    };
    let found = found.map(|found| Region::new(found, &version));
    let what = || Failure::new(&errors::REGION_NOT_FOUND, format!("region not found: {id}"));
    found.ok_or_else(what)
}

async fn watch(admin: &Admin, output: &Output) -> Result<(), Failure> {
    output.note("watching; interrupt to end");
    let mut events = admin.watch().await?;
    let mut pauses = interval(WATCH_AGAIN);
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        while let Ok(Some(event)) = events.message().await {
            let event = Event::from(event);
            let line = if output.is_json() { json(&event) } else { line(&event) };
            output.line(&line)?;
        }
        output.note("the stream ended; watching again");
        events = again(admin, &mut pauses).await?;
    }
}

/// Watches whoever leads placement now, as soon as anybody does.
async fn again(admin: &Admin, pauses: &mut Interval) -> Result<Streaming<v1::Event>, Failure> {
    loop {
        pauses.tick().await;
        match admin.watch().await {
            Ok(events) => return Ok(events),
            Err(error) if matches!(error.fate(), Fate::Refused) => return Err(error.into()),
            Err(_nobody_leads) => {}
        }
    }
}

/// A key that a client means, as regions are bounded.
fn engine_key(key: &[u8], api_version: &str) -> Vec<u8> {
    match api_version {
        "v2" => encode_key(&[DEFAULT_KEYSPACE, key].concat()),
        _ => key.to_vec(),
    }
}

fn line(event: &Event) -> String {
    let day = event.at_ms % 86_400_000;
    let (hours, minutes) = (day / 3_600_000, day / 60_000 % 60);
    let (seconds, millis) = (day / 1_000 % 60, day % 1_000);
    let region = match event.region {
        0 => String::new(),
        id => format!("region {id}"),
    };
    format!(
        "{hours:02}:{minutes:02}:{seconds:02}.{millis:03}  {region:<12}  {:<8}  {}",
        event.kind, event.text
    )
}

fn table(regions: &[Region]) -> Table {
    let mut table =
        Table::new(&["REGION", "START", "END", "LEADER", "STORES", "SIZE", "KEYS", "EPOCH"]);
    for region in regions {
        let stores: Vec<String> = region.peers.iter().map(|it| it.store.to_string()).collect();
        table.row([
            region.id.to_string(),
            region.start_key.clone(),
            region.end_key.clone(),
            leader(region),
            stores.join(","),
            bytes(region.bytes),
            region.keys.to_string(),
            format!("{}:{}", region.version, region.conf_version),
        ]);
    }
    table
}

fn leader(region: &Region) -> String {
    region.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string())
}

fn details(region: &Region, output: &Output) -> String {
    let leader = region.leader.map_or_else(
        || "none".to_owned(),
        |leader| format!("store {leader}, term {}", region.term),
    );
    let text = format!(
        "region     {}\nkeys       [{}, {})\nleader     {leader}\nepoch      {}:{}\n\
         size       about {}, {} keys\ntraffic    {}/s written, {}/s read\n",
        region.id,
        region.start_key,
        region.end_key,
        region.version,
        region.conf_version,
        bytes(region.bytes),
        region.keys,
        bytes(region.written_bytes_per_second),
        bytes(region.read_bytes_per_second),
    );
    let mut table = Table::new(&["PEER", "STORE", "ROLE", "STATE"]);
    for peer in &region.peers {
        let state = match (peer.down_seconds, peer.pending) {
            (Some(down), _) => format!("silent for {}", seconds(down)),
            (None, true) => "far behind".to_owned(),
            (None, false) => "well".to_owned(),
        };
        table.row([peer.id.to_string(), peer.store.to_string(), peer.role.to_owned(), state]);
    }
    text + "\n" + &output.table(&table)
}

#[cfg(test)]
mod tests {
    use super::super::output::tests::plain;
    use super::*;
    use crate::view::tests as fake;

    #[test]
    fn region_is_shown_in_a_row_and_in_full() {
        let region = Region::new(fake::region(), "v2");
        assert_eq!(
            table(std::slice::from_ref(&region)).plain(),
            "REGION  START                   END  LEADER  STORES  SIZE    KEYS   EPOCH\n\
             4       r\\x00\\x00\\x00user/0417  s    2       1,2,3   50 MiB  51200  2:1\n"
        );
        assert_eq!(
            details(&region, &plain()),
            "region     4\nkeys       [r\\x00\\x00\\x00user/0417, s)\n\
             leader     store 2, term 6\nepoch      2:1\n\
             size       about 50 MiB, 51200 keys\ntraffic    0 B/s written, 0 B/s read\n\n\
             PEER  STORE  ROLE   STATE\n11    1      voter  well\n12    2      voter  well\n\
             13    3      voter  silent for 40 s\n"
        );
    }

    #[test]
    fn event_is_a_line() {
        let event = Event {
            at_ms: 43_471_207,
            region: 4,
            kind: "leader".to_owned(),
            text: "store 1".to_owned(),
        };
        assert_eq!(line(&event), "12:04:31.207  region 4      leader    store 1");
        assert_eq!(
            json(&event),
            "{\"at_ms\":43471207,\"region\":4,\"kind\":\"leader\",\"text\":\"store 1\"}"
        );
    }

    #[test]
    fn keys_become_those_of_the_engine() {
        assert_eq!(engine_key(b"a", "v1"), b"a");
        assert_eq!(engine_key(b"a", "v2"), encode_key(b"r\0\0\0a"));
    }
}
