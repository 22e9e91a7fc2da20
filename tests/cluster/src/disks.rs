//! Disks of a test: file systems in images, mounted through loop devices. For root alone.
//!
//! ```text
//! stop the processes ─► cut ─► kill them ─► unmount ─► mount
//! ```
//!
//! In this order: the cut is a call to the file system that discards its journal in memory, and a
//! process that runs meanwhile can be told that a sync went well which never reached the journal.
//!
//! Invariant: nothing is mounted once its disk is dropped.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// `FS_IOC_SHUTDOWN` with `NOLOGFLUSH`. The language is one that calls it without unsafe code.
const CUT: &str = "
import fcntl, os, struct, sys
for path in sys.argv[1:]:
    fd = os.open(path, os.O_RDONLY)
    fcntl.ioctl(fd, 0x8004587d, struct.pack('I', 2))
    os.close(fd)
";

/// A file system of its own.
pub struct Disk {
    mount: PathBuf,
    image: PathBuf,
    is_mounted: bool,
    _dir: TempDir,
}

impl Disk {
    /// Makes and mounts a disk.
    ///
    /// # Errors
    /// Why it cannot be: who is not root, or lacks the tools.
    pub fn new(bytes: u64) -> Result<Disk, String> {
        let dir = TempDir::new().map_err(|error| error.to_string())?;
        let (mount, image) = (dir.path().join("mount"), dir.path().join("image"));
        std::fs::create_dir(&mount).map_err(|error| error.to_string())?;
        let file = File::create(&image).and_then(|file| file.set_len(bytes));
        file.map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        let mut disk = Disk { mount, image, is_mounted: false, _dir: dir };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Mounts it.
    ///
    /// # Errors
    /// What the system says.
    pub fn mount(&mut self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).args([&self.image, &self.mount]))?;
        self.is_mounted = true;
        Ok(())
    }

    /// Unmounts it.
    ///
    /// # Errors
    /// What the system says.
    pub fn unmount(&mut self) -> Result<(), String> {
        run(Command::new("umount").arg(&self.mount))?;
        self.is_mounted = false;
        Ok(())
    }

    fn ballast(&self) -> PathBuf {
        self.mount.join("ballast")
    }

    fn unsynced(&self) -> PathBuf {
        self.mount.join("unsynced")
    }

    /// Whether what was written right before the cut, and not synced, is gone.
    pub fn has_lost_unsynced(&self) -> bool {
        // The name may have got into the journal by itself, but not the bytes.
        std::fs::metadata(self.unsynced()).map_or(true, |file| file.len() == 0)
    }

    /// Takes all the room there is.
    ///
    /// # Panics
    /// If there is none for a name.
    pub fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("there is room for a file");
        let mut piece = vec![7; 1 << 20];
        while !piece.is_empty() {
            // Whole blocks at first, then what is left.
            if file.write_all(&piece).and_then(|()| file.sync_data()).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    /// Takes all the room but this many bytes.
    ///
    /// # Panics
    /// If there is less.
    pub fn fill_but(&self, left: u64) {
        let file = File::create(self.ballast()).expect("there is room for a file");
        let found = rustix::fs::statvfs(&self.mount).expect("it is mounted");
        let room = (found.f_bavail * found.f_frsize).checked_sub(left).expect("there is more");
        let kept = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&file, kept, 0, room).expect("there is room");
    }

    /// Gives it back.
    ///
    /// # Panics
    /// If nothing was taken.
    pub fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted && self.unmount().is_err() {
            let _ = run(Command::new("umount").arg("-l").arg(&self.mount));
        }
    }
}

/// Power is lost: what the disks were not made to keep is gone, and they take no more.
///
/// # Panics
/// If that did not work.
pub fn cut(disks: &[Disk]) {
    for disk in disks {
        std::fs::write(disk.unsynced(), [7; 4096]).expect("there is room for a file");
    }
    let paths = disks.iter().map(Disk::path);
    run(Command::new("python3").args(["-c", CUT]).args(paths)).expect("power is lost");
    // A cut that did nothing would make every test of it pass.
    for disk in disks {
        let file = File::create(disk.path().join("after"));
        assert!(file.is_err(), "{} still takes writes", disk.path().display());
    }
}

/// The disks of a test; or it is skipped, and that is said where nobody swallows it.
pub fn or_skip(test: &str, sizes: &[u64]) -> Option<Vec<Disk>> {
    let made = if rustix::process::geteuid().is_root() {
        run(Command::new("python3").args(["-c", "import fcntl"]))
            .and_then(|()| sizes.iter().map(|&bytes| Disk::new(bytes)).collect())
    } else {
        Err("it needs root".to_owned())
    };
    made.map_err(|why| {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
    })
    .ok()
}

fn run(command: &mut Command) -> Result<(), String> {
    // The system's tools are not in everybody's path.
    let path = std::env::var("PATH").unwrap_or_default();
    let done = command.env("PATH", format!("{path}:/usr/sbin:/sbin")).output();
    let done = done.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("{}: {}", command.get_program().display(), said.trim()))
}
