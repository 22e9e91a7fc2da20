//! The command line.

use clap::{ArgGroup, Args, Parser, Subcommand};
use sim::{Class, NO_CLASS, Shape, Size, Trim};

/// Runs the simulation: stores in one thread, everything from one seed.
///
/// Exits with 1 on a violation, 2 on wrong usage.
#[derive(Debug, Parser)]
#[command(name = "sim", max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub world: World,
}

#[derive(Debug, Subcommand)]
pub(crate) enum World {
    /// Several stores with many groups.
    #[command(alias = "run")]
    Cluster(Wanted),
    /// Whole clusters: stores, placement and clients.
    Whole(Wanted),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["seed", "seeds", "minutes"]))]
pub(crate) struct Wanted {
    /// One run, with every step printed.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Many runs, such as 0..2000; every violation is printed.
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub seeds: Option<(u64, u64)>,
    /// Fresh seeds until the time is up.
    #[arg(long, value_name = "N")]
    pub minutes: Option<u64>,
    /// Seeks a smaller run that fails in the same way, and prints how to replay it: fewer classes
    /// of trouble and of work, fewer groups or clients, a shorter time until everything heals.
    #[arg(long, requires = "seed", conflicts_with = "terse")]
    pub minimise: bool,
    /// Runs that the search for a smaller one may take.
    #[arg(long, value_name = "N", requires = "minimise", default_value_t = 200)]
    pub attempts: u32,
    /// Fails also if some site of odd behaviour was never reached, and names it.
    #[arg(long, conflicts_with = "seed")]
    pub every_site: bool,
    /// Prints one line for programs instead: `held STEPS` or `failed STEPS NANOSECONDS CHECK`.
    #[arg(long, requires = "seed")]
    pub terse: bool,
    /// With a planted bug, by its name in `Bug` or `Planted`: its checker has to find it.
    #[arg(long, value_name = "NAME")]
    pub bug: Option<String>,
    #[command(flatten)]
    pub trim: Trims,
}

/// What of the run is left out. The rest draws the same chances as without these.
#[derive(Debug, Args)]
#[command(next_help_heading = "Smaller runs")]
pub(crate) struct Trims {
    /// Classes of trouble and of work that do not happen; a wrong name prints all of them.
    #[arg(long, value_name = "CLASS,…", value_delimiter = ',')]
    without: Vec<String>,
    /// Of the classes, these alone happen; `none` for none.
    #[arg(long, value_name = "CLASS,…", value_delimiter = ',', conflicts_with = "without")]
    only: Vec<String>,
    /// Everything heals after so many milliseconds of virtual time, if not before.
    #[arg(long, value_name = "N")]
    until_ms: Option<u64>,
    /// At most so many stores.
    #[arg(long, value_name = "N")]
    stores: Option<u64>,
    /// At most so many groups at the beginning.
    #[arg(long, value_name = "N")]
    groups: Option<u64>,
    /// At most so many clients.
    #[arg(long, value_name = "N")]
    clients: Option<u64>,
    /// At most so many keys of clients.
    #[arg(long, value_name = "N")]
    keys: Option<u64>,
}

impl Trims {
    /// What is left out of a world of this shape, or what that world does not have.
    pub(crate) fn of(&self, shape: Shape) -> Result<Trim, String> {
        let mut trim = Trim { until_ms: self.until_ms, ..Trim::default() };
        for name in &self.without {
            trim.without.insert(class(shape, name)?);
        }
        if !self.only.is_empty() {
            trim.without.extend(shape.classes);
        }
        for name in self.only.iter().filter(|&name| name != NO_CLASS) {
            trim.without.remove(&class(shape, name)?);
        }
        for (size, most) in
            Size::ALL.into_iter().zip([self.stores, self.groups, self.clients, self.keys])
        {
            let Some(most) = most else { continue };
            if shape.least(size).is_none_or(|least| most < least) {
                let least = shape
                    .least(size)
                    .map_or("does not go here".to_owned(), |least| format!("is at least {least}"));
                return Err(format!("--{} {most}: that {least}", size.name()));
            }
            trim.most.insert(size, most);
        }
        Ok(trim)
    }
}

fn class(shape: Shape, name: &str) -> Result<Class, String> {
    shape.class(name).ok_or_else(|| {
        let names: Vec<&str> = shape.classes.iter().map(|class| class.name()).collect();
        format!("no class `{name}`; there are: {}", names.join(" "))
    })
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let ends = text.split_once("..").and_then(|(first, end)| {
        let (first, end) = (first.parse().ok()?, end.parse().ok()?);
        (first < end).then_some((first, end))
    });
    ends.ok_or_else(|| "not a range such as 0..2000".to_owned())
}
