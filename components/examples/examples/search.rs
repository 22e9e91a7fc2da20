//! A full-text index (tantivy) in files of its own, under sixteen Raft groups on three nodes.
//!
//! ```sh
//! cargo run --release -p examples --example search
//! ```
//!
//! Shows a machine whose state the engine cannot write together with its own records. Changes wait
//! in memory and are committed to the index when somebody queries, when the engine is about to cut
//! the log, and when there are many. A commit says up to which slot it goes; a restart applies the
//! rest again. The index may be a little newer than the engine's records, after a crash between the
//! two; then it is told some changes twice. That is harmless, as a document is put or deleted
//! whole, by id, and the last change of each wins, however often the row is gone through.
//!
//! A snapshot is all documents. How they are ranked is not replicated: it depends on segments.
//!
//! Prints a line for each stage, and ends with an error if something is not as it should be.

use std::collections::btree_set::IntoIter;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use examples::{Cluster, FIRST_GROUP, Failed, GROUPS, Node, Shelf, ensure, parts};
use multiraft::{Command, Corrupt, Machines, SnapshotReader, StateMachine};
use parking_lot::Mutex;
use storage::{Batch, Engine, View};
use tantivy::collector::{DocSetCollector, TopDocs};
use tantivy::directory::MmapDirectory;
use tantivy::indexer::IndexWriterOptions;
use tantivy::query::{AllQuery, QueryParser};
use tantivy::schema::{Field, STORED, STRING, Schema, TEXT, Value};
use tantivy::{
    DocAddress, Index as Tantivy, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, Term,
};
use types::{GroupId, Index};

/// Changes that wait for a commit.
const PENDING_MAX: usize = 1_024;

/// Puts a document; one with the same id is replaced.
pub(crate) fn put(id: &str, text: &str) -> Bytes {
    parts::join(&[id.as_bytes(), text.as_bytes()])
}

pub(crate) fn delete(id: &str) -> Bytes {
    parts::join(&[id.as_bytes()])
}

/// The index of one group.
pub(crate) struct Documents {
    index: Tantivy,
    id: Field,
    text: Field,
    /// Not in the index yet: a text, or none if the document is deleted.
    pending: BTreeMap<String, Option<String>>,
    /// The last slot that index and pending changes reflect; 0 if there was no command yet.
    applied: Index,
}

impl Documents {
    fn open(dir: &Path) -> tantivy::Result<Documents> {
        fs::create_dir_all(dir)?;
        let mut schema = Schema::builder();
        let id = schema.add_text_field("id", STRING | STORED);
        let text = schema.add_text_field("text", TEXT | STORED);
        let index = Tantivy::open_or_create(MmapDirectory::open(dir)?, schema.build())?;
        let payload = index.load_metas()?.payload;
        let applied = payload.and_then(|at| at.parse().ok()).map_or(Index(0), Index);
        Ok(Documents { index, id, text, pending: BTreeMap::new(), applied })
    }

    /// A command that is none changes nothing.
    fn run(&mut self, command: &[u8]) -> Option<()> {
        let parts = parts::split(command)?;
        let texts: Result<Vec<&str>, _> = parts.into_iter().map(str::from_utf8).collect();
        let (id, text) = match texts.ok()?[..] {
            [id] => (id, None),
            [id, text] => (id, Some(text.to_owned())),
            _ => return None,
        };
        self.pending.insert(id.to_owned(), text);
        Some(())
    }

    /// A writer has threads of its own, so it lives no longer than a commit.
    fn writer(&self) -> tantivy::Result<IndexWriter> {
        let options = IndexWriterOptions::builder().num_merge_threads(1).build();
        self.index.writer_with_options(options)
    }

    fn commit(&mut self) -> tantivy::Result<()> {
        let writer = self.writer()?;
        for (id, text) in std::mem::take(&mut self.pending) {
            writer.delete_term(Term::from_field_text(self.id, &id));
            if let Some(text) = text {
                let mut document = TantivyDocument::new();
                document.add_text(self.id, id);
                document.add_text(self.text, text);
                writer.add_document(document)?;
            }
        }
        self.finish(writer)
    }

    fn delete_all(&mut self) -> tantivy::Result<()> {
        let writer = self.writer()?;
        writer.delete_all_documents()?;
        self.finish(writer)
    }

    fn finish(&self, mut writer: IndexWriter) -> tantivy::Result<()> {
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&self.applied.0.to_string());
        commit.commit()?;
        writer.wait_merging_threads()
    }

    fn searcher(&mut self) -> tantivy::Result<Searcher> {
        if !self.pending.is_empty() {
            self.commit()?;
        }
        let reader = self.index.reader_builder().reload_policy(ReloadPolicy::Manual);
        Ok(reader.try_into()?.searcher())
    }

    /// Ids of the best `limit` documents that match, in order of ids.
    pub(crate) fn query(&mut self, query: &str, limit: usize) -> tantivy::Result<Vec<String>> {
        let searcher = self.searcher()?;
        let query = QueryParser::for_index(&self.index, vec![self.text]).parse_query(query)?;
        let hits = searcher.search(&query, &TopDocs::with_limit(limit).order_by_score())?;
        let ids = hits.into_iter().map(|(_, at)| Ok(text_of(&searcher.doc(at)?, self.id)));
        let mut ids = ids.collect::<tantivy::Result<Vec<String>>>()?;
        ids.sort();
        Ok(ids)
    }

    fn reader(&mut self) -> tantivy::Result<Reader> {
        let searcher = self.searcher()?;
        let all = searcher.search(&AllQuery, &DocSetCollector)?;
        let all = all.into_iter().collect::<BTreeSet<_>>().into_iter();
        Ok(Reader { searcher, id: self.id, text: self.text, all })
    }
}

fn text_of(document: &TantivyDocument, field: Field) -> String {
    let value = document.get_first(field);
    value.as_ref().and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// A replica that cannot read or write its index must stop.
fn must<T>(done: tantivy::Result<T>) -> T {
    done.unwrap_or_else(|why| panic!("the index failed: {why}"))
}

struct Search(Arc<Mutex<Documents>>);

impl StateMachine for Search {
    fn applied(&self, recorded: Index) -> Index {
        match self.0.lock().applied {
            Index(0) => recorded,
            // A commit may be ahead of the records, see above.
            applied => applied.min(recorded),
        }
    }

    fn apply(
        &mut self,
        commands: &[Command<'_>],
        _: &dyn View,
        _: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        let mut documents = self.0.lock();
        for command in commands {
            if documents.applied == Index(0) {
                // A restart before the next commit begins here.
                documents.applied = command.index.prev();
                must(documents.commit());
            }
            let reply: &[u8] = if documents.run(command.data).is_some() { b"ok" } else { b"bad" };
            replies.push(Bytes::from_static(reply));
            documents.applied = command.index;
        }
        if documents.pending.len() >= PENDING_MAX {
            must(documents.commit());
        }
    }

    fn persist(&mut self, applied: Index, _: &mut Batch) -> Index {
        let mut documents = self.0.lock();
        documents.applied = applied;
        must(documents.commit());
        applied
    }

    fn snapshot(&mut self, _: Box<dyn View>) -> Box<dyn SnapshotReader> {
        Box::new(must(self.0.lock().reader()))
    }

    fn clear(&mut self, _: &mut Batch) {
        let mut documents = self.0.lock();
        documents.pending.clear();
        documents.applied = Index(0);
        must(documents.delete_all());
    }

    fn restore(&mut self, chunk: &[u8], _: &mut Batch) -> Result<(), Corrupt> {
        let mut documents = self.0.lock();
        let puts = parts::split(chunk);
        let taken = puts.and_then(|puts| puts.into_iter().try_for_each(|put| documents.run(put)));
        if documents.pending.len() >= PENDING_MAX {
            must(documents.commit());
        }
        taken.ok_or_else(|| Corrupt("not a chunk of documents".to_owned()))
    }

    fn restored(&mut self, applied: Index, batch: &mut Batch) -> Result<(), Corrupt> {
        self.persist(applied, batch);
        Ok(())
    }
}

/// All documents of an instant, as the commands that put them.
struct Reader {
    searcher: Searcher,
    id: Field,
    text: Field,
    all: IntoIter<DocAddress>,
}

impl SnapshotReader for Reader {
    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, storage::Error> {
        let mut chunk = Vec::new();
        while chunk.len() < bytes
            && let Some(at) = self.all.next()
        {
            let document = self.searcher.doc(at);
            let document = document.map_err(|why| storage::Error::Corrupt(why.to_string()))?;
            let (id, text) = (text_of(&document, self.id), text_of(&document, self.text));
            parts::push(&mut chunk, &put(&id, &text));
        }
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

pub(crate) struct SearchMachines {
    dir: PathBuf,
    shelf: Shelf<Documents>,
}

impl SearchMachines {
    fn dir_of(&self, group: GroupId) -> PathBuf {
        self.dir.join(format!("index-{}", group.get()))
    }
}

impl Machines for SearchMachines {
    fn open(&self, group: GroupId, _: &Arc<dyn Engine>) -> Result<Box<dyn StateMachine>, Corrupt> {
        let documents = Documents::open(&self.dir_of(group));
        let documents = documents.map_err(|why| Corrupt(why.to_string()))?;
        Ok(Box::new(Search(self.shelf.put(group, documents))))
    }

    fn destroy(&self, group: GroupId, _: &mut Batch) {
        self.shelf.remove(group);
        match fs::remove_dir_all(self.dir_of(group)) {
            Err(why) if why.kind() != ErrorKind::NotFound => panic!("the index stays: {why}"),
            _ => {}
        }
    }
}

type Nodes = Cluster<SearchMachines>;

/// Puts documents about a topic, and deletes the first.
fn fill(cluster: &Nodes, group: GroupId, topic: &str) -> Result<(), Failed> {
    for nth in 0..40 {
        let text = format!("Document {nth} of {} is about {topic}.", group.get());
        cluster.propose_repeatedly(group, &put(&format!("{topic}-{nth}"), &text))?;
    }
    cluster.propose_repeatedly(group, &delete(&format!("{topic}-0"))).map(drop)
}

fn hits(node: &Node<SearchMachines>, group: GroupId, query: &str) -> Result<usize, Failed> {
    let documents = node.machines.shelf.get(group).ok_or_else(|| Failed("gone".to_owned()))?;
    let found = documents.lock().query(query, 1_000).map_err(Failed::because);
    found.map(|ids| ids.len())
}

/// Checks how many documents match, as the leader has them.
fn expect(cluster: &Nodes, group: GroupId, query: &str, count: usize) -> Result<(), Failed> {
    let found = cluster.read(group, |node| hits(node, group, query))?;
    ensure(found == count, || format!("{query} in group {group}: {found}, not {count}"))
}

fn state(node: &Node<SearchMachines>, group: GroupId) -> Option<Vec<Bytes>> {
    let mut reader = node.machines.shelf.get(group)?.lock().reader().ok()?;
    let mut puts: Vec<Bytes> = std::iter::from_fn(|| reader.next(1).ok().flatten()).collect();
    puts.sort();
    Some(puts)
}

pub(crate) fn main() -> Result<(), Failed> {
    let make = |dir: &Path| SearchMachines { dir: dir.to_owned(), shelf: Shelf::default() };
    let cluster = Cluster::start(make)?;
    println!("search: 3 nodes, {GROUPS} groups");
    cluster.in_all_groups(|group| {
        fill(&cluster, group, "whales")?;
        expect(&cluster, group, "whales", 39)?;
        expect(&cluster, group, "+whales +7", 1)
    })?;
    println!("search: 40 documents put and one deleted in every group, the others are found");
    cluster.in_all_groups(|group| {
        if group.get() == GROUPS {
            cluster.kill(2)?;
            println!("search: node 2 killed while all groups are written to");
        }
        fill(&cluster, group, "ships")?;
        expect(&cluster, group, "ships OR whales", 78)
    })?;
    println!("search: 40 more; {} groups need a snapshot", cluster.needing_snapshot(2));
    cluster.restart(2)?;
    cluster.wait_equal(state)?;
    println!("search: node 2 is back, every group has the same documents on all nodes");
    let found = cluster.on(2, |node| hits(node, FIRST_GROUP, "ships")).transpose()?;
    ensure(found == Some(39), || format!("{found:?} ships on node 2, where 39 are expected"))?;
    println!("search: all is well");
    Ok(())
}
