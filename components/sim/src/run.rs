//! What one run is to be, and who hears of it.

use types::Time;

use crate::trim::Trim;

/// One run: a seed, perhaps with a planted bug, perhaps with something left out.
#[derive(Clone)]
pub struct Run<'a, B> {
    /// Everything follows from it.
    pub seed: u64,
    /// What is done wrong.
    pub bug: Option<B>,
    /// What is left out.
    pub trim: Trim,
    /// Is told every step, in words.
    pub tell: Option<&'a dyn Fn(String)>,
    /// Hears that another step is taken, and when it happens.
    pub on_step: Option<&'a dyn Fn(Time)>,
}

impl<B> Run<'_, B> {
    /// The run of a seed, whole and without a planted bug.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Run { seed, bug: None, trim: Trim::default(), tell: None, on_step: None }
    }

    /// The run of a seed with a planted bug.
    #[must_use]
    pub fn planted(seed: u64, bug: B) -> Self {
        Run { bug: Some(bug), ..Run::of(seed) }
    }
}
