//! Packets made by hand, from members or strangers, lawful or not.

use raft::{Body, Change, LogMark, Message, Pledge, Receipt, Stamp};
use raft_world::{App, Cargo, Entry, Packet, Payload};
use types::{EntryId, Index, Term};

use crate::script_runner::arguments::{self, Args, Failure};
use crate::script_runner::setup;
use crate::script_runner::story;
use crate::script_runner::world::World;

/// `inject FROM TO KIND term=T …`: a packet arrives that nobody sent.
pub(crate) fn inject(world: &mut World, args: &mut Args<'_>) -> Result<(), Failure> {
    let (from, to) = (args.peer()?, args.peer()?);
    let kind = args.word("the kind of message")?;
    let term = Term(args.key("term")?.ok_or("term= is missing")?);
    let (body, cargo) = body(world, kind, args, Stamp(world.now_of(to).0))?;
    args.end()?;
    let packet = Packet { from, to, message: Message { term, body }, cargo };
    world.tell(format!("{to} gets {} from {from}@{term}", story::message(&packet, world.stamps)));
    world.arrive(packet);
    Ok(())
}

fn body(
    world: &World,
    kind: &str,
    args: &mut Args<'_>,
    now: Stamp,
) -> Result<(Body, Cargo), Failure> {
    let stamp = args.text("stamp").map_or(Ok(now), arguments::stamp)?;
    let granted: bool = args.key("granted")?.unwrap_or(true);
    let mut index =
        |key: &str| -> Result<Index, Failure> { Ok(Index(args.key(key)?.unwrap_or(0))) };
    let (commit, at) = (index("commit")?, index("at")?);
    let matched = index("matched")?;
    let verified = args.key("verified")?.map_or(matched, Index);
    let ask = Term(args.key("ask")?.unwrap_or(0));
    let transfer = args.key("transfer")?.unwrap_or(false);
    let mut entry = |key: &str| args.text(key).map_or(Ok(EntryId::default()), arguments::entry);
    let (last, prev) = (entry("last")?, entry("prev")?);
    let (hint, snapshot) = (entry("hint")?, entry("snapshot")?);
    let body = match kind {
        "PreVote" => Body::PreVote { last },
        "PreVoteReply" => Body::PreVoteReply { ask, granted },
        "Vote" => Body::Vote { last, transfer },
        "VoteReply" => Body::VoteReply { granted },
        "Append" => {
            let entries = entries(world, args)?;
            let end = entries.last().map_or(prev.index, |entry| entry.id.index);
            let last = args.key("upto")?.map_or(end, Index);
            let body = Body::Append { prev, last, commit, stamp };
            return Ok((body, Cargo::Entries(entries)));
        }
        "Ack" => Body::Ack { matched, verified, stamp, pledge: Pledge(0) },
        "Nack" => Body::Nack { at, hint, stamp },
        "Beat" => Body::Beat { commit, stamp },
        "Commit" => Body::Commit { commit },
        "Install" => {
            let changes: Vec<Change> =
                args.words().into_iter().map(arguments::change).collect::<Result<_, _>>()?;
            let app = App::new(snapshot, arguments::members(&changes)?);
            return Ok((Body::Install { snapshot, stamp }, Cargo::Snapshot(Box::new(app))));
        }
        "TimeoutNow" => Body::TimeoutNow { stamp },
        "Behind" => Body::Behind,
        _ => return Err(format!("{kind} is no message").into()),
    };
    Ok((body, Cargo::None))
}

/// `5@2 6@3 [members=6 v1 v2]`: as they are known in this world, else invented.
fn entries(world: &World, args: &mut Args<'_>) -> Result<Vec<Entry>, Failure> {
    let (mut entries, mut members) = (Vec::new(), Vec::new());
    for word in args.words() {
        if !word.contains('@') {
            members.push(arguments::change(word)?);
            continue;
        }
        let id = arguments::entry(word)?;
        entries.push(setup::known(world, id).unwrap_or_else(|| invented(id)));
    }
    if let Some(index) = args.key("members")?.map(Index) {
        let place = entries.iter_mut().find(|entry| entry.id.index == index);
        let membership = arguments::members(&members)?;
        place.ok_or("no such entry")?.payload = Payload::Membership(membership);
    }
    Ok(entries)
}

/// An entry whose content follows from where it stands, so that all logs that have it agree.
pub(crate) fn invented(id: EntryId) -> Entry {
    Entry { id, payload: setup::command(&format!("e{}.{}", id.index, id.term)) }
}

/// `receipt P term=T [vote=Q] log=INDEX@TERM`: a write is reported durable, whether it is or not.
pub(crate) fn receipt(world: &mut World, args: &mut Args<'_>) -> Result<(), Failure> {
    let id = args.peer()?;
    let term = Term(args.key("term")?.ok_or("term= is missing")?);
    let vote = args.text("vote").map(arguments::peer).transpose()?;
    let EntryId { term: of, index } = arguments::entry(args.text("log").ok_or("log= is missing")?)?;
    args.end()?;
    let receipt = Receipt { term, vote, log: LogMark { term: of, index } };
    world.input(id, raft::Input::Persisted(receipt));
    Ok(())
}
