//! What callers speak with: two calls of the TiKV protocol, on one thread, as a store serves them
//! on two cores.

use std::convert::Infallible;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};

use bytes::Bytes;
use proto::kvrpcpb::{RawPutRequest, RawPutResponse};
use proto::tikvpb::batch_commands_request::request::Cmd as Ask;
use proto::tikvpb::batch_commands_response::Response as Answered;
use proto::tikvpb::batch_commands_response::response::Cmd as Say;
use proto::tikvpb::{BatchCommandsRequest, BatchCommandsResponse};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, BoxStream, Service, http};
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// A put under way.
pub(super) struct Put {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
    pub(super) answer: Answer,
}

/// Who waits for a put.
pub(super) enum Answer {
    /// A call.
    Call(oneshot::Sender<()>),
    /// A command of this number on a stream.
    Command(u64, mpsc::UnboundedSender<Vec<u64>>),
}

/// Serves until the process ends; tells who `waits` when it listens.
pub(super) fn serve(waits: &str, address: &str, puts: Sender<Vec<Put>>) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ended = runtime.block_on(async {
        let incoming = TcpIncoming::bind(address.parse().expect("an address")).expect("a port");
        super::listens(waits);
        let incoming = incoming.with_nodelay(Some(true));
        Server::builder().add_service(Floor(puts)).serve_with_incoming(incoming).await
    });
    panic!("serving ended by itself: {ended:?}");
}

/// Answers those whose puts are applied; commands of one stream together.
pub(super) fn answer(answers: Vec<Answer>) {
    let mut streams: Vec<(mpsc::UnboundedSender<Vec<u64>>, Vec<u64>)> = Vec::new();
    for answer in answers {
        match answer {
            // Callers may be gone.
            Answer::Call(call) => drop(call.send(())),
            Answer::Command(number, stream) => {
                match streams.iter_mut().find(|(other, _)| other.same_channel(&stream)) {
                    Some((_, numbers)) => numbers.push(number),
                    None => streams.push((stream, vec![number])),
                }
            }
        }
    }
    for (stream, numbers) in streams {
        let _gone = stream.send(numbers);
    }
}

#[derive(Clone)]
struct Floor(Sender<Vec<Put>>);

impl NamedService for Floor {
    const NAME: &'static str = "tikvpb.Tikv";
}

impl Service<http::Request<Body>> for Floor {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let floor = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/tikvpb.Tikv/RawPut" => {
                    Grpc::new(ProstCodec::default()).unary(floor, request).await
                }
                "/tikvpb.Tikv/BatchCommands" => {
                    Grpc::new(ProstCodec::default()).streaming(floor, request).await
                }
                other => Status::unimplemented(other.to_owned()).into_http(),
            })
        })
    }
}

impl UnaryService<RawPutRequest> for Floor {
    type Response = RawPutResponse;
    type Future = BoxFuture<Response<RawPutResponse>, Status>;

    fn call(&mut self, request: Request<RawPutRequest>) -> Self::Future {
        let RawPutRequest { key, value, .. } = request.into_inner();
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send(vec![Put { key, value, answer: Answer::Call(answer) }]);
        Box::pin(async move {
            let gone = || Status::unavailable("the leader has ended");
            sent.map_err(|_ended| gone())?;
            answered.await.map_err(|_ended| gone())?;
            Ok(Response::new(RawPutResponse::default()))
        })
    }
}

impl StreamingService<BatchCommandsRequest> for Floor {
    type Response = BatchCommandsResponse;
    type ResponseStream = BoxStream<BatchCommandsResponse>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<BatchCommandsRequest>>) -> Self::Future {
        let (answers, answered) = mpsc::unbounded_channel();
        tokio::spawn(take(request.into_inner(), self.0.clone(), answers));
        let messages = UnboundedReceiverStream::new(answered).map(|request_ids: Vec<u64>| {
            let done = || Answered { cmd: Some(Say::RawPut(RawPutResponse::default())) };
            let responses = request_ids.iter().map(|_| done()).collect();
            Ok(BatchCommandsResponse { responses, request_ids, ..Default::default() })
        });
        let messages: BoxStream<_> = Box::pin(messages);
        Box::pin(async move { Ok(Response::new(messages)) })
    }
}

/// Takes commands in until their caller ends.
async fn take(
    mut messages: Streaming<BatchCommandsRequest>,
    puts: Sender<Vec<Put>>,
    answers: mpsc::UnboundedSender<Vec<u64>>,
) {
    while let Ok(Some(BatchCommandsRequest { requests, request_ids })) = messages.message().await {
        let put = |(request, number): (Option<Ask>, u64)| match request {
            Some(Ask::RawPut(RawPutRequest { key, value, .. })) => {
                Put { key, value, answer: Answer::Command(number, answers.clone()) }
            }
            other => panic!("callers only put, and do not ask {other:?}"),
        };
        let commands = requests.into_iter().map(|request| request.cmd).zip(request_ids);
        if puts.send(commands.map(put).collect()).is_err() {
            return;
        }
    }
}
