//! Connections that are taken, up to a bound.
//!
//! Beyond the bound a connection is closed at once: one that waited in the kernel's queue would
//! time out at its dialer without a reason.
//!
//! Not here: a bound per address, and a bound on how long a connection may be silent. Whoever can
//! reach the port can take all places.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time;
use tonic::transport::server::Connected;
use tracing::warn;

use crate::secure::Stream;
use crate::tls::{Certificates, Port};

/// How long to pause when nothing can be accepted: the process has no descriptors left, say.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection, and its place among those that may be open.
pub(crate) struct Connection {
    stream: Stream,
    _place: OwnedSemaphorePermit,
}

/// Accepts until nobody wants connections any more. With certificates, both ends must agree first;
/// a connection has its place from the beginning of that.
pub(crate) async fn accept(
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    connections_max: usize,
    taken: mpsc::Sender<io::Result<Connection>>,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "no connection accepted");
                time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            warn!(connections_max, "connection refused: too many are open");
            continue;
        };
        // Messages are small and urgent. Without it they are only slower.
        let _ = stream.set_nodelay(true);
        let Some(certificates) = certificates.clone() else {
            let connection = Connection { stream: Box::new(stream), _place: place };
            if taken.send(Ok(connection)).await.is_err() {
                return;
            }
            continue;
        };
        if taken.is_closed() {
            return;
        }
        let taken = taken.clone();
        // Beside the others: one that is slow to agree holds up nobody.
        tokio::spawn(async move {
            if let Some(stream) = certificates.accept(stream, Port::Grpc).await {
                // Nobody wants it when the network ends.
                let _ = taken.send(Ok(Connection { stream, _place: place })).await;
            }
        });
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
