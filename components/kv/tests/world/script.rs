//! From a line of a script to what it does, and what it tells. The commands are described in
//! `tests/regions.rs`.

use std::error::Error;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command as Line};
use kv::command::{Action, Cas, Command, DeleteRange, Mutation, NewRegion};
use kv::read::{Reader, Scan, Values};
use kv::split::{SizeScan, SplitConfig};
use kv::value::Stored;
use kv::{Edge, Reply};
use multiraft::Machines as _;
use storage::{Cf, Direction};
use types::{
    ApiVersion, Epoch, Escaped, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId,
};

use crate::world::cluster::Cluster;
use crate::world::host::Host;
use crate::world::rosters::roster;

type Failure = Box<dyn Error>;

#[derive(Default)]
pub(crate) struct Runner {
    cluster: Cluster,
    now_seconds: u64,
    story: Vec<String>,
}

impl goldenscript::Runner for Runner {
    type Command = Line;

    fn run(&mut self, line: &Line, _: &goldenscript::Context) -> Result<String, Failure> {
        let mut args = Args(line.consume_args());
        let name = line.name.as_str();
        let is_known = self.set_up(name, &mut args)?
            || self.propose(name, &mut args)?
            || self.carry(name, &mut args)?
            || self.look(name, &mut args)?;
        if !is_known {
            return Err(format!("there is no command {name}").into());
        }
        args.0.reject_next()?;
        let mut told = self.story.drain(..).collect::<Vec<_>>().join("\n");
        if !told.is_empty() {
            told.push('\n');
        }
        Ok(told)
    }
}

impl Runner {
    fn set_up(&mut self, name: &str, args: &mut Args<'_>) -> Result<bool, Failure> {
        match name {
            "cluster" => {
                let mut stores = Vec::new();
                while let Some(id) = args.word() {
                    stores.push(StoreId::new(id.parse()?).ok_or("store 0")?);
                }
                self.cluster = Cluster::new(stores);
            }
            "region" => {
                let id = args.group()?;
                let start: String = args.key("start")?.unwrap_or_default();
                let end: String = args.key("end")?.unwrap_or_default();
                let mut peers = Vec::new();
                while let Some(text) = args.word() {
                    peers.push(peer(&text)?);
                }
                let range = KeyRange::new(start, end);
                let region = Region { id, range, epoch: Epoch::FIRST, peers };
                for store in self.cluster.bear(&region) {
                    self.story.push(format!("{store} has {}", show(&region)));
                }
            }
            "clock" => self.now_seconds = args.must()?.parse()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn propose(&mut self, name: &str, args: &mut Args<'_>) -> Result<bool, Failure> {
        if !matches!(
            name,
            "put" | "delete" | "cas" | "delete_range" | "garbage" | "split" | "members"
        ) {
            return Ok(false);
        }
        let group = args.group()?;
        let Some(of) = self.cluster.model.regions.get(&group) else {
            return Err(format!("there is no region {group}").into());
        };
        let mut epoch = of.region.epoch;
        epoch.version = args.key("version")?.unwrap_or(epoch.version);
        epoch.conf_ver = args.key("conf")?.unwrap_or(epoch.conf_ver);
        let action = match name {
            "garbage" => {
                self.cluster.propose_bytes(group, args.must()?.into());
                return Ok(true);
            }
            "members" => {
                let mut peers = Vec::new();
                while let Some(text) = args.word() {
                    peers.push(peer(&text)?);
                }
                let roster = roster(&peers).ok_or("nobody votes")?;
                self.cluster.change(group, roster, peers);
                return Ok(true);
            }
            "split" => {
                let mut children = Vec::new();
                while let Some(text) = args.word() {
                    children.push(child(&text)?);
                }
                Action::Split(children)
            }
            _ => self.write(name, args)?,
        };
        self.cluster.propose(group, &Command { epoch, action });
        Ok(true)
    }

    fn write(&self, name: &str, args: &mut Args<'_>) -> Result<Action, Failure> {
        let edge = Edge::new(ApiVersion::V1Ttl);
        let cf: String = args.key("cf")?.unwrap_or_default();
        let family = edge.family(&cf)?;
        let ttl: u64 = args.key("ttl")?.unwrap_or(0);
        let now_seconds = self.now_seconds;
        let expires = (ttl > 0).then(|| now_seconds + ttl);
        let put = |key: &str, value: &str| {
            let stored = Stored { expires, value: value.as_bytes() };
            Mutation::put(family, key.to_owned(), stored)
        };
        Ok(match name {
            "put" => {
                let pairs = std::iter::from_fn(|| args.0.next_key());
                Action::Write(pairs.map(|(key, value)| put(key, value)).collect())
            }
            "delete" => {
                let mut keys = Vec::new();
                while let Some(key) = args.word() {
                    keys.push(Mutation::delete(family, key));
                }
                Action::Write(keys)
            }
            "cas" => {
                let (key, expected, new) = (args.must()?, args.must()?, args.must()?);
                let mutation = match new.as_str() {
                    "none" => Mutation::delete(family, key),
                    new => put(&key, new),
                };
                let expected = (expected != "none").then(|| Bytes::from(expected));
                Action::Cas(Cas { mutation, expected, now_seconds })
            }
            _ => {
                let KeyRange { start, end } = args.range()?;
                let families = if cf.is_empty() { kv::FAMILIES.to_vec() } else { vec![family] };
                Action::DeleteRange(DeleteRange { families, start: start.into(), end: end.into() })
            }
        })
    }

    fn carry(&mut self, name: &str, args: &mut Args<'_>) -> Result<bool, Failure> {
        match name {
            "apply" => {
                let (store, group) = (args.store()?, args.group()?);
                let count = args.word().map_or(Ok(usize::MAX / 2), |text| text.parse())?;
                let applied = self.cluster.apply(store, group, count);
                for (slot, reply) in applied.replies {
                    let reply = Reply::decode(&reply)?;
                    self.story.push(format!("{store} {group}/{} {}", slot + 1, answer(&reply)));
                }
                for child in applied.spawned {
                    self.story.push(format!("{store} begins {child}"));
                }
                for child in applied.left {
                    self.story.push(format!("{store} had left {child}"));
                }
            }
            "snapshot" => {
                let (group, from, to) = (args.group()?, args.store()?, args.store()?);
                let bytes = args.key("bytes")?.unwrap_or(1024);
                let told = match self.cluster.send(group, (from, to), bytes, None) {
                    Ok(chunks) => format!("{to} has {group} by {chunks} chunks"),
                    Err(why) => format!("{to} does not take {group}: {why}"),
                };
                self.story.push(told);
            }
            "destroy" => {
                let (store, group) = (args.store()?, args.group()?);
                self.host_mut(store)?.destroy(group);
                self.cluster.check(store);
            }
            "restart" => {
                let store = args.store()?;
                let keep = args.key("keep")?.unwrap_or(usize::MAX);
                self.host_mut(store)?.restart(keep);
                self.cluster.check(store);
            }
            "admit" | "reserve" => {
                let (store, group, range) = (args.store()?, args.group()?, args.range()?);
                let header = header(group, range);
                let admitted = self.host(store)?.regions.admit(group, &header, name == "reserve");
                self.story.push(if admitted { "yes" } else { "no" }.to_owned());
            }
            "dismiss" => {
                let (store, group) = (args.store()?, args.group()?);
                self.host(store)?.regions.dismiss(group);
            }
            "prepare" => {
                let (store, id, range) = (args.store()?, args.group()?, args.range()?);
                let region = Region { id, range, epoch: Epoch::FIRST, peers: Vec::new() };
                let host = self.host(store)?;
                let prepared = host.regions.prepare(&*host.engine, &region)?;
                self.story.push(if prepared { "yes" } else { "no" }.to_owned());
            }
            "withdraw" => {
                let (store, group) = (args.store()?, args.group()?);
                let host = self.host(store)?;
                host.regions.withdraw(&*host.engine, group)?;
            }
            "sweep" => {
                let store = args.store()?;
                let host = self.host(store)?;
                let swept = host.regions.sweep(&*host.engine, &[])?;
                self.story.push(format!("{swept:?}"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn look(&mut self, name: &str, args: &mut Args<'_>) -> Result<bool, Failure> {
        let store = match name {
            "regions" | "data" | "get" | "scan" | "size" | "measure" => args.store()?,
            _ => return Ok(false),
        };
        let host = &self.cluster.hosts.get(&store).ok_or("no such store")?;
        let now_seconds = self.now_seconds;
        match name {
            "regions" => {
                let all = host.regions.within(&KeyRange::default());
                self.story.extend(all.iter().map(|state| show(&state.region)));
            }
            "data" => {
                let cf: String = args.key("cf")?.unwrap_or_default();
                let family = Edge::new(ApiVersion::V1Ttl).family(&cf)?;
                let pairs = host.data(family, &KeyRange::default());
                self.story.extend(pairs.iter().map(|(key, value)| pair(key, value)));
            }
            "get" => {
                let (state, key) = (state(host, args.group()?)?, args.must()?);
                let view = host.view();
                let reader = Reader { view: &*view, region: &state.region, now_seconds };
                let found = reader.get(Cf::Default, key.as_bytes())?;
                let told = found.map_or("absent".to_owned(), |found| {
                    let ttl = found.ttl_seconds.map(|ttl| format!(" for {ttl}s"));
                    format!("{}{}", Escaped(&found.value), ttl.unwrap_or_default())
                });
                self.story.push(told);
            }
            "scan" => {
                let (state, range) = (state(host, args.group()?)?, args.range()?);
                let is_reverse = args.key("reverse")?.unwrap_or(false);
                let keys_only = args.key("keys")?.unwrap_or(false);
                let scan = Scan {
                    range,
                    direction: if is_reverse { Direction::Reverse } else { Direction::Forward },
                    pairs_max: args.key("limit")?.unwrap_or(100),
                    bytes_max: args.key("bytes")?.unwrap_or(1024),
                    values: if keys_only { Values::Left } else { Values::Whole },
                };
                let view = host.view();
                let reader = Reader { view: &*view, region: &state.region, now_seconds };
                let page = reader.scan(Cf::Default, &scan)?;
                let pairs = page.pairs.iter();
                self.story.extend(pairs.map(|(k, v)| format!("{}={}", Escaped(k), Escaped(v))));
                self.story.push(format!("end: {:?}", page.end));
            }
            "size" => {
                let load = &state(host, args.group()?)?.load;
                let known = |number: Option<u64>| number.map_or("?".to_owned(), |n| n.to_string());
                self.story.push(format!(
                    "{} bytes {} keys, written {} bytes {} keys",
                    known(load.bytes()),
                    known(load.keys()),
                    load.written_bytes(),
                    load.written_keys()
                ));
            }
            _ => self.measure(store, args)?,
        }
        Ok(true)
    }

    fn measure(&mut self, store: StoreId, args: &mut Args<'_>) -> Result<(), Failure> {
        let host = self.host(store)?;
        let state = state(host, args.group()?)?;
        let mut config = SplitConfig::default();
        config.max_bytes = args.key("max")?.unwrap_or(config.max_bytes);
        config.target_bytes = args.key("target")?.unwrap_or(config.target_bytes);
        let range = state.region.range.clone();
        let mut scan = SizeScan::new(range, ApiVersion::V1Ttl, config);
        let mut steps = 1;
        let measured = loop {
            if let Some(measured) = scan.step(&*host.view(), 16)? {
                break measured;
            }
            steps += 1;
        };
        host.regions.set_measured(state.region.id, measured.bytes, measured.keys);
        let cuts = measured.split_keys.iter().map(|key| Escaped(key).to_string());
        let cuts = cuts.collect::<Vec<_>>().join(" ");
        let middle = measured.middle.map_or("none".to_owned(), |key| Escaped(&key).to_string());
        self.story.push(format!(
            "{} bytes {} keys in {steps} steps, cuts [{cuts}], middle {middle}",
            measured.bytes, measured.keys
        ));
        Ok(())
    }

    fn host(&self, store: StoreId) -> Result<&Host, Failure> {
        Ok(self.cluster.hosts.get(&store).ok_or("no such store")?)
    }

    fn host_mut(&mut self, store: StoreId) -> Result<&mut Host, Failure> {
        Ok(self.cluster.hosts.get_mut(&store).ok_or("no such store")?)
    }
}

/// The arguments of a line.
struct Args<'a>(ArgumentConsumer<'a>);

impl Args<'_> {
    fn word(&mut self) -> Option<String> {
        self.0.next_pos().map(str::to_owned)
    }

    fn must(&mut self) -> Result<String, Failure> {
        self.word().ok_or_else(|| "something is missing".into())
    }

    /// The value of a key, read as a number or whatever `T` is.
    fn key<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.0.take_key(key) else { return Ok(None) };
        let value = text.parse().ok().ok_or_else(|| format!("{key}={text} cannot be read"))?;
        Ok(Some(value))
    }

    fn group(&mut self) -> Result<GroupId, Failure> {
        GroupId::new(self.must()?.parse()?).ok_or_else(|| "region 0".into())
    }

    fn store(&mut self) -> Result<StoreId, Failure> {
        StoreId::new(self.must()?.parse()?).ok_or_else(|| "store 0".into())
    }

    fn range(&mut self) -> Result<KeyRange, Failure> {
        let mut bound = || self.must().map(|key| if key == "_" { String::new() } else { key });
        let (start, end) = (bound()?, bound()?);
        Ok(KeyRange::new(start, end))
    }
}

/// `1@2` or `v1@2`, `l1@2`, `i1@2`, `d1@2`: peer and store.
fn peer(text: &str) -> Result<RegionPeer, Failure> {
    let role = match text.as_bytes().first() {
        Some(b'l') => PeerRole::Learner,
        Some(b'i') => PeerRole::Incoming,
        Some(b'd') => PeerRole::Demoting,
        _ => PeerRole::Voter,
    };
    let (id, store) = text.trim_start_matches(char::is_alphabetic).split_once('@').ok_or("1@2")?;
    let id = PeerId::new(id.parse()?).ok_or("peer 0")?;
    Ok(RegionPeer { id, store: StoreId::new(store.parse()?).ok_or("store 0")?, role })
}

/// `m/8/81/82`: end, region, peers.
fn child(text: &str) -> Result<NewRegion, Failure> {
    let mut parts = text.split('/');
    let mut part = || parts.next().ok_or("a part is written m/8/81/82");
    let (end, region) = (part()?.to_owned(), part()?);
    let peers = parts.map(|id| Ok(PeerId::new(id.parse()?).ok_or("peer 0")?));
    Ok(NewRegion {
        end: end.into(),
        region: GroupId::new(region.parse()?).ok_or("region 0")?,
        peers: peers.collect::<Result<_, Failure>>()?,
    })
}

fn state(host: &Host, group: GroupId) -> Result<Arc<kv::RegionState>, Failure> {
    Ok(host.regions.get(group).ok_or("no such region here")?)
}

/// A header as a sender makes it, of a region that there is not.
fn header(group: GroupId, range: KeyRange) -> Bytes {
    let sender = Host::new(StoreId::new(99).expect("not zero"));
    let region = Region { id: group, range, epoch: Epoch::FIRST, peers: Vec::new() };
    let prepared = sender.regions.prepare(&*sender.engine, &region);
    assert_eq!(prepared, Ok(true));
    let machine = sender.regions.open(group, &sender.engine);
    machine.expect("a region").snapshot(sender.view()).header()
}

fn show(region: &Region) -> String {
    let role = |peer: &RegionPeer| match peer.role {
        PeerRole::Voter => "",
        PeerRole::Learner => "l",
        PeerRole::Incoming => "i",
        PeerRole::Demoting => "d",
    };
    let peers = region.peers.iter();
    let peers = peers.map(|peer| format!("{}{}@{}", role(peer), peer.id.get(), peer.store.get()));
    let peers = peers.collect::<Vec<_>>().join(" ");
    format!("{} {} {} [{peers}]", region.id, region.range, region.epoch)
}

fn pair(key: &[u8], stored: &[u8]) -> String {
    match Stored::decode(stored) {
        Ok(Stored { expires: None, value }) => format!("{}={}", Escaped(key), Escaped(value)),
        Ok(Stored { expires: Some(at), value }) => {
            format!("{}={} until {at}s", Escaped(key), Escaped(value))
        }
        Err(why) => format!("{}: {why}", Escaped(key)),
    }
}

fn answer(reply: &Reply) -> String {
    match reply {
        Reply::Done => "done".to_owned(),
        Reply::Cas { succeeded, previous } => {
            let previous = previous.as_ref().map(|value| Escaped(value).to_string());
            let previous = previous.unwrap_or("absent".to_owned());
            format!("{}, was {previous}", if *succeeded { "set" } else { "not set" })
        }
        Reply::Split(parts) => {
            format!("split into {}", parts.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        Reply::EpochNotMatch(region) => format!("epoch does not match: {}", show(region)),
        Reply::KeyNotInRegion(key) => format!("{} is not in the region", Escaped(key)),
        Reply::Uninitialized => "has no data".to_owned(),
        Reply::Refused(why) => format!("refused: {why}"),
    }
}
