//! Errors of nodes and their disks: numbers of four thousand.

use super::Entry;
use crate::errors::Exit;

/// The engine failed to read.
pub static READ_FAILED: Entry = Entry {
    number: 4001,
    title: "the store cannot read",
    cause: "The engine on disk failed to read what it should have: the disk reports errors, or a\n\
            table is damaged. Other replicas may be well.",
    next: "look at the log of that store and at its disk; drain it if it happens again",
    exit: Exit::Corruption,
};

/// A reply that another version made.
pub static REPLY_UNKNOWN: Entry = Entry {
    number: 4002,
    title: "a reply of a region cannot be understood",
    cause: "The state machine of a region answered in a form that this binary does not know:\n\
            nodes of different versions, or a fault of ours. A write may have been done.",
    next: "run the same version on all nodes (`crib store list`), and report it if they do",
    exit: Exit::Unknown,
};

/// A reader ended before it answered.
pub static READER_ENDED: Entry = Entry {
    number: 4003,
    title: "a read ended before it answered",
    cause: "The task that read from the engine was ended: the store is stopping, or a fault of\n\
            ours.",
    next: "repeat it; if the store is not stopping, look at its log",
    exit: Exit::Unreachable,
};

/// Somebody else uses the directory.
pub static DIR_LOCKED: Entry = Entry {
    number: 4010,
    title: "the data directory is in use",
    cause: "Another process has this data directory open. Two at a time would destroy it.",
    next: "stop that process, or choose another --data-dir",
    exit: Exit::DataDir,
};

/// The directory is another cluster's.
pub static DIR_FOREIGN: Entry = Entry {
    number: 4011,
    title: "the data directory belongs to something else",
    cause: "The directory holds the data of another cluster or another store, or of something\n\
            that is not crib. It was left as it is.",
    next: "choose another --data-dir, or start with the settings that this one was made with",
    exit: Exit::DataDir,
};

/// The directory cannot be used.
pub static DIR_UNUSABLE: Entry = Entry {
    number: 4012,
    title: "the data directory cannot be used",
    cause: "It cannot be made, read or written: permissions, a read-only file system, or a path\n\
            that is no directory.",
    next: "choose a directory of your own with --data-dir, or change its owner",
    exit: Exit::DataDir,
};

/// No room.
pub static DISK_FULL: Entry = Entry {
    number: 4013,
    title: "the disk is full",
    cause: "The file system of the data directory has no room left.",
    next: "make room on that file system, or add a store and drain this one",
    exit: Exit::DiskFull,
};

/// Bytes changed on the disk.
pub static DAMAGED: Entry = Entry {
    number: 4014,
    title: "data on the disk is damaged",
    cause: "Checksums do not fit: bytes changed after they were written. The store does not\n\
            start, because it might have forgotten votes and acknowledged writes.",
    next: "keep the directory for inspection, and replace this store by a new one that joins",
    exit: Exit::Corruption,
};

/// Another version's data.
pub static VERSION: Entry = Entry {
    number: 4015,
    title: "the data was written by another version",
    cause: "The format of the data directory, or the version that the cluster speaks, is one that\n\
            this binary does not know.",
    next: "start the version that wrote it; `crib version` prints what this one knows",
    exit: Exit::Version,
};

/// A store that runs met what it cannot go on with.
pub static STORE_STOPPED: Entry = Entry {
    number: 4016,
    exit: Exit::Failed,
    title: "the store had to stop",
    cause: "Its disk refused a write that was to be durable, or hangs, or something that must\n\
            hold does not. To go on could lose what was acknowledged.",
    next: "look at the disk and the log of the node, then start it again; replace the store if the \
           disk is bad",
};

/// A store refuses to write, to keep some room.
pub static NO_ROOM: Entry = Entry {
    number: 4017,
    title: "a store has no room for what writes",
    cause: "The disk of the store that leads the region has less room than the store's setting\n\
            storage.keep-free, and no replica elsewhere could lead in its place. Reads, deletes\n\
            and moves go on. Nothing was written.",
    next: "make room on that disk, delete what is not needed, or add a store",
    exit: Exit::Unreachable,
};

/// The cluster has removed this store.
pub static STORE_REMOVED: Entry = Entry {
    number: 4018,
    title: "this store was removed from the cluster",
    cause: "Somebody removed the store, for good: the cluster has given up what it holds, and\n\
            takes nothing from it any more. Its data directory was left as it is.",
    next: "delete the data directory, or start with an empty one and --join to be a new store",
    exit: Exit::DataDir,
};
