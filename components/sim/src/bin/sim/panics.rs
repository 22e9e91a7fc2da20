//! A panic of the code under test is a violation too. In a release build it ends the process, so
//! what is to be known of its run is said first.

use std::cell::{Cell, RefCell};

use sim::Run;
use types::Time;

use crate::again;
use crate::world::Simulated;

thread_local! {
    /// How the run of this thread is done again.
    static AGAIN: RefCell<String> = const { RefCell::new(String::new()) };
    static STEPS: Cell<u64> = const { Cell::new(0) };
    static NOW: Cell<Time> = const { Cell::new(Time::ZERO) };
}

/// Sets what a panic says from now on: for programs one line on stdout, for people another.
pub(crate) fn hook(terse: bool) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if terse {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            println!("failed {} {} panic at {place}", STEPS.get(), NOW.get().0);
        } else {
            AGAIN.with_borrow(|again| eprintln!("a run panics; again: ./x sim {again}"));
        }
        before(info);
    }));
}

/// What this thread runs from now on.
pub(crate) fn runs<W: Simulated>(run: &Run<'_, W::Bug>) {
    AGAIN.set(again::<W>(run, &run.trim));
}

/// The process does this run alone.
pub(crate) fn watch<W: Simulated>(run: &Run<'_, W::Bug>, terse: bool) {
    hook(terse);
    runs::<W>(run);
}

/// Another step is taken.
pub(crate) fn step(now: Time) {
    STEPS.set(STEPS.get() + 1);
    NOW.set(now);
}

/// Steps that were taken.
pub(crate) fn steps() -> u64 {
    STEPS.get()
}
