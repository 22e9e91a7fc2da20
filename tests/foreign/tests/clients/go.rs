//! The Go module: raw keys, over its stream of batched requests.

use std::path::{Path, PathBuf};
use std::process::Command;

use foreign::{Api, Cluster, skipped};

use crate::command::run;

fn go(args: &[&str]) -> Command {
    let mut command = Command::new("go");
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    // The compiler that is here, not one that would have to be fetched.
    command.args(args).current_dir(home).env("GOTOOLCHAIN", "local");
    command
}

/// The smoke test, compiled; or why there can be none.
fn smoke() -> Result<PathBuf, String> {
    run(&mut go(&["version"]))?;
    run(&mut go(&["mod", "download"]))?;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-smoke");
    let built = run(go(&["build", "-o"]).arg(&path).arg("."));
    built.unwrap_or_else(|why| panic!("it does not compile:\n{why}"));
    Ok(path)
}

#[test]
fn go_module_reads_and_writes_raw_keys() {
    let smoke = match smoke() {
        Ok(smoke) => smoke,
        Err(why) => return skipped("the Go module", why.trim()),
    };
    for (api, name) in [(Api::V1, "v1"), (Api::V2, "v2")] {
        let cluster = Cluster::start(api, &[]);
        cluster.split_at(&["key100", "key200", "key400", "z"]);
        let said = run(Command::new(&smoke).arg(name).args(cluster.endpoints()));
        let said = said.unwrap_or_else(|why| panic!("{name}: {why}"));
        // Among what the client logs.
        assert!(said.contains("all is well\n"), "{name}: {said}");
    }
}
