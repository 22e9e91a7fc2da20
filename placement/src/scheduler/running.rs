//! Operators that run and operators that have ended.
//!
//! Invariant: a region has at most one operator. Invariant: the ledger is the sum of the effects of
//! the operators that run.

use std::collections::{BTreeMap, VecDeque};

use types::{GroupId, Time};

use super::load::{Ledger, effects};
use super::operator::{Ended, Operator, Origin, Outcome};
use super::step::{Order, Step};
use super::{Cluster, SchedulerConfig};

/// The operators of a controller.
#[derive(Debug, Default)]
pub(super) struct Running {
    by_region: BTreeMap<GroupId, Operator>,
    counts: BTreeMap<Origin, usize>,
    ended: VecDeque<Ended>,
    /// Regions whose operator ran out of time are left alone until then.
    resting: BTreeMap<GroupId, Time>,
    pub(super) ledger: Ledger,
    /// How many have ended, by who made them and how.
    tally: Tally,
    last_id: u64,
    newest: Option<GroupId>,
}

/// How many operators have ended, by who made them and how, see [`Outcome::name`].
pub type Tally = BTreeMap<(Origin, &'static str), u64>;

impl Running {
    pub(super) fn of(&self, region: GroupId) -> Option<&Operator> {
        self.by_region.get(&region)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Operator> {
        self.by_region.values()
    }

    pub(super) fn ended(&self) -> impl Iterator<Item = &Ended> {
        self.ended.iter().rev()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn count(&self, origin: Origin) -> usize {
        self.counts.get(&origin).copied().unwrap_or(0)
    }

    pub(super) fn rests_until(&self, region: GroupId) -> Option<Time> {
        self.resting.get(&region).copied()
    }

    pub(super) fn wake(&mut self, now: Time) {
        self.resting.retain(|_, until| *until > now);
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// The operator that was started last, as long as it runs.
    pub(super) fn newest(&self) -> Option<&Operator> {
        self.by_region.get(&self.newest?)
    }

    /// Lets a step's order be sent again at once.
    pub(super) fn forget_sending(&mut self, region: GroupId) {
        if let Some(operator) = self.by_region.get_mut(&region) {
            operator.sent_at = None;
        }
    }

    /// Takes an operator in, in the place of one of lower priority if there is one.
    pub(super) fn start(&mut self, cluster: &Cluster, mut operator: Operator) {
        let region = operator.region;
        let Some(entry) = cluster.table.by_id(region) else { return };
        if self.by_region.contains_key(&region) {
            let why = format!("{} for the same region came before it", operator.origin);
            self.end(cluster, region, Outcome::Cancelled(why));
        }
        operator.effects = effects(&operator, entry);
        self.ledger.add(&operator.effects);
        *self.counts.entry(operator.origin).or_default() += 1;
        self.newest = Some(region);
        self.by_region.insert(region, operator);
    }

    pub(super) fn end(&mut self, cluster: &Cluster, region: GroupId, outcome: Outcome) {
        let Some(operator) = self.by_region.remove(&region) else { return };
        self.ledger.subtract(&operator.effects);
        if let Some(count) = self.counts.get_mut(&operator.origin) {
            *count = count.saturating_sub(1);
        }
        if matches!(outcome, Outcome::TimedOut(_)) {
            self.resting.insert(region, cluster.now.after(cluster.config.retry_after));
        }
        *self.tally.entry((operator.origin, outcome.name())).or_default() += 1;
        self.ended.push_back(Ended { operator, at: cluster.now, outcome });
        while self.ended.len() > cluster.config.ended_max {
            self.ended.pop_front();
        }
    }

    /// Regions whose operator has an order to be sent, for the first time or again, or may be out
    /// of time. The others have nothing to do before a report of their region comes.
    pub(super) fn due(&self, cluster: &Cluster) -> impl Iterator<Item = GroupId> {
        let (now, config) = (cluster.now, cluster.config);
        let is_due = move |operator: &&Operator| {
            operator.sent_at.is_none_or(|at| now.since(at) >= config.resend_after)
                || now.since(operator.step_at) > config.step_timeout
        };
        self.all().filter(is_due).map(|operator| operator.region)
    }

    /// Compares an operator with the newest report of its region: goes on to the next step, ends
    /// it, or says which order is due.
    pub(super) fn advance(&mut self, cluster: &Cluster, region: GroupId) -> Option<Order> {
        let operator = self.by_region.get_mut(&region)?;
        let Some(entry) = cluster.table.by_id(region) else {
            self.end(cluster, region, Outcome::Cancelled("the region is gone".to_owned()));
            return None;
        };
        // As it was before it is compared: a step that was done must also have been expected.
        while let Some(step) = operator.step() {
            if !step.expects(&operator.before, entry) {
                let why = "the members of the region were changed otherwise".to_owned();
                self.end(cluster, region, Outcome::Cancelled(why));
                return None;
            }
            if !step.is_finished(entry) {
                break;
            }
            operator.at += 1;
            operator.step_at = cluster.now;
            operator.sent_at = None;
            operator.before = entry.peers().to_vec();
        }
        let now_effects = effects(operator, entry);
        if now_effects != operator.effects {
            self.ledger.subtract(&operator.effects);
            self.ledger.add(&now_effects);
            operator.effects = now_effects;
        }
        let Some(step) = operator.step() else {
            self.end(cluster, region, Outcome::Done);
            return None;
        };
        // Whoever has to leave that store again is not waited for.
        if !entry.is_joint()
            && let Some(why) = step.futility(cluster, entry)
        {
            self.end(cluster, region, Outcome::Cancelled(why));
            return None;
        }
        if is_over(operator, entry.report.bytes.get(), cluster) {
            let step = step.to_string();
            self.end(cluster, region, Outcome::TimedOut(step));
            return None;
        }
        let is_due = |config: &SchedulerConfig| {
            operator.sent_at.is_none_or(|at| cluster.now.since(at) >= config.resend_after)
        };
        if !step.is_to_be_sent(entry) || !is_due(cluster.config) {
            return None;
        }
        // What has become dangerous since it was planned waits, and runs out of time; a hand-over
        // has done nothing yet, and keeps others from being planned. A change that is half done is
        // not stopped there: it has to end.
        if !entry.is_joint()
            && let Some(why) = step.danger(cluster, entry)
        {
            if matches!(step, Step::TransferLeader(_)) {
                self.end(cluster, region, Outcome::Cancelled(why));
            }
            return None;
        }
        let order = step.order(entry);
        operator.sent_at = Some(cluster.now);
        Some(order)
    }
}

fn is_over(operator: &Operator, bytes: u64, cluster: &Cluster) -> bool {
    let limit = operator.step().map(|step| step.timeout(bytes, cluster.config));
    limit.is_some_and(|limit| cluster.now.since(operator.step_at) > limit)
}
