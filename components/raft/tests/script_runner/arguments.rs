//! Reading the arguments of a command: peers, positions, instants, members.
//!
//! Every reader takes the text and says what it expected. A script that is wrong stops its test.

use std::error::Error;
use std::str::FromStr;

use goldenscript::ArgumentConsumer;
use raft::{Change, Member, Membership, Seat, Stamp};
use types::{EntryId, Index, PeerId, Term};

pub(crate) type Failure = Box<dyn Error>;

/// `1` or `p1`.
pub(crate) fn peer(text: &str) -> Result<PeerId, Failure> {
    let digits = text.strip_prefix('p').unwrap_or(text);
    let id = digits.parse().ok().and_then(PeerId::new);
    id.ok_or_else(|| format!("`{text}` is no peer, write 1 or p1").into())
}

/// `5@2`: the entry of term 2 in slot 5.
pub(crate) fn entry(text: &str) -> Result<EntryId, Failure> {
    let (index, term) = text.split_once('@').ok_or("an entry is written 5@2")?;
    Ok(EntryId::new(Term(term.parse()?), Index(index.parse()?)))
}

/// `10100` or `10100+2`: milliseconds and nanoseconds.
pub(crate) fn stamp(text: &str) -> Result<Stamp, Failure> {
    let (millis, nanos) = text.split_once('+').unwrap_or((text, "0"));
    Ok(Stamp(millis.parse::<u64>()? * 1_000_000 + nanos.parse::<u64>()?))
}

/// `v4`, `l5`, `r2`: set as voter, set as learner, remove.
pub(crate) fn change(text: &str) -> Result<Change, Failure> {
    let expected = || format!("`{text}` is no change, write v4, l5 or r2");
    let (kind, id) = text.split_at_checked(1).ok_or_else(expected)?;
    let id = peer(id)?;
    match kind {
        "v" => Ok(Change::Set(id, Seat::Voter)),
        "l" => Ok(Change::Set(id, Seat::Learner)),
        "w" => Ok(Change::Set(id, Seat::Witness)),
        "r" => Ok(Change::Remove(id)),
        _ => Err(expected().into()),
    }
}

/// A membership at rest of the peers that are set.
pub(crate) fn members(changes: &[Change]) -> Result<Membership, Failure> {
    let set = |change: &Change| match *change {
        Change::Set(id, seat) => Some(Member::new(id, seat)),
        Change::Remove(_) => None,
    };
    let members: Vec<Member> = changes.iter().filter_map(set).collect();
    Membership::new(&members).map_err(|why| why.to_string().into())
}

/// The arguments of one command.
pub(crate) struct Args<'a>(pub ArgumentConsumer<'a>);

impl<'a> Args<'a> {
    /// The next argument without a key.
    pub(crate) fn word(&mut self, what: &str) -> Result<&'a str, Failure> {
        self.0.next_pos().ok_or_else(|| format!("{what} is missing").into())
    }

    /// All remaining arguments without a key.
    pub(crate) fn words(&mut self) -> Vec<&'a str> {
        std::iter::from_fn(|| self.0.next_pos()).collect()
    }

    pub(crate) fn peer(&mut self) -> Result<PeerId, Failure> {
        peer(self.word("a peer")?)
    }

    /// The value of a key, read as a number or whatever `T` is.
    pub(crate) fn key<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, Failure> {
        match self.0.take_key(key) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(format!("{key}={text} cannot be read").into()),
            },
        }
    }

    /// The value of a key, as it stands.
    pub(crate) fn text(&mut self, key: &str) -> Option<&'a str> {
        self.0.take_key(key)
    }

    /// Refuses arguments that nobody asked for.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        self.0.reject_next()
    }
}
