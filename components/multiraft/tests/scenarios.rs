//! Ways in which stores of many groups have lost data, leadership or time, one test for each.
//! `TESTED.md` says which is which.

#[path = "scenarios/admission.rs"]
mod admission;
#[path = "scenarios/aside.rs"]
mod aside;
#[path = "scenarios/durability.rs"]
mod durability;
#[path = "scenarios/identity.rs"]
mod identity;
#[path = "scenarios/leases.rs"]
mod leases;
#[path = "store/ledger.rs"]
mod ledger;
#[path = "scenarios/limits.rs"]
mod limits;
#[path = "scenarios/observer.rs"]
mod observer;
#[path = "scenarios/places.rs"]
mod places;
#[path = "scenarios/pledges.rs"]
mod pledges;
#[path = "scenarios/requests.rs"]
mod requests;
#[path = "scenarios/snapshots.rs"]
mod snapshots;
#[path = "scenarios/spawn.rs"]
mod spawn;
#[path = "scenarios/world.rs"]
mod world;
