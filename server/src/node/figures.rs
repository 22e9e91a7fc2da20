//! Figures of a node for `/metrics`: read where they are kept, when somebody asks.
//!
//! What is counted on the way of a request is counted by relaxed additions; the rest is state that
//! is there anyway. `docs/metrics.md` lists them, and a test compares.

use std::fmt;
use std::sync::Arc;

use multiraft::{BOUNDS, Times};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use storage::Stall;
use transport::Traffic;

use super::Parts;

/// What the figures are read from.
pub(super) struct Figures {
    parts: Arc<Parts>,
    traffic: Traffic,
}

impl Figures {
    pub(super) fn new(parts: Arc<Parts>, traffic: Traffic) -> Figures {
        Figures { parts, traffic }
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

static BYTES: Unit = Unit::Bytes;
static SECONDS: Unit = Unit::Seconds;

/// Labels and a number for each.
type Family<'a> = &'a [(Vec<(&'static str, &'a str)>, u64)];

/// Writes figures one after the other.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        // A gauge is a number with a sign.
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        let mut encoder = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        encoder.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None)
    }

    fn counters(&mut self, name: &str, help: &str, family: Family<'_>) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in family {
            let mut one = encoder.encode_family(labels)?;
            one.encode_counter::<NoLabelSet, u64, f64>(value, None)?;
        }
        Ok(())
    }

    fn times<'s>(&'s mut self, name: &'s str, help: &str) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, Some(&SECONDS), MetricType::Histogram)
    }
}

fn encode(times: &Times, mut encoder: MetricEncoder<'_>) -> fmt::Result {
    let bounds = BOUNDS.iter().map(std::time::Duration::as_secs_f64).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(times.classes).collect();
    let sum = times.sum.as_secs_f64();
    encoder.encode_histogram::<NoLabelSet>(sum, times.count(), &buckets, None)
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(encoder);
        self.requests(&mut out)?;
        self.groups(&mut out)?;
        self.disk(&mut out)?;
        self.engine(&mut out)?;
        self.placement(&mut out)
    }
}

impl Figures {
    fn requests(&self, out: &mut Writer<'_>) -> fmt::Result {
        let help = "Requests of clients that were answered, alone or on a stream";
        let mut family = out.times("crib_request_duration", help)?;
        for (name, times) in self.parts.data.requests.times() {
            encode(&times, family.encode_family(&[("method", name)])?)?;
        }
        Ok(())
    }

    fn groups(&self, out: &mut Writer<'_>) -> fmt::Result {
        let data = &self.parts.data;
        let counts = data.handle.counts();
        let regions = data.regions.all().len() as u64;
        out.gauge("crib_store_regions", "Regions with a replica here", None, regions)?;
        let led = data.standings.led();
        let led = led.iter().filter(|(group, _)| data.regions.get(*group).is_some()).count() as u64;
        out.gauge("crib_store_leaders", "Regions that are led from here", None, led)?;
        let proposals = counts.proposals as u64;
        out.counter("crib_raft_proposals", "Commands that were proposed here", None, proposals)?;
        out.counter(
            "crib_raft_applied_entries",
            "Entries that were applied",
            None,
            counts.applied,
        )?;
        let sent = counts.envelopes as u64;
        out.counter("crib_raft_messages_sent", "Messages to other stores", None, sent)?;
        let received = counts.received as u64;
        out.counter("crib_raft_messages_received", "Messages of other stores", None, received)?;
        let help = "What did not fit into a queue: messages and snapshot frames to others, and \
                    parcels of messages from others";
        out.counters(
            "crib_raft_messages_dropped",
            help,
            &[
                (vec![("way", "out")], self.traffic.dropped()),
                (vec![("way", "in")], counts.dropped as u64),
            ],
        )?;
        let help = "Times that what replicas here had pledged to leaders on another store was void";
        out.counter("crib_raft_pledges_void", help, None, counts.pledges_void)?;
        let help = "Snapshots by what came of them";
        let snapshots = [
            (vec![("result", "sent")], counts.snapshots_sent),
            (vec![("result", "received")], counts.snapshots_received),
            (vec![("result", "failed")], counts.snapshots_failed),
        ];
        out.counters("crib_snapshots", help, &snapshots)?;
        let help = "Writes of the log, each with its sync, for all groups together";
        encode(&counts.sync_times, out.times("crib_log_sync_duration", help)?)?;
        let help = "Writes of workers that were gathered into those";
        out.counter("crib_log_writes", help, None, counts.log_writes as u64)?;
        let help = "Bytes of those";
        out.counter("crib_log_written", help, Some(&BYTES), counts.log_bytes as u64)
    }

    fn disk(&self, out: &mut Writer<'_>) -> fmt::Result {
        let room = &self.parts.data.room;
        let capacity = room.capacity();
        let bytes = Some(&BYTES);
        out.gauge("crib_disk_capacity", "All of the file system", bytes, capacity.total)?;
        let help = "What is left of it";
        out.gauge("crib_disk_available", help, bytes, capacity.available)?;
        out.gauge("crib_disk_kept", "What of that is to be kept free", bytes, room.kept)?;
        let help = "1 while writes are refused, as less than that is left";
        out.gauge("crib_disk_low", help, None, u64::from(room.is_low()))
    }

    fn engine(&self, out: &mut Writer<'_>) -> fmt::Result {
        let health = self.parts.data.engine.health();
        let bytes = Some(&BYTES);
        out.gauge("crib_engine_tables", "Tables on the disk", bytes, health.table_bytes)?;
        let help = "What is in memory, and in no table yet";
        out.gauge("crib_engine_memory", help, bytes, health.memory_bytes)?;
        let help = "What is in memory of tables that were read";
        out.gauge("crib_engine_cache", help, bytes, health.cache_bytes)?;
        let help = "What waits to be compacted";
        let pending = health.compaction_pending_bytes;
        out.gauge("crib_engine_compaction_pending", help, bytes, pending)?;
        let help = "Tables that were written from memory";
        out.counter("crib_engine_flushes", help, None, health.flushes)?;
        out.counter("crib_engine_flushed", "Bytes of those", bytes, health.flushed_bytes)?;
        let stall = match health.stalled {
            Stall::No => 0,
            Stall::Delayed => 1,
            Stall::Stopped => 2,
        };
        let help = "Whether the engine holds writes back: 0 no, 1 slowed down, 2 stopped";
        out.gauge("crib_engine_stall", help, None, stall)
    }

    /// Of the member of placement that leads; the others have no such figures.
    fn placement(&self, out: &mut Writer<'_>) -> fmt::Result {
        let operators = self.parts.driver.operators();
        out.gauge(
            "crib_placement_leads",
            "1 on the node that leads placement",
            None,
            u64::from(operators.is_some()),
        )?;
        let (running, tally) = operators.unwrap_or_default();
        let help = "Operators that run, as the leader of placement has it";
        out.gauge("crib_placement_operators_running", help, None, running as u64)?;
        let names: Vec<(String, &str, u64)> = (tally.iter())
            .map(|((origin, result), count)| (origin.to_string(), *result, *count))
            .collect();
        let family: Vec<(Vec<(&'static str, &str)>, u64)> = (names.iter())
            .map(|(kind, result, count)| {
                (vec![("kind", kind.as_str()), ("result", *result)], *count)
            })
            .collect();
        let help = "Operators that have ended, since this node leads placement";
        out.counters("crib_placement_operators", help, &family)
    }
}
