//! Reading the arguments of a command. A script that is wrong stops its test.

use std::error::Error;
use std::str::FromStr;

use goldenscript::ArgumentConsumer;
use types::{GroupId, PeerId, PeerRole, RegionPeer, StoreId};

pub(crate) type Failure = Box<dyn Error>;

/// The arguments of a line.
pub(crate) struct Args<'a>(pub(crate) ArgumentConsumer<'a>);

impl Args<'_> {
    pub(crate) fn word(&mut self) -> Option<String> {
        self.0.next_pos().map(str::to_owned)
    }

    pub(crate) fn must(&mut self) -> Result<String, Failure> {
        self.word().ok_or_else(|| "something is missing".into())
    }

    pub(crate) fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.word()).collect()
    }

    /// The value of a key, read as a number or whatever `T` is.
    pub(crate) fn key<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.0.take_key(key) else { return Ok(None) };
        let value = text.parse().ok().ok_or_else(|| format!("{key}={text} cannot be read"))?;
        Ok(Some(value))
    }

    /// The parts of a key's value, between commas.
    pub(crate) fn list(&mut self, key: &str) -> Result<Vec<String>, Failure> {
        let text: Option<String> = self.key(key)?;
        Ok(text.map_or(Vec::new(), |text| text.split(',').map(str::to_owned).collect()))
    }

    pub(crate) fn group(&mut self) -> Result<GroupId, Failure> {
        group(self.must()?.parse()?)
    }

    pub(crate) fn store(&mut self) -> Result<StoreId, Failure> {
        store(&self.must()?)
    }
}

pub(crate) fn group(id: u64) -> Result<GroupId, Failure> {
    GroupId::new(id).ok_or_else(|| "region 0".into())
}

pub(crate) fn store(text: &str) -> Result<StoreId, Failure> {
    StoreId::new(text.parse()?).ok_or_else(|| "store 0".into())
}

pub(crate) fn peer_id(text: &str) -> Result<PeerId, Failure> {
    PeerId::new(text.parse()?).ok_or_else(|| "peer 0".into())
}

/// `11@1`, `l11@1`, `i11@1`, `d11@1`.
pub(crate) fn peer(text: &str) -> Result<RegionPeer, Failure> {
    let role = match text.as_bytes().first() {
        Some(b'l') => PeerRole::Learner,
        Some(b'i') => PeerRole::Incoming,
        Some(b'd') => PeerRole::Demoting,
        _ => PeerRole::Voter,
    };
    let (id, on) = text.trim_start_matches(char::is_alphabetic).split_once('@').ok_or("11@1")?;
    Ok(RegionPeer { id: peer_id(id)?, store: store(on)?, role })
}

pub(crate) fn show(peer: RegionPeer) -> String {
    let role = match peer.role {
        PeerRole::Voter => "",
        PeerRole::Learner => "l",
        PeerRole::Incoming => "i",
        PeerRole::Demoting => "d",
    };
    format!("{role}{}@{}", peer.id.get(), peer.store.get())
}
