//! How an example ends when something is not as it should be.

use std::fmt;

/// An example did not show what it is there to show. Nothing is retried after it.
#[derive(Clone, PartialEq, Eq)]
pub struct Failed(pub String);

/// Checks what an example claims.
///
/// # Errors
/// If it does not hold: `what`, then.
pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(Failed(what())) }
}

impl Failed {
    /// A failure whose reason is another error.
    pub fn because(why: impl fmt::Display) -> Failed {
        Failed(why.to_string())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

// What `main` returns is printed in this form.
impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Failed {}
