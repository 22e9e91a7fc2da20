//! Why a region or a store is as it is, in sentences, the most important first.

use types::{GroupId, StoreId, Time};

use super::checker::{self, Finding, Overdue};
use super::load::{leaders_with, score_with};
use super::operator::Origin;
use super::places::Places;
use super::reasons::Reasons;
use super::step::told;
use super::{Cluster, Controller, StoreState};

impl Controller {
    /// Why things are done, and why they are not.
    #[must_use]
    pub fn reasons(&self) -> &Reasons {
        &self.reasons
    }

    /// Why a region is as it is.
    #[must_use]
    pub fn explain_region(&self, cluster: &Cluster, region: GroupId) -> Vec<String> {
        let Some(entry) = cluster.table.by_id(region) else {
            return vec![format!("region {} is not known", region.get())];
        };
        let mut lines = Vec::new();
        let voters = entry.voters().count();
        let up = entry.voters().filter(|peer| cluster.is_up(entry, *peer)).count();
        let wanted = cluster.config.replicas;
        let missing = if voters == wanted { String::new() } else { format!(", {wanted} wanted") };
        let leads = entry.leader_store().get();
        lines.push(format!("{up} of {voters} replicas are up{missing}; store {leads} leads"));
        let is_joint = entry.is_joint();
        let places = Places::of(cluster);
        let mut new_peer = || types::PeerId::new(1);
        let around = (self.ledger(), &places);
        let overdue = Overdue { joint: is_joint, ..Overdue::default() };
        let finding = checker::check(cluster, around, entry, overdue, &mut new_peer);
        let running = self.operator_of(region);
        match (&finding, running) {
            (Finding::Stuck { reason, why }, None) => {
                lines.push(format!("{reason}, and nothing is done: {why}"));
            }
            (Finding::Mend { reason, .. }, None) => {
                let why = match (self.running.rests_until(region), self.reasons.held()) {
                    (_, Some(held)) => held.to_owned(),
                    (Some(until), _) => {
                        let left = until.since(cluster.now).as_secs();
                        format!("the last attempt ran out of time; the next is in {left} s")
                    }
                    _ => "it waits its turn".to_owned(),
                };
                lines.push(format!("{reason}: {why}"));
            }
            _ => {}
        }
        if let Some(operator) = running {
            let age = ago(cluster.now, operator.started_at);
            let step = operator.step().map(ToString::to_string).unwrap_or_default();
            lines.push(format!(
                "{} works on it since {age} ({}): step {} of {}, {step}",
                operator.origin,
                operator.reason,
                operator.at + 1,
                operator.steps.len()
            ));
        }
        for peer in entry.peers() {
            if let Some(silence) = entry.silence(peer.id) {
                let seconds = silence.as_secs();
                lines.push(format!("{} has not been heard of for {seconds} s", told(*peer)));
            } else if entry.is_pending(peer.id) {
                lines.push(format!("{} is behind", told(*peer)));
            }
        }
        if let Some(ended) = self.ended().find(|ended| ended.operator.region == region) {
            let (origin, reason) = (ended.operator.origin, &ended.operator.reason);
            let age = ago(cluster.now, ended.at);
            lines.push(format!("{age} ago {origin} ({reason}) ended: {}", ended.outcome));
        }
        self.schedulers_said(cluster, &mut lines);
        lines.push(format!("its last report came {} ago", ago(cluster.now, entry.at())));
        lines
    }

    /// Why a store is as it is.
    #[must_use]
    pub fn explain_store(&self, cluster: &Cluster, store: StoreId) -> Vec<String> {
        let Some(info) = cluster.store(store) else {
            return vec![format!("store {} is not known", store.get())];
        };
        let tally = cluster.table.tally_of(store);
        let mut lines = vec![format!(
            "it is {}, with {} regions, of which it leads {}, and {} MiB",
            info.state,
            tally.regions,
            tally.leaders,
            tally.bytes >> 20
        )];
        let silent = info.silent.as_secs();
        match info.state {
            StoreState::Disconnected => {
                let left = cluster.config.down_after.saturating_sub(info.silent).as_secs();
                lines.push(format!(
                    "it has been silent for {silent} s; its replicas are made anew in {left} s"
                ));
            }
            StoreState::Down => {
                let (silent, left) = (info.silent.as_secs(), tally.regions);
                lines.push(format!(
                    "it has been silent for {silent} s: its replicas are made anew elsewhere, \
                     {left} are left"
                ));
            }
            StoreState::Draining if tally.regions == 0 => lines.push(match cluster.unknown() {
                Some(why) => format!("whether it is empty is not known: {why}"),
                None => {
                    "it is empty, and can be removed unless it holds a seat of placement".into()
                }
            }),
            StoreState::Draining => lines.push(format!("{} regions are to leave", tally.regions)),
            StoreState::Joining => lines.push("it has not been heard of yet".to_owned()),
            StoreState::Up | StoreState::Removed => {}
        }
        if let (StoreState::Up, Some(why)) = (info.state, info.refuses_replicas(cluster.config)) {
            lines.push(format!("it gets no replicas: it {why}"));
        }
        let under_way = self.ledger().of(store);
        if under_way != super::Effect::default() {
            lines.push(format!(
                "under way: {:+} regions, {:+} leaders, {:+} MiB; {} replicas are being filled",
                under_way.regions,
                under_way.leaders,
                under_way.bytes / (1 << 20),
                under_way.fills
            ));
        }
        lines.push(format!(
            "with what is under way, it leads {} regions and has a score of {} MiB",
            leaders_with(cluster, self.ledger(), store),
            score_with(cluster, self.ledger(), info, (0, 0)) >> 20
        ));
        self.schedulers_said(cluster, &mut lines);
        lines
    }

    fn schedulers_said(&self, cluster: &Cluster, lines: &mut Vec<String>) {
        if let Some(held) = self.reasons.held() {
            lines.push(format!("nothing is planned: {held}"));
            return;
        }
        for origin in [Origin::BalanceLeader, Origin::BalanceRegion] {
            if let Some(verdict) = self.reasons.verdict(origin) {
                let (age, why) = (ago(cluster.now, verdict.at), &verdict.why);
                lines.push(match verdict.planned {
                    0 => format!("{origin} looked {age} ago: {why}"),
                    planned => format!("{origin} planned {planned} moves {age} ago; then: {why}"),
                });
            }
        }
    }
}

fn ago(now: Time, then: Time) -> String {
    let span = now.since(then);
    if span.as_secs() < 120 {
        format!("{} s", span.as_secs())
    } else {
        format!("{} min", span.as_secs() / 60)
    }
}
