//! What can be set of the engine on disk. What is not here is in `options`, with its reason.

use std::time::Duration;

/// Settings of a [`super::RocksEngine`]. All take effect when it opens; none is part of the format,
/// so each can be changed between two starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Memory for blocks of tables, of all column families. More means fewer reads of the disk.
    /// Default: 256 MiB. At least 1 MiB.
    pub block_cache_bytes: usize,
    /// Memory for what is not in tables yet, of all column families. When it is reached, the
    /// largest is written out. Default: 384 MiB. At least 1 MiB.
    pub memory_bytes_max: usize,
    /// The same of the Raft log alone. Log entries that are deleted before this is written out
    /// never cost a table, so it should hold what groups keep of their logs. Default: 128 MiB. At
    /// least 64 KiB.
    pub raft_memory_bytes: usize,
    /// The same of each column family of data. Default: 64 MiB. At least 64 KiB.
    pub data_memory_bytes: usize,
    /// How long the write-ahead log may get, which is how much a start may have to read. When it is
    /// reached, what is oldest in memory is written out. Default: 1 GiB. At least 256 KiB.
    pub log_bytes_max: u64,
    /// Threads that write tables out and merge them. Default: 2. From 1 to 64.
    pub background_jobs: u32,
    /// How many bytes a second these threads may write, so that they leave the disk to the log.
    /// Default: no limit. At least 1 MiB.
    pub background_bytes_per_s_max: Option<u64>,
    /// How many tables may be open. Default: 4096. At least 64.
    pub open_files_max: u32,
    /// How far the witness may lag behind synced writes. Shorter means less that can rot unseen,
    /// and two more syncs each time. Default: 1 s. From 1 ms to one minute.
    pub witness_every: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            block_cache_bytes: 256 << 20,
            memory_bytes_max: 384 << 20,
            raft_memory_bytes: 128 << 20,
            data_memory_bytes: 64 << 20,
            log_bytes_max: 1 << 30,
            background_jobs: 2,
            background_bytes_per_s_max: None,
            open_files_max: 4096,
            witness_every: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// Looks for all that makes no sense.
    ///
    /// # Errors
    /// A sentence for each problem, with the name of the field.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        let mut at_least = |name: &str, value: u64, least: u64| {
            if value < least {
                problems.push(format!("{name} is {value}, and must be at least {least}"));
            }
        };
        at_least("block_cache_bytes", self.block_cache_bytes as u64, 1 << 20);
        at_least("memory_bytes_max", self.memory_bytes_max as u64, 1 << 20);
        at_least("raft_memory_bytes", self.raft_memory_bytes as u64, 64 << 10);
        at_least("data_memory_bytes", self.data_memory_bytes as u64, 64 << 10);
        at_least("log_bytes_max", self.log_bytes_max, 256 << 10);
        at_least("background_jobs", u64::from(self.background_jobs), 1);
        at_least("open_files_max", u64::from(self.open_files_max), 64);
        if let Some(limit) = self.background_bytes_per_s_max {
            at_least("background_bytes_per_s_max", limit, 1 << 20);
        }
        if self.background_jobs > 64 {
            let jobs = self.background_jobs;
            problems.push(format!("background_jobs is {jobs}, and must be at most 64"));
        }
        let largest = self.raft_memory_bytes.max(self.data_memory_bytes);
        if largest > self.memory_bytes_max {
            problems.push(format!("memory_bytes_max is less than that of one part, {largest}"));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&self.witness_every) {
            let every = self.witness_every;
            problems.push(format!("witness_every is {every:?}, and must be from 1 ms to 1 min"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let bad = Config {
            block_cache_bytes: 1,
            background_jobs: 65,
            open_files_max: 0,
            memory_bytes_max: 2 << 20,
            witness_every: Duration::ZERO,
            ..Config::default()
        };
        let problems = bad.validate().unwrap_err();
        assert_eq!(problems.len(), 5, "{problems:?}");
    }
}
