//! The engine on disk: one RocksDB per store.
//!
//! Open     audit the logs (`audit`), open RocksDB, begin a new witness (`witness`, `keeper`).
//! Write    the batch becomes one of RocksDB; a synced one marks the witness as due.
//! Fail     the first failure is kept (`pulse`), and every later write is refused.
//! Close    the last witness is written, then RocksDB closes.
//!
//! What survives a crash: everything up to the last synced write, and of the buffered ones after it
//! a prefix. What survives only the process: all writes. What a start shows is durable, because
//! RocksDB writes what it recovered to tables before it opens.
//!
//! Invariant: nothing in the directory is changed before the audit has ended well.
//!
//! Not here: what damage means for the store. It gets an [`OpenError::Damaged`] and decides.

mod audit;
mod config;
mod damage;
mod keeper;
mod manifest;
mod options;
mod pulse;
mod records;
mod table;
mod view;
mod witness;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{ColumnFamily, DB, ErrorKind, WriteBatch, WriteOptions};

pub use self::audit::{Audit, AuditedLog};
pub use self::config::Config;
pub use self::damage::{Damage, DamageKind, OpenError};
use self::keeper::Keeper;
use self::pulse::{Listener, Pulse};
use self::table::RocksTable;
use self::view::RocksView;
use self::witness::Found;
use crate::batch::{Batch, Op};
use crate::cf::Cf;
use crate::engine::{Durability, Engine, TableWriter, View};
use crate::error::Error;
use crate::health::Health;

/// How many batches are kept to be used again: one for each thread that writes at the same time.
const SPARE_BATCHES_MAX: usize = 8;

/// A batch that grew larger than this is given back to the allocator.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// An engine in a directory.
pub struct RocksEngine {
    // Dropped in this order: the witness is written while the engine is open.
    keeper: Keeper,
    db: Arc<DB>,
    pulse: Arc<Pulse>,
    spare: Mutex<Vec<WriteBatch>>,
    synced: WriteOptions,
    buffered: WriteOptions,
}

impl std::fmt::Debug for RocksEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksEngine").field("path", &self.db.path()).finish_non_exhaustive()
    }
}

impl RocksEngine {
    /// Opens a directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if the logs are not what was written; then nothing was changed, with
    /// the exception of [`DamageKind::Forgotten`], a last check after opening.
    pub fn open(path: &Path, config: &Config) -> Result<(RocksEngine, Audit), OpenError> {
        config.validate().map_err(OpenError::Config)?;
        make_durable_dir(path).map_err(|e| OpenError::Engine(io_error(path, &e)))?;
        let audit = RocksEngine::audit(path)?;
        let pulse = Arc::new(Pulse::default());
        let options = options::engine(config, Listener(Arc::clone(&pulse)));
        let db = DB::open_cf_descriptors(&options, path, options::families(config));
        let db = Arc::new(db.map_err(|e| OpenError::Engine(error(&e)))?);
        let has = db.latest_sequence_number();
        if let Some(needed) = audit.witnessed.filter(|needed| *needed > has) {
            let kind = DamageKind::Forgotten { has, needed };
            return Err(OpenError::Damaged(Damage { file: path.to_path_buf(), offset: 0, kind }));
        }
        let generation = match witness::read(path) {
            Ok(Found::Witness(witness)) => witness.generation,
            Ok(Found::None | Found::Unreadable) => 0,
            Err(e) => return Err(OpenError::Engine(io_error(path, &e))),
        };
        let every = config.witness_every;
        let (witnessed, told) = (Arc::clone(&db), Arc::clone(&pulse));
        let keeper = Keeper::start(witnessed, told, path, generation + 1, every);
        let engine = RocksEngine {
            keeper: keeper.map_err(OpenError::Engine)?,
            db,
            pulse,
            spare: Mutex::default(),
            synced: options::write(Durability::Synced),
            buffered: options::write(Durability::Buffered),
        };
        Ok((engine, audit))
    }

    /// Audits a directory that is not open, and changes nothing.
    ///
    /// # Errors
    /// As of [`RocksEngine::open`].
    pub fn audit(path: &Path) -> Result<Audit, OpenError> {
        audit::audit(path).map_err(|refused| match refused {
            audit::Refused::Damaged(damage) => OpenError::Damaged(damage),
            audit::Refused::Unreadable(file, e) => OpenError::Engine(io_error(&file, &e)),
        })
    }

    /// Makes everything durable and lets the witness see it, without waiting for its turn.
    ///
    /// # Errors
    /// If it cannot be written; then all writes are refused.
    pub fn witness(&self) -> Result<(), Error> {
        self.keeper.beat()
    }

    fn translate(&self, batch: &Batch) -> Result<WriteBatch, Error> {
        let mut out = self.spare().pop().unwrap_or_default();
        let mut families: [Option<&ColumnFamily>; Cf::ALL.len()] = [None; Cf::ALL.len()];
        for op in batch.iter() {
            let slot = &mut families[op.size().0.index()];
            let family = match *slot {
                Some(known) => known,
                None => *slot.insert(family(&self.db, op.size().0)?),
            };
            match op {
                Op::Put(_, key, value) => out.put_cf(family, key, value),
                Op::Delete(_, key) => out.delete_cf(family, key),
                Op::DeleteRange(_, start, end) => out.delete_range_cf(family, start, end),
            }
        }
        Ok(out)
    }

    fn give_back(&self, mut batch: WriteBatch) {
        if batch.size_in_bytes() <= SPARE_BYTES_MAX {
            batch.clear();
            let mut spare = self.spare();
            if spare.len() < SPARE_BATCHES_MAX {
                spare.push(batch);
            }
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<WriteBatch>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error of something that writes; unless there is no room, nothing may be written after
    /// it.
    fn failed(&self, e: &rocksdb::Error) -> Error {
        let error = error(e);
        match &error {
            Error::Disk(why) | Error::Corrupt(why) => self.pulse.fail(why),
            Error::Full(_) => self.pulse.found_full(),
            Error::Invalid(_) => {}
        }
        error
    }

    /// A number that RocksDB keeps of a column family; 0 if it does not tell.
    fn number(&self, cf: Cf, property: &str) -> u64 {
        let found = family(&self.db, cf)
            .ok()
            .and_then(|family| self.db.property_int_value_cf(family, property).ok().flatten());
        found.unwrap_or(0)
    }

    /// A number that RocksDB keeps, summed up over the column families.
    fn sum(&self, property: &str) -> u64 {
        Cf::ALL.into_iter().map(|cf| self.number(cf, property)).sum()
    }
}

impl Engine for RocksEngine {
    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), Error> {
        self.pulse.check()?;
        let out = self.translate(batch)?;
        let options = match durability {
            Durability::Synced => &self.synced,
            Durability::Buffered => &self.buffered,
        };
        let result = self.db.write_opt(&out, options);
        self.give_back(out);
        result.map_err(|e| self.failed(&e))?;
        self.pulse.wrote();
        if durability == Durability::Synced {
            self.keeper.mark();
        }
        Ok(())
    }

    fn view(&self) -> Box<dyn View> {
        Box::new(RocksView::of(Arc::clone(&self.db)))
    }

    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db.get_cf(family(&self.db, cf)?, key).map_err(|e| error(&e))
    }

    fn flush(&self, cf: Cf) -> Result<(), Error> {
        self.pulse.check_room()?;
        self.db.flush_wal(true).map_err(|e| self.failed(&e))?;
        self.db.flush_cf(family(&self.db, cf)?).map_err(|e| self.failed(&e))?;
        self.keeper.mark();
        Ok(())
    }

    fn checkpoint(&self, to: &Path) -> Result<(), Error> {
        self.pulse.check_room()?;
        if to.exists() {
            return Err(Error::Invalid(format!("{} exists", to.display())));
        }
        if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            make_durable_dir(parent).map_err(|e| io_error(parent, &e))?;
        }
        let checkpoint = Checkpoint::new(&self.db).map_err(|e| error(&e))?;
        checkpoint.create_checkpoint(to).map_err(|e| error(&e))?;
        sync_dir(parent_of(to)).map_err(|e| io_error(to, &e))
    }

    fn table(&self, cf: Cf, path: &Path) -> Result<Box<dyn TableWriter>, Error> {
        self.pulse.check_room()?;
        Ok(Box::new(RocksTable::create(cf, path)?))
    }

    fn ingest(&self, cf: Cf, tables: &[PathBuf]) -> Result<(), Error> {
        self.pulse.check_room()?;
        if tables.is_empty() {
            return Ok(());
        }
        // What was written before must not be lost if the ingest survives.
        self.db.flush_wal(true).map_err(|e| self.failed(&e))?;
        let family = family(&self.db, cf)?;
        let options = options::ingest();
        let done = self.db.ingest_external_file_cf_opts(family, &options, tables.to_vec());
        // An ingest that fails leaves the engine as it was; if the disk failed, RocksDB says so to
        // the listener.
        done.map_err(|e| error(&e))?;
        self.keeper.mark();
        Ok(())
    }

    fn health(&self) -> Health {
        let (flushes, flushed_bytes) = self.pulse.flushes();
        Health {
            stalled: self.pulse.stall(),
            failed: self.pulse.failed(),
            flushes,
            flushed_bytes,
            compaction_pending_bytes: self.sum("rocksdb.estimate-pending-compaction-bytes"),
            table_bytes: self.sum("rocksdb.total-sst-files-size"),
            memory_bytes: self.sum("rocksdb.cur-size-all-mem-tables"),
            // All families share one.
            cache_bytes: self.number(Cf::Default, "rocksdb.block-cache-usage"),
        }
    }
}

fn family(db: &DB, cf: Cf) -> Result<&ColumnFamily, Error> {
    db.cf_handle(cf.name()).ok_or_else(|| Error::Invalid(format!("no family {}", cf.name())))
}

fn error(e: &rocksdb::Error) -> Error {
    let why = e.to_string();
    match e.kind() {
        ErrorKind::Corruption => Error::Corrupt(why),
        ErrorKind::InvalidArgument | ErrorKind::NotSupported => Error::Invalid(why),
        _ if pulse::is_full(&why) => Error::Full(why),
        _ => Error::Disk(why),
    }
}

fn io_error(path: &Path, e: &io::Error) -> Error {
    let why = format!("{}: {e}", path.display());
    if e.kind() == io::ErrorKind::StorageFull { Error::Full(why) } else { Error::Disk(why) }
}

/// Makes a directory and those above it, each durable in the one above: RocksDB does not see to
/// that, and after a loss of power the whole engine could be gone.
fn make_durable_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent_of(path);
    make_durable_dir(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    sync_dir(parent)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
