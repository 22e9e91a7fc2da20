//! `crib config …`, and what the flags of `crib server` set.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::args::{ConfigCommand, Global, ServerArgs};
use super::output::{Output, Table};
use crate::config::{self, Effective, Sources, by_section, shown};
use crate::errors::{self, Failure};

/// Does what a command says.
///
/// # Errors
/// If settings cannot be read or make no sense.
pub(super) fn run(command: ConfigCommand, global: &Global, output: &Output) -> Result<(), Failure> {
    match command {
        ConfigCommand::Default if output.is_json() => {
            let effective = Effective::load(&Sources::default())?;
            output.data(&effective.values(), String::new)
        }
        ConfigCommand::Default => output.text(&config::template()),
        ConfigCommand::Check { file } => {
            Effective::load(&Sources { file: Some(file), ..Sources::default() })?;
            output.done()
        }
        ConfigCommand::Show { origins, server } => {
            let effective = effective(&server, global, environment()?)?;
            if origins {
                output.data(&with_origins(&effective), || output.table(&table(&effective)))
            } else {
                output.data(&effective.values(), || toml(&effective.values()))
            }
        }
    }
}

/// The variables that may be settings. Others are nobody's business, whatever is in them.
///
/// # Errors
/// If one of them is not text.
pub(super) fn environment() -> Result<Vec<(String, String)>, Failure> {
    ours(std::env::vars_os())
}

fn ours(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Failure> {
    let ours = variables.filter_map(|(name, value)| {
        let name = name.to_string_lossy().into_owned();
        name.starts_with(config::PREFIX).then_some((name, value))
    });
    let text = |(name, value): (String, OsString)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(value) => Err(Failure::new(&errors::CONFIG_INVALID, format!("{name} is not UTF-8"))
            .why(format!("it is {value:?}"))),
    };
    ours.map(text).collect()
}

/// The settings of a node that is started so.
///
/// # Errors
/// If they cannot be read or make no sense.
pub(super) fn effective(
    args: &ServerArgs,
    global: &Global,
    env: Vec<(String, String)>,
) -> Result<Effective, Failure> {
    let named = env.iter().find(|(name, _)| name == "CRIB_CONFIG").map(|(_, value)| value);
    let named = named.filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = args.config.clone().or(named);
    Effective::load(&Sources { file, env, flags: flags(args, global)? })
}

/// Key, flag and value of all that was typed.
fn flags(args: &ServerArgs, global: &Global) -> Result<Vec<(String, String, String)>, Failure> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let format = args.log_format.and_then(|format| clap::ValueEnum::to_possible_value(&format));
    let labels = (!args.labels.is_empty()).then(|| args.labels.join(","));
    let given = [
        ("data-dir", "--data-dir", args.data_dir.clone()),
        ("listen", "--listen", args.listen.clone()),
        ("advertise", "--advertise", args.advertise.clone()),
        ("http.listen", "--http", args.http.clone()),
        ("roles", "--roles", args.roles.clone()),
        ("founders", "--founders", args.founders.clone()),
        ("join", "--join", args.join.clone()),
        ("cluster-token", "--cluster-token", args.cluster_token.clone()),
        ("api-version", "--api-version", args.api_version.clone()),
        ("replicas", "--replicas", args.replicas.clone()),
        ("labels", "--label", labels),
        ("log.level", "--log-level", args.log_level.clone()),
        ("log.format", "--log-format", format.map(|format| format.get_name().to_owned())),
        ("tls.ca", "--cacert", path(&global.cacert)),
        ("tls.cert", "--cert", path(&global.cert)),
        ("tls.key", "--key", path(&global.tls_key)),
    ];
    let mut flags: Vec<(String, String, String)> = given
        .into_iter()
        .filter_map(|(key, flag, value)| Some((key.to_owned(), flag.to_owned(), value?)))
        .collect();
    for set in &args.set {
        let (key, value) = set.split_once('=').ok_or_else(|| {
            Failure::new(&errors::USAGE, format!("--set {set} has no value"))
                .next("write it as --set raft.election-timeout=2s")
        })?;
        flags.push((key.to_owned(), "--set".to_owned(), value.to_owned()));
    }
    Ok(flags)
}

fn with_origins(effective: &Effective) -> Value {
    let values = effective.values();
    effective
        .origins
        .iter()
        .map(|(key, origin)| {
            let value = values.get(key).cloned().unwrap_or_default();
            (key.clone(), json!({ "value": value, "origin": origin.to_string() }))
        })
        .collect()
}

fn table(effective: &Effective) -> Table {
    let values = effective.values();
    let mut table = Table::new(&["KEY", "VALUE", "ORIGIN"]);
    for (key, origin) in &effective.origins {
        let value = values.get(key).map(shown).unwrap_or_default();
        table.row([key.clone(), value, origin.to_string()]);
    }
    table
}

/// A file with all of them.
fn toml(values: &BTreeMap<String, Value>) -> String {
    by_section(|key, name| {
        let value = values.get(key.name).map(shown).unwrap_or_default();
        format!("{name} = {value}\n")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Cli, Command};
    use super::*;

    fn load(words: &[&str], env: &[(&str, &str)]) -> Result<Effective, Failure> {
        let cli = Cli::try_parse_from(["crib", "server"].iter().chain(words)).unwrap();
        let Command::Server(args) = cli.command else { panic!("another command") };
        let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        effective(&args, &cli.global, env)
    }

    #[test]
    fn flags_set_their_keys_and_keep_their_names_as_origins() {
        let words = ["--listen", "127.0.0.1:1", "--http", "127.0.0.1:2", "--label", "zone=b"];
        let more = ["--label", "rack=7", "--set", "raft.workers=4", "--replicas", "1"];
        let all: Vec<&str> = words.into_iter().chain(more).collect();
        let effective = load(&all, &[("CRIB_REPLICAS", "5"), ("CRIB_DATA_DIR", "/d")]).unwrap();
        assert_eq!(
            table(&effective).plain(),
            "KEY           VALUE                       ORIGIN\n\
             data-dir      \"/d\"                        environment CRIB_DATA_DIR\n\
             http.listen   \"127.0.0.1:2\"               flag --http\n\
             labels        { rack = \"7\", zone = \"b\" }  flag --label\n\
             listen        \"127.0.0.1:1\"               flag --listen\n\
             raft.workers  4                           flag --set\n\
             replicas      1                           flag --replicas\n"
        );
        assert_eq!(with_origins(&effective)["replicas"]["value"], 1);
    }

    #[test]
    fn settings_that_are_printed_can_be_read() {
        let effective = load(&["--replicas", "5"], &[]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("crib.toml");
        std::fs::write(&file, toml(&effective.values())).unwrap();
        let again = Effective::load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
        assert_eq!(again.config, effective.config);
    }

    #[test]
    fn set_without_a_value_is_refused() {
        assert_eq!(load(&["--set", "replicas"], &[]).unwrap_err().entry, &errors::USAGE);
    }

    #[test]
    fn variables_of_others_are_not_looked_at_whatever_is_in_them() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = || OsString::from_vec(vec![0xff]);
        let foreign = [(odd(), "1".into()), ("PATH".into(), odd())];
        assert_eq!(ours(foreign.into_iter()).unwrap(), []);
        let failure = ours([("CRIB_DATA_DIR".into(), odd())].into_iter()).unwrap_err();
        assert_eq!(failure.entry, &errors::CONFIG_INVALID);
        assert!(failure.what.contains("CRIB_DATA_DIR is not UTF-8"), "{failure}");
    }
}
