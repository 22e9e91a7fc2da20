//! One process for a data directory.
//!
//! The lock is the operating system's, on the file `LOCK`, so that it ends with the process however
//! that ends. The file holds the number of the process, for the message that another gets.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::errors::{self, Failure};

/// Name of the file.
const NAME: &str = "LOCK";

/// The directory is ours for as long as this exists.
#[derive(Debug)]
pub struct DirLock {
    /// Closing it ends the lock.
    _file: File,
}

/// Makes a directory and those above it, each durable in the one above: after a loss of power all
/// that is in it could be gone, who it is first of all.
fn make_dir(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        None => return Ok(()),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    make_dir(parent)?;
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        // One that is no directory is found out about by whoever uses it.
        Ok(()) | Err(_) => {}
    }
    File::open(parent)?.sync_all()
}

/// Makes the directory if there is none, readable by its owner alone, and takes its lock.
///
/// # Errors
/// If it cannot be made or used, or another process has it.
pub fn take(dir: &Path) -> Result<DirLock, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::new(&errors::DIR_UNUSABLE, format!("cannot use {}", dir.display()))
            .why(error.to_string())
    };
    make_dir(dir).map_err(unusable)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(dir.join(NAME)).map_err(unusable)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // Only for the message: what cannot be read is left out.
            let _ = file.read_to_string(&mut holder);
            let what = format!("{} is in use", dir.display());
            let by = match holder.trim() {
                "" => "another process has its lock".to_owned(),
                pid => format!("process {pid} has its lock"),
            };
            return Err(Failure::new(&errors::DIR_LOCKED, what).why(by));
        }
        Err(error) => return Err(unusable(error.into())),
    }
    let note = |file: &mut File| -> std::io::Result<()> {
        file.rewind()?;
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())
    };
    note(&mut file).map_err(unusable)?;
    Ok(DirLock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_taker_is_told_who_was_first_and_a_lock_ends_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/data");
        let first = take(&path).unwrap();
        let refused = take(&path).unwrap_err();
        assert_eq!(refused.entry, &errors::DIR_LOCKED);
        let pid = std::process::id();
        assert_eq!(refused.why, [format!("process {pid} has its lock")]);
        drop(first);
        take(&path).unwrap();
    }

    #[test]
    fn path_that_is_no_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        assert_eq!(take(&path).unwrap_err().entry, &errors::DIR_UNUSABLE);
    }
}
