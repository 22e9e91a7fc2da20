//! Tests of what can be typed.

use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn definition_is_consistent_and_every_command_and_flag_has_a_help() {
    let mut command = Cli::command();
    command.build();
    command.clone().debug_assert();
    let mut left = vec![&command];
    while let Some(command) = left.pop() {
        let name = command.get_name();
        assert!(command.get_about().is_some() || name == "help", "{name} has no help");
        for argument in command.get_arguments() {
            let id = argument.get_id();
            assert!(argument.get_help().is_some(), "{id} of {name} has no help");
        }
        left.extend(command.get_subcommands().filter(|command| command.get_name() != "help"));
    }
}

#[test]
fn every_command_parses() {
    for line in [
        "crib demo",
        "crib demo --nodes 5 --data-dir /tmp/x --port-base 7000 --http-base 7100 -o json",
        "crib server --config /etc/crib/crib.toml",
        "crib server --data-dir d --listen a:1 --founders a:1,b:1,c:1 --exit-with-parent",
        "crib kv get hello --show-ttl --hex",
        "crib kv put hello world --ttl 10s",
        "crib kv put hello -",
        "crib kv del a b c",
        "crib kv delete --prefix user/",
        "crib kv scan",
        "crib kv scan a b --limit 0 --reverse --keys-only --base64",
        "crib kv scan --prefix user/ -o raw",
        "crib kv cas hello new --expect old",
        "crib kv cas hello new --absent",
        "crib status -o json --exit-when-healthy --timeout 30s",
        "crib store list --all",
        "crib stores show 1",
        "crib store drain 3 --dry-run",
        "crib store drain 3 --wait",
        "crib store undrain 3",
        "crib store remove 3",
        "crib region list --limit 0",
        "crib region show 4",
        "crib region find hello --escaped",
        "crib region split 4",
        "crib region split --at a --at b",
        "crib region transfer-leader 4 --to 2",
        "crib region watch",
        "crib operator list --all",
        "crib explain region 4",
        "crib explain store 1",
        "crib explain error",
        "crib explain error CRIB-E1001",
        "crib config default",
        "crib config check crib.toml",
        "crib config show --origins -o json --listen a:1",
        "crib bench put",
        "crib bench get --clients 16 --duration 30s --warmup 5s --records 1000 -o json",
        "crib bench scan --length 10 --prefix load/ --distribution sequential",
        "crib bench mixed --read-share 90 --rate 20000 --value-size 1KiB --allow-errors",
        "crib bench cas --seed 7 --unary --report bench.html --json bench.json --fsync-dir /tmp",
        "crib bench ycsb --workload f --distribution latest",
        "crib bench ycsb --target etcd --endpoints a:1,b:2 --timeout 1s",
        "crib bench verify",
        "crib bench verify --duration 10s --writers 4 --readers 2 --keys 100 --seed 7 --nodes 4",
        "crib bench verify --faults kill,kill-all,pause,restart,transfer,split,drain -o json",
        "crib bench verify --faults none --report r.html --history h.jsonl",
        "crib bench verify --against a:1,b:2 --regions 8",
        "crib version",
        "crib completion bash",
        "crib --endpoints a:1,b:2 -q -v kv get hello --color never",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for line in [
        "crib kv get",
        "crib kv get a --hex --base64",
        "crib kv put a",
        "crib kv put a b --ttl 10",
        "crib kv del",
        "crib kv del a --prefix b",
        "crib kv cas a b",
        "crib kv cas a b --expect c --absent",
        "crib kv scan a --prefix b",
        "crib store drain 1 --dry-run --wait",
        "crib store show one",
        "crib region split",
        "crib region transfer-leader 4",
        "crib status --timeout soon",
        "crib status -o yaml",
        "crib demo --nodes 0",
        "crib bench",
        "crib bench put --clients 0",
        "crib bench get --rate 0",
        "crib bench get --rate 1000000000",
        "crib bench mixed --read-share 101",
        "crib bench ycsb --workload g",
        "crib bench put --target consul",
        "crib bench get --value-size 256",
        "crib bench verify --faults fire",
        "crib bench verify --against a:1 --nodes 3",
        "crib completion dos",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn misspelt_command_is_told_what_was_meant() {
    let error = parse("crib kv scna").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSubcommand);
    assert!(error.to_string().contains("'scan'"), "{error}");
    let error = parse("crib status --endpoint a:1").unwrap_err();
    assert!(error.to_string().contains("--endpoints"), "{error}");
}

#[test]
fn raw_is_for_values_alone() {
    let cli = parse("crib version -o raw").unwrap();
    let output = Output::new(&cli.global, |_| None).unwrap();
    assert_eq!(dispatch(cli, &output).unwrap_err().entry, &errors::USAGE);
}

#[test]
fn completion_knows_commands() {
    let mut script = Vec::new();
    clap_complete::generate(clap_complete::Shell::Bash, &mut Cli::command(), "crib", &mut script);
    let script = String::from_utf8(script).unwrap();
    assert!(script.contains("transfer-leader"));
}

#[test]
fn errors_are_explained_whatever_is_wrong_with_the_way_to_a_cluster() {
    let cli = parse("crib explain error E1005 --cacert /missing --quiet").unwrap();
    let output = Output::new(&cli.global, |_| None).unwrap();
    dispatch(cli, &output).unwrap();
    let cli = parse("crib status --cacert /missing").unwrap();
    assert_eq!(dispatch(cli, &output).unwrap_err().entry, &errors::TLS_FILES);
}
