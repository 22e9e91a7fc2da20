//! Opening connections.

use tonic::transport::{Channel, Endpoint};

use crate::options::Options;
use crate::verdict::with_causes;

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

/// Opens a connection, and fails if it does not open: a channel that opens itself on first use
/// would not tell a store that was not reached from one that did not answer.
///
/// # Errors
/// Why not, in words.
pub(crate) async fn dial(address: &str, options: &Options) -> Result<Channel, String> {
    let endpoint = endpoint(address, options).map_err(|error| full(&error))?;
    let connected = tokio::time::timeout(options.connect_timeout, endpoint.connect()).await;
    match connected {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(full(&error)),
        Err(_elapsed) => Err(format!("no connection within {:?}", options.connect_timeout)),
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
        Some(tls) => endpoint.tls_config(tls.clone()),
        None => Ok(endpoint),
    }
}

fn full(error: &dyn std::error::Error) -> String {
    with_causes(error.to_string(), error.source())
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
