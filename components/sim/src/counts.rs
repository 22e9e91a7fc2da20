//! What runs went through: how often what happened, and a hash over every step.

use std::fmt;

use crate::odd::{SITES, Site};

/// Kinds of things that happen, numbered from zero.
pub trait Counted: Copy + 'static {
    /// All of them in the order of their numbers, with their names.
    const NAMES: &'static [(Self, &'static str)];

    /// Its number.
    fn number(self) -> usize;
}

/// What a run, or many, went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts<K> {
    /// Hash over every step.
    pub trace: u64,
    counts: Vec<u64>,
    /// How often each site of odd behaviour was reached.
    sites: [u64; SITES],
    kind: std::marker::PhantomData<K>,
}

impl<K: Counted> Default for Counts<K> {
    fn default() -> Counts<K> {
        Counts {
            trace: 0,
            counts: vec![0; K::NAMES.len()],
            sites: [0; SITES],
            kind: std::marker::PhantomData,
        }
    }
}

impl<K: Counted> Counts<K> {
    /// How often something happened.
    #[must_use]
    pub fn count(&self, kind: K) -> u64 {
        self.counts[kind.number()]
    }

    pub(crate) fn add(&mut self, kind: K, times: u64) {
        self.counts[kind.number()] += times;
    }

    /// Sites of odd behaviour that were reached so often.
    pub(crate) fn reach(&mut self, times: &[u64; SITES]) {
        for (sum, times) in self.sites.iter_mut().zip(times) {
            *sum += times;
        }
    }

    /// Sites of odd behaviour that were never reached.
    pub fn unreached(&self) -> impl Iterator<Item = Site> + '_ {
        let sites = Site::ALL.into_iter().zip(&self.sites);
        sites.filter(|(_, times)| **times == 0).map(|((site, _), _)| site)
    }

    pub(crate) fn note(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds another run's counts.
    pub fn merge(&mut self, other: &Counts<K>) {
        self.trace ^= other.trace;
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        self.reach(&other.sites);
    }
}

impl<K: Counted> fmt::Display for Counts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &(kind, name) in K::NAMES {
            write!(f, "{} {name}, ", self.count(kind))?;
        }
        let reached = SITES - self.unreached().count();
        write!(f, "sites reached {reached} of {SITES} (")?;
        for (nth, ((_, name), times)) in Site::ALL.iter().zip(self.sites).enumerate() {
            let comma = if nth == 0 { "" } else { ", " };
            write!(f, "{comma}{times} {name}")?;
        }
        write!(f, "), trace {:016x}", self.trace)
    }
}
