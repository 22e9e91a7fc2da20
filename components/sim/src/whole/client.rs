//! A client: one operation after the other, by routes that it keeps until they prove wrong.
//!
//! A scan, or the deletion of a range, is one operation for each region that it comes to. What was
//! refused is tried again for a while; what may have been done is given up, and its end is unknown.

use std::collections::BTreeMap;

use bytes::Bytes;
use kv::RegionError;
use kv::edge::Target;
use types::{KeyRange, Region, RegionPeer, StoreId, Time, Timestamp};

use super::check::{Did, End, OpId};
use super::tally::Kind;
use super::words::{Ask, Elsewhere, Got, Message, Place, Request};
use super::world::{Happening, World};
use crate::dice::Stream;
use crate::plan::MS;
use crate::trim::Class;

/// How long one request is waited for.
const REQUEST_PATIENCE: (u64, u64) = (800, 3_500);
/// How long an operation is tried again.
const PATIENCE: u64 = 5_000 * MS;

/// A client and what it knows.
pub(crate) struct Client {
    /// By the first key: a region and whom it asks.
    routes: BTreeMap<Vec<u8>, (Region, RegionPeer)>,
    /// What it waits for; all else is late.
    serial: u64,
    doing: Option<Doing>,
    /// Its last word of who leads placement, by place.
    toward: usize,
    values: u64,
    /// Values that it has seen, to compare with.
    seen: BTreeMap<Vec<u8>, u64>,
    /// All that its last whole scan has found; and whether it ended.
    pub found: BTreeMap<Vec<u8>, u64>,
    pub is_idle: bool,
}

struct Doing {
    want: Want,
    op: Option<OpId>,
    until: Time,
    /// The store that was asked, and the region.
    asked: Option<(Region, RegionPeer)>,
    waits: Waits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    ForStore,
    ForRoute,
    ForStamp,
    /// Before it tries again.
    Pause,
}

#[derive(Clone, Debug)]
enum Want {
    One(Ask),
    /// From here on to the end, by regions.
    Scan(KeyRange),
    DeleteRange(KeyRange),
    /// A timestamp above one.
    Stamp(Option<Timestamp>),
}

impl Client {
    pub(crate) fn new() -> Client {
        Client {
            routes: BTreeMap::new(),
            serial: 0,
            doing: None,
            toward: 0,
            values: 0,
            seen: BTreeMap::new(),
            found: BTreeMap::new(),
            is_idle: true,
        }
    }

    fn route(&self, key: &[u8]) -> Option<(Region, RegionPeer)> {
        let (_, route) = self.routes.range(..=key.to_vec()).next_back()?;
        Some(route.clone()).filter(|(region, _)| region.range.contains(key))
    }

    fn learn(&mut self, region: Region, leader: RegionPeer) {
        self.routes.retain(|_, (known, _)| !known.range.overlaps(&region.range));
        self.routes.insert(region.range.start.clone(), (region, leader));
    }

    fn forget(&mut self, region: &Region) {
        self.routes.retain(|_, (known, _)| known.id != region.id);
    }
}

impl Want {
    fn first_key(&self) -> Vec<u8> {
        match self {
            Want::One(
                Ask::Get(key) | Ask::Put(key, _) | Ask::Delete(key) | Ask::Cas { key, .. },
            ) => key.clone(),
            Want::One(Ask::Scan(range) | Ask::DeleteRange(range))
            | Want::Scan(range)
            | Want::DeleteRange(range) => range.start.clone(),
            Want::Stamp(_) => Vec::new(),
        }
    }

    fn is_read(&self) -> bool {
        matches!(self, Want::One(Ask::Get(_)) | Want::Scan(_) | Want::Stamp(_))
    }
}

/// A value that nobody else writes: its number, and some more bytes.
fn value(number: u64) -> Bytes {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(8 + usize::try_from(number * 7 % 60).expect("short"), b'v');
    bytes.into()
}

fn number(value: &[u8]) -> u64 {
    super::check::number(value).expect("clients write numbers")
}

impl World<'_> {
    pub(crate) fn key(&self, nth: u64) -> Vec<u8> {
        let key = format!("r\0\0\0k{nth:02}");
        self.plan.api.engine_key(key.as_bytes())
    }

    /// The keys of clients in a range.
    fn keys_in(&self, range: &KeyRange) -> Vec<Vec<u8>> {
        (0..self.plan.keys).map(|nth| self.key(nth)).filter(|key| range.contains(key)).collect()
    }

    /// Something was waited for long enough, or a pause has ended.
    pub(crate) fn client_wakes(&mut self, client: usize, serial: u64) {
        if self.clients[client].serial != serial {
            return;
        }
        let Some(doing) = &mut self.clients[client].doing else {
            return if self.healed { self.rest(client) } else { self.think(client) };
        };
        match doing.waits {
            Waits::Pause => {}
            Waits::ForStore if !doing.want.is_read() => return self.unknown(client),
            Waits::ForStore => {
                if let Some((region, _)) = doing.asked.clone() {
                    self.clients[client].forget(&region);
                }
            }
            Waits::ForRoute | Waits::ForStamp => {
                self.clients[client].toward += 1;
            }
        }
        self.step(client);
    }

    fn rest(&mut self, client: usize) {
        self.clients[client].is_idle = true;
    }

    /// Chooses what to do next.
    fn think(&mut self, client: usize) {
        let dice = self.dice.of(Stream::Client(client));
        let nth = dice.below(self.plan.keys);
        let (width, what, believes) = (dice.between((1, 9)), dice.below(100), dice.chance(900));
        let (key, upper) = (self.key(nth), self.key(nth + width));
        self.clients[client].values += 1;
        let new = (client as u64 + 1) * 1_000_000 + self.clients[client].values;
        let (class, want) = match what {
            0..40 => return self.begin_want(client, Want::One(Ask::Put(key, value(new)))),
            40..48 => (Class::Deletes, Want::One(Ask::Delete(key))),
            48..62 => {
                let seen = self.clients[client].seen.get(&key).copied();
                let expected = seen.filter(|_| believes).map(value);
                (Class::Cas, Want::One(Ask::Cas { key, expected, value: value(new) }))
            }
            62..82 => (Class::Reads, Want::One(Ask::Get(key))),
            82..89 => (Class::Scans, Want::Scan(KeyRange::new(key, upper))),
            89..92 => (Class::RangeDeletes, Want::DeleteRange(KeyRange::new(key, upper))),
            _ => (Class::Stamps, Want::Stamp(None)),
        };
        if !self.trim.has(class) {
            return self.go_on(client);
        }
        self.begin_want(client, want);
    }

    fn begin_want(&mut self, client: usize, want: Want) {
        let until = Time(self.agenda.now().0 + PATIENCE);
        self.clients[client].is_idle = false;
        self.clients[client].doing =
            Some(Doing { want, op: None, until, asked: None, waits: Waits::Pause });
        self.step(client);
    }

    /// Reads everything, in the end.
    pub(crate) fn scan_all(&mut self, client: usize) {
        self.clients[client].found.clear();
        let range = KeyRange::new(self.key(0), self.key(99));
        self.begin_want(client, Want::Scan(range));
    }

    fn wait(&mut self, client: usize, nanos: u64) -> u64 {
        let serial = self.number();
        self.clients[client].serial = serial;
        self.after(nanos, Happening::Client { client, serial });
        serial
    }

    /// Asks for what is missing: a route, or the thing itself.
    fn step(&mut self, client: usize) {
        let patience = self.dice.of(Stream::Patience(client)).between(REQUEST_PATIENCE) * MS;
        let placement = Place::Host(self.clients[client].toward % self.hosts.len());
        let Some(doing) = &self.clients[client].doing else { return };
        if doing.until <= self.agenda.now() && !self.healed {
            return self.refused(client);
        }
        let (want, key) = (doing.want.clone(), doing.want.first_key());
        let from = Place::Client(client);
        if let Want::Stamp(floor) = want {
            let floor = floor.unwrap_or_else(|| self.checks.lock().clock.asked());
            self.waits(client, Waits::ForStamp, Want::Stamp(Some(floor)));
            let serial = self.wait(client, patience);
            return self.send(from, placement, Message::Stamp { serial });
        }
        let Some((region, leader)) = self.clients[client].route(&key) else {
            self.waits(client, Waits::ForRoute, want);
            let serial = self.wait(client, patience);
            return self.send(from, placement, Message::Route { serial, key });
        };
        let target = Target { region: region.id, epoch: region.epoch, store: Some(leader.store) };
        let ask = self.begin_op(client, &want, &region);
        self.waits(client, Waits::ForStore, want);
        if let Some(doing) = &mut self.clients[client].doing {
            doing.asked = Some((region, leader));
        }
        let serial = self.wait(client, patience);
        if let Some(at) = self.place_of(leader.store) {
            let request = Request { client, serial, target, ask };
            self.send(from, Place::Host(at), Message::Ask(request));
        }
    }

    fn waits(&mut self, client: usize, waits: Waits, want: Want) {
        if let Some(doing) = &mut self.clients[client].doing {
            (doing.waits, doing.want) = (waits, want);
        }
    }

    /// What is asked of a region; the operation begins with the first time. What concerns a part
    /// of a range begins anew, as the region may have another part now.
    fn begin_op(&mut self, client: usize, want: &Want, region: &Region) -> Ask {
        let (ask, did) = match want {
            Want::One(ask) => (ask.clone(), did(ask)),
            Want::Scan(range) => {
                let keys = self.keys_in(&range.intersection(&region.range));
                (Ask::Scan(range.clone()), Did::Read { keys })
            }
            Want::DeleteRange(range) => {
                let keys = self.keys_in(&range.intersection(&region.range));
                (Ask::DeleteRange(range.clone()), Did::DeleteRange { keys })
            }
            Want::Stamp(_) => unreachable!("asked of placement"),
        };
        let op = self.clients[client].doing.as_ref().and_then(|doing| doing.op);
        if op.is_none() || !matches!(want, Want::One(_)) {
            let op = self.checks.lock().history.begin(client, did);
            if let Some(doing) = &mut self.clients[client].doing {
                doing.op = Some(op);
            }
        }
        ask
    }

    pub(crate) fn client_hears(&mut self, client: usize, message: Message) {
        let waits = self.clients[client].serial;
        match message {
            Message::Got { serial, got } if serial == waits => self.got(client, got),
            Message::Routed { serial, route } if serial == waits => match route {
                Ok(Some((region, leader))) => {
                    self.clients[client].learn(region, leader);
                    self.step(client);
                }
                Ok(None) => self.pause(client),
                Err(Elsewhere(hint)) => self.turn_to(client, hint),
            },
            Message::Stamped { serial, at } if serial == waits => match at {
                Ok(at) => {
                    let doing = self.clients[client].doing.take();
                    if let Some(Doing { want: Want::Stamp(Some(floor)), .. }) = doing {
                        let mut checks = self.checks.lock();
                        let found = checks.clock.answered(floor, at);
                        checks.report(found);
                    }
                    self.go_on(client);
                }
                Err(Elsewhere(hint)) => self.turn_to(client, hint),
            },
            _ => {}
        }
    }

    fn turn_to(&mut self, client: usize, hint: Option<StoreId>) {
        let hint = hint.and_then(|store| self.place_of(store));
        let toward = &mut self.clients[client].toward;
        *toward = hint.unwrap_or(*toward + 1);
        self.pause(client);
    }

    /// Tries again after a moment.
    fn pause(&mut self, client: usize) {
        if let Some(doing) = &mut self.clients[client].doing {
            doing.waits = Waits::Pause;
        }
        let wait = self.dice.of(Stream::Patience(client)).between((5, 120)) * MS;
        self.wait(client, wait);
    }

    /// On to the next operation.
    fn go_on(&mut self, client: usize) {
        self.clients[client].doing = None;
        let wait = self.dice.of(Stream::Client(client)).between((MS, self.plan.think * 2));
        self.wait(client, wait);
    }

    fn end(&mut self, client: usize, end: End) {
        if let Some(op) = self.clients[client].doing.as_mut().and_then(|doing| doing.op.take()) {
            self.checks.lock().history.end(op, end);
        }
    }

    fn refused(&mut self, client: usize) {
        self.tally.add(Kind::Refused, 1);
        self.end(client, End::Refused);
        self.go_on(client);
    }

    /// Nobody knows its end.
    fn unknown(&mut self, client: usize) {
        self.tally.add(Kind::Unknown, 1);
        if let Some((region, _)) = self.clients[client].doing.as_ref().and_then(|d| d.asked.clone())
        {
            self.clients[client].forget(&region);
        }
        self.go_on(client);
    }

    fn got(&mut self, client: usize, got: Got) {
        let Some(doing) = &self.clients[client].doing else { return };
        let want = doing.want.clone();
        match got {
            Got::Failed(error) => self.failed(client, error),
            Got::Done(group, index) => {
                self.end(client, End::Done(group, index));
                if let Want::DeleteRange(range) = want {
                    self.tally.add(Kind::DeleteRange, 1);
                    return self.next_part(client, range, Want::DeleteRange);
                }
                self.tally.add(Kind::Write, 1);
                self.go_on(client);
            }
            Got::Cas { at, succeeded, previous } => {
                self.tally.add(if succeeded { Kind::CasDone } else { Kind::CasNot }, 1);
                let previous = previous.as_deref().map(number);
                self.saw(client, &want.first_key(), previous);
                self.end(client, End::Cas { at, succeeded, previous });
                self.go_on(client);
            }
            Got::Value(value) => {
                self.tally.add(Kind::Read, 1);
                let (key, value) = (want.first_key(), value.as_deref().map(number));
                self.saw(client, &key, value);
                let read = value.map(|value| (key, value)).into_iter().collect();
                self.end(client, End::Read(read));
                self.go_on(client);
            }
            Got::Pairs(part, pairs) => {
                self.tally.add(Kind::Scan, 1);
                let read: BTreeMap<Vec<u8>, u64> =
                    pairs.into_iter().map(|(key, value)| (key, number(&value))).collect();
                self.clients[client].found.extend(read.clone());
                self.clients[client].seen.retain(|key, _| !part.contains(key));
                self.clients[client].seen.extend(read.clone());
                self.end(client, End::Read(read));
                if let Want::Scan(range) = want {
                    self.next_part(client, range, Want::Scan);
                }
            }
        }
    }

    fn saw(&mut self, client: usize, key: &[u8], value: Option<u64>) {
        let seen = &mut self.clients[client].seen;
        match value {
            Some(value) => seen.insert(key.to_vec(), value),
            None => seen.remove(key),
        };
    }

    /// Goes on behind the region that was asked.
    fn next_part(&mut self, client: usize, range: KeyRange, want: fn(KeyRange) -> Want) {
        let asked = self.clients[client].doing.as_mut().and_then(|doing| doing.asked.take());
        let end = asked.map(|(region, _)| region.range.end).unwrap_or_default();
        if end.is_empty() || (!range.end.is_empty() && end >= range.end) {
            return self.go_on(client);
        }
        let want = want(KeyRange::new(end, range.end));
        self.waits(client, Waits::Pause, want);
        self.step(client);
    }

    fn failed(&mut self, client: usize, error: RegionError) {
        let Some(doing) = &self.clients[client].doing else { return };
        let Some((region, asked)) = doing.asked.clone() else { return };
        let is_read = doing.want.is_read();
        let known = &mut self.clients[client];
        match error {
            RegionError::Undetermined if !is_read => return self.unknown(client),
            RegionError::NotLeader { leader: Some(leader), .. } => {
                known.learn(region, leader);
                return self.pause(client);
            }
            RegionError::EpochNotMatch(regions) => {
                known.forget(&region);
                for region in regions {
                    if let Some(peer) =
                        region.peer_on(asked.store).or(region.peers.first().copied())
                    {
                        known.learn(region, peer);
                    }
                }
            }
            RegionError::NotLeader { leader: None, .. } => {
                // Another of its peers may know more.
                let nth = self.dice.nth(Stream::Patience(client), region.peers.len());
                let peer = region.peers[nth];
                if self.dice.of(Stream::Patience(client)).chance(300) {
                    self.clients[client].forget(&region);
                } else {
                    self.clients[client].learn(region, peer);
                }
            }
            RegionError::StaleCommand | RegionError::Busy(_) | RegionError::DiskFull(_) => {}
            _ => known.forget(&region),
        }
        self.pause(client);
    }
}

fn did(ask: &Ask) -> Did {
    match ask {
        Ask::Get(key) => Did::Read { keys: vec![key.clone()] },
        Ask::Put(key, value) => Did::Put { key: key.clone(), value: number(value) },
        Ask::Delete(key) => Did::Delete { key: key.clone() },
        Ask::Cas { key, value, .. } => Did::Cas { key: key.clone(), value: number(value) },
        Ask::Scan(_) | Ask::DeleteRange(_) => unreachable!("wanted by regions"),
    }
}
