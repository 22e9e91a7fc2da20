//! What is waited for, told once and not at every try.

/// What the log was told last.
#[derive(Debug, Default)]
pub(super) struct Waiting(Option<String>);

impl Waiting {
    /// A try has failed. Says whether that is news: it had gone well before, or failed otherwise.
    pub(super) fn failed(&mut self, why: &str) -> bool {
        if self.0.as_deref() == Some(why) {
            return false;
        }
        self.0 = Some(why.to_owned());
        true
    }

    /// A try has succeeded. Says whether one had failed before.
    pub(super) fn is_over(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_reason_is_told_once_and_its_end_too() {
        let mut waiting = Waiting::default();
        assert!(!waiting.is_over());
        assert!(waiting.failed("no leader") && !waiting.failed("no leader"));
        assert!(waiting.failed("nobody answers") && waiting.failed("no leader"));
        assert!(waiting.is_over() && !waiting.is_over());
        assert!(waiting.failed("no leader"));
    }
}
