//! How much room the disk has, and whether that is enough to go on taking data.

use std::io;
use std::path::Path;

use rustix::fs::statvfs;

/// Room on the file system of a directory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// All of it.
    pub(crate) total: u64,
    /// What this process may still use.
    pub(crate) available: u64,
}

impl Capacity {
    /// Asks the system.
    pub(crate) fn of(dir: &Path) -> io::Result<Capacity> {
        let found = statvfs(dir)?;
        Ok(Capacity {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            available: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_room_and_no_more_than_its_disk() {
        let capacity = Capacity::of(Path::new(".")).expect("the system tells");
        assert!(capacity.total > 0 && capacity.available <= capacity.total);
        assert!(Capacity::of(Path::new("/no/such/directory")).is_err());
    }
}
