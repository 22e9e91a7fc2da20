//! The commands that stores carry out, and their answers, in one form for all of them: so that
//! routing and retrying are written once.

use std::time::Duration;

use bytes::Bytes;
use proto::kvrpcpb::{
    Context, KvPair, RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest,
    RawBatchGetResponse, RawBatchPutRequest, RawBatchPutResponse, RawCasRequest, RawCasResponse,
    RawDeleteRangeRequest, RawDeleteRangeResponse, RawDeleteRequest, RawDeleteResponse,
    RawGetKeyTtlRequest, RawGetKeyTtlResponse, RawGetRequest, RawGetResponse, RawPutRequest,
    RawPutResponse, RawScanRequest, RawScanResponse,
};
use proto::tikvpb::batch_commands_request::request::Cmd;
use proto::tikvpb::batch_commands_response::response::Cmd as Answered;
use proto::tikvpb::tikv_client::TikvClient;
use proto::{errorpb, tikvpb};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::backoff::Kind;

/// What a store is to do with keys of one of its regions.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// May go over the stream.
    Shared(Cmd),
    /// The protocol has no place for it on the stream.
    Ttl(RawGetKeyTtlRequest),
    /// The same.
    Cas(RawCasRequest),
}

/// What a store said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) region_error: Option<errorpb::Error>,
    /// In words; empty if there is none.
    pub(crate) error: String,
    pub(crate) body: Body,
}

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Body {
    Done,
    Value(Option<Bytes>),
    Pairs(Vec<(Bytes, Bytes)>),
    /// Seconds left, 0 for ever; none if there is no value.
    Ttl(Option<u64>),
    Swap {
        is_swapped: bool,
        previous: Option<Bytes>,
    },
}

impl Command {
    pub(crate) fn get(key: Bytes) -> Command {
        Command::Shared(Cmd::RawGet(RawGetRequest { key, ..Default::default() }))
    }

    pub(crate) fn batch_get(keys: Vec<Bytes>) -> Command {
        Command::Shared(Cmd::RawBatchGet(RawBatchGetRequest { keys, ..Default::default() }))
    }

    pub(crate) fn put(key: Bytes, value: Bytes, ttl: u64) -> Command {
        Command::Shared(Cmd::RawPut(RawPutRequest { key, value, ttl, ..Default::default() }))
    }

    pub(crate) fn batch_put(pairs: Vec<(Bytes, Bytes)>, ttl: u64) -> Command {
        let pairs = pairs.into_iter().map(|(key, value)| KvPair { error: None, key, value });
        let ttls = if ttl == 0 { Vec::new() } else { vec![ttl] };
        let pairs = pairs.collect();
        Command::Shared(Cmd::RawBatchPut(RawBatchPutRequest { pairs, ttls, ..Default::default() }))
    }

    pub(crate) fn delete(key: Bytes) -> Command {
        Command::Shared(Cmd::RawDelete(RawDeleteRequest { key, ..Default::default() }))
    }

    pub(crate) fn batch_delete(keys: Vec<Bytes>) -> Command {
        Command::Shared(Cmd::RawBatchDelete(RawBatchDeleteRequest { keys, ..Default::default() }))
    }

    pub(crate) fn delete_range(start_key: Bytes, end_key: Bytes) -> Command {
        let request = RawDeleteRangeRequest { start_key, end_key, ..Default::default() };
        Command::Shared(Cmd::RawDeleteRange(request))
    }

    pub(crate) fn scan(request: RawScanRequest) -> Command {
        Command::Shared(Cmd::RawScan(request))
    }

    pub(crate) fn ttl(key: Bytes) -> Command {
        Command::Ttl(RawGetKeyTtlRequest { key, ..Default::default() })
    }

    /// What it means if it may have been carried out.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Command::Shared(
                Cmd::RawPut(_)
                | Cmd::RawBatchPut(_)
                | Cmd::RawDelete(_)
                | Cmd::RawBatchDelete(_)
                | Cmd::RawDeleteRange(_),
            ) => Kind::Write,
            Command::Shared(_) | Command::Ttl(_) => Kind::Read,
            Command::Cas(_) => Kind::Once,
        }
    }

    /// Says for which region it is meant.
    pub(crate) fn set_context(&mut self, context: Context) {
        let place = match self {
            Command::Shared(Cmd::RawGet(request)) => &mut request.context,
            Command::Shared(Cmd::RawBatchGet(request)) => &mut request.context,
            Command::Shared(Cmd::RawPut(request)) => &mut request.context,
            Command::Shared(Cmd::RawBatchPut(request)) => &mut request.context,
            Command::Shared(Cmd::RawDelete(request)) => &mut request.context,
            Command::Shared(Cmd::RawBatchDelete(request)) => &mut request.context,
            Command::Shared(Cmd::RawDeleteRange(request)) => &mut request.context,
            Command::Shared(Cmd::RawScan(request)) => &mut request.context,
            Command::Ttl(request) => &mut request.context,
            Command::Cas(request) => &mut request.context,
            // None of the above makes another.
            Command::Shared(_) => return,
        };
        *place = Some(context);
    }

    /// As a call of its own. Its future is boxed where it is made: it has kilobytes, and would be
    /// copied at each step from here to the caller.
    pub(crate) async fn call(
        self,
        client: &mut TikvClient<Channel>,
        timeout: Duration,
    ) -> Result<Answer, Status> {
        match self {
            Command::Shared(Cmd::RawGet(it)) => {
                bare(Box::pin(client.raw_get(timed(it, timeout))).await)
            }
            Command::Shared(Cmd::RawBatchGet(it)) => {
                bare(Box::pin(client.raw_batch_get(timed(it, timeout))).await)
            }
            Command::Shared(Cmd::RawPut(it)) => {
                bare(Box::pin(client.raw_put(timed(it, timeout))).await)
            }
            Command::Shared(Cmd::RawBatchPut(it)) => {
                bare(Box::pin(client.raw_batch_put(timed(it, timeout))).await)
            }
            Command::Shared(Cmd::RawDelete(it)) => {
                bare(Box::pin(client.raw_delete(timed(it, timeout))).await)
            }
            Command::Shared(Cmd::RawBatchDelete(it)) => {
                bare(Box::pin(client.raw_batch_delete(timed(it, timeout))).await)
            }
            Command::Shared(Cmd::RawDeleteRange(it)) => {
                bare(Box::pin(client.raw_delete_range(timed(it, timeout))).await)
            }
            Command::Shared(Cmd::RawScan(it)) => {
                bare(Box::pin(client.raw_scan(timed(it, timeout))).await)
            }
            Command::Ttl(it) => bare(Box::pin(client.raw_get_key_ttl(timed(it, timeout))).await),
            Command::Cas(it) => {
                bare(Box::pin(client.raw_compare_and_swap(timed(it, timeout))).await)
            }
            Command::Shared(_) => Err(Status::internal("the client never makes this command")),
        }
    }
}

fn timed<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

fn bare<T: Into<Answer>>(result: Result<Response<T>, Status>) -> Result<Answer, Status> {
    result.map(|response| response.into_inner().into())
}

/// The answer to a command of the stream; `None` if it is to none that the client makes.
pub(crate) fn answer_of(response: tikvpb::batch_commands_response::Response) -> Option<Answer> {
    Some(match response.cmd? {
        Answered::RawGet(it) => it.into(),
        Answered::RawBatchGet(it) => it.into(),
        Answered::RawPut(it) => it.into(),
        Answered::RawBatchPut(it) => it.into(),
        Answered::RawDelete(it) => it.into(),
        Answered::RawBatchDelete(it) => it.into(),
        Answered::RawDeleteRange(it) => it.into(),
        Answered::RawScan(it) => it.into(),
        _ => return None,
    })
}

/// An answer of pairs. It has no field for a refusal: that is the error of a pair.
fn pairs(region_error: Option<errorpb::Error>, pairs: Vec<KvPair>) -> Answer {
    let refused = pairs.iter().find_map(|pair| pair.error.as_ref()).map(|error| {
        match (error.abort.as_str(), error.retryable.as_str()) {
            ("", "") => format!("{error:?}"),
            ("", why) | (why, _) => why.to_owned(),
        }
    });
    let body = Body::Pairs(pairs.into_iter().map(|pair| (pair.key, pair.value)).collect());
    Answer { region_error, error: refused.unwrap_or_default(), body }
}

impl From<RawGetResponse> for Answer {
    fn from(it: RawGetResponse) -> Answer {
        let body = Body::Value((!it.not_found).then_some(it.value));
        Answer { region_error: it.region_error, error: it.error, body }
    }
}

impl From<RawBatchGetResponse> for Answer {
    fn from(it: RawBatchGetResponse) -> Answer {
        pairs(it.region_error, it.pairs)
    }
}

impl From<RawScanResponse> for Answer {
    fn from(it: RawScanResponse) -> Answer {
        pairs(it.region_error, it.kvs)
    }
}

impl From<RawPutResponse> for Answer {
    fn from(it: RawPutResponse) -> Answer {
        Answer { region_error: it.region_error, error: it.error, body: Body::Done }
    }
}

impl From<RawBatchPutResponse> for Answer {
    fn from(it: RawBatchPutResponse) -> Answer {
        Answer { region_error: it.region_error, error: it.error, body: Body::Done }
    }
}

impl From<RawDeleteResponse> for Answer {
    fn from(it: RawDeleteResponse) -> Answer {
        Answer { region_error: it.region_error, error: it.error, body: Body::Done }
    }
}

impl From<RawBatchDeleteResponse> for Answer {
    fn from(it: RawBatchDeleteResponse) -> Answer {
        Answer { region_error: it.region_error, error: it.error, body: Body::Done }
    }
}

impl From<RawDeleteRangeResponse> for Answer {
    fn from(it: RawDeleteRangeResponse) -> Answer {
        Answer { region_error: it.region_error, error: it.error, body: Body::Done }
    }
}

impl From<RawGetKeyTtlResponse> for Answer {
    fn from(it: RawGetKeyTtlResponse) -> Answer {
        let body = Body::Ttl((!it.not_found).then_some(it.ttl));
        Answer { region_error: it.region_error, error: it.error, body }
    }
}

impl From<RawCasResponse> for Answer {
    fn from(it: RawCasResponse) -> Answer {
        let previous = (!it.previous_not_exist).then_some(it.previous_value);
        let body = Body::Swap { is_swapped: it.succeed, previous };
        Answer { region_error: it.region_error, error: it.error, body }
    }
}

#[cfg(test)]
mod tests {
    use proto::kvrpcpb::KeyError;

    use super::*;

    #[test]
    fn error_of_a_pair_is_the_refusal_and_no_pair() {
        let refused = |error: KeyError| KvPair { error: Some(error), ..Default::default() };
        let abort = KeyError { abort: "too long".to_owned(), ..Default::default() };
        let kvs = vec![refused(abort)];
        let scan = Answer::from(RawScanResponse { kvs: kvs.clone(), ..Default::default() });
        let get = Answer::from(RawBatchGetResponse { pairs: kvs, ..Default::default() });
        assert_eq!((scan.error.as_str(), get.error.as_str()), ("too long", "too long"));
        let unnamed =
            RawScanResponse { kvs: vec![refused(KeyError::default())], ..Default::default() };
        assert!(!Answer::from(unnamed).error.is_empty());
        let kvs = vec![KvPair { key: "a".into(), ..Default::default() }];
        assert_eq!(Answer::from(RawScanResponse { kvs, ..Default::default() }).error, "");
    }
}
