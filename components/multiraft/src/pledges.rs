//! Promises between stores that the leases of all groups between them rest on.
//!
//! A follower that hears its leader protects it for an election timeout, and a lease rests on that
//! (thesis §6.4.1). A group that nobody writes to hears nothing, so its lease would end a second
//! later. But its stores hear each other all the time ([`crate::shard::liveness`]). So a follower
//! that answers its leader *pledges* itself: under a token of its store it protects the leader for
//! as long as the two stores keep that token alive, and no message of the group is needed.
//!
//! ```text
//!   leader's store A                                   follower's store B
//!     beat, sent at t  ─────────────────────────────►  renews: every peer here that pledged to
//!                                                      a leader on A under 7 protects it until
//!     holds 7 from B until  ◄── echo t, promise 7 ───  its receipt and an election timeout
//!     t and a lease's span
//!   group: ack, pledge 7  ◄───────────────────────── …which a peer does with any answer
//!   readers: a majority's tokens are held, so there is a lease
//! ```
//!
//! A token is void for ever once it has lapsed, or one peer was let go of it: what B renews
//! later has another. That is all that ties the two levels together. Whoever finds it lapsed
//! first makes it void, under the same lock, so that a beat that arrives at that moment does not
//! renew it. Those that pledged themselves under a token that was broken off stay bound until it
//! would have lapsed: A may count on it until then.
//!
//! A restart makes all of a store's tokens void: they begin with its life. What was promised
//! before is kept by [`raft::Config::restart_wait`], or longer if times were longer then. See
//! `docs/decisions/0015-pledges.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use raft::Pledge;
use types::{StoreId, Time};

/// The promises of this store to others, and theirs to it. Shared by its threads.
#[derive(Debug)]
pub struct Pledges {
    first: u64,
    /// How long a beat renews what was pledged to its sender; zero if there are no leases.
    promised: Duration,
    /// How long the sender counts on that, from when it sent the beat.
    counted: Duration,
    given: Mutex<BTreeMap<StoreId, Given>>,
    held: Mutex<BTreeMap<StoreId, Held>>,
}

/// What peers here pledged to leaders on another store.
#[derive(Debug)]
struct Given {
    token: u64,
    /// Until when those bound by it are; zero if nobody is.
    until: Time,
    /// Until when those bound by earlier ones are at most.
    earlier_until: Time,
}

/// What peers on another store pledged to leaders here.
#[derive(Debug)]
struct Held {
    token: u64,
    /// When the beat was sent that renewed it last.
    sent: Time,
}

impl Pledges {
    /// None yet. `life` is how often the store was opened, this time included.
    #[must_use]
    pub fn new(life: u64, config: &raft::Config) -> Pledges {
        let span = config.lease_span();
        Pledges {
            first: (life << 32) + 1,
            promised: span.map_or(Duration::ZERO, |_| config.election_timeout),
            counted: span.unwrap_or_default(),
            given: Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// A beat of a store arrived: whoever pledged itself to a leader there is bound for longer.
    /// Returns the token to be echoed with the beat.
    pub fn renew(&self, now: Time, store: StoreId) -> Pledge {
        if self.promised.is_zero() {
            return Pledge(0);
        }
        let mut given = self.given.lock();
        let first = Given { token: self.first, until: Time::ZERO, earlier_until: Time::ZERO };
        let given = given.entry(store).or_insert(first);
        given.lapse(now);
        given.until = given.until.max(now.after(self.promised));
        Pledge(given.token)
    }

    /// What a peer here may pledge to a leader on that store; none if that store was not heard.
    #[must_use]
    pub fn offer(&self, store: StoreId) -> Pledge {
        let given = self.given.lock();
        let token = given.get(&store).filter(|given| given.until > Time::ZERO);
        Pledge(token.map_or(0, |given| given.token))
    }

    /// Until when a peer that pledged itself under `pledge` must protect its leader on that store;
    /// `None` if it need not any more.
    #[must_use]
    pub fn bound(&self, now: Time, store: StoreId, pledge: Pledge) -> Option<Time> {
        let mut given = self.given.lock();
        let given = given.get_mut(&store)?;
        given.lapse(now);
        let is_current = given.token == pledge.0;
        let until = if is_current { given.until } else { given.earlier_until };
        (now < until).then_some(until)
    }

    /// What was pledged under this token to leaders on that store is not renewed any more.
    pub fn break_off(&self, store: StoreId, pledge: Pledge) {
        if let Some(given) = self.given.lock().get_mut(&store)
            && given.token == pledge.0
        {
            given.break_off();
        }
    }

    /// How often all that peers here had pledged to leaders on another store became void.
    #[must_use]
    pub fn voids(&self) -> u64 {
        self.given.lock().values().map(|given| given.token - self.first).sum()
    }

    /// Another life of that store, or of its support: nothing that was pledged to leaders there is
    /// renewed any more.
    pub(crate) fn begin_anew(&self, store: StoreId) {
        if let Some(given) = self.given.lock().get_mut(&store) {
            given.break_off();
        }
    }

    /// A store renewed this token when it got the beat that was sent then.
    pub fn heard(&self, store: StoreId, pledge: Pledge, sent: Time) {
        if pledge == Pledge(0) {
            return;
        }
        let mut held = self.held.lock();
        let held = held.entry(store).or_insert(Held { token: 0, sent: Time::ZERO });
        if pledge.0 > held.token {
            *held = Held { token: pledge.0, sent };
        } else if pledge.0 == held.token {
            held.sent = held.sent.max(sent);
        }
    }

    /// From when and until when `wanted` of these are known to keep what they pledged.
    #[must_use]
    pub fn kept(&self, by: &[(StoreId, Pledge)], wanted: usize) -> Option<(Time, Time)> {
        let held = self.held.lock();
        let sent = by.iter().filter_map(|(store, pledge)| {
            held.get(store).filter(|held| held.token == pledge.0).map(|held| held.sent)
        });
        let mut sent: Vec<Time> = sent.collect();
        sent.sort_unstable();
        let from = sent[sent.len().checked_sub(wanted.max(1))?];
        Some((from, from.after(self.counted)))
    }
}

impl Given {
    fn lapse(&mut self, now: Time) {
        if self.until > Time::ZERO && now >= self.until {
            self.void();
        }
    }

    /// Those bound by it stay so for as long as they would be without another beat.
    fn break_off(&mut self) {
        if self.until > Time::ZERO {
            self.earlier_until = self.earlier_until.max(self.until);
            self.void();
        }
    }

    fn void(&mut self) {
        self.token += 1;
        self.until = Time::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: StoreId = StoreId::new(1).unwrap();
    const B: StoreId = StoreId::new(2).unwrap();

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    /// An election timeout and so a promise is a second, a lease a millisecond less.
    fn pledges(life: u64) -> Pledges {
        Pledges::new(life, &raft::Config::default())
    }

    fn until(here: &Pledges, by: &[(StoreId, Pledge)], wanted: usize) -> Option<Time> {
        here.kept(by, wanted).map(|(_, until)| until)
    }

    #[test]
    fn beats_keep_a_pledge_and_silence_makes_it_void() {
        let here = pledges(1);
        assert_eq!(here.offer(A), Pledge(0), "nothing was heard of that store");
        let token = here.renew(at(1_000), A);
        assert_eq!(here.offer(A), token);
        assert_eq!(here.bound(at(1_999), A, token), Some(at(2_000)));
        assert_eq!(here.renew(at(1_999), A), token);
        assert_eq!(here.bound(at(2_500), A, token), Some(at(2_999)), "renewed in time");
        let later = here.renew(at(2_999), A);
        assert!(later > token, "silence of a second: another token");
        assert_eq!(here.bound(at(2_999), A, token), None);
        assert_eq!(here.bound(at(2_999), A, later), Some(at(3_999)));
    }

    #[test]
    fn who_was_let_go_is_not_bound_again_by_a_beat_that_arrived_before_and_is_counted_after() {
        let here = pledges(1);
        let token = here.renew(at(1_000), A);
        assert_eq!(here.bound(at(2_000), A, token), None, "a worker finds it lapsed");
        let later = here.renew(at(1_999), A);
        assert!(later > token, "the pulse had looked at the clock earlier");
        assert_eq!(here.bound(at(2_000), A, token), None);
    }

    #[test]
    fn broken_off_it_binds_for_as_long_as_the_other_may_count_on_it() {
        let here = pledges(1);
        let token = here.renew(at(1_000), A);
        here.break_off(A, token);
        assert_eq!(here.offer(A), Pledge(0), "nothing to pledge before it is heard again");
        assert_eq!(here.bound(at(1_500), A, token), Some(at(2_000)));
        let later = here.renew(at(1_600), A);
        assert!(later > token);
        assert_eq!(here.bound(at(1_700), A, token), Some(at(2_000)), "not renewed");
        assert_eq!(here.bound(at(1_700), A, later), Some(at(2_600)));
        assert_eq!(here.bound(at(2_000), A, token), None);
        here.break_off(B, token);
        assert_eq!(here.bound(at(1_700), B, token), None, "nobody pledged anything there");
    }

    #[test]
    fn each_life_has_tokens_of_its_own() {
        let (before, after) = (pledges(1), pledges(2));
        assert!(before.renew(at(1_000), A) < after.renew(at(1_000), A));
    }

    #[test]
    fn what_was_broken_off_once_is_not_broken_off_by_the_next_that_was_bound_by_it() {
        let here = pledges(1);
        let token = here.renew(at(1_000), A);
        here.break_off(A, token);
        let later = here.renew(at(1_100), A);
        here.break_off(A, token);
        assert_eq!(here.bound(at(2_000), A, later), Some(at(2_100)));
        assert_eq!(here.renew(at(2_000), A), later);
        here.begin_anew(A);
        assert_eq!(here.offer(A), Pledge(0), "another life makes any void");
        assert_eq!(here.voids(), 2);
        assert_eq!(here.bound(at(2_500), A, later), Some(at(3_000)));
    }

    #[test]
    fn leader_counts_from_when_its_beat_was_sent_and_on_that_token_alone() {
        let here = pledges(1);
        let (token, later) = (Pledge(7), Pledge(8));
        here.heard(B, token, at(1_000));
        assert_eq!(until(&here, &[(B, token)], 1), Some(at(1_999)));
        here.heard(B, token, at(900));
        assert_eq!(until(&here, &[(B, token)], 1), Some(at(1_999)), "an older echo");
        here.heard(B, later, at(1_100));
        assert_eq!(until(&here, &[(B, token)], 1), None, "it was made void there");
        here.heard(B, token, at(1_200));
        assert_eq!(until(&here, &[(B, token)], 1), None, "said before, heard after");
        assert_eq!(until(&here, &[(B, later)], 1), Some(at(2_099)));
        here.heard(A, Pledge(0), at(1_000));
        assert_eq!(until(&here, &[(A, Pledge(0))], 1), None, "a store that promises nothing");
    }

    #[test]
    fn as_many_must_keep_it_as_make_a_majority() {
        let here = pledges(1);
        let stores: Vec<StoreId> = (1..=4).map(|id| StoreId::new(id).unwrap()).collect();
        for (store, sent) in stores.iter().zip([1_000, 3_000, 2_000]) {
            here.heard(*store, Pledge(7), at(sent));
        }
        let by: Vec<_> = stores.iter().map(|&store| (store, Pledge(7))).collect();
        assert_eq!(until(&here, &by, 1), Some(at(3_999)));
        assert_eq!(until(&here, &by, 2), Some(at(2_999)));
        assert_eq!(until(&here, &by, 3), Some(at(1_999)));
        assert_eq!(until(&here, &by, 4), None, "the fourth was never heard");
        assert_eq!(until(&here, &[], 0), None);
    }

    #[test]
    fn without_leases_nothing_is_promised() {
        let config = raft::Config { lease: raft::Lease::Off, ..raft::Config::default() };
        let here = Pledges::new(1, &config);
        assert_eq!(here.renew(at(1_000), A), Pledge(0));
        assert_eq!(here.offer(A), Pledge(0));
    }
}
