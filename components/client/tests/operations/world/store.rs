//! A store: carries out raw commands on the one map, if it may.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use proto::errorpb;
use proto::kvrpcpb::{
    self, Context, KvPair, RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest,
    RawBatchGetResponse, RawBatchPutRequest, RawBatchPutResponse, RawCasRequest, RawCasResponse,
    RawDeleteRangeRequest, RawDeleteRangeResponse, RawDeleteRequest, RawDeleteResponse,
    RawGetKeyTtlRequest, RawGetKeyTtlResponse, RawGetRequest, RawGetResponse, RawPutRequest,
    RawPutResponse, RawScanRequest, RawScanResponse,
};
use proto::tikvpb::batch_commands_request::request::Cmd;
use proto::tikvpb::batch_commands_response::Response as BatchResponse;
use proto::tikvpb::batch_commands_response::response::Cmd as Answered;
use proto::tikvpb::tikv_server::Tikv;
use proto::tikvpb::{BatchCommandsRequest, BatchCommandsResponse};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::state::{Entry, State};

pub(crate) struct Store {
    pub(crate) id: u64,
    pub(crate) state: Arc<Mutex<State>>,
}

/// What became of a command.
enum Outcome<T> {
    Answer(T),
    Status(Status),
    Silence,
}

type Answer<T> = Result<Response<T>, Status>;

impl<T> Outcome<T> {
    /// As a call ends.
    async fn answer(self) -> Answer<T> {
        match self {
            Outcome::Answer(answer) => Ok(Response::new(answer)),
            Outcome::Status(status) => Err(status),
            Outcome::Silence => std::future::pending().await,
        }
    }
}

fn pairs(pairs: Vec<(Bytes, Bytes)>) -> Vec<KvPair> {
    pairs.into_iter().map(|(key, value)| KvPair { error: None, key, value }).collect()
}

/// An answer that can be an error.
trait Reply: Default {
    fn of_region(error: errorpb::Error) -> Self;
    fn of_text(text: &str) -> Self;
}

macro_rules! replies {
    ($($response:ident)*) => {$(
        impl Reply for $response {
            fn of_region(error: errorpb::Error) -> Self {
                $response { region_error: Some(error), ..Default::default() }
            }

            fn of_text(text: &str) -> Self {
                $response { error: text.to_owned(), ..Default::default() }
            }
        }
    )*};
}

replies! {
    RawGetResponse RawPutResponse RawDeleteResponse RawBatchPutResponse RawBatchDeleteResponse
    RawDeleteRangeResponse RawGetKeyTtlResponse RawCasResponse
}

macro_rules! replies_without_text {
    ($($response:ident)*) => {$(
        impl Reply for $response {
            fn of_region(error: errorpb::Error) -> Self {
                $response { region_error: Some(error), ..Default::default() }
            }

            fn of_text(text: &str) -> Self {
                Self::of_region(errorpb::Error { message: text.to_owned(), ..Default::default() })
            }
        }
    )*};
}

replies_without_text! { RawBatchGetResponse RawScanResponse }

impl Store {
    /// Carries out a command, if it may.
    fn carry<T: Reply>(
        &self,
        name: &'static str,
        context: Option<&Context>,
        keys: &[&Bytes],
        act: impl FnOnce(&mut State) -> T,
    ) -> Outcome<T> {
        let mut state = self.state.lock();
        match state.enter(self.id, name, context, keys) {
            Entry::RegionError(error) => Outcome::Answer(T::of_region(*error)),
            Entry::Text(text) => Outcome::Answer(T::of_text(text)),
            Entry::Status(code) => Outcome::Status(Status::new(code, "as ordered")),
            Entry::Silence => Outcome::Silence,
            Entry::Go => Outcome::Answer(act(&mut state)),
            Entry::GoAndBreak => {
                let _lost = act(&mut state);
                Outcome::Status(Status::unavailable("the connection broke"))
            }
        }
    }

    fn get(&self, it: &RawGetRequest) -> Outcome<RawGetResponse> {
        self.carry("get", it.context.as_ref(), &[&it.key], |state| {
            let found = state.data.get(&it.key).map(|(value, _)| value.clone());
            let not_found = found.is_none();
            RawGetResponse { value: found.unwrap_or_default(), not_found, ..Default::default() }
        })
    }

    fn batch_get(&self, it: &RawBatchGetRequest) -> Outcome<RawBatchGetResponse> {
        let keys: Vec<&Bytes> = it.keys.iter().collect();
        self.carry("batch_get", it.context.as_ref(), &keys, |state| {
            let found = keys.iter().filter_map(|&key| {
                let (value, _) = state.data.get(key)?;
                Some((key.clone(), value.clone()))
            });
            RawBatchGetResponse { pairs: pairs(found.collect()), ..Default::default() }
        })
    }

    fn put(&self, it: &RawPutRequest) -> Outcome<RawPutResponse> {
        self.carry("put", it.context.as_ref(), &[&it.key], |state| {
            state.data.insert(it.key.clone(), (it.value.clone(), it.ttl));
            RawPutResponse::default()
        })
    }

    fn batch_put(&self, it: &RawBatchPutRequest) -> Outcome<RawBatchPutResponse> {
        let keys: Vec<&Bytes> = it.pairs.iter().map(|pair| &pair.key).collect();
        self.carry("batch_put", it.context.as_ref(), &keys, |state| {
            let ttl = it.ttls.first().copied().unwrap_or_default();
            for pair in &it.pairs {
                state.data.insert(pair.key.clone(), (pair.value.clone(), ttl));
            }
            RawBatchPutResponse::default()
        })
    }

    fn delete(&self, it: &RawDeleteRequest) -> Outcome<RawDeleteResponse> {
        self.carry("delete", it.context.as_ref(), &[&it.key], |state| {
            state.data.remove(&it.key);
            RawDeleteResponse::default()
        })
    }

    fn batch_delete(&self, it: &RawBatchDeleteRequest) -> Outcome<RawBatchDeleteResponse> {
        let keys: Vec<&Bytes> = it.keys.iter().collect();
        self.carry("batch_delete", it.context.as_ref(), &keys, |state| {
            state.data.retain(|key, _| !keys.contains(&key));
            RawBatchDeleteResponse::default()
        })
    }

    fn delete_range(&self, it: &RawDeleteRangeRequest) -> Outcome<RawDeleteRangeResponse> {
        self.carry("delete_range", it.context.as_ref(), &[&it.start_key], |state| {
            let region = it.context.as_ref().map_or(0, |context| context.region_id);
            for (key, _) in state.pairs(region, &it.start_key, &it.end_key) {
                state.data.remove(&key);
            }
            RawDeleteRangeResponse::default()
        })
    }

    fn scan(&self, it: &RawScanRequest) -> Outcome<RawScanResponse> {
        let (low, high) =
            if it.reverse { (&it.end_key, &it.start_key) } else { (&it.start_key, &it.end_key) };
        self.carry("scan", it.context.as_ref(), &[], |state| {
            let region = it.context.as_ref().map_or(0, |context| context.region_id);
            let mut found = state.pairs(region, low, high);
            if it.reverse {
                found.reverse();
            }
            found.truncate(it.limit as usize);
            if it.key_only {
                found.iter_mut().for_each(|(_, value)| value.clear());
            }
            RawScanResponse { kvs: pairs(found), ..Default::default() }
        })
    }

    fn ttl(&self, it: &RawGetKeyTtlRequest) -> Outcome<RawGetKeyTtlResponse> {
        self.carry("ttl", it.context.as_ref(), &[&it.key], |state| {
            let found = state.data.get(&it.key).map(|&(_, ttl)| ttl);
            let not_found = found.is_none();
            RawGetKeyTtlResponse { ttl: found.unwrap_or_default(), not_found, ..Default::default() }
        })
    }

    fn cas(&self, it: &RawCasRequest) -> Outcome<RawCasResponse> {
        self.carry("cas", it.context.as_ref(), &[&it.key], |state| {
            let found = state.data.get(&it.key).map(|(value, _)| value.clone());
            let expected = (!it.previous_not_exist).then(|| it.previous_value.clone());
            let succeed = found == expected;
            if succeed && it.delete {
                state.data.remove(&it.key);
            } else if succeed {
                state.data.insert(it.key.clone(), (it.value.clone(), it.ttl));
            }
            RawCasResponse {
                succeed,
                previous_not_exist: found.is_none(),
                previous_value: found.unwrap_or_default(),
                ..Default::default()
            }
        })
    }

    /// A command of the stream.
    fn one(&self, command: &Cmd) -> Outcome<Answered> {
        match command {
            Cmd::RawGet(it) => self.get(it).map(Answered::RawGet),
            Cmd::RawBatchGet(it) => self.batch_get(it).map(Answered::RawBatchGet),
            Cmd::RawPut(it) => self.put(it).map(Answered::RawPut),
            Cmd::RawBatchPut(it) => self.batch_put(it).map(Answered::RawBatchPut),
            Cmd::RawDelete(it) => self.delete(it).map(Answered::RawDelete),
            Cmd::RawBatchDelete(it) => self.batch_delete(it).map(Answered::RawBatchDelete),
            Cmd::RawDeleteRange(it) => self.delete_range(it).map(Answered::RawDeleteRange),
            Cmd::RawScan(it) => self.scan(it).map(Answered::RawScan),
            other => panic!("not a command of the client: {other:?}"),
        }
    }
}

impl<T> Outcome<T> {
    fn map<U>(self, with: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Outcome::Answer(answer) => Outcome::Answer(with(answer)),
            Outcome::Status(status) => Outcome::Status(status),
            Outcome::Silence => Outcome::Silence,
        }
    }
}

macro_rules! service {
    (
        served { $($name:ident: $act:ident, $request:ident => $response:ident;)* }
        unserved { $($other:ident: $other_request:ident => $other_response:ident;)* }
    ) => {
        #[tonic::async_trait]
        impl Tikv for Store {
            type BatchCommandsStream =
                Pin<Box<dyn Stream<Item = Result<BatchCommandsResponse, Status>> + Send>>;

            $(async fn $name(&self, request: Request<$request>) -> Answer<$response> {
                let outcome = self.$act(&request.into_inner());
                outcome.answer().await
            })*

            $(async fn $other(
                &self,
                _: Request<kvrpcpb::$other_request>,
            ) -> Answer<kvrpcpb::$other_response> {
                Err(Status::unimplemented("not here"))
            })*

            async fn batch_commands(
                &self,
                request: Request<Streaming<BatchCommandsRequest>>,
            ) -> Answer<Self::BatchCommandsStream> {
                if !self.state.lock().manners.has_stream {
                    return Err(Status::unimplemented("not here"));
                }
                let (answers, taken) = mpsc::channel(16);
                let store = Store { id: self.id, state: Arc::clone(&self.state) };
                tokio::spawn(serve(store, request.into_inner(), answers));
                Ok(Response::new(Box::pin(ReceiverStream::new(taken))))
            }
        }
    };
}

service! {
    served {
        raw_get: get, RawGetRequest => RawGetResponse;
        raw_batch_get: batch_get, RawBatchGetRequest => RawBatchGetResponse;
        raw_put: put, RawPutRequest => RawPutResponse;
        raw_batch_put: batch_put, RawBatchPutRequest => RawBatchPutResponse;
        raw_delete: delete, RawDeleteRequest => RawDeleteResponse;
        raw_batch_delete: batch_delete, RawBatchDeleteRequest => RawBatchDeleteResponse;
        raw_delete_range: delete_range, RawDeleteRangeRequest => RawDeleteRangeResponse;
        raw_scan: scan, RawScanRequest => RawScanResponse;
        raw_get_key_ttl: ttl, RawGetKeyTtlRequest => RawGetKeyTtlResponse;
        raw_compare_and_swap: cas, RawCasRequest => RawCasResponse;
    }
    unserved {
        kv_get: GetRequest => GetResponse;
        kv_scan: ScanRequest => ScanResponse;
        kv_prewrite: PrewriteRequest => PrewriteResponse;
        kv_pessimistic_lock: PessimisticLockRequest => PessimisticLockResponse;
        kv_pessimistic_rollback: PessimisticRollbackRequest => PessimisticRollbackResponse;
        kv_txn_heart_beat: TxnHeartBeatRequest => TxnHeartBeatResponse;
        kv_check_txn_status: CheckTxnStatusRequest => CheckTxnStatusResponse;
        kv_check_secondary_locks: CheckSecondaryLocksRequest => CheckSecondaryLocksResponse;
        kv_commit: CommitRequest => CommitResponse;
        kv_batch_get: BatchGetRequest => BatchGetResponse;
        kv_batch_rollback: BatchRollbackRequest => BatchRollbackResponse;
        kv_scan_lock: ScanLockRequest => ScanLockResponse;
        kv_resolve_lock: ResolveLockRequest => ResolveLockResponse;
        raw_batch_scan: RawBatchScanRequest => RawBatchScanResponse;
        raw_checksum: RawChecksumRequest => RawChecksumResponse;
        unsafe_destroy_range: UnsafeDestroyRangeRequest => UnsafeDestroyRangeResponse;
    }
}

/// Answers a stream, each bundle backwards: clients must go by the numbers.
async fn serve(
    store: Store,
    mut requests: Streaming<BatchCommandsRequest>,
    answers: mpsc::Sender<Result<BatchCommandsResponse, Status>>,
) {
    while let Ok(Some(bundle)) = requests.message().await {
        let mut answer = BatchCommandsResponse::default();
        let commands = bundle.requests.into_iter().zip(bundle.request_ids);
        for (request, number) in commands.rev() {
            let Some(command) = request.cmd else { continue };
            match store.one(&command) {
                Outcome::Answer(cmd) => {
                    answer.responses.push(BatchResponse { cmd: Some(cmd) });
                    answer.request_ids.push(number);
                }
                Outcome::Status(status) => {
                    let _gone = answers.send(Err(status)).await;
                    return;
                }
                Outcome::Silence => {}
            }
        }
        if answers.send(Ok(answer)).await.is_err() {
            return;
        }
    }
}
