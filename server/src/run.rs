//! `crib server`: from settings to a running node, and to the end of the process.
//!
//! 1. Settings are read and checked; a node that has wrong ones does not touch its disk.
//! 2. Logging begins, and says which settings are not defaults and where they come from.
//! 3. The data directory is locked.
//! 4. The node runs until the first SIGTERM, SIGINT, or until the parent is gone that it is to live
//!    with; then it stops in peace. The second signal ends the process at once.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::Effective;
use crate::errors::{self, Exit, Failure};
use crate::{lock, logs, node};

/// How long a node may take to stop. Then it is ended: its disk is always safe.
const STOP_MAX: Duration = Duration::from_secs(20);

/// Says when to stop. Clones all hear it.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Tells every [`Shutdown`] that was made with it.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A stopper and what hears it.
#[must_use]
pub fn shutdown() -> (Stopper, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Shutdown(receiver))
}

impl Stopper {
    /// It is time to stop.
    pub fn stop(&self) {
        // Nobody may be left to hear it.
        let _ = self.0.send(true);
    }
}

impl Shutdown {
    /// Waits until it is time to stop. It is so too when nobody is left who could say it.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        let _ = receiver.wait_for(|&is_time| is_time).await;
    }

    /// Whether it is time to stop.
    #[must_use]
    pub fn is_time(&self) -> bool {
        *self.0.borrow()
    }
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// Why the node could not start, or had to stop.
pub fn run(effective: &Effective, ends_with_parent: bool) -> Result<(), Failure> {
    let config = &effective.config;
    logs::init(&config.log);
    info!(version = crate::version::VERSION, pid = std::process::id(), "starting");
    for (key, origin) in &effective.origins {
        let value = match key.as_str() {
            // Whoever knows it can found a cluster that takes itself for this one.
            "cluster-token" => "(not shown)".to_owned(),
            key => effective.values().get(key).map(crate::config::shown).unwrap_or_default(),
        };
        info!(key, value, %origin, "setting");
    }
    let _lock = lock::take(&config.data_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("crib-rpc")
        .build()
        .map_err(|error| {
            Failure::new(&errors::OUTPUT_FAILED, "cannot start threads").why(error.to_string())
        })?;
    let result = runtime.block_on(until_stopped(effective, ends_with_parent));
    // What still blocks must not keep the process: the engine is closed, or was safe all along.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match &result {
        Ok(()) => info!("stopped"),
        Err(failure) => {
            let code = failure.entry.code();
            tracing::error!(error_code = code, why = ?failure.why, "{}", failure.what);
        }
    }
    result
}

async fn until_stopped(effective: &Effective, ends_with_parent: bool) -> Result<(), Failure> {
    let (stopper, shutdown) = shutdown();
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        tokio::select! {
            () = signals.next() => info!("signal: stopping"),
            () = parent_gone(), if ends_with_parent => info!("parent is gone: stopping"),
        }
        stopper.stop();
        tokio::select! {
            () = signals.next() => warn!("second signal: ending at once"),
            () = tokio::time::sleep(STOP_MAX) => warn!("not stopped in time: ending at once"),
        }
        std::process::exit(i32::from(Exit::Interrupted as u8));
    });
    let node = Box::pin(node::run(effective.config.clone(), shutdown));
    node.await
}

/// SIGTERM and SIGINT. None is lost from when this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on signals are told here, and do not end the process.
    pub(crate) fn new() -> Result<Signals, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(&errors::OUTPUT_FAILED, "cannot listen for signals")
                    .why(error.to_string())
            })
        };
        let terminate = listen(SignalKind::terminate())?;
        Ok(Signals { terminate, interrupt: listen(SignalKind::interrupt())? })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Standard input is a pipe that the parent holds open; its end is that of the parent.
async fn parent_gone() {
    let mut input = tokio::io::stdin();
    let mut bytes = [0; 64];
    while !matches!(input.read(&mut bytes).await, Ok(0) | Err(_)) {}
}
