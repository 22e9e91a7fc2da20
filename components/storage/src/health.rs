//! How an engine is.

/// An engine's state for people, metrics and back-pressure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Writes are delayed or stopped by the engine, as it cannot keep up.
    pub stalled: Stall,
    /// The first failure of work in the background; all writes are refused since.
    pub failed: Option<String>,
    /// Tables written from memory since it was opened.
    pub flushes: u64,
    /// Bytes of those tables.
    pub flushed_bytes: u64,
    /// Bytes that wait to be compacted.
    pub compaction_pending_bytes: u64,
    /// Bytes of tables on disk.
    pub table_bytes: u64,
    /// Bytes in memory that are not in tables yet.
    pub memory_bytes: u64,
    /// Bytes in memory of what was read.
    pub cache_bytes: u64,
}

/// Whether writes are held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stall {
    /// They are not.
    #[default]
    No,
    /// They are slowed down.
    Delayed,
    /// They wait.
    Stopped,
}
