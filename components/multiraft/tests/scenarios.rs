//! Ways in which stores of many groups have lost data, leadership or time, one test for each.
//! `TESTED.md` says which is which.

#[path = "scenarios/durability.rs"]
mod durability;
#[path = "scenarios/identity.rs"]
mod identity;
#[path = "store/ledger.rs"]
mod ledger;
#[path = "scenarios/requests.rs"]
mod requests;
#[path = "scenarios/snapshots.rs"]
mod snapshots;
#[path = "scenarios/world.rs"]
mod world;
