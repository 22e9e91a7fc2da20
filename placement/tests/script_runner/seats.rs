//! Seats of placement's own group: findings, each carried out at once.

use std::collections::BTreeMap;
use std::time::Duration;

use placement::scheduler::seats::{SeatFinding, SeatStep, Seats, Sitting};
use types::{PeerId, PeerRole, RegionPeer, StoreId};

use super::arguments::{Args, Failure, peer, store};
use super::runner::Runner;

/// Far more than any change of seats takes.
const STEPS_MAX: usize = 32;

impl Runner {
    pub(super) fn seats(&mut self, args: &mut Args<'_>) -> Result<(), Failure> {
        let wanted: usize = args.must()?.parse()?;
        let behind: Option<String> = args.key("behind")?;
        let behind = behind.map(|text| spell(&text)).transpose()?;
        let unheard: Option<String> = args.key("unheard")?;
        let unheard = unheard.map(|text| spell(&text)).transpose()?;
        let leader: Option<String> = args.key("leader")?;
        let is_joint = args.key("joint")?.unwrap_or(false);
        let peers = args.rest().iter().map(|text| peer(text)).collect::<Result<Vec<_>, _>>()?;
        let leader = match leader {
            Some(on) => {
                let on = store(&on)?;
                peers.iter().find(|peer| peer.store == on).ok_or("the leader has no seat")?.id
            }
            None => peers.first().ok_or("nobody sits")?.id,
        };
        let of = |spell: Option<(StoreId, Duration)>, peer: &RegionPeer| {
            spell.filter(|(on, _)| *on == peer.store).map(|(_, span)| span)
        };
        let sitting = |&peer: &RegionPeer| Sitting {
            peer,
            behind: of(behind, &peer),
            unheard: of(unheard, &peer),
        };
        let mut members: Vec<Sitting> = peers.iter().map(sitting).collect();
        let mut leader = leader;
        let mut given_up = BTreeMap::new();
        for _ in 0..STEPS_MAX {
            let seats = Seats {
                wanted,
                members: &members,
                is_joint,
                leader,
                stores: &self.stores,
                given_up: &given_up,
                config: &self.config,
            };
            let finding = seats.next();
            self.told.push(finding.to_string());
            self.told.extend(seats.unheard());
            let SeatFinding::Do { step, .. } = finding else { return Ok(()) };
            if let SeatStep::GiveUp(learner) = step {
                given_up.insert(learner.store, self.now);
            }
            take(&step, &mut members, &mut leader);
        }
        Err("the seats never come to rest".into())
    }
}

/// A store, and for how many seconds; from now on if that is left out.
fn spell(text: &str) -> Result<(StoreId, Duration), Failure> {
    let (on, seconds) = text.split_once('/').unwrap_or((text, "0"));
    Ok((store(on)?, Duration::from_secs(seconds.parse()?)))
}

fn take(step: &SeatStep, members: &mut Vec<Sitting>, leader: &mut PeerId) {
    match step {
        SeatStep::Invite(store) => {
            let newest = members.iter().map(|of| of.peer.id.get()).max().unwrap_or(0);
            let id = PeerId::new(newest + 1).expect("not zero");
            let peer = RegionPeer { id, store: *store, role: PeerRole::Learner };
            members.push(Sitting::well(peer));
        }
        SeatStep::Seat { learner, leaves } => {
            members.retain(|of| Some(of.peer) != *leaves);
            let seated = members.iter_mut().find(|of| of.peer.id == learner.id);
            seated.expect("the learner is there").peer.role = PeerRole::Voter;
            if leaves.is_some_and(|old| old.id == *leader) {
                *leader = learner.id;
            }
        }
        SeatStep::Dismiss(old) | SeatStep::GiveUp(old) => members.retain(|of| of.peer != *old),
        SeatStep::HandOver(heir) => *leader = heir.id,
    }
}
