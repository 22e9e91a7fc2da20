//! Stores: joining, heartbeats, draining and removing.

use types::StoreId;

use super::{Driver, Heard, Lead, Said, Unavailable};
use crate::scheduler::seats::{SeatFinding, Seats};
use crate::scheduler::{DrainPlan, StoreState};
use crate::state::{Command, Life, Refused, Reply, Store};

/// Why something is not done about a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreError {
    Unavailable(Unavailable),
    Refused(Refused),
    /// It could not end, or is not yet possible, in words.
    Unwise(String),
}

impl From<Unavailable> for StoreError {
    fn from(why: Unavailable) -> StoreError {
        StoreError::Unavailable(why)
    }
}

impl Driver {
    /// A store joins, or is otherwise than it was.
    pub(crate) async fn put_store(&self, lead: &Lead, store: Store) -> Result<Store, StoreError> {
        let address = store.address.clone();
        let reply = self.propose(&Command::PutStore(store)).await?;
        if let Err(Refused::AddressTaken(other)) = &reply {
            let other = other.get();
            tracing::warn!(store = other, address, "another disk speaks from a store's address");
            lead.tell("store", 0, format!("another disk speaks from the address of store {other}"));
        }
        self.changed(lead, reply)
    }

    async fn set_life(&self, lead: &Lead, id: StoreId, life: Life) -> Result<Store, StoreError> {
        let reply = self.propose(&Command::SetLife(id, life)).await?;
        self.changed(lead, reply)
    }

    fn changed(&self, lead: &Lead, reply: Result<Reply, Refused>) -> Result<Store, StoreError> {
        match reply {
            Ok(Reply::Store(store)) => {
                lead.look_at_stores(&self.view.get());
                Ok(store)
            }
            Ok(other) => Err(Unavailable::odd(&other).into()),
            Err(refused) => Err(StoreError::Refused(refused)),
        }
    }

    /// Hears of a store. Only what is news costs a proposal.
    pub(crate) async fn hear(
        &self,
        lead: &Lead,
        id: StoreId,
        store: Store,
        said: Said,
    ) -> Result<StoreState, StoreError> {
        let state = self.view.get();
        let known = state.stores.get(&id).ok_or(StoreError::Refused(Refused::NoStore(id)))?;
        if known.life == Life::Removed {
            tracing::warn!(store = %id, "a store that was removed speaks");
            lead.tell("store", 0, format!("store {} speaks, though it was removed", id.get()));
            return Ok(StoreState::Removed);
        }
        let mut new = Store { id: Some(id), nonce: known.nonce, life: known.life, ..store };
        // It is heard, wherever it says that it is.
        let (old, stats) = {
            let mut all = lead.heard.write();
            let heard = Heard::new(lead.clock.now(), said);
            let heard = heard.after(all.get(&id), lead.config().silent_after);
            let stats = heard.stats;
            (all.insert(id, heard), stats)
        };
        let mut others = state.stores.iter().filter(|(other, _)| **other != id);
        let is_claimed = |(other, store): &(&StoreId, &Store)| {
            let is_there = store.life != Life::Removed && store.address == new.address;
            is_there && lead.is_at(**other, &new.address)
        };
        if let Some((other, _)) = others.find(is_claimed) {
            let (store, other) = (id.get(), other.get());
            tracing::warn!(
                store,
                other,
                address = new.address,
                "two stores say that they are there"
            );
            lead.tell("store", 0, format!("store {store} says that it is where store {other} is"));
            new.address.clone_from(&known.address);
        }
        // Without an address there is nothing to agree on yet.
        if *known != new && !new.address.is_empty() {
            self.put_store(lead, new).await?;
        }
        let is_news = old.is_none_or(|old| {
            old.stats.is_stopping != stats.is_stopping || old.stats.is_full != stats.is_full
        });
        let was = lead.stores().get(&id).map(|info| info.state);
        if is_news || was != Some(StoreState::Up) {
            lead.look_at_stores(&self.view.get());
        }
        Ok(lead.stores().get(&id).map_or(StoreState::Joining, |info| info.state))
    }

    /// Empties a store, or says what that would take.
    pub(crate) async fn drain(
        &self,
        lead: &Lead,
        id: StoreId,
        is_dry_run: bool,
    ) -> Result<DrainPlan, StoreError> {
        let plan = lead.drain_check(id).map_err(StoreError::Unwise)?;
        if let Some(why) = self.with_seats(lead, |seats| seats.holds_on(id)).await? {
            let id = id.get();
            return Err(StoreError::Unwise(format!("store {id} holds a seat of placement; {why}")));
        }
        if !is_dry_run {
            self.set_life(lead, id, Life::Draining).await?;
        }
        Ok(plan)
    }

    /// Takes back a drain.
    pub(crate) async fn undrain(&self, lead: &Lead, id: StoreId) -> Result<(), StoreError> {
        self.set_life(lead, id, Life::Live).await.map(|_| ())
    }

    /// Decides how many members placement is to have.
    pub(crate) async fn set_seats(&self, lead: &Lead, seats: u32) -> Result<(), StoreError> {
        enough_stores(lead, "seat", seats)?;
        self.decide(&Command::SetSeats(seats)).await?;
        lead.tell("placement", 0, format!("placement is to have {seats} members"));
        Ok(())
    }

    /// Decides how many replicas each region is to have.
    pub(crate) async fn set_replicas(&self, lead: &Lead, replicas: u32) -> Result<(), StoreError> {
        enough_stores(lead, "replica of a region", replicas)?;
        self.decide(&Command::SetReplicas(replicas)).await?;
        lead.look_at_stores(&self.view.get());
        lead.tell("placement", 0, format!("regions are to have {replicas} replicas"));
        Ok(())
    }

    /// Decides which labels tell where stores are.
    pub(crate) async fn set_location_labels(
        &self,
        lead: &Lead,
        keys: Vec<String>,
    ) -> Result<(), StoreError> {
        let told = keys.join(", ");
        self.decide(&Command::SetLocationLabels(keys)).await?;
        lead.look_at_stores(&self.view.get());
        lead.tell("placement", 0, format!("replicas are to be apart in: {told}"));
        Ok(())
    }

    /// Proposes what is done or refused.
    async fn decide(&self, command: &Command) -> Result<(), StoreError> {
        match self.propose(command).await? {
            Ok(Reply::Done) => Ok(()),
            Ok(other) => Err(Unavailable::odd(&other).into()),
            Err(refused) => Err(StoreError::Refused(refused)),
        }
    }

    /// Takes a store out of the cluster, for good.
    ///
    /// With `force`, also while some keys are in no region that is known: what it has of those is
    /// given up.
    pub(crate) async fn remove(
        &self,
        lead: &Lead,
        id: StoreId,
        force: bool,
    ) -> Result<(), StoreError> {
        let state = self.view.get();
        let known = state.stores.get(&id).ok_or(StoreError::Refused(Refused::NoStore(id)))?;
        if known.life == Life::Removed {
            return Ok(());
        }
        let unwise = |why: String| Err(StoreError::Unwise(why));
        let holds_seat =
            |seats: &Seats<'_>| seats.members.iter().any(|member| member.peer.store == id);
        if self.with_seats(lead, holds_seat).await? {
            let held = format!("store {} holds a seat of placement", id.get());
            return unwise(match lead.seats() {
                SeatFinding::Stuck { reason, why } => format!("{held}; {reason}: {why}"),
                _ if known.life == Life::Draining => format!("{held}: it is on its way elsewhere"),
                _ => format!("{held}: drain it first"),
            });
        }
        let (left, held) =
            lead.with_cluster(|_, cluster| (cluster.table.tally_of(id).regions, cluster.unknown()));
        if let Some(held) = held.filter(|_| !force) {
            let named = id.get();
            return unwise(format!("whether store {named} is empty is not known: {held}"));
        }
        if left > 0 {
            return unwise(format!("store {} still has {left} regions: drain it first", id.get()));
        }
        let is_down = lead.stores().get(&id).is_some_and(|info| info.state == StoreState::Down);
        if known.life != Life::Draining && !is_down {
            return unwise(format!("store {} takes part: drain it first", id.get()));
        }
        self.set_life(lead, id, Life::Removed).await.map(|_| ())
    }
}

/// Whether as many stores are up as are needed.
fn enough_stores(lead: &Lead, each: &str, wanted: u32) -> Result<(), StoreError> {
    let stores = lead.stores();
    let up = stores.values().filter(|info| info.state == StoreState::Up).count();
    if u32::try_from(up).is_ok_and(|up| up < wanted) {
        return Err(StoreError::Unwise(format!(
            "each {each} needs a store of its own: {wanted} are wanted, {up} stores are up"
        )));
    }
    Ok(())
}
