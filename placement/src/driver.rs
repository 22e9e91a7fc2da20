//! One member of placement: follows, or leads and decides.
//!
//! ```text
//! on_standing(leads) ─► begin: a read of the own term ─► Bootstrap, if nobody was born yet
//!                        ─► a window of timestamps ─► Lead: reports are taken, questions answered
//! on_standing(other) ─► timestamps cleared ─► Lead dropped ─► streams end, naming the leader
//! ```
//!
//! Invariant: whatever is answered comes from a `Lead` that began after a read of its term.

mod heard;
mod lead;
mod planning;
mod seat_watch;
mod seats;
mod stores;
mod timestamps;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use multiraft::{Handle, Outcome, Refusal, Standing};
use parking_lot::{Mutex, RwLock};
use proto::crib::placement::v1;
use tokio::sync::{Notify, mpsc, watch};
use tracing::{info, warn};
use types::{StoreId, Term};

use crate::GROUP;
use crate::clock::{Clock, wall_ms};
use crate::config::Config;
use crate::machine::StateView;
use crate::scheduler::Tally;
use crate::state::{Command, FIRST_ID, Refused, Reply};
use crate::tso::Oracle;

use heard::Heard;
pub(crate) use heard::{Said, summary, told};
pub(crate) use lead::{Lead, Outbox};
pub use seat_watch::SeatWatch;
pub use seats::changes;
pub(crate) use stores::StoreError;
use timestamps::Ask;

/// Between two attempts to begin to lead.
const RETRY: Duration = Duration::from_millis(100);
/// How often the window of timestamps is looked after.
const WINDOW_TICK: Duration = Duration::from_millis(200);
/// Requests for timestamps that wait; further ones wait at their senders.
const ASKS_MAX: usize = 4_096;

/// Why there is no answer. Ask again, perhaps elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Another leads, if one is known: its store and address.
    NotLeader(Option<(StoreId, String)>),
    /// It leads, or may lead, and could not do it now.
    Failed(String),
    /// It is not known whether it was done.
    Unknown(String),
}

impl Unavailable {
    /// The state answered what does not fit what it was asked.
    fn odd(reply: &Reply) -> Unavailable {
        Unavailable::Failed(format!("an odd reply: {reply:?}"))
    }
}

/// What a node that is no member has heard of placement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hearsay {
    /// The store that leads it.
    pub leader: Option<StoreId>,
    /// The stores of its members, and where they are.
    pub members: Vec<(StoreId, String)>,
}

/// A member of placement, or a node that only knows of it.
pub struct Driver {
    pub(crate) config: Config,
    pub(crate) view: Arc<StateView>,
    handle: Handle,
    standing: watch::Sender<Option<Standing>>,
    oracle: Mutex<Oracle>,
    lead: RwLock<Option<Arc<Lead>>>,
    hearsay: RwLock<Hearsay>,
    asks: mpsc::Sender<Ask>,
    asked: Mutex<Option<mpsc::Receiver<Ask>>>,
    /// A window is used up.
    window_wanted: Notify,
    /// A window was saved.
    window_saved: Notify,
    clock: Clock,
}

impl Driver {
    /// A member with what is applied on its store. It does nothing before [`Driver::run`].
    #[must_use]
    pub fn new(config: Config, handle: Handle, view: Arc<StateView>) -> Arc<Driver> {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        Arc::new(Driver {
            config,
            view,
            handle,
            standing: watch::Sender::new(None),
            oracle: Mutex::new(Oracle::new()),
            lead: RwLock::new(None),
            hearsay: RwLock::default(),
            asks,
            asked: Mutex::new(Some(asked)),
            window_wanted: Notify::new(),
            window_saved: Notify::new(),
            clock: Clock::new(),
        })
    }

    /// Who leads placement's group changed, as this store knows it; `None` if the group is not here
    /// any more. Does not block: for [`multiraft::Observer`].
    pub fn on_standing(&self, standing: Option<Standing>) {
        self.standing.send_replace(standing);
        let term = standing.filter(Standing::leads).map(|standing| standing.term);
        // Timestamps first: nothing may be taken from memory that is out of date.
        let mut lead = {
            let mut oracle = self.oracle.lock();
            if oracle.term() != term {
                oracle.clear();
            }
            self.lead.write()
        };
        if lead.as_ref().is_some_and(|lead| Some(lead.term) != term)
            && let Some(lead) = lead.take()
        {
            info!(term = %lead.term, "placement is led elsewhere");
            lead.end();
        }
    }

    /// Who leads, and who the members are, from hearsay: for a node that is no member, or was one.
    pub fn on_hearsay(&self, heard: Hearsay) {
        *self.hearsay.write() = heard;
    }

    /// Leads whenever it is this member's turn, until its task is dropped or aborted. Runs once;
    /// a second call returns at once.
    pub async fn run(self: Arc<Self>) {
        let Some(asked) = self.asked.lock().take() else { return };
        tokio::join!(Arc::clone(&self).serve_timestamps(asked), self.live());
    }

    /// Whether it leads and answers.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.lead.read().is_some()
    }

    /// The replicated state as applied on this node.
    #[must_use]
    pub fn view(&self) -> &Arc<StateView> {
        &self.view
    }

    /// The store that leads placement, if it is known and answers.
    #[must_use]
    pub fn leader(&self) -> Option<StoreId> {
        if self.is_leading() {
            return Some(self.config.store);
        }
        let Some(standing) = *self.standing.borrow() else { return self.hearsay.read().leader };
        if standing.leads() {
            // It does not answer yet.
            return None;
        }
        let peer = standing.leader?;
        let known = self.view.get().members.get(&peer).map(|member| member.store);
        // Peers of founders are numbered as their stores are.
        known.or_else(|| StoreId::new(peer.get()).filter(|store| store.get() < FIRST_ID))
    }

    /// Where a store is, as agreed on, or as founders were given.
    pub(crate) fn address_of(&self, store: StoreId) -> Option<String> {
        let state = self.view.get();
        let agreed = state.stores.get(&store).map(|store| store.address.clone());
        let heard = || {
            let hearsay = self.hearsay.read();
            let known = hearsay.members.iter().find(|(member, _)| *member == store);
            known.map(|(_, address)| address.clone())
        };
        agreed.or_else(heard).or_else(|| {
            let founder = self.config.founders.iter().find(|founder| founder.id == Some(store));
            founder.map(|founder| founder.address.clone())
        })
    }

    /// Stores of placement's members, those that vote: as agreed on, or as heard, or, if nobody has
    /// said anything yet, the founders.
    pub(crate) fn members(&self) -> Vec<StoreId> {
        let state = self.view.get();
        let voting = state.members.values().filter(|member| member.votes);
        let mut members: Vec<StoreId> = voting.map(|member| member.store).collect();
        if members.is_empty() {
            members.extend(self.hearsay.read().members.iter().map(|(store, _)| *store));
        }
        if members.is_empty() {
            members.extend(self.config.founders.iter().filter_map(|founder| founder.id));
        }
        members.sort_unstable();
        members
    }

    /// What a store is for placement, as agreed on.
    pub(crate) fn seat_of(&self, store: StoreId) -> v1::PlacementSeat {
        let state = self.view.get();
        let held = state.members.values().find(|member| member.store == store);
        let votes = match held {
            Some(member) => Some(member.votes),
            None => self.members().contains(&store).then_some(true),
        };
        match votes {
            None => v1::PlacementSeat::None,
            Some(false) => v1::PlacementSeat::Learner,
            Some(true) if self.leader() == Some(store) => v1::PlacementSeat::Leader,
            Some(true) => v1::PlacementSeat::Member,
        }
    }

    /// How many operators run, and how many have ended in which way under this leadership; `None`
    /// if this member does not lead.
    #[must_use]
    pub fn operators(&self) -> Option<(usize, Tally)> {
        self.lead.read().as_ref().map(|lead| lead.operators())
    }

    pub(crate) fn not_leader(&self) -> Unavailable {
        let leader = self.leader().filter(|&store| store != self.config.store);
        Unavailable::NotLeader(leader.and_then(|store| Some((store, self.address_of(store)?))))
    }

    /// The leadership of this member.
    pub(crate) fn lead(&self) -> Result<Arc<Lead>, Unavailable> {
        self.lead.read().clone().ok_or_else(|| self.not_leader())
    }

    /// Changes the replicated state.
    pub(crate) async fn propose(
        &self,
        command: &Command,
    ) -> Result<Result<Reply, Refused>, Unavailable> {
        match self.handle.propose(GROUP, Bytes::from(command.encode())).await {
            Outcome::Applied { reply, .. } => match Reply::decode(&reply) {
                Ok(Reply::Refused(refused)) => Ok(Err(refused)),
                Ok(reply) => Ok(Ok(reply)),
                Err(why) => Err(Unavailable::Failed(why.0)),
            },
            Outcome::Refused(Refusal::NotLeader(_) | Refusal::Superseded | Refusal::NoGroup(_)) => {
                Err(self.not_leader())
            }
            Outcome::Refused(why) => Err(Unavailable::Failed(why.to_string())),
            other => Err(Unavailable::Unknown(format!("it may have been done, or not: {other:?}"))),
        }
    }

    async fn live(&self) {
        let mut standing = self.standing.subscribe();
        loop {
            let now = *standing.borrow_and_update();
            let Some(term) = now.filter(Standing::leads).map(|standing| standing.term) else {
                if standing.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let leading = async {
                while let Err(why) = self.begin(term).await {
                    warn!(%term, %why, "cannot lead placement yet");
                    tokio::time::sleep(RETRY).await;
                }
                tokio::join!(self.keep_window(), self.keep_planning());
            };
            tokio::select! {
                () = leading => {}
                changed = standing.wait_for(|other| *other != now) => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn begin(&self, term: Term) -> Result<(), Unavailable> {
        if self.lead.read().as_ref().is_some_and(|lead| lead.term == term) {
            return Ok(());
        }
        // Readable once an entry of its own term is applied: then nothing of those before is
        // missing.
        match self.handle.read(GROUP).await {
            Outcome::Readable(_) => {}
            other => return Err(Unavailable::Failed(format!("no right to read: {other:?}"))),
        }
        if self.view.get().cluster.is_none() {
            let birth = Command::Bootstrap(self.config.birth());
            match self.propose(&birth).await? {
                Ok(_) => info!(cluster = %self.config.cluster, "the cluster is born"),
                Err(Refused::AlreadyBootstrapped) => {}
                Err(why) => return Err(Unavailable::Failed(why.to_string())),
            }
        }
        {
            let held = self.view.get().window_until_ms;
            let mut oracle = self.oracle.lock();
            self.still(term)?;
            oracle.begin(term, held, wall_ms());
        }
        self.save_window().await?;
        let state = self.view.get();
        let lead = Lead::new(&self.config, &state, term, self.clock);
        let mut place = self.lead.write();
        self.still(term)?;
        info!(%term, "leads placement");
        *place = Some(Arc::new(lead));
        Ok(())
    }

    /// Checked with a lock that `on_standing` takes after it has written who leads.
    fn still(&self, term: Term) -> Result<(), Unavailable> {
        match *self.standing.borrow() {
            Some(standing) if standing.leads() && standing.term == term => Ok(()),
            _ => Err(self.not_leader_of(term)),
        }
    }

    fn not_leader_of(&self, term: Term) -> Unavailable {
        Unavailable::Failed(format!("term {term} is over"))
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Clients of the protocol know by the first four words that another leads.
            Unavailable::NotLeader(None) => {
                f.write_str("this member is not leader, and none is known")
            }
            Unavailable::NotLeader(Some((store, address))) => {
                write!(f, "this member is not leader: store {} at {address} is", store.get())
            }
            Unavailable::Failed(why) | Unavailable::Unknown(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Unavailable {}
