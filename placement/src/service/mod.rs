//! The RPCs of placement: what clients, stores and people ask.
//!
//! Only the leader answers more than `GetMembers`. What is repeated in a request has a limit, and
//! so has every message. A stream ends with a status as soon as leadership does.

mod admin;
mod pd;
mod stores;
mod streams;

use std::sync::Arc;

use proto::crib::placement::v1::admin_server::AdminServer;
use proto::crib::placement::v1::placement_server::PlacementServer;
use proto::keyspacepb::keyspace_server::KeyspaceServer;
use proto::pdpb::pd_server::PdServer;
use tonic::Status;
use types::StoreId;

use crate::driver::{Driver, Lead, Unavailable};

/// Largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Largest telling of a store: it may have many regions.
const REPORT_BYTES_MAX: usize = 16 << 20;
/// Largest answer, in bytes. Clients take 4 MiB unless told otherwise.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// All services of one member.
#[derive(Clone)]
pub struct Service {
    driver: Arc<Driver>,
}

/// The generated servers, with their limits set.
pub struct Services {
    /// Routing and timestamps.
    pub pd: PdServer<Service>,
    /// Keyspaces.
    pub keyspace: KeyspaceServer<Service>,
    /// For stores.
    pub placement: PlacementServer<Service>,
    /// For people.
    pub admin: AdminServer<Service>,
}

impl Service {
    /// The services of a member.
    #[must_use]
    pub fn new(driver: Arc<Driver>) -> Service {
        Service { driver }
    }

    /// What a server adds to its router.
    #[must_use]
    pub fn into_services(self) -> Services {
        Services {
            pd: PdServer::new(self.clone())
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
            keyspace: KeyspaceServer::new(self.clone())
                .max_decoding_message_size(REQUEST_BYTES_MAX),
            placement: PlacementServer::new(self.clone())
                .max_decoding_message_size(REPORT_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
            admin: AdminServer::new(self)
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        }
    }

    /// The leadership of this node, for a request of this cluster.
    fn lead(&self, cluster: u64) -> Result<Arc<Lead>, Status> {
        self.check(cluster)?;
        Ok(self.driver.lead()?)
    }

    fn check(&self, cluster: u64) -> Result<(), Status> {
        let ours = self.driver.config.cluster.get();
        if cluster == ours {
            return Ok(());
        }
        Err(Status::failed_precondition(format!("this is cluster {ours}, not {cluster}")))
    }
}

impl From<Unavailable> for Status {
    fn from(why: Unavailable) -> Status {
        match why {
            // Whoever hears `Unavailable` takes it for not done.
            Unavailable::Unknown(why) => Status::unknown(why),
            why => Status::unavailable(why.to_string()),
        }
    }
}

fn store_id(id: u64) -> Result<StoreId, Status> {
    StoreId::new(id).ok_or_else(|| Status::invalid_argument("store 0"))
}
