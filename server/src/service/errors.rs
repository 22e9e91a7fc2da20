//! Why a request was not carried out, in the words of the protocol.
//!
//! Clients tell errors apart by which field is set, and treat some badly: a store that says it is
//! busy fails the caller of one client at once, so that is never said; what no client knows makes
//! each of them wait a little and ask again.

use kv::{BadRequest, RegionError};
use proto::errorpb;
use proto::metapb;

/// Why a request was not carried out.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The region, or the way to it. The client looks again.
    Region(RegionError),
    /// The request makes no sense. The caller is told.
    Bad(String),
}

impl From<RegionError> for Denied {
    fn from(error: RegionError) -> Denied {
        Denied::Region(error)
    }
}

impl From<BadRequest> for Denied {
    fn from(error: BadRequest) -> Denied {
        Denied::Bad(format!("CRIB-E2001: {error}"))
    }
}

impl From<storage::Error> for Denied {
    fn from(error: storage::Error) -> Denied {
        tracing::error!(%error, "a read failed");
        Denied::Bad(format!("CRIB-E4001: the store cannot read: {error}"))
    }
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Denied::Region(error) => write!(f, "{error}"),
            Denied::Bad(why) => write!(f, "{why}"),
        }
    }
}

impl Denied {
    /// For answers that have both fields.
    pub(super) fn said(self) -> (Option<errorpb::Error>, String) {
        match self {
            Denied::Region(error) => (Some(region_error(&error)), String::new()),
            Denied::Bad(why) => (None, why),
        }
    }

    /// As [`Denied::said`], of what must not be done twice. After a region error of which they know
    /// no more all clients ask again, and what was done would then be told as refused; after a text
    /// none does.
    pub(super) fn said_once(self) -> (Option<errorpb::Error>, String) {
        match self {
            Denied::Region(error @ RegionError::Undetermined) => {
                (None, format!("CRIB-E2012: {error}"))
            }
            other => other.said(),
        }
    }

    /// For answers of which some clients read the text alone: to them, a region error without one
    /// is success.
    pub(super) fn said_in_both(self) -> (Option<errorpb::Error>, String) {
        let why = self.to_string();
        (self.said().0, why)
    }

    /// For answers that have no field but that of a region error. What makes no sense is told as
    /// what is too large, of size 0: no client asks that again.
    pub(super) fn final_error(self) -> errorpb::Error {
        match self.said() {
            (Some(error), _) => error,
            (None, message) => errorpb::Error {
                message,
                raft_entry_too_large: Some(errorpb::RaftEntryTooLarge::default()),
                ..Default::default()
            },
        }
    }
}

fn region_error(error: &RegionError) -> errorpb::Error {
    let mut said = errorpb::Error { message: error.to_string(), ..Default::default() };
    match error {
        RegionError::NotLeader { region, leader } => {
            said.not_leader = Some(errorpb::NotLeader {
                region_id: region.get(),
                leader: leader.map(metapb::Peer::from),
            });
        }
        RegionError::RegionNotFound(region) => {
            said.region_not_found = Some(errorpb::RegionNotFound { region_id: region.get() });
        }
        RegionError::NotInitialized(region) => {
            said.region_not_initialized =
                Some(errorpb::RegionNotInitialized { region_id: region.get() });
        }
        RegionError::EpochNotMatch(regions) => {
            let current_regions = regions.iter().map(metapb::Region::from).collect();
            said.epoch_not_match = Some(errorpb::EpochNotMatch { current_regions });
        }
        RegionError::KeyNotInRegion { key, region } => {
            said.key_not_in_region = Some(errorpb::KeyNotInRegion {
                key: key.clone().into(),
                region_id: region.id.get(),
                start_key: region.range.start.clone().into(),
                end_key: region.range.end.clone().into(),
            });
        }
        RegionError::StoreNotMatch { asked, own } => {
            said.store_not_match = Some(errorpb::StoreNotMatch {
                request_store_id: asked.get(),
                actual_store_id: own.get(),
            });
        }
        RegionError::StaleCommand => said.stale_command = Some(errorpb::StaleCommand {}),
        RegionError::EntryTooLarge { region, bytes, .. } => {
            said.raft_entry_too_large = Some(errorpb::RaftEntryTooLarge {
                region_id: region.get(),
                entry_size: *bytes as u64,
            });
        }
        RegionError::Undetermined => {
            said.undetermined_result =
                Some(errorpb::UndeterminedResult { message: error.to_string() });
        }
        RegionError::DiskFull(own) => {
            let reason = said.message.clone();
            said.message = format!("CRIB-E4017: {reason}");
            said.disk_full = Some(errorpb::DiskFull { store_id: vec![own.get()], reason });
        }
        // Of no kind: all clients back off and come again.
        RegionError::Busy(_) => {}
    }
    said
}

#[cfg(test)]
mod tests {
    use types::StoreId;

    use super::*;

    #[test]
    fn request_without_sense_is_a_region_error_that_nobody_asks_again() {
        let said = Denied::Bad("CRIB-E2001: no".to_owned()).final_error();
        assert_eq!(said.message, "CRIB-E2001: no");
        assert_eq!(said.raft_entry_too_large, Some(errorpb::RaftEntryTooLarge::default()));
        let said = Denied::from(RegionError::StaleCommand).final_error();
        assert!(said.raft_entry_too_large.is_none() && said.stale_command.is_some());
    }

    #[test]
    fn swap_that_may_be_done_is_told_as_what_no_client_asks_again() {
        let (said, why) = Denied::from(RegionError::Undetermined).said_once();
        assert!(said.is_none() && why.starts_with("CRIB-E2012: "), "{why}");
        let (said, why) = Denied::from(RegionError::StaleCommand).said_once();
        assert!(said.is_some_and(|said| said.stale_command.is_some()) && why.is_empty());
    }

    #[test]
    fn refusal_for_clients_that_read_one_field_is_in_both() {
        let (said, why) = Denied::from(RegionError::StaleCommand).said_in_both();
        assert!(said.is_some_and(|said| said.stale_command.is_some()));
        assert_eq!(why, RegionError::StaleCommand.to_string());
        let (said, why) = Denied::Bad("CRIB-E2001: no".to_owned()).said_in_both();
        assert_eq!((said, why.as_str()), (None, "CRIB-E2001: no"));
    }

    #[test]
    fn store_without_room_is_named_in_the_field_of_the_protocol() {
        let own = StoreId::new(7).expect("not zero");
        let (said, why) = Denied::from(RegionError::DiskFull(own)).said();
        let said = said.expect("a region error");
        let full = said.disk_full.expect("it says what kind");
        assert_eq!((full.store_id, why.as_str()), (vec![7], ""));
        assert_eq!(said.message, format!("CRIB-E4017: {}", full.reason));
    }
}
