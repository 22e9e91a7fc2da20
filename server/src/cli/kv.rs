//! `crib kv …`: keys and values.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;

use bytes::Bytes;
use client::{Client, Fate, Lifetime, ScanOptions};
use serde_json::json;
use types::KeyRange;

use super::args::{Coding, Form, Kv, ScanArgs};
use super::bytes::end_of_prefix;
use super::connect::Target;
use super::output::{Output, Table, seconds};
use crate::config::Span;
use crate::errors::{self, Failure};

/// Rows that are printed at a time; their columns are aligned.
const ROWS: usize = 1_000;

/// Does what a command says.
///
/// # Errors
/// What went wrong, and what that means for the data.
pub(super) async fn run(command: Kv, target: &Target, output: &Output) -> Result<(), Failure> {
    match command {
        Kv::Get { key, show_ttl, coding } => {
            let key = coding.read(&key)?;
            get(&connect(target).await?, &key, show_ttl, coding, output).await
        }
        Kv::Put { key, value, ttl, coding } => {
            let (key, value) = (coding.read(&key)?, read_value(&value, coding)?);
            let client = connect(target).await?;
            match ttl {
                None => client.put(key, value).await?,
                Some(ttl) => client.put_with_ttl(key, value, ttl.get()).await?,
            }
            output.done()
        }
        Kv::Del { keys, prefix, coding } => del(&keys, prefix, coding, target, output).await,
        Kv::Scan(args) => scan(args, target, output).await,
        Kv::Cas { key, value, expect, absent: _, ttl, coding } => {
            let (key, value) = (coding.read(&key)?, read_value(&value, coding)?);
            let expected = expect.map(|expected| coding.read(&expected)).transpose()?;
            let client = connect(target).await?;
            let swap = Swap { key, expected: expected.map(Bytes::from), value, ttl };
            cas(&client, swap, coding, output).await
        }
    }
}

async fn connect(target: &Target) -> Result<Client, Failure> {
    Ok(target.client().await?.0)
}

/// A value that was typed, or all of standard input.
fn read_value(typed: &OsStr, coding: Coding) -> Result<Bytes, Failure> {
    if typed != "-" {
        return coding.read(typed).map(Bytes::from);
    }
    let mut value = Vec::new();
    std::io::stdin().lock().read_to_end(&mut value).map_err(|error| {
        Failure::new(&errors::OUTPUT_FAILED, "cannot read standard input").why(error.to_string())
    })?;
    Ok(Bytes::from(value))
}

async fn get(
    client: &Client,
    key: &[u8],
    show_ttl: bool,
    coding: Coding,
    output: &Output,
) -> Result<(), Failure> {
    let Some(value) = client.get(key).await? else {
        let what = format!("key not found: {}", coding.show(key));
        return Err(Failure::new(&errors::KEY_NOT_FOUND, what));
    };
    let left = match show_ttl {
        false => None,
        true => match client.get_ttl(key).await? {
            Some(Lifetime::Forever) => None,
            Some(Lifetime::Left(left)) => Some(left.as_secs()),
            None => {
                let what = format!("key not found: {}: it ended just now", coding.show(key));
                return Err(Failure::new(&errors::KEY_NOT_FOUND, what));
            }
        },
    };
    if output.form == Form::Raw {
        return output.bytes(&value);
    }
    let mut object = json!({
        "key": coding.show(key), "value": coding.show(&value), "encoding": coding.name(),
    });
    if show_ttl {
        object["ttl_seconds"] = json!(left);
    }
    output.data(&object, || {
        let mut text = coding.show(&value) + "\n";
        if show_ttl {
            let lives = left.map_or_else(|| "for ever".to_owned(), seconds);
            text += &format!("lives {lives}\n");
        }
        text
    })
}

async fn del(
    keys: &[OsString],
    prefix: Option<OsString>,
    coding: Coding,
    target: &Target,
    output: &Output,
) -> Result<(), Failure> {
    let keys: Vec<Vec<u8>> =
        keys.iter().map(|key| coding.read(key)).collect::<Result<_, Failure>>()?;
    let prefix = prefix.map(|prefix| coding.read(&prefix)).transpose()?;
    let client = connect(target).await?;
    for (nth, key) in keys.iter().enumerate() {
        client.delete(key).await.map_err(|error| partly_deleted(nth, keys.len(), error))?;
    }
    if let Some(prefix) = prefix {
        let end = end_of_prefix(&prefix);
        let removed = client.delete_range(&KeyRange::new(prefix, end)).await;
        removed.map_err(|error| partly_deleted(keys.len(), keys.len(), error))?;
    }
    output.done()
}

/// What went wrong when some keys had been deleted: then it is not so that nothing happened.
fn partly_deleted(deleted: usize, keys: usize, error: client::Error) -> Failure {
    let is_known = error.fate() != Fate::Unknown;
    let failure = Failure::from(error);
    if deleted == 0 {
        return failure;
    }
    let what = match (deleted == keys, is_known) {
        (true, true) => "the keys were deleted, and nothing of what has the prefix".to_owned(),
        (true, false) => "the keys were deleted, and perhaps a part of what has the prefix".into(),
        (false, true) => format!("{deleted} of {keys} keys were deleted, and then no more"),
        (false, false) => format!("{deleted} of {keys} keys were deleted, perhaps one more"),
    };
    let partly = Failure::new(&errors::OUTCOME_UNKNOWN, what).why(failure.what);
    failure.why.into_iter().fold(partly, Failure::why)
}

struct Swap {
    key: Vec<u8>,
    expected: Option<Bytes>,
    value: Bytes,
    ttl: Option<Span>,
}

async fn cas(client: &Client, swap: Swap, coding: Coding, output: &Output) -> Result<(), Failure> {
    let Swap { key, expected, value, ttl } = swap;
    let done = match ttl {
        None => client.compare_and_swap(&key, expected.clone(), value).await?,
        Some(ttl) => {
            client.compare_and_swap_with_ttl(&key, expected.clone(), value, ttl.get()).await?
        }
    };
    if done.is_swapped {
        return output.done();
    }
    let shown = |value: &Option<Bytes>| {
        value.as_ref().map_or_else(|| "no value".to_owned(), |value| coding.show(value))
    };
    let what = format!("the condition does not hold for {}", coding.show(&key));
    Err(Failure::new(&errors::CONDITION_FAILED, what)
        .why(format!("expected {}", shown(&expected)))
        .why(format!("found {}", shown(&done.previous))))
}

async fn scan(args: ScanArgs, target: &Target, output: &Output) -> Result<(), Failure> {
    let coding = args.coding;
    let read = |key: Option<OsString>| key.map_or_else(|| Ok(Vec::new()), |key| coding.read(&key));
    let range = match args.prefix {
        None => KeyRange::new(read(args.start)?, read(args.end)?),
        Some(prefix) => {
            let prefix = coding.read(&prefix)?;
            let end = end_of_prefix(&prefix);
            KeyRange::new(prefix, end)
        }
    };
    let options = ScanOptions {
        // One more than is printed tells whether there is more.
        limit: (args.limit > 0).then(|| args.limit.saturating_add(1)),
        is_reverse: args.reverse,
        is_keys_only: args.keys_only,
        ..ScanOptions::default()
    };
    let client = connect(target).await?;
    let mut scan = client.scan(&range, options);
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut rows = Rows { coding, has_values: !args.keys_only, pairs: Vec::new(), has_head: false };
    let mut count = 0;
    while let Some(pair) = scan.next().await? {
        if count == limit {
            rows.flush(output)?;
            output.note(&format!("there are more keys than {limit}; --limit 0 for all"));
            return Ok(());
        }
        count += 1;
        rows.pairs.push(pair);
        if rows.pairs.len() == ROWS {
            rows.flush(output)?;
        }
    }
    rows.flush(output)
}

/// Pairs that are not printed yet.
struct Rows {
    coding: Coding,
    has_values: bool,
    pairs: Vec<(Bytes, Bytes)>,
    has_head: bool,
}

impl Rows {
    fn flush(&mut self, output: &Output) -> Result<(), Failure> {
        let pairs = std::mem::take(&mut self.pairs);
        match output.form {
            Form::Json => output.text(&self.lines(&pairs)),
            Form::Raw => output.bytes(&self.raw(&pairs)),
            Form::Table if pairs.is_empty() => Ok(()),
            Form::Table => {
                let table = output.table(&self.table(&pairs));
                // Only the first of many has a head.
                let skipped = if self.has_head { 1 } else { 0 };
                self.has_head = true;
                let lines: String = table.split_inclusive('\n').skip(skipped).collect();
                output.text(&lines)
            }
        }
    }

    fn table(&self, pairs: &[(Bytes, Bytes)]) -> Table {
        let mut table = Table::new(if self.has_values { &["KEY", "VALUE"] } else { &["KEY"] });
        for (key, value) in pairs {
            let key = self.coding.show(key);
            if self.has_values {
                table.row([key, self.coding.show(value)]);
            } else {
                table.row([key]);
            }
        }
        table
    }

    fn lines(&self, pairs: &[(Bytes, Bytes)]) -> String {
        let line = |(key, value): &(Bytes, Bytes)| {
            let mut object =
                json!({ "key": self.coding.show(key), "encoding": self.coding.name() });
            if self.has_values {
                object["value"] = json!(self.coding.show(value));
            }
            format!("{object}\n")
        };
        pairs.iter().map(line).collect()
    }

    fn raw(&self, pairs: &[(Bytes, Bytes)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in pairs {
            bytes.extend_from_slice(key);
            if self.has_values {
                bytes.push(b'\t');
                bytes.extend_from_slice(value);
            }
            bytes.push(b'\n');
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(has_values: bool) -> (Rows, Vec<(Bytes, Bytes)>) {
        let coding = Coding::default();
        let pairs = vec![
            (Bytes::from("a"), Bytes::from("oak")),
            (Bytes::from("bridge\0"), Bytes::from("l\\arch")),
        ];
        (Rows { coding, has_values, pairs: Vec::new(), has_head: false }, pairs)
    }

    #[test]
    fn keys_that_were_deleted_are_told_also_if_others_were_not() {
        let timeout = || client::Error::Timeout {
            budget: std::time::Duration::from_secs(5),
            last: "no leader".to_owned(),
        };
        assert_eq!(partly_deleted(0, 2, timeout()).entry, &errors::TIMED_OUT);
        let partly = partly_deleted(1, 2, timeout());
        assert_eq!(partly.entry, &errors::OUTCOME_UNKNOWN);
        assert!(partly.what.starts_with("1 of 2 keys were deleted"), "{partly}");
        assert!(partly.why.iter().any(|why| why.contains("no leader")), "{partly}");
        let prefix = partly_deleted(2, 2, timeout());
        assert!(prefix.what.contains("nothing of what has the prefix"), "{prefix}");
        let lost = || client::Error::Undetermined("no answer".to_owned());
        assert!(partly_deleted(1, 2, lost()).what.contains("perhaps one more"));
        assert!(partly_deleted(2, 2, lost()).what.contains("perhaps a part"));
    }

    #[test]
    fn pairs_are_shown_as_table_lines_and_raw() {
        let (with, pairs) = rows(true);
        assert_eq!(
            with.table(&pairs).plain(),
            "KEY         VALUE\na           oak\nbridge\\x00  l\\\\arch\n"
        );
        assert_eq!(
            with.lines(&pairs[..1]),
            "{\"encoding\":\"escaped\",\"key\":\"a\",\"value\":\"oak\"}\n"
        );
        assert_eq!(with.raw(&pairs), b"a\toak\nbridge\0\tl\\arch\n");
        let (without, pairs) = rows(false);
        assert_eq!(without.table(&pairs).plain(), "KEY\na\nbridge\\x00\n");
        assert_eq!(without.lines(&pairs[..1]), "{\"encoding\":\"escaped\",\"key\":\"a\"}\n");
        assert_eq!(without.raw(&pairs[..1]), b"a\n");
    }
}
