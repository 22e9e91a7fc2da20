//! What the engine reports of itself while it runs: stalls, failures, tables written.
//!
//! RocksDB calls the listener from its own threads, with locks held, so it only notes. The first
//! failure stays: after it nothing is known about what is durable.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rocksdb::event_listener::{
    BackgroundErrorRecoveryInfo, DBBackgroundErrorReason, DBWriteStallCondition, EventListener,
    FlushJobInfo, MutableStatus, WriteStallInfo,
};

use crate::error::Error;
use crate::health::Stall;

/// Shared by an engine and its listener.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    failed: OnceLock<String>,
    /// There is no room for tables; RocksDB watches for it and goes on by itself.
    is_full: AtomicBool,
    flushes: AtomicU64,
    flushed_bytes: AtomicU64,
    /// By name of the column family.
    stalls: Mutex<BTreeMap<Vec<u8>, Stall>>,
}

impl Pulse {
    /// Refuses a write after a failure.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.failed.get() {
            None => Ok(()),
            Some(why) => Err(Error::Disk(format!("failed before: {why}"))),
        }
    }

    /// Refuses what is no write while there is no room. A write may try: RocksDB answers by itself,
    /// and its first success says that there is room again.
    pub(super) fn check_room(&self) -> Result<(), Error> {
        self.check()?;
        if self.is_full.load(Ordering::Relaxed) {
            return Err(Error::Full("writes wait for room".into()));
        }
        Ok(())
    }

    /// A write found no room.
    pub(super) fn found_full(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }

    /// A write went well.
    pub(super) fn wrote(&self) {
        if self.is_full.load(Ordering::Relaxed) {
            self.is_full.store(false, Ordering::Relaxed);
        }
    }

    /// Notes a failure, after which all writes are refused.
    pub(super) fn fail(&self, why: &str) {
        // Only the first says why; the others follow from it.
        _ = self.failed.set(why.to_owned());
    }

    pub(super) fn failed(&self) -> Option<String> {
        self.failed.get().cloned()
    }

    pub(super) fn flushes(&self) -> (u64, u64) {
        (self.flushes.load(Ordering::Relaxed), self.flushed_bytes.load(Ordering::Relaxed))
    }

    /// The worst of all column families.
    pub(super) fn stall(&self) -> Stall {
        let stalls = self.stalls();
        let has = |stall: Stall| stalls.values().any(|other| *other == stall);
        if self.is_full.load(Ordering::Relaxed) || has(Stall::Stopped) {
            Stall::Stopped
        } else if has(Stall::Delayed) {
            Stall::Delayed
        } else {
            Stall::No
        }
    }

    fn stalls(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Stall>> {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listener that RocksDB is given.
pub(super) struct Listener(pub(super) Arc<Pulse>);

impl EventListener for Listener {
    fn on_flush_completed(&self, info: &FlushJobInfo) {
        self.0.flushes.fetch_add(1, Ordering::Relaxed);
        let bytes = info.table_properties().data_size();
        self.0.flushed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn on_stall_conditions_changed(&self, info: &WriteStallInfo) {
        let stall = match info.cur() {
            DBWriteStallCondition::KNormal => Stall::No,
            DBWriteStallCondition::KDelayed => Stall::Delayed,
            DBWriteStallCondition::KStopped => Stall::Stopped,
        };
        self.0.stalls().insert(info.cf_name().unwrap_or_default(), stall);
    }

    fn on_background_error(&self, reason: DBBackgroundErrorReason, status: MutableStatus) {
        let Err(error) = status.result() else { return };
        if is_full(error.as_ref()) {
            self.0.is_full.store(true, Ordering::Relaxed);
        } else {
            self.0.fail(&format!("{}: {error}", reason_name(reason)));
        }
    }

    fn on_error_recovery_end(&self, info: &BackgroundErrorRecoveryInfo) {
        if info.new_bg_error().result().is_ok() {
            self.0.is_full.store(false, Ordering::Relaxed);
        }
    }
}

/// Whether an error means that there is no room, and that nothing of the write counts. A sync that
/// finds no room is another matter: by then the write may be half on the disk.
pub(super) fn is_full(error: &str) -> bool {
    // What was being done stands before the file, whose name may be anything.
    let doing = error
        .split_once("While ")
        .map_or(error, |(_, rest)| rest.split_once(':').map_or(rest, |(doing, _file)| doing));
    error.contains("No space left on device") && !doing.to_ascii_lowercase().contains("sync")
}

fn reason_name(reason: DBBackgroundErrorReason) -> &'static str {
    match reason {
        DBBackgroundErrorReason::KFlush | DBBackgroundErrorReason::KFlushNoWAL => "flush",
        DBBackgroundErrorReason::KCompaction => "merge of tables",
        DBBackgroundErrorReason::KWriteCallback => "write",
        DBBackgroundErrorReason::KMemTable => "write to memory",
        DBBackgroundErrorReason::KManifestWrite | DBBackgroundErrorReason::KManifestWriteNoWAL => {
            "write of the manifest"
        }
        DBBackgroundErrorReason::KAsyncFileOpen => "opening of a table",
        DBBackgroundErrorReason::KUnknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_room_is_told_from_a_failed_sync() {
        let append = "IO error: No space left on device: While appending to file: 000004.log";
        assert!(is_full(append));
        let elsewhere = "IO error: No space left on device: While appending to file: /sync/4.log";
        assert!(is_full(elsewhere));
        assert!(!is_full("IO error: No space left on device: While fdatasync: 000004.log"));
        assert!(!is_full("IO error: Input/output error: While appending to file: 000004.log"));
    }

    #[test]
    fn a_write_that_goes_well_ends_a_full_disk() {
        let pulse = Pulse::default();
        pulse.found_full();
        assert!(pulse.check().is_ok());
        assert!(matches!(pulse.check_room(), Err(Error::Full(_))));
        assert_eq!(pulse.stall(), Stall::Stopped);
        pulse.wrote();
        assert!(pulse.check_room().is_ok());
    }

    #[test]
    fn the_first_failure_stays() {
        let pulse = Pulse::default();
        assert!(pulse.check().is_ok());
        pulse.fail("one");
        pulse.fail("two");
        assert_eq!(pulse.failed(), Some("one".into()));
        assert!(matches!(pulse.check(), Err(Error::Disk(_))));
    }
}
