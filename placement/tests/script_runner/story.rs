//! What planning did since it was told of last, one a line.

use std::collections::BTreeMap;

use placement::scheduler::{Controller, Operator, Order, OrderStep, Origin, Reasons};
use types::{Escaped, RegionPeer};

use super::arguments::show;

/// What was told already.
#[derive(Default)]
pub(crate) struct Told {
    /// The newest operator.
    operator: u64,
    ended: usize,
    /// What was not done, when it was last looked at, and how often that had been.
    counts: BTreeMap<(Origin, String), u64>,
    reasons: BTreeMap<Origin, Vec<String>>,
    verdicts: BTreeMap<Origin, String>,
    held: Option<String>,
}

impl Told {
    /// Lines about what is new. An operator that ended is in `ended_max`.
    pub(crate) fn news(&mut self, controller: &Controller, orders: &[Order]) -> Vec<String> {
        let mut lines = Vec::new();
        let ended: Vec<_> = controller.ended().collect();
        let new_ended = &ended[..ended.len() - self.ended];
        let mut made: Vec<&Operator> = controller.running().collect();
        made.extend(new_ended.iter().map(|one| &one.operator));
        made.retain(|operator| operator.id > self.operator);
        made.sort_by_key(|operator| operator.id);
        lines.extend(made.iter().map(|operator| line_of(operator)));
        self.operator = made.last().map_or(self.operator, |last| last.id);
        lines.extend(orders.iter().map(order));
        let ends = new_ended.iter().rev();
        lines.extend(ends.map(|one| format!("#{} {}", one.operator.id, one.outcome)));
        self.ended = ended.len();
        self.refusals(controller.reasons(), &mut lines);
        lines
    }

    fn refusals(&mut self, reasons: &Reasons, lines: &mut Vec<String>) {
        if self.held.as_deref() != reasons.held() {
            self.held = reasons.held().map(str::to_owned);
            lines.push(
                self.held
                    .as_ref()
                    .map_or("planning goes on".to_owned(), |why| format!("not at all: {why}")),
            );
        }
        let schedulers = [Origin::BalanceLeader, Origin::BalanceRegion];
        let mut now: BTreeMap<Origin, Vec<String>> = BTreeMap::new();
        for (origin, why, count) in reasons.counts().filter(|(by, ..)| !schedulers.contains(by)) {
            let before = self.counts.insert((origin, why.to_owned()), count).unwrap_or(0);
            if count > before {
                now.entry(origin).or_default().push(why.to_owned());
            }
        }
        for (origin, whys) in &now {
            let known = self.reasons.get(origin);
            let is_news = |why: &&String| known.is_none_or(|known| !known.contains(*why));
            lines.extend(whys.iter().filter(is_news).map(|why| format!("not {origin}: {why}")));
        }
        self.reasons = now;
        for origin in schedulers {
            let Some(verdict) = reasons.verdict(origin) else { continue };
            if self.verdicts.insert(origin, verdict.why.clone()).as_ref() != Some(&verdict.why) {
                lines.push(format!("not {origin}: {}", verdict.why));
            }
        }
    }
}

/// An operator as a line.
pub(crate) fn line_of(operator: &Operator) -> String {
    let steps = operator.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    let Operator { id, origin, region, reason, .. } = operator;
    format!("#{id} {origin} of {region}, {reason}: {steps}")
}

fn order(order: &Order) -> String {
    let all = |peers: &[RegionPeer]| peers.iter().map(|peer| show(*peer)).collect::<Vec<_>>();
    let step = match &order.step {
        OrderStep::TransferLeader { to } => format!("transfer to {}", show(*to)),
        OrderStep::ChangePeers { set, remove } => {
            let set = all(set).into_iter().map(|peer| format!("set {peer}"));
            let remove = all(remove).into_iter().map(|peer| format!("remove {peer}"));
            set.chain(remove).collect::<Vec<_>>().join(", ")
        }
        OrderStep::Split { keys } => {
            let keys = keys.iter().map(|key| Escaped(key).to_string()).collect::<Vec<_>>();
            format!("split [{}]", keys.join(", "))
        }
    };
    format!("→ {} {} {}: {step}", order.store, order.region, order.epoch)
}
