//! The Python package, in an environment of its own, which is kept in the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use foreign::{Api, Cluster, skipped};

use crate::command::run;

const PACKAGE: &str = "tikv-client==0.0.4";

/// An interpreter that has the package.
fn interpreter() -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = home.join("bin").join("python");
    let has_package = |python: &Path| run(Command::new(python).args(["-c", "import tikv_client"]));
    if has_package(&python).is_err() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        // Only what is compiled already: it is the client that is tested, not its build.
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(pip).args(["--only-binary", ":all:", PACKAGE]))?;
        has_package(&python)?;
    }
    Ok(python)
}

#[test]
fn python_package_reads_and_writes_raw_keys() {
    let python = match interpreter() {
        Ok(python) => python,
        Err(why) => return skipped(&format!("the Python package {PACKAGE}"), why.trim()),
    };
    let cluster = Cluster::start(Api::V1, &[]);
    // The client goes on from the end of the last region to the first: nothing here is in the last.
    cluster.split_at(&["key100", "key200", "z"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join("smoke.py");
    let said = run(Command::new(python).arg(script).args(cluster.endpoints()));
    let said = said.unwrap_or_else(|why| panic!("{why}"));
    assert!(said.ends_with("all is well\n"), "{said}");
}
