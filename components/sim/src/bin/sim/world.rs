//! The two worlds that are run, as one thing.

use sim::whole::{Kind, Planted};
use sim::{Bug, Count, Counted, Counts, Extent, Failure, Run, Shape};

/// A world that can be run.
pub(crate) trait Simulated {
    /// What can be planted in it.
    type Bug: Copy + std::fmt::Debug + Send + Sync + 'static;
    /// What is counted in it.
    type Counted: Counted + Send;

    /// Its name on the command line.
    const NAME: &'static str;
    /// What can be left out of it.
    const SHAPE: Shape;
    /// All of its bugs.
    const BUGS: &'static [Self::Bug];

    fn run(run: &Run<'_, Self::Bug>) -> Result<Counts<Self::Counted>, Failure>;

    /// How large the run of a seed is.
    fn extent(seed: u64) -> Extent;
}

/// Several stores with many groups.
pub(crate) enum Cluster {}

/// Whole clusters.
pub(crate) enum Whole {}

impl Simulated for Cluster {
    type Bug = Bug;
    type Counted = Count;

    const NAME: &'static str = "cluster";
    const SHAPE: Shape = sim::SHAPE;
    const BUGS: &'static [Bug] = &Bug::ALL;

    fn run(run: &Run<'_, Bug>) -> Result<Counts<Count>, Failure> {
        sim::run(run)
    }

    fn extent(seed: u64) -> Extent {
        sim::extent(seed)
    }
}

impl Simulated for Whole {
    type Bug = Planted;
    type Counted = Kind;

    const NAME: &'static str = "whole";
    const SHAPE: Shape = sim::whole::SHAPE;
    const BUGS: &'static [Planted] = &Planted::ALL;

    fn run(run: &Run<'_, Planted>) -> Result<Counts<Kind>, Failure> {
        sim::whole::run(run)
    }

    fn extent(seed: u64) -> Extent {
        sim::whole::extent(seed)
    }
}
