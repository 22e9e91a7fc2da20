//! What commands do: the rules of the state, one method each.

use std::collections::BTreeSet;

use types::{KeyRange, PeerId, StoreId};

use super::keys::Key;
use super::{
    Bootstrap, Cluster, Command, FIRST_ID, FIRST_REGIONS_MAX, IDS_MAX, Life, Member, Refused,
    Reply, STORES_MAX, State, Store, Window,
};

/// How many members placement may have: an even number outlives no more losses than one less.
const SEATS: [u32; 3] = [1, 3, 5];
/// Labels that may tell where a store is, and bytes of a key.
const LOCATION_LABELS_MAX: usize = 8;
const LABEL_BYTES_MAX: usize = 256;
/// How many replicas a region may have, for the same reason.
const REPLICAS: [u32; 4] = [1, 3, 5, 7];

impl State {
    /// Carries out what stands in the log, and says which records have changed. Bytes that are no
    /// command are refused like commands that cannot be carried out.
    pub fn apply(&mut self, bytes: &[u8], changed: &mut BTreeSet<Key>) -> Reply {
        let done = match Command::decode(bytes) {
            Ok(command) => self.carry_out(command, changed),
            Err(why) => Err(Refused::Senseless(why.0)),
        };
        done.unwrap_or_else(Reply::Refused)
    }

    fn carry_out(
        &mut self,
        command: Command,
        changed: &mut BTreeSet<Key>,
    ) -> Result<Reply, Refused> {
        if let Command::Bootstrap(of) = command {
            return self.bootstrap(of, changed);
        }
        if self.cluster.is_none() {
            return Err(Refused::NotBootstrapped);
        }
        match command {
            Command::Bootstrap(_) => Err(Refused::AlreadyBootstrapped),
            Command::PutStore(store) => self.put_store(store, changed),
            Command::SetLife(store, life) => self.set_life(store, life, changed),
            Command::AllocIds(count) => {
                if count == 0 || count > IDS_MAX {
                    return Err(Refused::TooMany(format!("ids at once: {count}")));
                }
                let first = self.next_id;
                self.next_id += u64::from(count);
                changed.insert(Key::Numbers);
                Ok(Reply::Ids(first, u64::from(count)))
            }
            Command::SaveWindow(window) => {
                let Window { until_ms, term, after_ms } = window;
                let is_first = term > self.window_term;
                if term < self.window_term || (is_first && after_ms != self.window_until_ms) {
                    return Err(Refused::Fenced);
                }
                self.window_term = term;
                self.window_until_ms = self.window_until_ms.max(until_ms);
                changed.insert(Key::Numbers);
                Ok(Reply::Window(self.window_until_ms))
            }
            Command::RaiseSafePoint(safe_point) => {
                self.safe_point = self.safe_point.max(safe_point);
                changed.insert(Key::Numbers);
                Ok(Reply::SafePoint(self.safe_point))
            }
            Command::SetSeats(seats) => {
                one_of(seats, &SEATS, "placement", "members")?;
                self.amend(changed, |cluster| cluster.seats = seats)
            }
            Command::SetLocationLabels(keys) => {
                check_location_labels(&keys).map_err(Refused::Senseless)?;
                self.amend(changed, |cluster| cluster.location_labels = Some(keys))
            }
            Command::SetReplicas(replicas) => {
                one_of(replicas, &REPLICAS, "a region", "replicas")?;
                self.amend(changed, |cluster| cluster.replicas = replicas)
            }
        }
    }

    fn bootstrap(&mut self, of: Bootstrap, changed: &mut BTreeSet<Key>) -> Result<Reply, Refused> {
        if self.cluster.is_some() {
            return Err(Refused::AlreadyBootstrapped);
        }
        check_birth(&of).map_err(|why| Refused::Senseless(why.to_owned()))?;
        for store in of.stores {
            let Some(id) = store.id else { continue };
            changed.insert(Key::Store(id));
            self.stores.insert(id, Store { life: Life::Live, ..store });
        }
        self.cluster = Some(of.cluster);
        self.book_version += 1;
        changed.extend([Key::Cluster, Key::Numbers]);
        Ok(Reply::Done)
    }

    /// Changes what was decided when the cluster was born.
    fn amend(
        &mut self,
        changed: &mut BTreeSet<Key>,
        amend: impl FnOnce(&mut Cluster),
    ) -> Result<Reply, Refused> {
        amend(self.cluster.as_mut().ok_or(Refused::NotBootstrapped)?);
        changed.insert(Key::Cluster);
        Ok(Reply::Done)
    }

    fn put_store(&mut self, new: Store, changed: &mut BTreeSet<Key>) -> Result<Reply, Refused> {
        let id = match new.id {
            Some(id) => Some(id),
            None if new.nonce == 0 => {
                return Err(Refused::Senseless("a store joins without a nonce".to_owned()));
            }
            // It has asked before, and did not hear the answer.
            None => self.stores.values().find(|old| old.nonce == new.nonce).and_then(|old| old.id),
        };
        let old = match id {
            Some(id) => Some(self.stores.get(&id).ok_or(Refused::NoStore(id))?),
            None => None,
        };
        if let (Some(id), Some(Life::Removed)) = (id, old.map(|old| old.life)) {
            return Err(Refused::Removed(id));
        }
        check_places(&new)?;
        let taken = self
            .stores_here()
            .find(|(other, store)| Some(*other) != id && store.address == new.address)
            .map(|(other, _)| other);
        // Of a store that was never seen it is not known whether its disk is another's that was
        // lost. One that is known is where it says, and the other will say where it is.
        if let (Some(other), true) = (taken, old.is_none()) {
            return Err(Refused::AddressTaken(other));
        }
        if old.is_none() && self.stores.len() >= STORES_MAX {
            return Err(Refused::TooMany("stores".to_owned()));
        }
        let (nonce, life) = match old {
            // Whose disk it is never changes.
            Some(old) => (old.nonce, old.life),
            None => (new.nonce, Life::Live),
        };
        let id = match id {
            Some(id) => id,
            None => {
                let id = StoreId::new(self.next_id).expect("ids begin above zero");
                self.next_id += 1;
                id
            }
        };
        if let Some(other) = taken.and_then(|other| Some((other, self.stores.get_mut(&other)?))) {
            other.1.address.clear();
            changed.insert(Key::Store(other.0));
        }
        let store = Store { id: Some(id), nonce, life, ..new };
        if self.stores.get(&id) != Some(&store) {
            self.stores.insert(id, store.clone());
            self.book_version += 1;
            changed.extend([Key::Store(id), Key::Numbers]);
        }
        Ok(Reply::Store(store))
    }

    fn set_life(
        &mut self,
        id: StoreId,
        life: Life,
        changed: &mut BTreeSet<Key>,
    ) -> Result<Reply, Refused> {
        let store = self.stores.get_mut(&id).ok_or(Refused::NoStore(id))?;
        if store.life == Life::Removed && life != Life::Removed {
            return Err(Refused::Removed(id));
        }
        if store.life != life {
            store.life = life;
            self.book_version += 1;
            changed.extend([Key::Store(id), Key::Numbers]);
        }
        Ok(Reply::Store(self.stores[&id].clone()))
    }

    /// Who belongs to placement's group from now on. Returns whether that is news.
    pub fn set_members(&mut self, members: impl IntoIterator<Item = (PeerId, Member)>) -> bool {
        let members = members.into_iter().collect();
        let is_news = self.members != members;
        self.members = members;
        is_news
    }
}

/// Whether something may have so many of its parts.
fn one_of(count: u32, allowed: &[u32], whole: &str, parts: &str) -> Result<(), Refused> {
    if allowed.contains(&count) {
        return Ok(());
    }
    Err(Refused::Senseless(format!("{whole} has {allowed:?} {parts}, not {count}")))
}

/// Whether these may be keys of labels that tell where a store is.
///
/// # Errors
/// Why not, in words.
pub fn check_location_labels(keys: &[String]) -> Result<(), String> {
    if keys.len() > LOCATION_LABELS_MAX {
        return Err(format!("{} labels, {LOCATION_LABELS_MAX} is the most", keys.len()));
    }
    let is_odd = |key: &&String| key.is_empty() || key.len() > LABEL_BYTES_MAX;
    if let Some(odd) = keys.iter().find(is_odd) {
        return Err(format!("a label of {} bytes", odd.len()));
    }
    let twice = keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key));
    twice.map_or(Ok(()), |(_, key)| Err(format!("label {key:?} is named twice")))
}

/// Whether addresses are some: `host:port`, and that of HTTP may be absent. They are kept in files
/// of lines, and dialed.
fn check_places(store: &Store) -> Result<(), Refused> {
    let is_place = |text: &str| {
        let is_plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        let parts = text.rsplit_once(':');
        is_plain
            && parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    let http = &store.http_address;
    let bad = [&store.address, http].into_iter().find(|text| {
        let may_be_absent = std::ptr::eq(*text, http);
        !(is_place(text) || may_be_absent && text.is_empty())
    });
    let told = |text: &String| Refused::Senseless(format!("{text:?} is no address: host:port"));
    bad.map_or(Ok(()), |text| Err(told(text)))
}

/// Whether a cluster can begin with this.
fn check_birth(of: &Bootstrap) -> Result<(), &'static str> {
    let regions = &of.cluster.regions;
    if of.cluster.replicas == 0 || of.stores.is_empty() || regions.is_empty() {
        return Err("no replicas, no stores or no regions");
    }
    if regions.len() > FIRST_REGIONS_MAX {
        return Err("more regions than a cluster begins with");
    }
    if of
        .cluster
        .location_labels
        .as_deref()
        .is_some_and(|keys| check_location_labels(keys).is_err())
    {
        return Err("labels of places that are none");
    }
    let mut stores = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    for store in &of.stores {
        let id = store.id.ok_or("a founder without id")?;
        if id.get() >= FIRST_ID || !stores.insert(id) || !addresses.insert(&store.address) {
            return Err("ids of founders are below 1,000, and no two founders are the same");
        }
    }
    let mut ids = BTreeSet::new();
    let mut next = Some(Vec::new());
    for region in regions {
        let KeyRange { start, end } = &region.range;
        if next.as_ref() != Some(start) {
            return Err("the regions have gaps or overlap");
        }
        next = (!end.is_empty()).then(|| end.clone());
        if region.id.get() >= FIRST_ID || !ids.insert(region.id.get()) {
            return Err("ids of first regions are below 1,000, and differ");
        }
        let is_foreign = |store| !stores.contains(&store);
        if region.peers.is_empty() || region.peers.iter().any(|peer| is_foreign(peer.store)) {
            return Err("a first region without peers, or with one on no founder");
        }
        if region.peers.iter().any(|peer| peer.id.get() >= FIRST_ID) {
            return Err("ids of first peers are below 1,000");
        }
    }
    if next.is_some() {
        return Err("the regions end before the keys do");
    }
    Ok(())
}
