//! A full-text index (tantivy) in files of its own, under sixteen Raft groups on three nodes.
//!
//! ```sh
//! cargo run --release -p examples --example search
//! ```
//!
//! Shows a machine whose state the engine cannot write together with its own records. Changes wait
//! in memory and are committed when somebody queries, when the engine is about to cut the log, and
//! when there are many. A commit says up to which slot it goes; a restart applies the rest again.
//! After a crash the index may be a little newer than the engine's records and is told some changes
//! twice: harmless, as documents are put and deleted whole, by id, and the last change wins.
//!
//! A snapshot is all documents. Their ranking is not replicated: it depends on tantivy's segments.
//!
//! Prints a line for each stage, and ends with an error if something is not as it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use examples::{Chunks, Cluster, FIRST_GROUP, Failed, Node, Shelf, Story, ensure, parts, unpack};
use multiraft::{Command, Corrupt, Machines, SnapshotReader, StateMachine};
use parking_lot::Mutex;
use storage::{Batch, Engine, View};
use tantivy::collector::{Count, DocSetCollector};
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
    /// The whole command.
    stored: Field,
    /// Not in the index yet: a text, or none if the document is deleted.
    pending: BTreeMap<String, Option<String>>,
    /// The last slot that index and pending changes reflect; 0 if there was no command yet.
    applied: Index,
}

impl Documents {
    fn open(dir: &Path) -> tantivy::Result<Documents> {
        fs::create_dir_all(dir)?;
        let mut schema = Schema::builder();
        let id = schema.add_text_field("id", STRING);
        let text = schema.add_text_field("text", TEXT);
        let stored = schema.add_bytes_field("stored", STORED);
        let index = Tantivy::open_or_create(MmapDirectory::open(dir)?, schema.build())?;
        let payload = index.load_metas()?.payload;
        let applied = payload.and_then(|at| at.parse().ok()).map_or(Index(0), Index);
        Ok(Documents { index, id, text, stored, pending: BTreeMap::new(), applied })
    }

    /// A command that is none changes nothing.
    fn run(&mut self, command: &[u8]) -> Option<()> {
        let (id, text) = match parts::split(command)?[..] {
            [id] => (id, None),
            [id, text] => (id, Some(String::from_utf8(text.to_vec()).ok()?)),
            _ => return None,
        };
        self.pending.insert(String::from_utf8(id.to_vec()).ok()?, text);
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
                document.add_bytes(self.stored, &put(&id, &text));
                document.add_text(self.id, id);
                document.add_text(self.text, text);
                writer.add_document(document)?;
            }
        }
        self.finish(writer)
    }

    fn finish(&self, mut writer: IndexWriter) -> tantivy::Result<()> {
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&self.applied.0.to_string());
        commit.commit()?;
        writer.wait_merging_threads()
    }

    fn commit_if_many(&mut self) {
        if self.pending.len() >= PENDING_MAX {
            must(self.commit());
        }
    }

    /// Of everything that was applied.
    fn searcher(&mut self) -> tantivy::Result<Searcher> {
        if !self.pending.is_empty() {
            self.commit()?;
        }
        let reader = self.index.reader_builder().reload_policy(ReloadPolicy::Manual);
        Ok(reader.try_into()?.searcher())
    }

    fn count(&mut self, query: &str) -> tantivy::Result<usize> {
        let query = QueryParser::for_index(&self.index, vec![self.text]).parse_query(query)?;
        self.searcher()?.search(&query, &Count)
    }

    /// All documents of this instant, as the commands that put them.
    fn puts(&mut self) -> tantivy::Result<impl Iterator<Item = PutResult> + Send + use<>> {
        let (searcher, stored) = (self.searcher()?, self.stored);
        let all = searcher.search(&AllQuery, &DocSetCollector)?;
        let all: BTreeSet<DocAddress> = all.into_iter().collect();
        Ok(all.into_iter().map(move |at| {
            let document: tantivy::Result<TantivyDocument> = searcher.doc(at);
            let document = document.map_err(|why| storage::Error::Corrupt(why.to_string()))?;
            let value = document.get_first(stored);
            let put = value.as_ref().and_then(Value::as_bytes).unwrap_or_default();
            Ok(Bytes::copy_from_slice(put))
        }))
    }
}

type PutResult = Result<Bytes, storage::Error>;

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
        documents.commit_if_many();
    }

    fn persist(&mut self, applied: Index, _: &mut Batch) -> Index {
        let mut documents = self.0.lock();
        documents.applied = applied;
        must(documents.commit());
        applied
    }

    fn snapshot(&mut self, _: Box<dyn View>) -> Box<dyn SnapshotReader> {
        Box::new(Chunks(must(self.0.lock().puts())))
    }

    fn clear(&mut self, _: &mut Batch) {
        let mut documents = self.0.lock();
        documents.pending.clear();
        documents.applied = Index(0);
        let writer = must(documents.writer());
        must(writer.delete_all_documents().and_then(|_| documents.finish(writer)));
    }

    fn restore(&mut self, chunk: &[u8], _: &mut Batch) -> Result<(), Corrupt> {
        let mut documents = self.0.lock();
        unpack(chunk, |put| documents.run(put))?;
        documents.commit_if_many();
        Ok(())
    }

    fn restored(&mut self, applied: Index, batch: &mut Batch) -> Result<(), Corrupt> {
        self.persist(applied, batch);
        Ok(())
    }
}

pub(crate) struct SearchMachines {
    dir: PathBuf,
    shelf: Shelf<Documents>,
}

impl SearchMachines {
    pub(crate) fn new(dir: &Path) -> SearchMachines {
        SearchMachines { dir: dir.to_owned(), shelf: Shelf::default() }
    }

    /// How many documents match.
    pub(crate) fn count(&self, group: GroupId, query: &str) -> Result<usize, Failed> {
        self.shelf.with(group, |documents| documents.count(query))?.map_err(Failed::because)
    }

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
        let dir = self.dir_of(group);
        if dir.exists() {
            fs::remove_dir_all(dir).expect("what is removed must be gone");
        }
    }
}

type Nodes = Cluster<SearchMachines>;

/// Puts documents about a topic, and deletes the first.
fn fill(cluster: &Nodes, group: GroupId, topic: &str) -> Result<(), Failed> {
    for nth in 0..40 {
        let text = format!("The document with number {nth} is about {topic}.");
        cluster.propose_repeatedly(group, &put(&format!("{topic}-{nth}"), &text))?;
    }
    cluster.propose_repeatedly(group, &delete(&format!("{topic}-0"))).map(drop)
}

/// Checks how many documents match, as the leader has them.
fn expect(cluster: &Nodes, group: GroupId, query: &str, matches: usize) -> Result<(), Failed> {
    let found = cluster.read(group, |node| node.machines.count(group, query))?;
    ensure(found == matches, || format!("{query} in group {group}: {found}, not {matches}"))
}

fn state(node: &Node<SearchMachines>, group: GroupId) -> Option<Vec<Bytes>> {
    let puts = node.machines.shelf.with(group, Documents::puts).ok()?.ok()?;
    let mut puts = puts.collect::<Result<Vec<Bytes>, _>>().ok()?;
    puts.sort();
    Some(puts)
}

pub(crate) fn main() -> Result<(), Failed> {
    let story = Story {
        name: "search",
        machines: SearchMachines::new,
        before: |cluster, group| {
            fill(cluster, group, "whales")?;
            expect(cluster, group, "whales", 39)?;
            expect(cluster, group, "whales AND 7", 1)
        },
        during: |cluster, group| {
            fill(cluster, group, "ships")?;
            expect(cluster, group, "ships OR whales", 78)
        },
        state,
    };
    let cluster = story.tell()?;
    let ships = cluster.on(2, |node| node.machines.count(FIRST_GROUP, "ships")).transpose()?;
    ensure(ships == Some(39), || format!("{ships:?} ships on node 2, where 39 are expected"))?;
    println!("search: what was put is found on all nodes, what was deleted is not");
    Ok(())
}
