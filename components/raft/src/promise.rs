//! Promises: until when a peer protects a leader (thesis §6.4.1).
//!
//! Leases rest on them. What binds a peer is the longest of: an election timeout since it heard its
//! leader, or since it was restarted; what its host protects for it ([`Peer::protect`]); what it
//! may have promised before a restart by other settings ([`Peer::has_promised_before`]).

use types::{PeerId, Time};

use crate::config::Lease;
use crate::flags::Flags;
use crate::input::Refused;
use crate::peer::Peer;

impl Peer {
    /// Before it stopped, this peer may have promised until then to protect a leader, by the
    /// settings of then: a longer election timeout, or leases that are off now. Until then it
    /// neither votes for another nor campaigns itself. Say it before any input.
    pub fn has_promised_before(&mut self, until: Time) {
        self.promised_until = self.promised_until.max(until);
        self.flags.set(Flags::PROMISED_BEFORE);
    }

    /// The host protects the leader until then, whatever this peer has heard itself: as if it had
    /// promised that. Say it before the inputs that it is to be true of. A peer whose own timer
    /// runs out meanwhile asks to be let go ([`crate::Event::LetGo`]), and one that has no timer
    /// when it is asked for its vote.
    pub fn protect(&mut self, until: Time) {
        self.promised_until = self.promised_until.max(until);
        self.flags.set(Flags::PROTECTS);
    }

    /// Protects the leader from now on, and waits for it.
    pub(crate) fn promise(&mut self, now: Time) {
        let until = now.after(self.config.election_timeout);
        self.promised_until = self.promised_until.max(until);
        self.reset_election_timer(now);
    }

    /// Whether the election timer, which has run out, has to wait until a promise has passed. It
    /// outlasts each promise of today's settings by itself.
    pub(crate) fn puts_off(&mut self, now: Time) -> bool {
        let protects = self.flags.take(Flags::PROTECTS);
        let binds = protects || self.flags.has(Flags::PROMISED_BEFORE);
        let puts_off = binds && self.has_promised(now);
        if protects && puts_off {
            // The host goes on protecting a leader that this peer does not hear.
            self.flags.set(Flags::LET_GO);
        }
        puts_off
    }

    /// Refuses what would break the promise that a lease may rest on.
    pub(crate) fn keeps_promise(&self, now: Time) -> Result<(), Refused> {
        let binds = self.config.lease != Lease::Off || self.flags.has(Flags::PROMISED_BEFORE);
        if binds && self.has_promised(now) {
            return Err(Refused::Promised(self.promised_until));
        }
        Ok(())
    }

    /// Whether a leader may count on this peer: it was heard a moment ago, or may have been before
    /// a restart. See [`crate::Config::election_timeout`].
    #[must_use]
    pub fn has_promised(&self, now: Time) -> bool {
        now < self.promised_until
    }

    /// Whether a leader must be protected from this candidate. The leader itself, when it asks,
    /// leads no more (hashicorp/raft#605).
    pub(crate) fn is_promised(&self, now: Time, candidate: PeerId) -> bool {
        if self.is_leader() {
            return true;
        }
        self.leader != Some(candidate) && (self.has_promised(now) || self.is_still())
    }
}
