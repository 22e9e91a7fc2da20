//! A peer that is none of ours: it says what the test wants, and takes what the test wants.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use proto::crib::raft::v1;
use proto::crib::raft::v1::peers_client::PeersClient;
use proto::crib::raft::v1::peers_server::{Peers, PeersServer};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

/// Of the protocol.
pub(crate) const VERSION: u32 = 3;

pub(crate) fn hello(version: u32, cluster: u64, from_store: u64, to_store: u64) -> v1::Bundle {
    let hello = v1::Hello { version, cluster, from_store, to_store, agreed: Vec::new(), disk: 0 };
    v1::Bundle { hello: Some(hello), ..v1::Bundle::default() }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A stream that a foreign process opens and says something on.
pub(crate) struct FakeDialer {
    runtime: Runtime,
    said: mpsc::Sender<v1::Bundle>,
    answers: Result<Streaming<v1::Bundle>, Status>,
}

impl FakeDialer {
    pub(crate) fn dial(address: SocketAddr, first: v1::Bundle) -> FakeDialer {
        let runtime = runtime();
        let (said, saying) = mpsc::channel(16);
        said.try_send(first).unwrap();
        let answers = runtime.block_on(async {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            let channel = endpoint.connect().await.unwrap();
            let answers = PeersClient::new(channel).talk(ReceiverStream::new(saying)).await;
            answers.map(Response::into_inner)
        });
        FakeDialer { runtime, said, answers }
    }

    pub(crate) fn say(&self, bundle: v1::Bundle) {
        self.said.try_send(bundle).unwrap();
    }

    /// The next answer, or why there is none.
    pub(crate) fn answer(&mut self) -> Result<Option<v1::Bundle>, String> {
        match &mut self.answers {
            Ok(answers) => (self.runtime.block_on(answers.message()))
                .map_err(|status| status.message().to_owned()),
            Err(status) => Err(status.message().to_owned()),
        }
    }
}

/// A process that answers at an address.
pub(crate) struct FakeStore {
    pub(crate) address: SocketAddr,
    /// What it was sent on a stream that it reads.
    pub(crate) heard: Receiver<v1::Bundle>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeStore {
    /// It answers with `hello` and reads messages; snapshots it does not read.
    pub(crate) fn start(hello: v1::Bundle) -> FakeStore {
        let runtime = runtime();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (hears, heard) = channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = Answering { hello, hears };
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let served = (Server::builder().add_service(PeersServer::new(service)))
                    .serve_with_incoming(TcpListenerStream::new(listener));
                tokio::select! {
                    _ = stopped => {}
                    ended = served => panic!("{ended:?}"),
                }
            });
        });
        FakeStore { address, heard, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for FakeStore {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the fake store failed");
        }
    }
}

struct Answering {
    hello: v1::Bundle,
    hears: Sender<v1::Bundle>,
}

type Answers = ReceiverStream<Result<v1::Bundle, Status>>;

#[tonic::async_trait]
impl Peers for Answering {
    type TalkStream = Answers;
    type SnapshotsStream = Answers;

    async fn talk(
        &self,
        request: Request<Streaming<v1::Bundle>>,
    ) -> Result<Response<Answers>, Status> {
        let (answer, answers) = mpsc::channel(1);
        answer.try_send(Ok(self.hello.clone())).unwrap();
        let (mut stream, hears) = (request.into_inner(), self.hears.clone());
        tokio::spawn(async move {
            while let Ok(Some(bundle)) = stream.message().await {
                let _ = hears.send(bundle);
            }
            drop(answer);
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn snapshots(
        &self,
        request: Request<Streaming<v1::Bundle>>,
    ) -> Result<Response<Answers>, Status> {
        let (answer, answers) = mpsc::channel(1);
        answer.try_send(Ok(self.hello.clone())).unwrap();
        let stream = request.into_inner();
        tokio::spawn(async move {
            let _held = (stream, answer);
            std::future::pending::<()>().await;
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}
