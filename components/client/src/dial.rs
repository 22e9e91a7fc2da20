//! Opening connections.

use std::error::Error;

use tonic::transport::{Channel, Endpoint};

use crate::options::Options;
use crate::verdict::{is_mistrust, with_causes};

/// Bytes under way on a stream before the receiver has taken them.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// Bytes under way on a connection.
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// An address as people and members of placement give it: with or without a scheme. Which scheme is
/// spoken, the options say.
pub(crate) fn address(url: &str) -> &str {
    let rest = url.trim();
    let rest =
        rest.strip_prefix("http://").or_else(|| rest.strip_prefix("https://")).unwrap_or(rest);
    rest.trim_end_matches('/')
}

/// Why nobody was reached at an address.
#[derive(Debug)]
pub(crate) struct Unreached {
    /// In words.
    pub(crate) why: String,
    /// One of the two ends does not trust the other; trying again gives the same.
    pub(crate) is_denied: bool,
}

impl Unreached {
    pub(crate) fn new(why: impl Into<String>) -> Unreached {
        Unreached { why: why.into(), is_denied: false }
    }

    fn of(error: &tonic::transport::Error) -> Unreached {
        let why = with_causes(error.to_string(), error.source());
        Unreached { why, is_denied: is_mistrust(error) }
    }
}

/// Opens a connection, and fails if it does not open: a channel that opens itself on first use
/// would not tell a store that was not reached from one that did not answer.
///
/// # Errors
/// Why not.
pub(crate) async fn dial(address: &str, options: &Options) -> Result<Channel, Unreached> {
    let endpoint = endpoint(address, options).map_err(|error| Unreached::of(&error))?;
    let connected = tokio::time::timeout(options.connect_timeout, endpoint.connect()).await;
    match connected {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(Unreached::of(&error)),
        Err(_elapsed) => {
            Err(Unreached::new(format!("no connection within {:?}", options.connect_timeout)))
        }
    }
}

fn endpoint(address: &str, options: &Options) -> Result<Endpoint, tonic::transport::Error> {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        // A host that has vanished without a word is noticed within a few attempts.
        .http2_keep_alive_interval(options.attempt_timeout)
        .keep_alive_timeout(options.attempt_timeout);
    match &options.tls {
        Some(tls) => endpoint.tls_config(tls.now()),
        None => Ok(endpoint),
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn scheme_of_an_address_is_left_out() {
        for url in ["h:1", "http://h:1", "https://h:1/", " h:1 "] {
            assert_eq!(address(url), "h:1");
        }
    }
}
