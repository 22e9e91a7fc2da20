//! Planted bugs: each must be found by the simulation within its seeds, by a checker that it names.
//!
//! A mutant is one textual change of the core, or of the host under it, that takes away a guard.
//! The change must apply exactly once, so a guard cannot be moved without this list noticing. Each
//! mutant is compiled beside the others and runs seeds until one fails. Green therefore means:
//! every checker can fail, and every guard listed is needed.
//!
//! Some alone: `MUTANT=lease cargo test -p raft --test mutants -- --nocapture` takes those with
//! `lease` in the name. To see what a seed does, apply the change by hand and run `./x sim --seed
//! N`.

#[path = "mutants/list.rs"]
mod list;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use list::{MUTANTS, Mutant};

/// Up to so many seeds run in less time than optimising the code takes.
const FEW_SEEDS: u64 = 500;

/// Every checker of the simulation, and the rest it must come to.
const PROPERTIES: [&str; 13] = [
    "acks are durable",
    "bounded work",
    "bounds",
    "committed is durable",
    "leader completeness",
    "lease is exclusive",
    "liveness",
    "log matching",
    "monotone",
    "one change at a time",
    "one leader per term",
    "reads are fresh",
    "same state",
];

#[test]
fn every_planted_bug_is_found() {
    let wanted = std::env::var("MUTANT").unwrap_or_default();
    let mutants: Vec<&Mutant> =
        MUTANTS.iter().filter(|mutant| mutant.name.contains(wanted.as_str())).collect();
    let build = Build::new();
    let next = AtomicUsize::new(0);
    let complaints = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match build.run(mutant) {
                        Ok(found) => println!("{}: {found}", mutant.name),
                        Err(why) => {
                            let complaint = format!("{}: {why}", mutant.name);
                            complaints.lock().expect("no panics here").push(complaint);
                        }
                    }
                }
            });
        }
    });
    let complaints = complaints.into_inner().expect("no panics here");
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_checker_has_a_planted_bug() {
    for property in PROPERTIES {
        assert!(
            MUTANTS.iter().any(|mutant| mutant.found_by.contains(&property)),
            "nothing proves `{property}`"
        );
    }
    for mutant in &MUTANTS {
        for property in mutant.found_by {
            assert!(PROPERTIES.contains(property), "{}: no checker `{property}`", mutant.name);
        }
    }
}

/// Compiles the core, its hosts and the simulation by calling the compiler: three small crates
/// without dependencies need no cargo.
struct Build {
    root: PathBuf,
    scratch: PathBuf,
    rustc: OsString,
}

impl Build {
    fn new() -> Build {
        let raft = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = raft.parent().expect("raft has a parent directory").to_owned();
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let build = Build { root, scratch, rustc };
        let lib = build.root.join("types/src/lib.rs");
        fs::create_dir_all(&build.scratch).expect("the target directory can be written");
        build.compile("types", &lib, &build.scratch, "1").expect("types compile");
        build
    }

    /// What found the mutant, or why nothing did.
    fn run(&self, mutant: &Mutant) -> Result<String, String> {
        let dir = self.scratch.join(mutant.name);
        let _ = fs::remove_dir_all(&dir);
        copy(&self.root.join("raft/src"), &dir.join("src"));
        copy(&self.root.join("raft/world/src"), &dir.join("world/src"));
        copy(&self.root.join("raft/examples"), &dir.join("examples"));
        let path = dir.join(mutant.file);
        let source = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", mutant.file))?;
        let places = source.matches(mutant.find).count();
        if places != 1 {
            return Err(format!("the text to change is in {} {places} times", mutant.file));
        }
        fs::write(&path, source.replace(mutant.find, mutant.replace))
            .map_err(|why| why.to_string())?;
        let level = if mutant.within_seeds <= FEW_SEEDS { "0" } else { "1" };
        self.compile("raft", &dir.join("src/lib.rs"), &dir, level)?;
        self.compile("raft_world", &dir.join("world/src/lib.rs"), &dir, level)?;
        self.compile("sim", &dir.join("examples/raft-sim.rs"), &dir, level)?;
        let seeds = format!("0..{}", mutant.within_seeds);
        let run = Command::new(dir.join("sim")).args(["--seeds", &seeds]).output();
        let verdict = judge(mutant, &run.map_err(|why| why.to_string())?);
        let _ = fs::remove_dir_all(&dir);
        verdict
    }

    /// A crate whose file is called `lib.rs` becomes a library, another one a program.
    fn compile(&self, name: &str, main: &Path, out: &Path, level: &str) -> Result<(), String> {
        let mut rustc = Command::new(&self.rustc);
        let kind = if main.ends_with("lib.rs") { "rlib" } else { "bin" };
        rustc.args(["--edition", "2024", "--crate-name", name, "--crate-type", kind]);
        rustc.args(["--cap-lints", "allow", "-Cpanic=abort", "-Cdebug-assertions=no"]);
        rustc.arg(format!("-Copt-level={level}"));
        rustc.arg(main).arg("--out-dir").arg(out).arg("-L").arg(out).arg("-L").arg(&self.scratch);
        for (other, dir) in [("types", &*self.scratch), ("raft", out), ("raft_world", out)] {
            let lib = dir.join(format!("lib{other}.rlib"));
            if other != name && lib.exists() {
                rustc.arg("--extern").arg(format!("{other}={}", lib.display()));
            }
        }
        let output = rustc.output().map_err(|why| format!("cannot run rustc: {why}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{name} does not compile:\n{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Whether the run failed as it should.
fn judge(mutant: &Mutant, run: &Output) -> Result<String, String> {
    let stderr = String::from_utf8_lossy(&run.stderr);
    if run.status.success() {
        return Err(format!("not found within {} seeds", mutant.within_seeds));
    }
    let verdict = stderr.lines().find(|line| line.starts_with("VIOLATION"));
    match verdict {
        Some(line) if mutant.found_by.iter().any(|by| line.contains(&format!(": {by}: "))) => {
            Ok(line.to_owned())
        }
        _ => Err(format!("found by something else than {:?}:\n{stderr}", mutant.found_by)),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the target directory can be written");
    for entry in fs::read_dir(from).expect("sources can be read") {
        let entry = entry.expect("sources can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("sources can be copied");
        }
    }
}
