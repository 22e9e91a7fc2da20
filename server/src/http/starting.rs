//! What the port tells while a node starts, which may take long: it waits for a cluster to take it
//! in, or reads a large log.

use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::{Answer, Check, Regions, SharedSource, Source};
use crate::errors::{self, Failure};
use crate::view::{Operator, Status, Store};

/// Stands for a node that starts, and then for the node. Clones are the same.
#[derive(Clone)]
pub struct Starting(Arc<Inner>);

struct Inner {
    node: OnceLock<(SharedSource, Box<dyn Collector>)>,
    waits_for: Mutex<&'static str>,
}

impl Starting {
    /// A node of which nothing is known yet, and what it waits for.
    #[must_use]
    pub fn new(waits_for: &'static str) -> Starting {
        let waits_for = Mutex::new(waits_for);
        Starting(Arc::new(Inner { node: OnceLock::new(), waits_for }))
    }

    /// What the node waits for now, in words.
    pub fn waits_for(&self, what: &'static str) {
        *self.0.waits_for.lock() = what;
    }

    /// The node runs. The first word counts.
    pub fn is_over(&self, source: SharedSource, figures: Box<dyn Collector>) {
        let _ = self.0.node.set((source, figures));
    }

    fn node(&self) -> Option<&SharedSource> {
        self.0.node.get().map(|(source, _)| source)
    }

    fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&SharedSource) -> Answer<T>) -> Answer<T> {
        if let Some(node) = self.node() {
            return ask(node);
        }
        let what = format!("the node has not started: {}", self.0.waits_for.lock());
        Box::pin(std::future::ready(Err(Failure::new(&errors::NO_PLACEMENT, what))))
    }
}

impl Source for Starting {
    fn checks(&self) -> Vec<Check> {
        match self.node() {
            Some(node) => node.checks(),
            None => vec![Check::new("started", false, *self.0.waits_for.lock())],
        }
    }

    fn status(&self) -> Answer<Status> {
        self.ask(|node| node.status())
    }

    fn stores(&self) -> Answer<Vec<Store>> {
        self.ask(|node| node.stores())
    }

    fn regions(&self, start: Vec<u8>, limit: u32) -> Answer<Regions> {
        self.ask(|node| node.regions(start, limit))
    }

    fn operators(&self) -> Answer<Vec<Operator>> {
        self.ask(|node| node.operators())
    }
}

impl Collector for Starting {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        match self.0.node.get() {
            Some((_, figures)) => figures.encode(encoder),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("waits_for", &*self.0.waits_for.lock()).finish()
    }
}
