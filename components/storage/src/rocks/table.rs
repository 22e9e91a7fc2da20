//! Tables that are written outside of the engine on disk.

#![expect(clippy::mem_forget, reason = "inside of what self_cell expands to")]

use std::fs::File;
use std::path::{Path, PathBuf};

use rocksdb::{Options, SstFileWriter};
use self_cell::self_cell;

use super::{error, io_error, options};
use crate::cf::Cf;
use crate::engine::TableWriter;
use crate::error::Error;

type Writer<'a> = SstFileWriter<'a>;

self_cell!(
    struct Open {
        owner: Options,
        #[covariant]
        dependent: Writer,
    }
);

/// A table under way. One that is dropped before it is finished leaves a file that is no table.
pub(super) struct RocksTable {
    open: Open,
    path: PathBuf,
    last: Option<Vec<u8>>,
}

impl RocksTable {
    pub(super) fn create(cf: Cf, path: &Path) -> Result<RocksTable, Error> {
        if path.exists() {
            return Err(Error::Invalid(format!("{} exists", path.display())));
        }
        let mut open = Open::new(options::table(cf), |options| SstFileWriter::create(options));
        open.with_dependent_mut(|_, writer| writer.open(path)).map_err(|e| error(&e))?;
        Ok(RocksTable { open, path: path.to_path_buf(), last: None })
    }
}

impl TableWriter for RocksTable {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if self.last.as_deref().is_some_and(|last| last >= key) {
            return Err(Error::Invalid("keys of a table must rise".into()));
        }
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
        self.open.with_dependent_mut(|_, writer| writer.put(key, value)).map_err(|e| error(&e))
    }

    fn finish(mut self: Box<Self>) -> Result<u64, Error> {
        if self.last.is_none() {
            return Err(Error::Invalid("a table needs a pair".into()));
        }
        let size = self.open.with_dependent_mut(|_, writer| {
            // RocksDB syncs the file; that it is in its directory is for us to see to.
            writer.finish().map(|()| writer.file_size())
        });
        let size = size.map_err(|e| error(&e))?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let dir = File::open(parent.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all());
        dir.map_err(|e| io_error(&self.path, &e))?;
        Ok(size)
    }
}
