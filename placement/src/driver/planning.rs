//! Reports in, orders out.

use std::collections::VecDeque;

use proto::crib::placement::v1;
use tonic::Status;
use types::{GroupId, PeerId, StoreId, Time};

use super::{Driver, Lead, Outbox, Unavailable};
use crate::scheduler::{Cluster, Controller, DrainPlan, Order, Tally, drain_check};
use crate::state::{Command, Reply};
use crate::table::{Change, RegionReport, Reported};
use crate::wire::order_to;

/// Reports that are taken in with one hold of the table.
const REPORTS_AT_ONCE: usize = 16;
/// Ids that are asked of the log at once.
const IDS_AT_ONCE: u32 = 1_000;

impl Driver {
    pub(super) async fn keep_planning(&self) {
        let mut ticks = tokio::time::interval(self.config.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Ok(lead) = self.lead() else { return };
            lead.look_at_stores(&self.view.get());
            self.keep_seats(&lead).await;
            let wanted = lead.controller.lock().ids_wanted(&lead.config());
            if wanted > 0
                && let Err(why) = self.offer_ids(&lead, wanted).await
            {
                tracing::debug!(%why, "no ids for new peers");
            }
            lead.plan();
        }
    }

    /// Ids that nobody has had, for new regions and their peers.
    ///
    /// A region's peers have rising ids, for by them stores know a late message of one that has
    /// left. So none that was kept for later may be given to a region that came into being
    /// meanwhile: what the planner keeps is thrown away.
    pub(crate) async fn ids_for_split(
        &self,
        lead: &Lead,
        count: usize,
    ) -> Result<Vec<u64>, Unavailable> {
        let mut ids = lead.ids.lock().await;
        let taken = self.take_ids(&mut ids, count).await?;
        lead.controller.lock().forget_ids();
        Ok(taken)
    }

    /// Gives the planner ids for new peers.
    async fn offer_ids(&self, lead: &Lead, count: usize) -> Result<(), Unavailable> {
        let mut ids = lead.ids.lock().await;
        let taken = self.take_ids(&mut ids, count).await?;
        // Before anybody else takes later ones.
        lead.controller.lock().offer_ids(taken.into_iter().filter_map(PeerId::new));
        Ok(())
    }

    /// An id for a new member of placement: higher than those of all that there were.
    pub(super) async fn one_id(&self, lead: &Lead) -> Result<Option<PeerId>, Unavailable> {
        let mut ids = lead.ids.lock().await;
        let taken = self.take_ids(&mut ids, 1).await?;
        Ok(taken.first().copied().and_then(PeerId::new))
    }

    async fn take_ids(
        &self,
        ids: &mut VecDeque<u64>,
        count: usize,
    ) -> Result<Vec<u64>, Unavailable> {
        while ids.len() < count {
            match self.propose(&Command::AllocIds(IDS_AT_ONCE)).await? {
                Ok(Reply::Ids(first, count)) => ids.extend(first..first.saturating_add(count)),
                other => return Err(Unavailable::Failed(format!("no ids: {other:?}"))),
            }
        }
        Ok(ids.drain(..count).collect())
    }
}

impl Lead {
    /// Takes in reports of a store, and sends the orders that are due. After every few, others
    /// that wait for the thread or the table have their turn.
    pub(crate) async fn report(&self, reports: impl IntoIterator<Item = RegionReport>) {
        let mut reports = reports.into_iter().peekable();
        while reports.peek().is_some() {
            self.report_some(reports.by_ref().take(REPORTS_AT_ONCE));
            tokio::task::yield_now().await;
        }
    }

    fn report_some(&self, reports: impl Iterator<Item = RegionReport>) {
        let mut touched = Vec::new();
        // What is not asked of the table is done before it is locked.
        let mut reports: Vec<RegionReport> = reports.collect();
        {
            let _telling = self.telling.lock();
            let now = self.clock.now();
            // Nearly all say nothing but figures: for those, nobody who asks has to wait.
            {
                let table = self.routes();
                reports.retain(|report| {
                    let is_told = table.retell(now, report);
                    touched.extend(is_told.then_some(report.region.id));
                    !is_told
                });
            }
            if !reports.is_empty() {
                self.report_news(now, reports, &mut touched);
            }
        }
        self.news.notify_waiters();
        let orders: Vec<Order> = self.with_cluster(|controller, cluster| {
            touched.iter().filter_map(|&region| controller.on_report(cluster, region)).collect()
        });
        self.send(&orders);
    }

    /// Reports that change what is answered to others.
    fn report_news(&self, now: Time, reports: Vec<RegionReport>, touched: &mut Vec<GroupId>) {
        let mut table = self.table.write();
        for report in reports {
            let region = report.region.id;
            let (leader, range) = (report.leader.store, report.region.range.clone());
            match table.report(now, report) {
                Reported::Stale(why) => tracing::debug!(%region, ?why, "stale report"),
                Reported::Taken { changes, removed } => {
                    self.tell_of(region, leader, &range, &changes);
                    touched.push(region);
                    touched.extend(removed);
                }
            }
        }
    }

    fn tell_of(
        &self,
        region: GroupId,
        leader: StoreId,
        range: &types::KeyRange,
        changes: &[Change],
    ) {
        // The first telling of all regions is no news.
        if changes.contains(&Change::New) && self.clock.now().since(self.since).as_secs() < 10 {
            return;
        }
        for change in changes {
            let (kind, text) = match change {
                Change::New => ("split", format!("region {} has {range}", region.get())),
                Change::Range => ("split", format!("region {} has now {range}", region.get())),
                Change::Leader => {
                    ("leader", format!("store {} leads region {}", leader.get(), region.get()))
                }
                Change::Members => ("members", format!("members of region {}", region.get())),
            };
            self.tell(kind, region.get(), text);
        }
    }

    pub(super) fn plan(&self) {
        let mut ended = Vec::new();
        let orders = self.with_cluster(|controller, cluster| {
            let before = controller.ended().next().map(|ended| ended.operator.id);
            let orders = controller.tick(cluster);
            let new = controller.ended().take_while(|one| Some(one.operator.id) != before);
            ended.extend(new.take(64).map(|one| {
                let (operator, outcome) = (&one.operator, &one.outcome);
                (operator.region.get(), format!("{}: {outcome}", operator.reason))
            }));
            orders
        });
        for (region, text) in ended {
            self.tell("operator", region, text);
        }
        self.send(&orders);
    }

    /// Does something with the planner and what it plans with.
    pub(crate) fn with_cluster<T>(
        &self,
        with: impl FnOnce(&mut Controller, &Cluster<'_>) -> T,
    ) -> T {
        let mut controller = self.controller.lock();
        let (stores, config) = (self.stores(), self.config());
        let table = self.still();
        with(&mut controller, &self.cluster(&table, &stores, &config))
    }

    /// How many operators run, and how those ended that did under this leadership.
    pub(crate) fn operators(&self) -> (usize, Tally) {
        let controller = self.controller.lock();
        (controller.running().count(), controller.tally().clone())
    }

    /// What emptying a store takes, or why it could not end.
    pub(crate) fn drain_check(&self, store: StoreId) -> Result<DrainPlan, String> {
        self.with_cluster(|_, cluster| drain_check(cluster, store))
    }

    /// Sends orders to the stores that are to carry them out. Those of a store that takes none now
    /// are dropped: the planner gives them again.
    pub(crate) fn send(&self, orders: &[Order]) {
        let streams = self.streams.lock();
        for order in orders {
            let Some(stream) = streams.get(&order.store) else { continue };
            let response = v1::ReportResponse { orders: vec![order_to(order)] };
            if stream.try_send(Ok(response)).is_err() {
                tracing::debug!(store = %order.store, region = %order.region, "order dropped");
            }
        }
    }

    /// The stream of a store begins; an older one of it ends.
    pub(crate) fn open_stream(&self, store: StoreId, outbox: Outbox) {
        let old = self.streams.lock().insert(store, outbox);
        if let Some(old) = old {
            let _ = old.try_send(Err(Status::aborted("the store has begun another stream")));
        }
        let orders = self.with_cluster(|controller, cluster| controller.orders_for(cluster, store));
        self.send(&orders);
    }

    /// The stream of a store has ended, unless it has begun another.
    pub(crate) fn close_stream(&self, store: StoreId, outbox: &Outbox) {
        let mut streams = self.streams.lock();
        if streams.get(&store).is_some_and(|other| other.same_channel(outbox)) {
            streams.remove(&store);
        }
    }
}
