//! The gRPC service of a store: each method hands its message to [`Raw`] and back.

use std::pin::pin;
use std::sync::Arc;

use proto::kvrpcpb::{
    BatchGetRequest, BatchGetResponse, BatchRollbackRequest, BatchRollbackResponse,
    CheckSecondaryLocksRequest, CheckSecondaryLocksResponse, CheckTxnStatusRequest,
    CheckTxnStatusResponse, CommitRequest, CommitResponse, GetRequest, GetResponse,
    PessimisticLockRequest, PessimisticLockResponse, PessimisticRollbackRequest,
    PessimisticRollbackResponse, PrewriteRequest, PrewriteResponse, RawBatchDeleteRequest,
    RawBatchDeleteResponse, RawBatchGetRequest, RawBatchGetResponse, RawBatchPutRequest,
    RawBatchPutResponse, RawBatchScanRequest, RawBatchScanResponse, RawCasRequest, RawCasResponse,
    RawChecksumRequest, RawChecksumResponse, RawDeleteRangeRequest, RawDeleteRangeResponse,
    RawDeleteRequest, RawDeleteResponse, RawGetKeyTtlRequest, RawGetKeyTtlResponse, RawGetRequest,
    RawGetResponse, RawPutRequest, RawPutResponse, RawScanRequest, RawScanResponse,
    ResolveLockRequest, ResolveLockResponse, ScanLockRequest, ScanLockResponse, ScanRequest,
    ScanResponse, TxnHeartBeatRequest, TxnHeartBeatResponse, UnsafeDestroyRangeRequest,
    UnsafeDestroyRangeResponse,
};
use proto::tikvpb::tikv_server::Tikv;
use proto::tikvpb::{BatchCommandsRequest, BatchCommandsResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use types::{GroupId, Index};

use super::raw::Way;
use super::requests::Method;
use super::{Raw, batch, transactions};

/// Asks for the version of what was read or written, in the answer to each raw request that is for
/// one region. It comes with the head of the answer: the library adds no trailers to an answer that
/// is not an error, and it is known before the first byte in any case.
const WANT_VERSION: &str = "crib-want-version";
/// Region and slot: of two answers about one region, the later one saw more.
const VERSION: &str = "crib-version";
/// Messages of answers that wait for their client to read.
const ANSWERS_WAITING_MAX: usize = 16;

/// The service `tikvpb.Tikv`.
pub(crate) struct Service {
    raw: Arc<Raw>,
}

impl Service {
    /// A service over the regions of this store.
    pub(crate) fn new(raw: Arc<Raw>) -> Service {
        Service { raw }
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn no_transactions<T>() -> Answer<T> {
    Err(Status::unimplemented(transactions::WHY))
}

fn versioned<T>(
    metadata: &MetadataMap,
    (message, version): (T, Option<(GroupId, Index)>),
) -> Response<T> {
    let mut response = Response::new(message);
    if metadata.contains_key(WANT_VERSION)
        && let Some((region, index)) = version
        && let Ok(value) = format!("{}:{}", region.get(), index.0).parse()
    {
        response.metadata_mut().insert(VERSION, value);
    }
    response
}

#[tonic::async_trait]
impl Tikv for Service {
    type BatchCommandsStream = ReceiverStream<Result<BatchCommandsResponse, Status>>;

    async fn batch_commands(
        &self,
        request: Request<Streaming<BatchCommandsRequest>>,
    ) -> Answer<Self::BatchCommandsStream> {
        let (send, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
        tokio::spawn(batch::serve(Arc::clone(&self.raw), request.into_inner(), send));
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn raw_get(&self, request: Request<RawGetRequest>) -> Answer<RawGetResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(&metadata, self.raw.timed(Method::RawGet, pin!(self.raw.get(message))).await))
    }

    async fn raw_put(&self, request: Request<RawPutRequest>) -> Answer<RawPutResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(&metadata, self.raw.timed(Method::RawPut, pin!(self.raw.put(message))).await))
    }

    async fn raw_delete(&self, request: Request<RawDeleteRequest>) -> Answer<RawDeleteResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw.timed(Method::RawDelete, pin!(self.raw.delete(message))).await,
        ))
    }

    async fn raw_compare_and_swap(
        &self,
        request: Request<RawCasRequest>,
    ) -> Answer<RawCasResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw
                .timed(Method::RawCompareAndSwap, pin!(self.raw.compare_and_swap(message)))
                .await,
        ))
    }

    async fn raw_batch_get(
        &self,
        request: Request<RawBatchGetRequest>,
    ) -> Answer<RawBatchGetResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw.timed(Method::RawBatchGet, pin!(self.raw.batch_get(message))).await,
        ))
    }

    async fn raw_batch_put(
        &self,
        request: Request<RawBatchPutRequest>,
    ) -> Answer<RawBatchPutResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw.timed(Method::RawBatchPut, pin!(self.raw.batch_put(message))).await,
        ))
    }

    async fn raw_batch_delete(
        &self,
        request: Request<RawBatchDeleteRequest>,
    ) -> Answer<RawBatchDeleteResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw.timed(Method::RawBatchDelete, pin!(self.raw.batch_delete(message))).await,
        ))
    }

    async fn raw_scan(&self, request: Request<RawScanRequest>) -> Answer<RawScanResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw.timed(Method::RawScan, pin!(self.raw.scan(message, Way::Alone))).await,
        ))
    }

    async fn raw_batch_scan(
        &self,
        request: Request<RawBatchScanRequest>,
    ) -> Answer<RawBatchScanResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw.timed(Method::RawBatchScan, pin!(self.raw.batch_scan(message))).await,
        ))
    }

    async fn raw_delete_range(
        &self,
        request: Request<RawDeleteRangeRequest>,
    ) -> Answer<RawDeleteRangeResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw.timed(Method::RawDeleteRange, pin!(self.raw.delete_range(message))).await,
        ))
    }

    async fn raw_get_key_ttl(
        &self,
        request: Request<RawGetKeyTtlRequest>,
    ) -> Answer<RawGetKeyTtlResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw.timed(Method::RawGetKeyTtl, pin!(self.raw.get_key_ttl(message))).await,
        ))
    }

    async fn raw_checksum(
        &self,
        request: Request<RawChecksumRequest>,
    ) -> Answer<RawChecksumResponse> {
        let (metadata, _, message) = request.into_parts();
        Ok(versioned(
            &metadata,
            self.raw.timed(Method::RawChecksum, pin!(self.raw.checksum(message))).await,
        ))
    }

    async fn unsafe_destroy_range(
        &self,
        request: Request<UnsafeDestroyRangeRequest>,
    ) -> Answer<UnsafeDestroyRangeResponse> {
        let work = pin!(self.raw.unsafe_destroy_range(request.into_inner()));
        Ok(Response::new(self.raw.timed(Method::UnsafeDestroyRange, work).await))
    }

    async fn kv_scan_lock(&self, _: Request<ScanLockRequest>) -> Answer<ScanLockResponse> {
        Ok(Response::new(transactions::no_locks()))
    }

    async fn kv_get(&self, _: Request<GetRequest>) -> Answer<GetResponse> {
        no_transactions()
    }

    async fn kv_scan(&self, _: Request<ScanRequest>) -> Answer<ScanResponse> {
        no_transactions()
    }

    async fn kv_prewrite(&self, _: Request<PrewriteRequest>) -> Answer<PrewriteResponse> {
        no_transactions()
    }

    async fn kv_pessimistic_lock(
        &self,
        _: Request<PessimisticLockRequest>,
    ) -> Answer<PessimisticLockResponse> {
        no_transactions()
    }

    async fn kv_pessimistic_rollback(
        &self,
        _: Request<PessimisticRollbackRequest>,
    ) -> Answer<PessimisticRollbackResponse> {
        no_transactions()
    }

    async fn kv_txn_heart_beat(
        &self,
        _: Request<TxnHeartBeatRequest>,
    ) -> Answer<TxnHeartBeatResponse> {
        no_transactions()
    }

    async fn kv_check_txn_status(
        &self,
        _: Request<CheckTxnStatusRequest>,
    ) -> Answer<CheckTxnStatusResponse> {
        no_transactions()
    }

    async fn kv_check_secondary_locks(
        &self,
        _: Request<CheckSecondaryLocksRequest>,
    ) -> Answer<CheckSecondaryLocksResponse> {
        no_transactions()
    }

    async fn kv_commit(&self, _: Request<CommitRequest>) -> Answer<CommitResponse> {
        no_transactions()
    }

    async fn kv_batch_get(&self, _: Request<BatchGetRequest>) -> Answer<BatchGetResponse> {
        no_transactions()
    }

    async fn kv_batch_rollback(
        &self,
        _: Request<BatchRollbackRequest>,
    ) -> Answer<BatchRollbackResponse> {
        no_transactions()
    }

    async fn kv_resolve_lock(&self, _: Request<ResolveLockRequest>) -> Answer<ResolveLockResponse> {
        no_transactions()
    }
}
