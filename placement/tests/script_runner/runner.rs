//! From a line of a script to what it does, and what it tells. The commands are described in
//! `tests/scripts.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use goldenscript::Command;
use placement::scheduler::{
    Cluster, Controller, Order, OrderStep, SchedulerConfig, StoreInfo, StoreState, drain_check,
};
use placement::table::{Figure, RegionReport, RegionTable, Reported};
use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId, Term, Time};

use super::arguments::{Args, Failure, group, peer, peer_id, show};
use super::story::{Told, line_of};

const START: Duration = Duration::from_secs(1_000);

pub(crate) struct Runner {
    pub(super) stores: BTreeMap<StoreId, StoreInfo>,
    pub(super) config: SchedulerConfig,
    /// Lines of the command that runs.
    pub(super) told: Vec<String>,
    table: RegionTable,
    controller: Controller,
    pub(super) now: Time,
    ids_left: u64,
    next_id: u64,
    /// The newest order for each region.
    orders: BTreeMap<GroupId, Order>,
    news: Told,
}

impl Default for Runner {
    fn default() -> Runner {
        Runner {
            stores: BTreeMap::new(),
            config: SchedulerConfig { ended_max: 1 << 20, ..SchedulerConfig::default() },
            told: Vec::new(),
            table: RegionTable::new(),
            controller: Controller::new(),
            now: Time::ZERO.after(START),
            ids_left: u64::MAX,
            next_id: 901,
            orders: BTreeMap::new(),
            news: Told::default(),
        }
    }
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, line: &Command, _: &goldenscript::Context) -> Result<String, Failure> {
        let mut args = Args(line.consume_args());
        match line.name.as_str() {
            "store" => self.store(&mut args)?,
            "set" => self.set(&mut args)?,
            "ids" => self.ids_left = args.must()?.parse()?,
            "region" => self.region(&mut args)?,
            "regions" => self.regions(&mut args)?,
            "tick" => {
                let seconds = args.word().map_or(Ok(1), |text| text.parse())?;
                self.tick(seconds);
            }
            "run" => self.run_for(args.must()?.parse()?),
            "carry" => self.carry(&mut args)?,
            "filled" => {
                let mut report = self.report_of(args.group()?)?;
                report.pending.clear();
                self.take(report);
            }
            "seats" => self.seats(&mut args)?,
            name => self.ask(name, &mut args)?,
        }
        args.0.reject_next()?;
        let mut told = self.told.drain(..).collect::<Vec<_>>().join("\n");
        if !told.is_empty() {
            told.push('\n');
        }
        Ok(told)
    }
}

impl Runner {
    fn store(&mut self, args: &mut Args<'_>) -> Result<(), Failure> {
        let state: Option<String> = args.key("state")?;
        let state = match state.as_deref() {
            None | Some("up") => StoreState::Up,
            Some("joining") => StoreState::Joining,
            Some("disconnected") => StoreState::Disconnected,
            Some("down") => StoreState::Down,
            Some("draining") => StoreState::Draining,
            Some("removed") => StoreState::Removed,
            Some(other) => return Err(format!("{other} is no state of a store").into()),
        };
        let mut labels = Vec::new();
        for key in ["zone", "rack"] {
            labels.extend(args.key(key)?.map(|value| (key.to_owned(), value)));
        }
        let gib = |of: Option<u64>| of.unwrap_or(0) << 30;
        let (capacity, available) = (gib(args.key("capacity")?), gib(args.key("free")?));
        let silent = Duration::from_secs(args.key("silent")?.unwrap_or(0));
        let is_stopping = args.key("stopping")?.unwrap_or(false);
        let is_full = args.key("full")?.unwrap_or(false);
        let unreached = args.list("unreached")?;
        let unreached: Vec<StoreId> =
            unreached.iter().map(|id| super::arguments::store(id)).collect::<Result<_, _>>()?;
        for id in args.rest() {
            let id = super::arguments::store(&id)?;
            let info = StoreInfo {
                silent,
                labels: labels.clone(),
                capacity,
                available,
                is_stopping,
                is_full,
                unreached: unreached.clone(),
                ..StoreInfo::new(id, state)
            };
            self.stores.insert(id, info);
        }
        Ok(())
    }

    fn set(&mut self, args: &mut Args<'_>) -> Result<(), Failure> {
        let config = &mut self.config;
        config.location_labels = match args.list("labels")? {
            labels if labels.is_empty() => config.location_labels.clone(),
            labels => labels,
        };
        config.is_paused = args.key("is_paused")?.unwrap_or(config.is_paused);
        let counts = [
            ("replicas", &mut config.replicas),
            ("leader_moves_max", &mut config.leader_moves_max),
            ("evictions_max", &mut config.evictions_max),
            ("repairs_max", &mut config.repairs_max),
            ("region_moves_max", &mut config.region_moves_max),
            ("region_moves_per_store", &mut config.region_moves_per_store),
            ("fills_per_store", &mut config.fills_per_store),
        ];
        for (key, value) in counts {
            *value = args.key(key)?.unwrap_or(*value);
        }
        Ok(())
    }

    fn region(&mut self, args: &mut Args<'_>) -> Result<(), Failure> {
        let id = args.group()?;
        let mut down = Vec::new();
        for text in args.list("down")? {
            let (peer, seconds) = text.split_once('/').ok_or("11/30")?;
            down.push((peer_id(peer)?, Duration::from_secs(seconds.parse()?)));
        }
        let pending: Result<Vec<PeerId>, Failure> =
            args.list("pending")?.iter().map(|text| peer_id(text)).collect();
        let epoch = Epoch {
            version: args.key("version")?.unwrap_or(1),
            conf_ver: args.key("conf")?.unwrap_or(1),
        };
        let (start, end): (Option<String>, Option<String>) = (args.key("start")?, args.key("end")?);
        let range = match (start, end) {
            (None, None) => own_range(id),
            (start, end) => KeyRange::new(start.unwrap_or_default(), end.unwrap_or_default()),
        };
        let (term, mib) = (args.key("term")?.unwrap_or(1), args.key::<u64>("mib")?.unwrap_or(64));
        let leader: Option<u64> = args.key("leader")?;
        let peers = args.rest().iter().map(|text| peer(text)).collect::<Result<Vec<_>, _>>()?;
        let leads = |peer: &&RegionPeer| leader.is_none_or(|on| peer.store.get() == on);
        let leader = *peers.iter().find(leads).ok_or("nobody leads")?;
        self.take(RegionReport {
            region: Region { id, range, epoch, peers },
            leader,
            term: Term(term),
            down,
            pending: pending?,
            bytes: Figure::from(mib << 20),
            keys: Figure::from(1),
            written_per_second: Figure::default(),
            read_per_second: Figure::default(),
        });
        Ok(())
    }

    fn regions(&mut self, args: &mut Args<'_>) -> Result<(), Failure> {
        let (from, to): (u64, u64) = (args.must()?.parse()?, args.must()?.parse()?);
        let on = args
            .rest()
            .iter()
            .map(|id| super::arguments::store(id))
            .collect::<Result<Vec<_>, _>>()?;
        for id in from..=to {
            let peer = |(nth, store): (u64, &StoreId)| {
                let id = PeerId::new(id * 10 + nth).expect("not zero");
                RegionPeer { id, store: *store, role: PeerRole::Voter }
            };
            let peers: Vec<RegionPeer> = (1..).zip(&on).map(peer).collect();
            let leader = *peers.first().ok_or("no stores")?;
            let id = group(id)?;
            let region = Region { id, range: own_range(id), epoch: Epoch::FIRST, peers };
            self.take(RegionReport {
                region,
                leader,
                term: Term(1),
                down: Vec::new(),
                pending: Vec::new(),
                bytes: Figure::from(64 << 20),
                keys: Figure::from(1),
                written_per_second: Figure::default(),
                read_per_second: Figure::default(),
            });
        }
        Ok(())
    }

    /// The table takes a report in, and planning hears of it.
    fn take(&mut self, report: RegionReport) {
        let id = report.region.id;
        match self.table.report(self.now, report) {
            Reported::Stale(why) => self.told.push(format!("{id} is stale: {why}")),
            Reported::Taken { removed, .. } => {
                self.told.extend(removed.iter().map(|gone| format!("{gone} is gone")));
                for id in std::iter::once(id).chain(removed) {
                    let order = self.with(|controller, cluster| controller.on_report(cluster, id));
                    self.tell(order.into_iter().collect(), "");
                }
            }
        }
    }

    fn with<T>(&mut self, ask: impl FnOnce(&mut Controller, &Cluster<'_>) -> T) -> T {
        let cluster = Cluster {
            table: &self.table,
            stores: &self.stores,
            config: &self.config,
            now: self.now,
            // Long enough ago: what is not reported does not exist.
            since: Time::ZERO,
            expected: None,
        };
        ask(&mut self.controller, &cluster)
    }

    fn tell(&mut self, orders: Vec<Order>, prefix: &str) {
        let lines = self.news.news(&self.controller, &orders);
        self.told.extend(lines.into_iter().map(|line| format!("{prefix}{line}")));
        self.orders.extend(orders.into_iter().map(|order| (order.region, order)));
    }

    fn look(&mut self, prefix: &str) {
        let wanted = self.controller.ids_wanted(&self.config) as u64;
        let count = wanted.min(self.ids_left);
        self.ids_left -= count;
        let ids = (self.next_id..).filter_map(PeerId::new);
        self.controller.offer_ids(ids.take(usize::try_from(count).expect("few")));
        self.next_id += count;
        let orders = self.with(Controller::tick);
        self.tell(orders, prefix);
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    fn tick(&mut self, seconds: u64) {
        self.pass(seconds);
        self.look("");
    }

    fn run_for(&mut self, seconds: u64) {
        for second in 1..=seconds {
            self.pass(1);
            self.look(&format!("+{second}s "));
        }
    }

    fn report_of(&self, region: GroupId) -> Result<RegionReport, Failure> {
        let entry = self.table.by_id(region).ok_or("no such region")?;
        Ok(entry.report.clone())
    }

    fn carry(&mut self, args: &mut Args<'_>) -> Result<(), Failure> {
        let region = args.group()?;
        let is_lost = args.key("lose")?.unwrap_or(false);
        let order = self.orders.remove(&region).ok_or("there is no order for it")?;
        let mut report = self.report_of(region)?;
        if is_lost {
            return Ok(());
        }
        let of = &mut report.region;
        if of.epoch != order.epoch {
            self.told.push(format!("refused: {region} is at {}", of.epoch));
            return Ok(());
        }
        match order.step {
            OrderStep::TransferLeader { to } => {
                report.leader = to;
                report.term.0 += 1;
            }
            OrderStep::ChangePeers { set, remove } => {
                of.epoch.conf_ver += if set.len() + remove.len() > 1 { 2 } else { 1 };
                for peer in set {
                    if let Some(old) = of.peers.iter_mut().find(|old| old.id == peer.id) {
                        *old = peer;
                    } else {
                        of.peers.push(peer);
                        report.pending.push(peer.id);
                    }
                }
                of.peers.retain(|peer| remove.iter().all(|gone| gone.id != peer.id));
                report.down.retain(|(id, _)| of.peers.iter().any(|peer| peer.id == *id));
                report.pending.retain(|id| of.peers.iter().any(|peer| peer.id == *id));
            }
            OrderStep::Split { keys } => {
                of.epoch.version += 1;
                of.range.end = keys.first().ok_or("split at a key, in scripts")?.clone();
            }
        }
        let peers = of.peers.iter().map(|peer| show(*peer)).collect::<Vec<_>>().join(" ");
        self.told.push(format!("{region} {} [{peers}] leader {}", of.epoch, report.leader.store));
        self.take(report);
        Ok(())
    }

    fn ask(&mut self, name: &str, args: &mut Args<'_>) -> Result<(), Failure> {
        match name {
            "transfer" => {
                let (region, to) = (args.group()?, args.store()?);
                let asked =
                    self.with(|planner, cluster| planner.transfer_leader(cluster, region, to));
                self.answer(asked);
            }
            "split" => {
                let region = args.group()?;
                let keys = args.rest().into_iter().map(String::into_bytes).collect();
                let asked = self.with(|planner, cluster| planner.split(cluster, region, keys));
                self.answer(asked);
            }
            "cancel" => {
                let (id, why) = (args.must()?.parse()?, args.must()?);
                if !self.with(|planner, cluster| planner.cancel(cluster, id, &why)) {
                    self.told.push("there is no such operator".to_owned());
                }
                self.tell(Vec::new(), "");
            }
            "drain" => {
                let store = args.store()?;
                let told = self.with(|_, cluster| match drain_check(cluster, store) {
                    Ok(plan) => format!("{plan:?}"),
                    Err(why) => format!("refused: {why}"),
                });
                self.told.push(told);
            }
            "explain" => {
                let region = args.group()?;
                let told = self.with(|planner, cluster| planner.explain_region(cluster, region));
                self.told.extend(told);
            }
            "explain_store" => {
                let store = args.store()?;
                let told = self.with(|planner, cluster| planner.explain_store(cluster, store));
                self.told.extend(told);
            }
            "running" => self.told.extend(self.controller.running().map(line_of)),
            other => return Err(format!("there is no command {other}").into()),
        }
        Ok(())
    }

    fn answer(&mut self, asked: Result<u64, String>) {
        if let Err(why) = asked {
            self.told.push(format!("refused: {why}"));
        }
        self.tell(Vec::new(), "");
    }
}

/// The keys of a region that none are told of: no two regions share any.
fn own_range(id: GroupId) -> KeyRange {
    let key = |id: u64| id.to_be_bytes().to_vec();
    KeyRange::new(key(id.get()), key(id.get() + 1))
}
