//! The peer under attack, brought into a role, and what must hold after whatever is done to it.
//!
//! The peer is p1. Its log is `3@2 4@2 5@3 6@3` behind the base `2@1`, committed and applied up to
//! 4, in term 3; p1, p2 and p3 vote unless the opening says otherwise. Time starts at 100 ns and
//! the timeouts are a few hundred, so that stamps are small numbers that a generator can hit.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use raft::{
    Boot, Config, Content, Input, LogSizes, Member, Membership, Message, Outbox, Peer, Placed,
    ReadToken, Receipt, Refused, RoleStatus, Run,
};
use types::{EntryId, Index, PeerId, Term, Time};

use crate::line::{Cargo, Op, Sizes};
use crate::{read, watch};

/// Openings: name, members, and lines as in a corpus file, with `;` between.
pub(crate) const OPENINGS: [(&str, &str, &[&str]); 12] = [
    ("waiting", "p1v+p2v+p3v", &[]),
    ("follower", "p1v+p2v+p3v", &[FOLLOW, "durable; drain"]),
    ("writing", "p1v+p2v+p3v+p4l", &[FOLLOW]),
    ("learner", "p1l+p2v+p3v", &[FOLLOW, "durable; drain"]),
    ("stranger", "-", &[]),
    ("installing", "p1v+p2v+p3v", &[FOLLOW, INSTALL]),
    ("pre-candidate", "p1v+p2v+p3v", &[ASK]),
    ("candidate", "p1v+p2v+p3v", &[ASK, WOULD]),
    ("leader", "p1v+p2v+p3v+p4l", &[ASK, WOULD, DID, AGREE]),
    ("joint-leader", "p1v+p2v+p3v", &[ASK, WOULD, DID, AGREE, "change to=p4v+p3; drain"]),
    ("alone", "p1v", &[ASK, "durable; drain; durable; drain"]),
    ("crowd", CROWD, &[ASK, WOULD, DID, AGREE]),
];

const FOLLOW: &str = "append from=p2 term=4 prev=6@3 last=8 commit=5 stamp=40 runs=7@4; drain";
const INSTALL: &str = "install from=p2 term=4 snapshot=20@4 stamp=50 covers=p1v+p2v+p3v; drain";
const ASK: &str = "wait nanos=200; timer; drain";
const WOULD: &str = "pre-vote-reply from=p2 term=3 ask=4 granted=true; drain";
const DID: &str = "durable; drain; vote-reply from=p2 term=4 granted=true; drain";
const AGREE: &str = "durable; ack from=p2 term=4 matched=7 verified=7 stamp=301; drain";
/// More than quorums are counted for without heap.
const CROWD: &str = "p1v+p2v+p3v+p4l+p5l+p6l+p7l+p8l+p9l+p10l+p11l+p12l+p13l+p14l+p15l+p16l+p17l";

/// Bytes of an entry, honestly.
const ENTRY_BYTES: u64 = 10;

pub(crate) fn config() -> Config {
    let nanos = Duration::from_nanos;
    Config {
        election_timeout: nanos(100),
        campaign_after: nanos(100),
        campaign_spread: nanos(50),
        heartbeat_interval: nanos(20),
        restart_wait: nanos(100),
        append_bytes_max: 4 * ENTRY_BYTES,
        window_bytes: 12 * ENTRY_BYTES,
        window_entries: 8,
        uncommitted_bytes_max: 1_000,
        reads_max: 8,
        ..Config::default()
    }
}

/// The peer and its surroundings.
pub(crate) struct Stage {
    pub(crate) peer: Peer,
    pub(crate) out: Outbox,
    pub(crate) now: Time,
    /// Receipts of writes that were asked for and not reported.
    owed: VecDeque<Receipt>,
    /// Runs and members fed so far: they bound what a peer may hold.
    pub(crate) fed: u64,
}

impl Stage {
    /// A peer in the role that this opening leads to.
    pub(crate) fn open(name: &str) -> Result<Stage, String> {
        let opening = OPENINGS.iter().find(|opening| opening.0 == name);
        let (_, members, lines) = opening.ok_or_else(|| format!("no opening `{name}`"))?;
        let membership = membership(&read::members(members)?);
        let id = PeerId::new(1).expect("not zero");
        let runs =
            [(3, 2), (5, 3)].map(|(first, term)| Run { first: Index(first), term: Term(term) });
        let whole = Boot {
            term: Term(3),
            commit: Index(4),
            applied: Index(4),
            base: EntryId::new(Term(1), Index(2)),
            membership: (Index(2), &membership),
            runs: &runs,
            last: Index(6),
            ..Boot::empty(id, 7)
        };
        let boot = if membership.is_empty() { Boot::empty(id, 7) } else { whole };
        let peer = Peer::restore(Arc::new(config()), &boot, Time(100));
        let peer = peer.map_err(|error| error.to_string())?;
        let mut out = Outbox::new();
        // Room for all that the limits allow, so that only the core's own allocations are counted.
        out.sends.reserve(4_096);
        out.snapshots.reserve(64);
        out.reads.reserve(64);
        out.events.reserve(64);
        let fed = 64 + 4 * membership.len() as u64;
        let mut stage = Stage { peer, out, now: Time(100), owed: VecDeque::new(), fed };
        for line in lines.iter().flat_map(|lines| lines.split(';')) {
            let op = read::line(line)?.ok_or("a comment in an opening")?;
            if let Some(refused) = stage.act(&op)? {
                return Err(format!("opening {name}: {refused} at `{line}`"));
            }
        }
        Ok(stage)
    }

    /// Does it, and checks everything. `Err` is a broken property, `Some` a refused input.
    pub(crate) fn act(&mut self, op: &Op) -> Result<Option<Refused>, String> {
        match op {
            Op::Message { from, message, cargo } => {
                self.fed += weight(cargo);
                let before = watch::Seen::of(&self.peer);
                let result = self.message(*from, *message, cargo)?;
                watch::message(&self.peer, &before, (*from, message, cargo), &result)?;
                Ok(result.err())
            }
            Op::Propose { count, bytes } => {
                self.local(Input::Propose { count: *count, bytes: *bytes })
            }
            Op::Change(changes) => {
                self.fed += changes.len() as u64;
                self.local(Input::Change(changes))
            }
            Op::Read(token) => self.local(Input::Read(ReadToken(*token))),
            Op::Transfer(to) => self.local(Input::Transfer(*to)),
            Op::Campaign => self.local(Input::Campaign),
            Op::StepDown => self.local(Input::StepDown),
            Op::ForgetLeader => self.local(Input::ForgetLeader),
            Op::Timer => self.local(Input::Timer),
            Op::Persisted(receipt) => self.local(Input::Persisted(*receipt)),
            Op::Durable => match self.owed.pop_front() {
                Some(receipt) => self.local(Input::Persisted(receipt)),
                None => Ok(None),
            },
            Op::Lost(peer) => self.local(Input::Lost(*peer)),
            Op::Ended(peer) => self.local(Input::SnapshotEnded(*peer)),
            Op::Compacted(index) => self.local(Input::Compacted(*index)),
            Op::Support { peer, held } => self.local(Input::Support { peer: *peer, held: *held }),
            Op::Drain(sizes) => self.drain(*sizes).map(|()| None),
            Op::Wait(nanos) => {
                self.now = Time(self.now.0.saturating_add(*nanos));
                Ok(None)
            }
        }
    }

    fn local(&mut self, input: Input<'_>) -> Result<Option<Refused>, String> {
        self.step(input).map(Result::err)
    }

    fn message(
        &mut self,
        from: PeerId,
        message: Message,
        cargo: &Cargo,
    ) -> Result<Result<Placed, Refused>, String> {
        match cargo {
            Cargo::None => self.step(Input::Message { from, message, content: Content::None }),
            Cargo::Entries { runs, memberships } => {
                let memberships: Vec<(Index, Membership)> =
                    memberships.iter().map(|(at, members)| (*at, membership(members))).collect();
                let content = Content::Entries { runs, memberships: &memberships };
                self.step(Input::Message { from, message, content })
            }
            Cargo::Snapshot(members) => {
                let membership = membership(members);
                let content = Content::Snapshot(&membership);
                self.step(Input::Message { from, message, content })
            }
        }
    }

    fn step(&mut self, input: Input<'_>) -> Result<Result<Placed, Refused>, String> {
        let before = (watch::Seen::of(&self.peer), Stage::describe(&self.peer));
        let mut result: Result<Placed, Refused> = Ok(Placed::Nothing);
        let (now, peer, out) = (self.now, &mut self.peer, &mut self.out);
        let cost = measure(|| result = peer.step(now, input, out));
        watch::step(self, (&before.0, &before.1), &result, cost.bytes_total)?;
        // Sent at once, so that the outbox never grows on account of the core.
        self.out.sends.clear();
        self.out.reads.clear();
        Ok(result)
    }

    fn drain(&mut self, sizes: Sizes) -> Result<(), String> {
        let before = watch::Seen::of(&self.peer);
        let log = self.peer.status().log;
        let liar = Liar {
            sizes,
            // The host keeps a compacted log, and may be asked of it alone.
            log: log.base().index.next()..log.last().index.next(),
            asked_beyond: Cell::new(None),
        };
        let (now, peer, out) = (self.now, &mut self.peer, &mut self.out);
        let cost = measure(|| peer.drain(now, &liar, out));
        if let Some(range) = liar.asked_beyond.take() {
            return Err(format!("asked for the sizes of {range:?}, the log is {:?}", liar.log));
        }
        watch::drain(self, &before, cost.bytes_total)?;
        if let Some(write) = self.out.write.take() {
            self.owed.push_back(write.receipt);
        }
        self.out.clear();
        if self.peer.status().role != RoleStatus::Leader {
            self.peer.drain(self.now, &liar, &mut self.out);
            if !self.out.is_empty() {
                return Err(format!("a second drain had more to say: {:?}", self.out));
            }
        }
        Ok(())
    }

    /// Everything there is to know of the peer, to compare.
    pub(crate) fn describe(peer: &Peer) -> String {
        let mut text = String::with_capacity(2_048);
        let all = (peer.status(), peer.deadline(), peer.is_dirty());
        write!(text, "{all:?} {peer:?}").expect("a string takes everything");
        text
    }
}

/// Members that make no membership stand for the unknown one.
fn membership(members: &[Member]) -> Membership {
    Membership::new(members).unwrap_or(Membership::unknown())
}

fn weight(cargo: &Cargo) -> u64 {
    match cargo {
        Cargo::None => 0,
        Cargo::Entries { runs, memberships } => {
            let members: usize = memberships.iter().map(|(_, members)| members.len() + 4).sum();
            (runs.len() + members) as u64
        }
        Cargo::Snapshot(members) => members.len() as u64 + 4,
    }
}

/// A host that may lie about the sizes of its entries, but notices when it is asked nonsense.
struct Liar {
    sizes: Sizes,
    log: Range<Index>,
    asked_beyond: Cell<Option<Range<Index>>>,
}

impl LogSizes for Liar {
    fn fit(&self, entries: Range<Index>, bytes_max: u64) -> (Index, u64) {
        let is_inside = entries.start >= self.log.start && entries.end <= self.log.end;
        if !is_inside || entries.is_empty() {
            self.asked_beyond.set(Some(entries.clone()));
        }
        let count = entries.end.since(entries.start);
        match self.sizes {
            Sizes::Honest => {
                let fits = count.min(bytes_max / ENTRY_BYTES);
                (Index(entries.start.0 + fits), fits.saturating_mul(ENTRY_BYTES))
            }
            Sizes::Zero => (entries.start, 0),
            Sizes::All => (entries.end, u64::MAX),
            Sizes::Before => (Index(0), 0),
            Sizes::Beyond => (Index(u64::MAX), 0),
            Sizes::One => (entries.start.next(), 0),
        }
    }
}
