//! Certificates of a node: read before anything else, and read again while it runs.
//!
//! The files are looked at every `tls.check-interval`, and at once on SIGHUP, so that whoever
//! renews them need not know about this process, and whoever wants to know when they are taken can
//! say so. Their bytes are compared, not their times: links that are moved and clocks that are set
//! keep times that say nothing.

use std::sync::Arc;
use std::time::Duration;

use client::Tls;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use transport::{BadTls, Certificates};

use crate::config::Config;
use crate::errors::{self, Failure};

/// Reads the files that the settings name.
///
/// # Errors
/// If there are such files, and one cannot be used.
pub(super) fn load(config: &Config) -> Result<Option<Arc<Certificates>>, Failure> {
    let load = |files| Certificates::load(files, config.limits.handshake_timeout.get());
    let loaded = config.tls_files().map(load).transpose().map_err(|why| {
        Failure::new(&errors::TLS_FILES, "the certificates cannot be used").why(why.to_string())
    })?;
    Ok(loaded.map(Arc::new))
}

/// With what this node calls others.
pub(super) fn dialing(certificates: Option<&Arc<Certificates>>) -> Option<Tls> {
    let certificates = Arc::clone(certificates?);
    Some(Tls::new(move || certificates.client()))
}

/// Every SIGHUP from now on, which then does not end the process.
///
/// # Errors
/// If the system does not tell them.
pub(super) fn hangups() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(|error| {
        Failure::new(&errors::OUTPUT_FAILED, "cannot listen for signals").why(error.to_string())
    })
}

/// Takes files that were renewed, until it is dropped.
pub(super) async fn watch(
    certificates: Option<Arc<Certificates>>,
    mut hangups: Signal,
    every: Duration,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The same is not told at every look.
    let mut told: Option<BadTls> = None;
    loop {
        let is_asked = tokio::select! {
            Some(()) = hangups.recv() => true,
            _ = ticks.tick(), if certificates.is_some() => false,
        };
        let Some(certificates) = certificates.clone() else {
            tracing::info!("SIGHUP: there are no certificates to read again");
            continue;
        };
        // A file may lie on a disk that hangs.
        let looked = tokio::task::spawn_blocking(move || certificates.refresh()).await;
        match looked {
            Ok(Ok(true)) => {
                tracing::info!("certificates renewed: connections from now on use them");
                told = None;
            }
            Ok(Ok(false)) => {
                if is_asked {
                    tracing::info!("SIGHUP: the certificates in use are those of the files");
                }
                told = None;
            }
            Ok(Err(bad)) => {
                if is_asked || told.as_ref() != Some(&bad) {
                    let error_code = errors::TLS_FILES.code();
                    let (file, why) = (bad.file.display(), &bad.why);
                    tracing::error!(
                        error_code, %file, why,
                        "renewed certificates cannot be used: the old ones are used further"
                    );
                }
                told = Some(bad);
            }
            Err(why) => tracing::error!(%why, "certificates were not looked at"),
        }
    }
}
