//! Where stores live, and which of them are placement's members: what this node was told at its
//! start, what placement has said since, and, over restarts, the file `BOOK` of its directory.
//!
//! ```text
//! format 1
//! cluster 1234
//! version 17               of the addresses, as placement counts
//! store 4 host:6710
//! placement 4              holds a seat of placement
//! disk 4 0f3a9c…           the nonce of its directory when it was first heard
//! ```
//!
//! A store that speaks from another disk than it is known by has forgotten what it promised, as one
//! would whose directory was lost: it is not talked to, and stops when it is told so.
//!
//! A node that starts again may find that all whom its settings name have left: it asks those in
//! the file. It is what was heard, and no more: whoever answers at an address says who it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{fs, io};

use parking_lot::{Mutex, RwLock};
use proto::metapb;
use tokio::sync::watch;
use transport::NotAdmitted;
use types::{ClusterId, StoreId};

use crate::node::files;

/// Name of the file.
const NAME: &str = "BOOK";
/// Version of its layout.
const FORMAT: u64 = 1;
/// Stores whose disks are known: as many as a cluster may have.
const DISKS_MAX: usize = placement::state::STORES_MAX;
/// Stores without a seat that are asked for placement, should its members not answer.
const OTHERS_MAX: usize = 16;

/// Addresses of stores, `host:port`, and the seats of placement.
pub(crate) struct Book {
    page: RwLock<Page>,
    news: watch::Sender<u64>,
    /// Where it is kept. Held while it is written, so that the last one stays.
    kept: Mutex<Option<(PathBuf, ClusterId)>>,
    /// Hears that another store knows this one by another disk.
    disowned: OnceLock<Disowned>,
}

/// What is done when another store does not admit this one.
type Disowned = Box<dyn Fn(StoreId, &str) + Send + Sync>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Page {
    version: u64,
    addresses: BTreeMap<StoreId, String>,
    /// Ascending.
    seats: Vec<StoreId>,
    /// By which disk a store is known; kept also when it has left.
    disks: BTreeMap<StoreId, u64>,
}

impl Book {
    /// The book of a directory. What it has counts for more than what is `known` beforehand.
    ///
    /// # Errors
    /// It cannot be read, or makes no sense: by which disks stores are known must not be forgotten
    /// without anybody's knowing.
    pub(crate) fn open(
        dir: &Path,
        cluster: ClusterId,
        known: impl IntoIterator<Item = (StoreId, String)>,
    ) -> Result<Book, String> {
        let path = dir.join(NAME);
        let mut page = read(&path, cluster).map_err(|why| format!("{}: {why}", path.display()))?;
        for (store, address) in known {
            page.addresses.entry(store).or_insert(address);
        }
        Ok(Book {
            page: RwLock::new(page),
            news: watch::Sender::new(0),
            kept: Mutex::new(Some((dir.to_owned(), cluster))),
            disowned: OnceLock::new(),
        })
    }

    /// What is done when another store does not admit this one. Said once.
    pub(crate) fn on_disowned(&self, hear: impl Fn(StoreId, &str) + Send + Sync + 'static) {
        let is_first = self.disowned.set(Box::new(hear)).is_ok();
        debug_assert!(is_first, "one ear is enough");
    }

    pub(super) fn version(&self) -> u64 {
        self.page.read().version
    }

    /// Word of changes.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The stores of placement's members, and where they are.
    pub(super) fn members(&self) -> Vec<(StoreId, String)> {
        let page = self.page.read();
        let place = |store: &StoreId| Some((*store, page.addresses.get(store)?.clone()));
        page.seats.iter().filter_map(place).collect()
    }

    /// Whom to ask for placement: its members, and some others, who know of it by hearsay.
    pub(crate) fn ways(&self) -> Vec<String> {
        let page = self.page.read();
        let (seated, others): (Vec<_>, Vec<_>) =
            page.addresses.iter().partition(|(store, _)| page.seats.contains(store));
        let ways = seated.into_iter().chain(others.into_iter().take(OTHERS_MAX));
        ways.map(|(_, address)| address.clone()).collect()
    }

    /// What placement said: a newer book, if there is one, and who holds its seats. Stores that a
    /// book does not name keep the address that was known. Returns whether that is news.
    pub(super) fn learn(&self, version: u64, stores: &[metapb::Store], seats: &[u64]) -> bool {
        let mut page = self.page.write();
        let before = page.clone();
        if version >= page.version && !stores.is_empty() {
            page.version = version;
            for store in stores {
                let Some(id) = StoreId::new(store.id) else { continue };
                // Where one is whose address another took over, it has not said yet. One of two
                // words would make no line of the file.
                let is_place =
                    !store.address.is_empty() && !store.address.contains(char::is_whitespace);
                if store.state() == metapb::StoreState::Tombstone || !is_place {
                    page.addresses.remove(&id);
                } else {
                    page.addresses.insert(id, store.address.clone());
                }
            }
        }
        if !seats.is_empty() {
            page.seats = seats.iter().copied().filter_map(StoreId::new).collect();
            page.seats.sort_unstable();
        }
        let is_news = *page != before;
        drop(page);
        if is_news {
            self.news.send_modify(|news| *news += 1);
        }
        is_news
    }

    /// Makes it durable. Blocks.
    pub(super) fn save(&self) {
        let kept = self.kept.lock();
        let Some((dir, cluster)) = &*kept else { return };
        let text = self.page.read().text(*cluster);
        if let Err(why) = files::replace(dir, NAME, &text) {
            tracing::warn!(%why, "the address book is not kept");
        }
    }
}

impl Page {
    fn text(&self, cluster: ClusterId) -> String {
        let (cluster, version) = (cluster.get(), self.version);
        let mut text = format!("format {FORMAT}\ncluster {cluster}\nversion {version}\n");
        for (store, address) in &self.addresses {
            text += &format!("store {} {address}\n", store.get());
        }
        for seat in &self.seats {
            text += &format!("placement {}\n", seat.get());
        }
        for (store, disk) in &self.disks {
            text += &format!("disk {} {disk:016x}\n", store.get());
        }
        text
    }
}

fn read(path: &Path, cluster: ClusterId) -> Result<Page, String> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text, cluster),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Page::default()),
        Err(error) => Err(error.to_string()),
    }
}

fn parse(text: &str, cluster: ClusterId) -> Result<Page, String> {
    let mut page = Page::default();
    let (mut format, mut of) = (None, None);
    for line in text.lines() {
        let bad = || format!("line `{line}`");
        let number = |text: &str| text.parse::<u64>().map_err(|_odd| bad());
        let store = |text: &str| StoreId::new(number(text)?).ok_or_else(bad);
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["format", value] => format = Some(number(value)?),
            ["cluster", value] => of = Some(number(value)?),
            ["version", value] => page.version = number(value)?,
            ["store", id, address] if !address.is_empty() => {
                page.addresses.insert(store(id)?, address.to_owned());
            }
            ["placement", id] => page.seats.push(store(id)?),
            ["disk", id, disk] => {
                let disk = u64::from_str_radix(disk, 16).map_err(|_odd| bad())?;
                page.disks.insert(store(id)?, disk);
            }
            _ => return Err(bad()),
        }
    }
    if format != Some(FORMAT) {
        return Err(format!("it has format {format:?}, this version reads {FORMAT}"));
    }
    if of != Some(cluster.get()) {
        return Err(format!("it is of cluster {of:?}, this is {}", cluster.get()));
    }
    page.seats.sort_unstable();
    Ok(page)
}

/// Whether the disk is that by which the store is known.
fn is_same(store: StoreId, known: u64, disk: u64) -> Result<(), NotAdmitted> {
    if known == disk {
        return Ok(());
    }
    Err(NotAdmitted::OtherDisk(format!(
        "{store} is known by another data directory: what it had promised and stored is not in \
         this one"
    )))
}

impl transport::Resolver for Book {
    fn address(&self, store: StoreId) -> Option<String> {
        self.page.read().addresses.get(&store).cloned()
    }

    fn admits(&self, store: StoreId, disk: u64) -> Result<(), NotAdmitted> {
        let known = |book: &Book| book.page.read().disks.get(&store).copied();
        if let Some(known) = known(self) {
            return is_same(store, known, disk);
        }
        // It is noted down before anybody sees it: whoever forgets it might take in another disk.
        let kept = self.kept.lock();
        if let Some(known) = known(self) {
            return is_same(store, known, disk);
        }
        let mut page = self.page.read().clone();
        if page.disks.len() >= DISKS_MAX {
            let why = format!("{store} cannot be noted down: {DISKS_MAX} stores are known");
            return Err(NotAdmitted::Unkept(why));
        }
        page.disks.insert(store, disk);
        if let Some((dir, cluster)) = &*kept {
            files::replace(dir, NAME, &page.text(*cluster)).map_err(|why| {
                NotAdmitted::Unkept(format!("{store} cannot be noted down: {why}"))
            })?;
        }
        self.page.write().disks.insert(store, disk);
        Ok(())
    }

    fn disowned(&self, by: StoreId, why: &str) {
        if let Some(hear) = self.disowned.get() {
            hear(by, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use transport::Resolver as _;

    use super::*;

    const UP: metapb::StoreState = metapb::StoreState::Up;

    fn id(id: u64) -> StoreId {
        StoreId::new(id).expect("not zero")
    }

    fn cluster(id: u64) -> ClusterId {
        ClusterId::new(id).expect("not zero")
    }

    fn store(id: u64, address: &str, state: metapb::StoreState) -> metapb::Store {
        metapb::Store { id, address: address.to_owned(), state: state.into(), ..Default::default() }
    }

    #[test]
    fn newer_books_change_addresses_and_older_ones_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let book = Book::open(dir.path(), cluster(7), [(id(1), "a:1".to_owned())]).expect("new");
        assert!(book.learn(5, &[store(2, "b:1", UP), store(1, "a:2", UP)], &[]));
        assert!(!book.learn(4, &[store(2, "old:1", UP)], &[]));
        assert_eq!(book.address(id(1)), Some("a:2".to_owned()));
        assert_eq!(book.address(id(2)), Some("b:1".to_owned()));
        assert!(book.learn(6, &[store(2, "b:1", metapb::StoreState::Tombstone)], &[]));
        assert_eq!(book.address(id(2)), None);
        assert!(book.learn(7, &[store(1, "", UP)], &[]));
        assert_eq!(book.address(id(1)), None);
        assert_eq!(book.version(), 7);
    }

    #[test]
    fn what_was_heard_is_there_after_a_restart_and_counts_for_more_than_settings() {
        let dir = tempfile::tempdir().expect("a directory");
        let given = || [(id(1), "a:1".to_owned()), (id(2), "b:1".to_owned())];
        let book = Book::open(dir.path(), cluster(7), given()).expect("new");
        let all = [store(1, "a:9", UP), store(1_000, "d:1", UP)];
        assert!(book.learn(5, &all, &[1_000, 1]));
        assert!(!book.learn(5, &[], &[1, 1_000]), "the same in another order");
        book.save();
        let again = Book::open(dir.path(), cluster(7), given()).expect("kept");
        assert_eq!(*again.page.read(), *book.page.read());
        assert_eq!(again.members(), [(id(1), "a:9".to_owned()), (id(1_000), "d:1".to_owned())]);
        assert_eq!(again.ways(), ["a:9", "d:1", "b:1"], "those with a seat first");
        // Another cluster's is none of ours.
        let other = Book::open(dir.path(), cluster(8), given());
        assert!(other.is_err_and(|why| why.contains("it is of cluster Some(7)")));
    }

    #[test]
    fn store_is_known_by_the_disk_that_it_spoke_from_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let given = || [(id(1), "a:1".to_owned())];
        let open = || Book::open(dir.path(), cluster(7), given()).expect("it opens");
        let book = open();
        assert_eq!(book.admits(id(1), 0xabc), Ok(()));
        assert_eq!(book.admits(id(2), 2), Ok(()));
        // Durably, also of one that has left, and whatever is heard later.
        let book = open();
        book.learn(6, &[store(1, "a:1", metapb::StoreState::Tombstone)], &[]);
        book.save();
        let book = open();
        let other = book.admits(id(1), 0xabd).expect_err("another disk");
        assert!(matches!(&other, NotAdmitted::OtherDisk(why) if why.contains("s1 is known by")));
        assert_eq!((book.admits(id(1), 0xabc), book.admits(id(2), 2)), (Ok(()), Ok(())));
        // What cannot be kept is not admitted.
        fs::remove_dir_all(dir.path()).expect("removed");
        for disk in [3, 4] {
            let not = book.admits(id(3), disk).expect_err("not kept");
            assert!(matches!(&not, NotAdmitted::Unkept(why) if why.contains("noted down")));
        }
    }

    #[test]
    fn book_that_makes_no_sense_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let cases = [
            "",
            "format 2\ncluster 7\n",
            "format 1\ncluster 7\nstore 0 a:1\n",
            "format 1\ncluster 7\nstore 1\n",
            "format 1\ncluster 7\nversion x\n",
            "format 1\ncluster 7\ncolour red\n",
            "format 1\ncluster 7\ndisk 1 xyz\n",
        ];
        for text in cases {
            fs::write(dir.path().join(NAME), text).expect("written");
            let book = Book::open(dir.path(), cluster(7), [(id(1), "a:1".to_owned())]);
            assert!(book.is_err_and(|why| why.contains(NAME)), "{text:?}");
            assert_eq!(fs::read_to_string(dir.path().join(NAME)).expect("it is there"), text);
        }
    }
}
