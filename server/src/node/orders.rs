//! What placement orders, carried out: one step for one region that this store leads.
//!
//! An order is for a region as placement knew it; a region that has changed since is left alone,
//! and its next report says how it is. Whether a step was done shows in reports as well, so that
//! nothing is answered here.

use std::sync::Arc;

use kv::RegionState;
use multiraft::Outcome;
use proto::crib::placement::v1::order::Step;
use proto::crib::placement::v1::{ChangePeersStep, Order, SplitStep, TransferLeaderStep};
use proto::metapb;
use raft::{Change, Seat};
use types::{Epoch, GroupId, PeerId, PeerRole, RegionPeer, StoreId};

use super::Parts;

/// Carries out an order, or says in the log why not.
pub(super) async fn carry_out(parts: &Arc<Parts>, order: Order) {
    let region = order.region_id;
    match attempt(parts, order).await {
        Ok(what) => tracing::info!(region, "{what}"),
        Err(why) => tracing::info!(region, why, "order not carried out"),
    }
}

async fn attempt(parts: &Arc<Parts>, order: Order) -> Result<String, String> {
    let id = GroupId::new(order.region_id).ok_or("region 0")?;
    let epoch: Epoch = order.epoch.ok_or("an order without epoch")?.into();
    let state = meant(parts, id, epoch)?;
    match order.step.ok_or("an order of no kind")? {
        Step::TransferLeader(step) => transfer(parts, &state, &step).await,
        Step::ChangePeers(step) => change(parts, (id, epoch), &step).await,
        Step::Split(step) => split(parts, &state, step).await,
    }
}

/// The region that an order is for, as it is now.
fn meant(parts: &Parts, id: GroupId, epoch: Epoch) -> Result<Arc<RegionState>, String> {
    let state = parts.data.regions.get(id).ok_or("the region is not here")?;
    if epoch != state.region.epoch {
        return Err(format!("it is for epoch {epoch}, the region is at {}", state.region.epoch));
    }
    Ok(state)
}

async fn transfer(
    parts: &Parts,
    state: &RegionState,
    step: &TransferLeaderStep,
) -> Result<String, String> {
    let to = step.to.and_then(|peer| PeerId::new(peer.id)).ok_or("to nobody")?;
    if state.region.peer(to).is_none() {
        return Err(format!("{to} is no member"));
    }
    match parts.data.handle.transfer(state.region.id, to).await {
        Outcome::Done => Ok(format!("leadership is handed to {to}")),
        Outcome::Refused(why) => Err(why.to_string()),
        other => Err(format!("{other:?}")),
    }
}

async fn change(
    parts: &Parts,
    (id, epoch): (GroupId, Epoch),
    step: &ChangePeersStep,
) -> Result<String, String> {
    let mut changes: Vec<(Change, Option<StoreId>)> = Vec::new();
    for peer in &step.set {
        let RegionPeer { id, store, role } =
            RegionPeer::try_from(peer).map_err(|why| why.to_string())?;
        let seat = match role {
            PeerRole::Voter => Seat::Voter,
            PeerRole::Learner => Seat::Learner,
            PeerRole::Incoming | PeerRole::Demoting => {
                return Err("a peer is set to voter or learner".to_owned());
            }
        };
        changes.push((Change::Set(id, seat), Some(store)));
    }
    for peer in &step.remove {
        let id = PeerId::new(peer.id).ok_or("peer 0")?;
        changes.push((Change::Remove(id), None));
    }
    let said = describe(step);
    // The epoch tells what was applied, and the slot what is changed: they are of one membership
    // if the slot was applied before the epoch is looked at.
    let Outcome::Status(status) = parts.data.handle.status(id).await else {
        return Err(format!("{said}: the region is not here"));
    };
    if status.applied < status.since {
        return Err(format!("{said}: another change is under way"));
    }
    meant(parts, id, epoch).map_err(|why| format!("{said}: {why}"))?;
    match parts.data.handle.change_since(id, status.since, changes).await {
        Outcome::Done => Ok(format!("membership changes: {said}")),
        Outcome::Refused(why) => Err(format!("{said}: {why}")),
        other => Err(format!("{said}: {other:?}")),
    }
}

fn describe(step: &ChangePeersStep) -> String {
    let set = step.set.iter().map(|peer| {
        let role = if peer.role() == metapb::PeerRole::Learner { "learner" } else { "voter" };
        format!("{role} {} on store {}", peer.id, peer.store_id)
    });
    let remove = step.remove.iter().map(|peer| format!("without {}", peer.id));
    set.chain(remove).collect::<Vec<_>>().join(", ")
}

async fn split(
    parts: &Arc<Parts>,
    state: &Arc<RegionState>,
    step: SplitStep,
) -> Result<String, String> {
    let keys = if step.keys.is_empty() {
        super::splits::halves(parts, state).await?
    } else {
        step.keys.into_iter().map(Vec::from).collect()
    };
    let parts_made = super::splits::split(parts, state, &keys).await?;
    Ok(format!("split into {parts_made}"))
}
