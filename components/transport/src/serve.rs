//! The served side: checks who speaks, decodes what it says, hands it in.
//!
//! A stream that carries nonsense is closed with the reason; other streams, also those of the same
//! store, go on.

use std::sync::Arc;
use std::time::Duration;

use multiraft::wire::{self, Limits};
use multiraft::{Inbox, Parcel};
use proto::crib::raft::v1;
use proto::crib::raft::v1::peers_server::Peers;
use tokio::sync::mpsc;
use tokio::time;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};
use tracing::{debug, warn};
use types::StoreId;

use crate::hello::{Me, OTHER_DISK};
use crate::lane::Kind;
use crate::links::Links;
use crate::{NotAdmitted, Resolver};

/// The service that other stores dial.
pub(crate) struct Service {
    pub(crate) me: Me,
    pub(crate) limits: Limits,
    pub(crate) hello_timeout: Duration,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) links: Arc<Links>,
    pub(crate) resolver: Arc<dyn Resolver>,
}

type Answers = ReceiverStream<Result<v1::Bundle, Status>>;

#[tonic::async_trait]
impl Peers for Service {
    type TalkStream = Answers;
    type SnapshotsStream = Answers;

    async fn talk(
        &self,
        request: Request<Streaming<v1::Bundle>>,
    ) -> Result<Response<Answers>, Status> {
        self.welcome(Kind::Messages, request.into_inner()).await
    }

    async fn snapshots(
        &self,
        request: Request<Streaming<v1::Bundle>>,
    ) -> Result<Response<Answers>, Status> {
        self.welcome(Kind::Snapshots, request.into_inner()).await
    }
}

impl Service {
    fn admitted(&self, first: Option<v1::Bundle>) -> Result<StoreId, Status> {
        let (from, disk) = self.me.check(first, None)?;
        match self.resolver.admits(from, disk) {
            Ok(()) => Ok(from),
            Err(NotAdmitted::OtherDisk(why)) => Err(Status::new(OTHER_DISK, why)),
            Err(NotAdmitted::Unkept(why)) => Err(Status::unavailable(why)),
        }
    }

    async fn welcome(
        &self,
        kind: Kind,
        mut stream: Streaming<v1::Bundle>,
    ) -> Result<Response<Answers>, Status> {
        let first = time::timeout(self.hello_timeout, stream.message()).await;
        let first = first.map_err(|_elapsed| Status::deadline_exceeded("no hello in time"))?;
        let from = self.admitted(first?).inspect_err(|status| {
            let reason = status.message();
            // Of stores that are not meant for each other, an operator should know.
            if matches!(status.code(), Code::FailedPrecondition | OTHER_DISK) {
                warn!(reason, "refused a stream");
            } else {
                debug!(reason, "refused a stream");
            }
        })?;
        // It is up: if we wait before we dial it again, we need not.
        self.links.hurry(from);
        // The second place is for the reason, so that giving it never waits.
        let (answer, answers) = mpsc::channel(2);
        let hello = self.me.hello(from);
        answer.try_send(Ok(hello)).map_err(|_full| Status::internal("no place for a hello"))?;
        let receiver =
            Receiver { from, kind, limits: self.limits.clone(), inbox: Arc::clone(&self.inbox) };
        tokio::spawn(async move {
            if let Err(status) = receiver.receive(stream).await {
                warn!(store = %from, lane = ?kind, reason = status.message(), "stream closed");
                // A dialer that is gone needs no reason.
                let _ = answer.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

/// One stream that is open.
struct Receiver {
    from: StoreId,
    kind: Kind,
    limits: Limits,
    inbox: Arc<dyn Inbox>,
}

impl Receiver {
    async fn receive(&self, mut stream: Streaming<v1::Bundle>) -> Result<(), Status> {
        while let Some(bundle) = stream.message().await? {
            let parcels = wire::parcels(bundle, &self.limits)
                .map_err(|bad| Status::invalid_argument(bad.to_string()))?;
            for parcel in parcels {
                let is_snapshot = matches!(parcel, Parcel::Snapshot(_));
                if is_snapshot != (self.kind == Kind::Snapshots) {
                    return Err(Status::invalid_argument("a parcel on the wrong stream"));
                }
                self.inbox.deliver(self.from, parcel);
            }
        }
        Ok(())
    }
}
