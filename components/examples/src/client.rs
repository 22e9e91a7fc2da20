//! A client: finds leaders, asks again what was refused, and never repeats what may be done.
//!
//! | outcome | what it means | what the client does |
//! |---|---|---|
//! | `Refused(NotLeader)` | nothing was done | asks the leader, or the next node |
//! | `Refused(Superseded)`, busy, stopping | nothing was done, nor will be | asks again |
//! | `Refused`, any other | nothing was done, and asking again is no use | fails |
//! | `Undetermined` | nobody knows, also in a while | tells its caller, who knows the command |

use std::sync::atomic::Ordering;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use multiraft::{Handle, Machines, Outcome, Pending, Refusal};
use types::GroupId;

use crate::cluster::{Cluster, GROUPS, Node, group_id};
use crate::failed::{Failed, ensure};

/// How long anything may take. Far above what it takes: a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

impl<M: Machines + 'static> Cluster<M> {
    /// Proposes a command: the machine's reply, or `None` if nobody knows whether it is applied, or
    /// will be yet.
    ///
    /// # Errors
    /// If it is refused for good, or there is no leader for long.
    pub fn propose(&self, group: GroupId, command: &Bytes) -> Result<Option<Bytes>, Failed> {
        match self.ask(group, |handle| handle.propose(group, command.clone()))? {
            (_, Outcome::Applied { reply, .. }) => Ok(Some(reply)),
            (_, Outcome::Undetermined) => Ok(None),
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// Proposes a command until it is answered. Only for commands of which two in a row do what one
    /// does, and only where nobody else writes the same thing: an attempt that nobody knows about
    /// may come later than the one that was answered.
    ///
    /// # Errors
    /// As [`Cluster::propose`].
    pub fn propose_repeatedly(&self, group: GroupId, command: &Bytes) -> Result<Bytes, Failed> {
        until(&format!("group {group}: an answer"), || {
            self.propose(group, command)?.ok_or_else(|| Failed("undetermined".to_owned()))
        })
    }

    /// Reads from the leader what reflects everything that was answered before.
    ///
    /// # Errors
    /// If there is no leader for long.
    pub fn read<T>(
        &self,
        group: GroupId,
        query: impl Fn(&Node<M>) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        until(&format!("group {group}: a read"), || {
            match self.ask(group, |handle| handle.read(group))? {
                (id, Outcome::Readable(_)) => match self.on(id, &query) {
                    Some(answer) => answer,
                    None => Err(Failed(format!("node {id} was killed"))),
                },
                (_, other) => Err(unexpected(&other)),
            }
        })
    }

    /// Does the work for all groups at once, each on a thread of its own.
    ///
    /// # Errors
    /// The first failure.
    pub fn in_all_groups(
        &self,
        work: impl Fn(GroupId) -> Result<(), Failed> + Sync,
    ) -> Result<(), Failed> {
        let work = &work;
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (1..=GROUPS).map(|id| scope.spawn(move || work(group_id(id)))).collect();
            let ends = threads.into_iter().map(ScopedJoinHandle::join);
            let panicked = |_| Err(Failed("a client panicked".to_owned()));
            ends.map(|end| end.unwrap_or_else(panicked)).fold(Ok(()), Result::and)
        })
    }

    /// Asks node after node until one that leads answers.
    fn ask(
        &self,
        group: GroupId,
        request: impl Fn(&Handle) -> Pending,
    ) -> Result<(u64, Outcome), Failed> {
        let start = Instant::now();
        loop {
            let id = self.guess(group).load(Ordering::Relaxed);
            // Within the store's time for it there is always an outcome.
            let outcome = self.handle(id).map(|handle| request(&handle).wait());
            match outcome {
                Some(Outcome::Refused(Refusal::NotLeader(Some((_, Some(home)))))) => {
                    // A hint may be old, and lead to a node that is down or back to this one.
                    self.guess(group).store(home.get(), Ordering::Relaxed);
                }
                Some(Outcome::Refused(
                    Refusal::NotLeader(_) | Refusal::Busy(_) | Refusal::Full | Refusal::Stopping,
                ))
                | None => self.guess_next(group, id),
                Some(Outcome::Refused(Refusal::Superseded | Refusal::Raft(_))) => {}
                Some(Outcome::Refused(why)) => return Err(Failed::because(why)),
                Some(outcome) => return Ok((id, outcome)),
            }
            ensure(start.elapsed() < PATIENCE, || format!("group {group} has no leader"))?;
            std::thread::sleep(PAUSE);
        }
    }
}

/// Tries again and again.
///
/// # Errors
/// If it does not succeed for long: the last failure.
pub(crate) fn until<T>(
    what: &str,
    mut attempt: impl FnMut() -> Result<T, Failed>,
) -> Result<T, Failed> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(why) if start.elapsed() > PATIENCE => return Err(Failed(format!("{what}: {why}"))),
            Err(_) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
}

fn unexpected(outcome: &Outcome) -> Failed {
    Failed(format!("not an outcome of such a request: {outcome:?}"))
}
