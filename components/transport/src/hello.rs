//! The first message of a stream, in both directions: who speaks, and whom it takes the other for.
//!
//! Invariant: no parcel is sent or delivered on a stream before the other end has said a `Hello`
//! that fits. So a process of another store or cluster behind an address is never handed one.

use proto::crib::raft::v1;
use tonic::{Code, Status};
use types::{ClusterId, StoreId};

/// Version of the protocol. Stores of equal versions talk, if they agree.
pub(crate) const VERSION: u32 = 3;

/// How a store is told that it is known by another disk. Nothing else is told so.
pub(crate) const OTHER_DISK: Code = Code::AlreadyExists;

/// Characters of what a stranger says that are said again.
const SHOWN_MAX: usize = 64;

/// Who we are, and what we agree on with everybody we talk to.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    pub(crate) cluster: ClusterId,
    pub(crate) store: StoreId,
    pub(crate) agreed: Vec<v1::Setting>,
    pub(crate) disk: u64,
}

impl Me {
    /// What we say first to `to`.
    pub(crate) fn hello(&self, to: StoreId) -> v1::Bundle {
        let hello = v1::Hello {
            version: VERSION,
            cluster: self.cluster.get(),
            from_store: self.store.get(),
            to_store: to.get(),
            agreed: self.agreed.clone(),
            disk: self.disk,
        };
        v1::Bundle { hello: Some(hello), ..v1::Bundle::default() }
    }

    /// Who says this to us first, and from which disk. `expected` is whom we dialed, if it was us
    /// who dialed.
    ///
    /// The status tells the stranger what does not fit, but not which cluster this is.
    pub(crate) fn check(
        &self,
        first: Option<v1::Bundle>,
        expected: Option<StoreId>,
    ) -> Result<(StoreId, u64), Status> {
        let hello = first.and_then(|bundle| bundle.hello);
        let Some(v1::Hello { version, cluster, from_store, to_store, agreed, disk }) = hello else {
            return Err(Status::invalid_argument("the first message is no hello"));
        };
        if version != VERSION {
            let what = format!("protocol version {version}, this store speaks {VERSION}");
            return Err(Status::failed_precondition(what));
        }
        if cluster != self.cluster.get() {
            return Err(Status::failed_precondition("hello from another cluster"));
        }
        let Some(from) = StoreId::new(from_store) else {
            return Err(Status::invalid_argument("hello from store 0, which names nobody"));
        };
        if to_store != self.store.get() {
            let what = format!("hello to store {to_store}, this is {}", self.store);
            return Err(Status::failed_precondition(what));
        }
        if from == self.store {
            let what = format!("hello from {from}, which is this store");
            return Err(Status::failed_precondition(what));
        }
        if let Some(expected) = expected.filter(|expected| *expected != from) {
            let what = format!("{from} answers at the address of {expected}");
            return Err(Status::failed_precondition(what));
        }
        match self.difference(&agreed) {
            Some(what) => Err(Status::failed_precondition(format!("{from} has {what}"))),
            None => Ok((from, disk)),
        }
    }

    /// What another store has set otherwise.
    fn difference(&self, theirs: &[v1::Setting]) -> Option<String> {
        let own = self.store;
        for v1::Setting { name, value } in &self.agreed {
            let theirs = named(theirs, name).map_or("not set", |setting| &setting.value);
            if theirs != value {
                let theirs = shown(theirs);
                return Some(format!("{name} {theirs:?}, {own} {value:?}: all need the same"));
            }
        }
        let unknown = theirs.iter().find(|setting| named(&self.agreed, &setting.name).is_none())?;
        Some(format!("a setting {:?} of which {own} does not know", shown(&unknown.name)))
    }
}

fn named<'a>(settings: &'a [v1::Setting], name: &str) -> Option<&'a v1::Setting> {
    settings.iter().find(|setting| setting.name == name)
}

/// As much of a stranger's words as is said again.
fn shown(said: &str) -> String {
    said.chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(id: u64) -> StoreId {
        StoreId::new(id).unwrap()
    }

    fn setting(name: &str, value: &str) -> v1::Setting {
        v1::Setting { name: name.to_owned(), value: value.to_owned() }
    }

    fn me(cluster: u64, id: u64) -> Me {
        let agreed = vec![setting("timeout", "1s")];
        Me { cluster: ClusterId::new(cluster).unwrap(), store: store(id), agreed, disk: 9 }
    }

    fn refusal(change: impl FnOnce(&mut v1::Hello), expected: Option<StoreId>) -> String {
        let mut bundle = me(7, 2).hello(store(1));
        change(bundle.hello.as_mut().unwrap());
        match me(7, 1).check(Some(bundle), expected) {
            Ok((from, disk)) => format!("taken from {from}, disk {disk}"),
            Err(status) => status.message().to_owned(),
        }
    }

    #[test]
    fn hello_that_fits_taken_any_other_refused() {
        let two = Some(store(2));
        assert_eq!(refusal(|_| {}, None), "taken from s2, disk 9");
        assert_eq!(refusal(|_| {}, two), "taken from s2, disk 9");
        assert_eq!(refusal(|_| {}, Some(store(3))), "s2 answers at the address of s3");
        assert_eq!(
            refusal(|hello| hello.version = 1, None),
            "protocol version 1, this store speaks 3"
        );
        assert_eq!(refusal(|hello| hello.cluster = 8, None), "hello from another cluster");
        assert_eq!(refusal(|hello| hello.cluster = 0, None), "hello from another cluster");
        assert_eq!(refusal(|hello| hello.to_store = 3, None), "hello to store 3, this is s1");
        assert_eq!(
            refusal(|hello| hello.from_store = 0, None),
            "hello from store 0, which names nobody"
        );
        assert_eq!(
            refusal(|hello| hello.from_store = 1, None),
            "hello from s1, which is this store"
        );
        assert_eq!(
            refusal(|hello| hello.agreed = vec![setting("timeout", "2s")], None),
            "s2 has timeout \"2s\", s1 \"1s\": all need the same"
        );
        assert_eq!(
            refusal(|hello| hello.agreed.clear(), None),
            "s2 has timeout \"not set\", s1 \"1s\": all need the same"
        );
        assert_eq!(
            refusal(|hello| hello.agreed.push(setting("lease", "off")), None),
            "s2 has a setting \"lease\" of which s1 does not know"
        );
        let long =
            refusal(|hello| hello.agreed = vec![setting("timeout", &"\n".repeat(1 << 16))], None);
        assert!(long.len() < 256, "{} bytes are said again", long.len());
        let absent = me(7, 1).check(Some(v1::Bundle::default()), None).unwrap_err();
        assert_eq!(absent.message(), "the first message is no hello");
        assert!(me(7, 1).check(None, None).is_err());
    }
}
