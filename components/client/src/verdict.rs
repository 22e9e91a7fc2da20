//! What to make of a failure: is it final, was something done, and what was learned from it.
//!
//! Pure, so that every error of the protocol is one row of a test.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use proto::{errorpb, metapb};
use tonic::{Code, ConnectError, Status};
use types::RegionPeer;

use crate::backoff::{Pause, Setback};
use crate::convert;
use crate::error::Error;

/// What a region error is good for.
#[derive(Debug, PartialEq)]
pub(crate) enum Lesson {
    /// Nothing was learned of the region.
    Nothing,
    /// Another peer leads.
    Leader(RegionPeer),
    /// What is known of the region is wrong.
    Region,
    /// This peer is of no use now.
    Peer,
    /// What is known of the region is wrong, or out of date; and so is the connection to the store.
    Store,
    /// These regions are there instead.
    Regions(Vec<metapb::Region>),
}

/// A failure, judged.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It makes no sense to try again.
    Final(Error),
    /// Learn this, and try again.
    Again(Setback, Lesson),
}

/// Judges the error of a region.
pub(crate) fn of_region_error(error: errorpb::Error) -> Verdict {
    let why = if error.message.is_empty() { name(&error).to_owned() } else { error.message };
    if let Some(too_large) = error.raft_entry_too_large {
        let bytes = too_large.entry_size;
        // So our stores refuse what they have no other field for.
        if bytes == 0 {
            return Verdict::Final(Error::Refused(why));
        }
        return Verdict::Final(Error::TooLarge(format!("a command of {bytes} bytes: {why}")));
    }
    let mut setback = Setback::harmless(why);
    let lesson = if let Some(not_leader) = error.not_leader {
        match not_leader.leader.as_ref().and_then(convert::peer) {
            Some(leader) => {
                setback.pause = Pause::None;
                Lesson::Leader(leader)
            }
            None => Lesson::Region,
        }
    } else if let Some(epoch) = error.epoch_not_match {
        if epoch.current_regions.is_empty() {
            Lesson::Region
        } else {
            setback.pause = Pause::None;
            Lesson::Regions(epoch.current_regions)
        }
    } else if error.store_not_match.is_some() {
        Lesson::Store
    } else if let Some(busy) = error.server_is_busy {
        setback.pause = Pause::AtLeast(Duration::from_millis(busy.backoff_ms));
        Lesson::Nothing
    } else if let Some(undetermined) = error.undetermined_result {
        setback.is_unknown = true;
        setback.why = format!("{}: {}", setback.why, undetermined.message);
        Lesson::Nothing
    } else if error.proposal_in_merging_mode.is_some()
        || error.data_is_not_ready.is_some()
        || error.max_timestamp_not_synced.is_some()
        || error.disk_full.is_some()
    {
        // The peer is the right one; it only cannot now.
        Lesson::Nothing
    } else {
        // The rest, and what this client does not know: with what placement says, all may be well.
        // A leader that may not read is one of them: perhaps it leads no more.
        Lesson::Region
    };
    Verdict::Again(setback, lesson)
}

/// How a store begins to say that it does not know whether a command was done.
const UNKNOWN: &str = "CRIB-E2012";

/// Judges what a store says in words alone.
pub(crate) fn of_text(why: String) -> Verdict {
    if why.starts_with(UNKNOWN) {
        let setback = Setback { is_unknown: true, ..Setback::harmless(why) };
        return Verdict::Again(setback, Lesson::Nothing);
    }
    Verdict::Final(Error::Refused(why))
}

/// What an error is called, if it has no words.
fn name(error: &errorpb::Error) -> &'static str {
    let names = [
        (error.not_leader.is_some(), "the peer does not lead its region"),
        (error.region_not_found.is_some(), "the store does not have the region"),
        (error.key_not_in_region.is_some(), "the region does not have the key"),
        (error.epoch_not_match.is_some(), "the region has changed"),
        (error.server_is_busy.is_some(), "the store is busy"),
        (error.stale_command.is_some(), "the command was overtaken"),
        (error.store_not_match.is_some(), "the address is another store's"),
        (error.raft_entry_too_large.is_some(), "more than the store takes"),
        (error.read_index_not_ready.is_some(), "the leader may not read yet"),
        (error.proposal_in_merging_mode.is_some(), "the region is about to merge"),
        (error.region_not_initialized.is_some(), "the peer has no data yet"),
        (error.disk_full.is_some(), "the disk of the store is full"),
        (error.mismatch_peer_id.is_some(), "the store has another peer of the region"),
        (error.undetermined_result.is_some(), "the store does not know if it was done"),
    ];
    names.into_iter().find(|&(is_it, _)| is_it).map_or("an error without a name", |(_, name)| name)
}

/// Judges the failure of a call to a store.
pub(crate) fn of_status(status: &Status) -> Verdict {
    match refusal(status) {
        Some(error) => Verdict::Final(error),
        None if is_unsent(status) => {
            Verdict::Again(Setback::harmless(describe(status)), Lesson::Store)
        }
        // The request may have been sent, and lost was only the answer.
        None => Verdict::Again(Setback::unknown(describe(status)), Lesson::Store),
    }
}

/// The error, if a server has refused a call for good.
pub(crate) fn refusal(status: &Status) -> Option<Error> {
    let why = describe(status);
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Unimplemented => Some(Error::Refused(why)),
        // Raised here or there, by the limit of a message.
        Code::OutOfRange => Some(Error::TooLarge(why)),
        Code::PermissionDenied | Code::Unauthenticated => Some(Error::Denied(why)),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => None,
    }
}

/// Whether the ends of a connection did not agree on certificates, as far as this end saw.
///
/// What TLS finds wrong with the other end, and what that end says of this one, are errors of data;
/// what is below TLS has none of those, and what is above it does not tell them as errors of a
/// socket. Their own type is lost on the way.
pub(crate) fn is_mistrust(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(is_of_data) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_of_data(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// Whether the other end of a call does not take this one for one of its own, or the other way
/// round.
pub(crate) fn is_denial(status: &Status) -> bool {
    matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated)
        || status.source().is_some_and(is_mistrust)
}

/// Whether there was no connection to send it on.
fn is_unsent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether a server has said that it is not the one to ask: it has done nothing.
pub(crate) fn is_elsewhere(status: &Status) -> bool {
    // What is raised on this side has a cause.
    status.code() == Code::Unavailable && status.source().is_none()
}

/// A status with its causes, in words.
pub(crate) fn describe(status: &Status) -> String {
    let head = match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    };
    with_causes(head, status.source())
}

/// An error with its causes, in words.
pub(crate) fn with_causes(
    mut text: String,
    mut cause: Option<&(dyn std::error::Error + 'static)>,
) -> String {
    while let Some(error) = cause {
        let more = error.to_string();
        // Many repeat what they wrap.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(error: errorpb::Error) -> (Setback, Lesson) {
        match of_region_error(error) {
            Verdict::Again(setback, lesson) => (setback, lesson),
            Verdict::Final(error) => panic!("final: {error}"),
        }
    }

    fn check(rows: Vec<(errorpb::Error, Pause, Lesson)>) {
        for (error, pause, lesson) in rows {
            let shown = format!("{error:?}");
            let (setback, learned) = judge(error);
            assert_eq!((setback.pause, learned), (pause, lesson), "{shown}");
            assert!(!setback.is_unknown && !setback.why.is_empty(), "{shown}");
        }
    }

    fn of() -> errorpb::Error {
        errorpb::Error::default()
    }

    #[test]
    fn words_are_a_refusal_unless_they_say_that_it_may_be_done() {
        let Verdict::Again(setback, Lesson::Nothing) = of_text("CRIB-E2012: it led".to_owned())
        else {
            panic!("it may be done");
        };
        assert!(setback.is_unknown);
        let refused = of_text("CRIB-E2001: no".to_owned());
        assert_eq!(refused, Verdict::Final(Error::Refused("CRIB-E2001: no".to_owned())));
    }

    #[test]
    fn errors_that_teach_are_learned_from() {
        use errorpb::{
            EpochNotMatch, Error, KeyNotInRegion, MismatchPeerId, NotLeader, RegionNotFound,
            StaleCommand, StoreNotMatch,
        };
        let hint = metapb::Peer { id: 7, store_id: 2, ..Default::default() };
        let leader = convert::peer(&hint).unwrap();
        let hinted = NotLeader { region_id: 1, leader: Some(hint) };
        let regions = vec![metapb::Region { id: 3, ..Default::default() }];
        let told = EpochNotMatch { current_regions: regions.clone() };
        let (none, back) = (Pause::None, Pause::Backoff);
        check(vec![
            (Error { not_leader: Some(hinted), ..of() }, none, Lesson::Leader(leader)),
            (Error { not_leader: Some(NotLeader::default()), ..of() }, back, Lesson::Region),
            (Error { epoch_not_match: Some(told), ..of() }, none, Lesson::Regions(regions)),
            (
                Error { epoch_not_match: Some(EpochNotMatch::default()), ..of() },
                back,
                Lesson::Region,
            ),
            (
                Error { region_not_found: Some(RegionNotFound::default()), ..of() },
                back,
                Lesson::Region,
            ),
            (
                Error { key_not_in_region: Some(KeyNotInRegion::default()), ..of() },
                back,
                Lesson::Region,
            ),
            (Error { stale_command: Some(StaleCommand::default()), ..of() }, back, Lesson::Region),
            (
                Error { mismatch_peer_id: Some(MismatchPeerId::default()), ..of() },
                back,
                Lesson::Region,
            ),
            (
                Error { store_not_match: Some(StoreNotMatch::default()), ..of() },
                back,
                Lesson::Store,
            ),
            (
                Error { region_not_initialized: Some(Default::default()), ..of() },
                back,
                Lesson::Region,
            ),
            (
                Error { read_index_not_ready: Some(Default::default()), ..of() },
                back,
                Lesson::Region,
            ),
            (of(), back, Lesson::Region),
        ]);
    }

    #[test]
    fn errors_that_pass_are_waited_for() {
        use errorpb::Error;
        let busy = errorpb::ServerIsBusy { reason: String::new(), backoff_ms: 40 };
        let wait = Pause::AtLeast(Duration::from_millis(40));
        let back = Pause::Backoff;
        check(vec![
            (Error { server_is_busy: Some(busy), ..of() }, wait, Lesson::Nothing),
            (
                Error { proposal_in_merging_mode: Some(Default::default()), ..of() },
                back,
                Lesson::Nothing,
            ),
            (
                Error { max_timestamp_not_synced: Some(Default::default()), ..of() },
                back,
                Lesson::Nothing,
            ),
            (Error { data_is_not_ready: Some(Default::default()), ..of() }, back, Lesson::Nothing),
            (Error { disk_full: Some(Default::default()), ..of() }, back, Lesson::Nothing),
        ]);
    }

    #[test]
    fn unknown_fate_and_too_large_are_told_apart_from_the_rest() {
        let undetermined = errorpb::UndeterminedResult { message: "it led".to_owned() };
        let error =
            errorpb::Error { undetermined_result: Some(undetermined), ..Default::default() };
        assert!(judge(error).0.is_unknown);
        let large = errorpb::RaftEntryTooLarge { region_id: 1, entry_size: 9 };
        let error = errorpb::Error { raft_entry_too_large: Some(large), ..Default::default() };
        let verdict = of_region_error(error);
        assert!(matches!(verdict, Verdict::Final(Error::TooLarge(_))), "{verdict:?}");
        let none = errorpb::RaftEntryTooLarge::default();
        let message = "no".to_owned();
        let error =
            errorpb::Error { raft_entry_too_large: Some(none), message, ..Default::default() };
        let verdict = of_region_error(error);
        assert!(
            matches!(&verdict, Verdict::Final(Error::Refused(why)) if why == "no"),
            "{verdict:?}"
        );
    }

    #[test]
    fn statuses_are_refusals_or_of_unknown_fate() {
        let of = |code| of_status(&Status::new(code, "so"));
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Internal, Code::Cancelled] {
            let Verdict::Again(setback, lesson) = of(code) else { panic!("{code:?} is final") };
            assert!(setback.is_unknown && lesson == Lesson::Store, "{code:?}");
        }
        assert_eq!(of(Code::Unimplemented), Verdict::Final(Error::Refused("so".to_owned())));
        assert_eq!(of(Code::Unauthenticated), Verdict::Final(Error::Denied("so".to_owned())));
        assert_eq!(of(Code::OutOfRange), Verdict::Final(Error::TooLarge("so".to_owned())));
    }

    #[tokio::test]
    async fn what_had_no_connection_was_not_sent() {
        use proto::tikvpb::tikv_client::TikvClient;
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint =
            tonic::transport::Endpoint::from_shared(format!("http://{nowhere}")).unwrap();
        let mut client = TikvClient::new(endpoint.connect_lazy());
        let status = client.raw_get(proto::kvrpcpb::RawGetRequest::default()).await.unwrap_err();
        let Verdict::Again(setback, _) = of_status(&status) else { panic!("{status}") };
        assert!(!setback.is_unknown, "{status:?}");
    }
}
