//! What clients asked and were told: one record an operation, and as lines of JSON.
//!
//! Every write has a value of its own, which names the write and says which version of its key it
//! is. So what is read names its write, and the order of a key's writes is in the history itself:
//! no store has to be asked for it.
//!
//! Invariant: a client that does not know how its write ended does nothing more under its number;
//! whoever goes on is another client. So the operations of a client follow each other.
//!
//! Not here: how operations are chosen (`workload`), what is right (`check`).

use std::fmt;
use std::io::{self, BufRead, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a key's name says of how it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Many clients swap it: each raises the version that it has read.
    Shared(u32),
    /// One client puts rising versions, and gives the key up when an outcome is not known.
    Owned(u32),
    /// Written once, by this client with this operation.
    Log(u32, u32),
}

/// What is written. There is one write with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// Which one of its key; the first is one.
    pub version: u64,
    /// Who writes it.
    pub client: u32,
    /// With which of its operations.
    pub seq: u32,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// What is there?
    Read,
    /// Let it be this.
    Put(Value),
    /// Let it be this if it is that.
    Swap {
        /// What must be there; none for nothing.
        expected: Option<Value>,
        /// What is to be there.
        new: Value,
    },
}

/// What was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Of a read: what is there.
    Found(Option<Value>),
    /// Of a put: it is done.
    Done,
    /// Of a swap: it is done, and this was there.
    Swapped(Option<Value>),
    /// Of a swap: it is not done, for this is there.
    Unequal(Option<Value>),
    /// It is not done, and will not be.
    No,
    /// Nobody knows: it may be done, or be done later.
    Maybe,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who did it.
    pub client: u32,
    /// Which of its operations.
    pub seq: u32,
    /// Of which key.
    pub key: Key,
    /// When it was asked, in nanoseconds of a clock that all clients share.
    pub call: u64,
    /// When the answer was there; none if the answer is [`Told::Maybe`].
    pub ret: Option<u64>,
    /// What was asked.
    pub asked: Asked,
    /// What was told.
    pub told: Told,
}

/// A record as a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    client: u32,
    seq: u32,
    key: String,
    call: u64,
    ret: Option<u64>,
    op: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expect: Option<String>,
    result: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    found: Option<String>,
}

impl Value {
    /// What stands for a value that was found and is none of ours.
    pub const FOREIGN: Value = Value { version: u64::MAX, client: u32::MAX, seq: u32::MAX };

    /// As it is stored: this many bytes, or as many as it needs.
    #[must_use]
    pub fn stored(self, bytes: usize) -> Vec<u8> {
        let mut text = format!("{self} ").into_bytes();
        text.resize(text.len().max(bytes), b'.');
        text
    }

    /// What was stored in so many bytes; [`Value::FOREIGN`] if it is not ours to the last byte.
    #[must_use]
    pub fn read(stored: &[u8], bytes: usize) -> Value {
        let text = stored.split(|&byte| byte == b' ').next().unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        let value: Value = text.parse().unwrap_or(Value::FOREIGN);
        if value.stored(bytes) == stored { value } else { Value::FOREIGN }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.version, self.client, self.seq)
    }
}

impl FromStr for Value {
    type Err = String;

    fn from_str(text: &str) -> Result<Value, String> {
        let read = || -> Option<Value> {
            let mut parts = text.split('.');
            let value = Value {
                version: parts.next()?.parse().ok()?,
                client: parts.next()?.parse().ok()?,
                seq: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(value)
        };
        read().ok_or_else(|| format!("`{text}` is not a value: VERSION.CLIENT.SEQ"))
    }
}

impl Key {
    /// Two hexadecimal digits that spread keys over the whole range of a run.
    #[must_use]
    pub fn spread(self) -> u8 {
        let number = match self {
            Key::Shared(number) => u64::from(number),
            Key::Owned(number) => u64::from(number) + (1 << 40),
            Key::Log(client, seq) => u64::from(client) << 32 | u64::from(seq),
        };
        // The high bits of a product with an odd number: neighbours lie far apart.
        let mixed = (number ^ number >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed.to_be_bytes()[0]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spread = self.spread();
        match self {
            Key::Shared(number) => write!(f, "{spread:02x}/shared/{number}"),
            Key::Owned(number) => write!(f, "{spread:02x}/owned/{number}"),
            Key::Log(client, seq) => write!(f, "{spread:02x}/log/{client}.{seq}"),
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Key, String> {
        let read = || -> Option<Key> {
            let (_, rest) = text.split_once('/')?;
            let (kind, number) = rest.split_once('/')?;
            match kind {
                "shared" => Some(Key::Shared(number.parse().ok()?)),
                "owned" => Some(Key::Owned(number.parse().ok()?)),
                "log" => {
                    let (client, seq) = number.split_once('.')?;
                    Some(Key::Log(client.parse().ok()?, seq.parse().ok()?))
                }
                _ => None,
            }
        };
        let key = read().filter(|key| key.to_string() == text);
        key.ok_or_else(|| format!("`{text}` is not a key of a history"))
    }
}

impl Record {
    /// The value that it writes, if it is done.
    #[must_use]
    pub fn writes(&self) -> Option<Value> {
        match self.asked {
            Asked::Read => None,
            Asked::Put(value) | Asked::Swap { new: value, .. } => Some(value),
        }
    }

    fn line(&self) -> Line {
        let text = |value: Option<Value>| value.map(|value| value.to_string());
        let (op, value, expect) = match self.asked {
            Asked::Read => ("read", None, None),
            Asked::Put(value) => ("put", Some(value), None),
            Asked::Swap { expected, new } => ("swap", Some(new), expected),
        };
        let (result, found) = match self.told {
            Told::Found(found) => ("found", found),
            Told::Done => ("done", None),
            Told::Swapped(found) => ("swapped", found),
            Told::Unequal(found) => ("unequal", found),
            Told::No => ("no", None),
            Told::Maybe => ("maybe", None),
        };
        Line {
            client: self.client,
            seq: self.seq,
            key: self.key.to_string(),
            call: self.call,
            ret: self.ret,
            op: op.to_owned(),
            value: text(value),
            expect: text(expect),
            result: result.to_owned(),
            found: text(found),
        }
    }

    fn of(line: &Line) -> Result<Record, String> {
        let value = |text: &Option<String>| text.as_deref().map(Value::from_str).transpose();
        let (new, expected, found) =
            (value(&line.value)?, value(&line.expect)?, value(&line.found)?);
        let asked = match (line.op.as_str(), new) {
            ("read", None) => Asked::Read,
            ("put", Some(new)) => Asked::Put(new),
            ("swap", Some(new)) => Asked::Swap { expected, new },
            (op, _) => return Err(format!("`{op}` with this value is no operation")),
        };
        let told = match (line.result.as_str(), asked) {
            ("found", Asked::Read) => Told::Found(found),
            ("done", Asked::Put(_)) => Told::Done,
            ("swapped", Asked::Swap { .. }) => Told::Swapped(found),
            ("unequal", Asked::Swap { .. }) => Told::Unequal(found),
            ("no", _) => Told::No,
            ("maybe", _) => Told::Maybe,
            (result, _) => return Err(format!("`{result}` does not answer `{}`", line.op)),
        };
        if line.ret.is_none() != (told == Told::Maybe) {
            return Err("what has an answer has its time, and nothing else has".to_owned());
        }
        if line.ret.is_some_and(|ret| ret < line.call) {
            return Err("the answer is before the question".to_owned());
        }
        let key = line.key.parse()?;
        Ok(Record {
            client: line.client,
            seq: line.seq,
            key,
            call: line.call,
            ret: line.ret,
            asked,
            told,
        })
    }
}

/// Writes a history, a line for each record.
///
/// # Errors
/// If it cannot be written.
pub fn write(records: &[Record], to: &mut impl Write) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut *to, &record.line())?;
        to.write_all(b"\n")?;
    }
    to.flush()
}

/// Reads what [`write()`] has written.
///
/// # Errors
/// If it cannot be read, or a line is no record: which, and why.
pub fn read(from: impl BufRead) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for (at, line) in from.lines().enumerate() {
        let line: String = line?;
        let parsed = serde_json::from_str::<Line>(&line).map_err(|error| error.to_string());
        let record = parsed.and_then(|line| Record::of(&line));
        records.push(record.map_err(|why| {
            io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {why}", at + 1))
        })?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Value = Value { version: 1, client: 2, seq: 3 };
    const TWO: Value = Value { version: 2, client: 4, seq: 0 };

    fn record(key: Key, ret: Option<u64>, asked: Asked, told: Told) -> Record {
        Record { client: 4, seq: 9, key, call: 10, ret, asked, told }
    }

    #[test]
    fn history_is_read_as_it_was_written() {
        let swap = Asked::Swap { expected: Some(ONE), new: TWO };
        let records = [
            record(Key::Shared(7), Some(20), Asked::Read, Told::Found(None)),
            record(Key::Shared(7), Some(20), Asked::Read, Told::Found(Some(ONE))),
            record(Key::Owned(7), Some(20), Asked::Put(ONE), Told::Done),
            record(Key::Log(4, 9), None, Asked::Put(ONE), Told::Maybe),
            record(Key::Shared(8), Some(10), swap, Told::Swapped(Some(ONE))),
            record(Key::Shared(8), Some(20), swap, Told::Unequal(None)),
            record(Key::Shared(8), Some(20), Asked::Swap { expected: None, new: TWO }, Told::No),
        ];
        let mut bytes = Vec::new();
        write(&records, &mut bytes).unwrap();
        assert_eq!(read(&bytes[..]).unwrap(), records);
        let first = String::from_utf8(bytes).unwrap().lines().nth(1).unwrap().to_owned();
        assert_eq!(
            first,
            format!(
                "{{\"client\":4,\"seq\":9,\"key\":\"{}\",\"call\":10,\"ret\":20,\
                 \"op\":\"read\",\"result\":\"found\",\"found\":\"1.2.3\"}}",
                Key::Shared(7)
            )
        );
    }

    #[test]
    fn what_is_no_history_is_refused_with_its_line() {
        let good = "{\"client\":1,\"seq\":1,\"key\":\"KEY\",\"call\":5,\"ret\":6,\
                    \"op\":\"read\",\"result\":\"found\"}"
            .replace("KEY", &Key::Owned(1).to_string());
        let wrong = |from: &str, to: &str| {
            let text = format!("{good}\n{}\n", good.replace(from, to));
            read(text.as_bytes()).unwrap_err().to_string()
        };
        assert_eq!(read(good.as_bytes()).unwrap().len(), 1);
        for (from, to, why) in [
            ("\"ret\":6", "\"ret\":4", "before the question"),
            ("\"ret\":6", "\"ret\":null", "has its time"),
            ("\"found\"", "\"done\"", "does not answer"),
            ("owned", "owed", "not a key"),
            ("\"read\"", "\"put\"", "no operation"),
            ("\"seq\"", "\"sek\"", "unknown field"),
        ] {
            let told = wrong(from, to);
            assert!(told.starts_with("line 2: ") && told.contains(why), "{told}");
        }
    }

    #[test]
    fn stored_values_are_told_from_foreign_ones() {
        assert_eq!(Value::read(&ONE.stored(64), 64), ONE);
        assert_eq!((ONE.stored(64).len(), ONE.stored(0).len()), (64, 6));
        for foreign in [&b""[..], b"1.2", b"1.2.3.4", b"oak", b"\xff", b"1.2.-3"] {
            assert_eq!(Value::read(foreign, 0), Value::FOREIGN);
        }
        // One that was cut off, and one of which a bit was turned where nobody looks.
        let mut turned = ONE.stored(64);
        assert_eq!(Value::read(&turned[..63], 64), Value::FOREIGN);
        turned[60] ^= 1;
        assert_eq!(Value::read(&turned, 64), Value::FOREIGN);
    }

    #[test]
    fn keys_are_spread() {
        let mut counts = [0; 16];
        for number in 0..1_600 {
            counts[usize::from(Key::Log(3, number).spread() >> 4)] += 1;
        }
        assert!(counts.iter().all(|&count| count > 50), "{counts:?}");
    }
}
