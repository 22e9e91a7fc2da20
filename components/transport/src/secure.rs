//! The beginning of a connection that is taken, where certificates are in use.
//!
//! Who is refused is told why in its own words, and is let read that: TLS has alerts, a caller in
//! plain text gets an answer in the protocol it speaks. Closing at once would discard both, since
//! what it has sent meanwhile is unread.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{self, Instant};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::tls::{Certificates, Port};

/// The first byte of each connection that speaks TLS: a record of a handshake.
const HANDSHAKE: u8 = 22;
/// How a connection of HTTP/2 begins that does not speak TLS.
const PREFACE: &[u8] = b"PRI";
/// What those are told who speak without TLS.
const NO_TLS: &str = "this port speaks TLS, with certificates of its cluster";
/// How long whoever was refused may take to read why.
const LINGER: Duration = Duration::from_secs(1);
/// What may still arrive meanwhile.
const LINGER_BYTES: u64 = 64 << 10;
/// Refusals are told no more often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A connection, whatever it is made of.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection on which both ends have agreed.
pub type Stream = Box<dyn Io>;

impl Certificates {
    /// Agrees on keys with whoever has connected, and sees its certificate if the port asks for
    /// one. `None` if it was refused or has gone: it and the log were told why.
    pub async fn accept(&self, stream: TcpStream, port: Port) -> Option<Stream> {
        let from = stream.peer_addr().ok();
        match time::timeout(self.handshake_timeout, self.agree(stream, port)).await {
            Ok(Ok(agreed)) => Some(agreed),
            Ok(Err(Refused { why, stream })) => {
                tell(from, &why);
                if let Some(stream) = stream {
                    // It need not stay to hear it.
                    let _ = time::timeout(LINGER, linger(stream)).await;
                }
                None
            }
            Err(_elapsed) => {
                tell(from, "no handshake in time");
                None
            }
        }
    }

    async fn agree(&self, mut stream: TcpStream, port: Port) -> Result<Stream, Refused> {
        let mut first = [0; PREFACE.len()];
        let seen = stream.peek(&mut first).await.map_err(Refused::gone)?;
        let seen = &first[..seen];
        if seen.first().is_some_and(|&byte| byte != HANDSHAKE) {
            let answer = if PREFACE.starts_with(seen) { goodbye() } else { bad_request() };
            stream.write_all(&answer).await.map_err(Refused::gone)?;
            return Err(Refused { why: "it speaks no TLS".to_owned(), stream: Some(stream) });
        }
        let acceptor = TlsAcceptor::from(self.server(port));
        match acceptor.accept(stream).into_fallible().await {
            Ok(agreed) => Ok(Box::new(agreed)),
            // Looks whether the port is open, and nothing else.
            Err((error, _)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Refused::gone(error))
            }
            Err((error, stream)) => Err(Refused { why: error.to_string(), stream: Some(stream) }),
        }
    }
}

/// A connection that did not come about, and what is left of it.
struct Refused {
    why: String,
    /// None if the other end has gone by itself.
    stream: Option<TcpStream>,
}

impl Refused {
    fn gone(error: io::Error) -> Refused {
        Refused { why: error.to_string(), stream: None }
    }
}

/// Says in the log who was refused, but not all of it where many are.
fn tell(from: Option<SocketAddr>, why: &str) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    let mut told = TOLD.lock();
    let from = from.map(|from| from.to_string()).unwrap_or_default();
    if told.is_some_and(|at| at.elapsed() < TELL_EVERY) {
        debug!(from, why, "connection refused");
        return;
    }
    *told = Some(Instant::now());
    drop(told);
    warn!(from, why, "connection refused");
}

/// Ends a connection such that its other end can read what it was told.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        let rest = &mut stream.take(LINGER_BYTES);
        let _ = tokio::io::copy(rest, &mut tokio::io::sink()).await;
    }
}

/// The last frame of a connection of HTTP/2, behind the settings that come first: "transport
/// properties do not meet minimum security requirements", and why.
fn goodbye() -> Vec<u8> {
    const GOAWAY: u8 = 7;
    const INADEQUATE_SECURITY: u32 = 12;
    let length = u32::try_from(8 + NO_TLS.len()).expect("it is short");
    // Length, kind, flags, stream; the settings are all as they are by default.
    let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    frames.extend(&length.to_be_bytes()[1..]);
    frames.extend([GOAWAY, 0, 0, 0, 0, 0]);
    // The last stream that was looked at: none.
    frames.extend([0; 4]);
    frames.extend(INADEQUATE_SECURITY.to_be_bytes());
    frames.extend(NO_TLS.as_bytes());
    frames
}

fn bad_request() -> Vec<u8> {
    let length = NO_TLS.len() + 1;
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n";
    format!("{head}content-length: {length}\r\n\r\n{NO_TLS}\n").into_bytes()
}
