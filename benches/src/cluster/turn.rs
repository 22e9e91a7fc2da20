//! One contender's turn: callers in a closed loop, by the driver that `crib bench` has.
//!
//! A turn with a failure, or whose cluster was not well, has no figures: there is a reason instead.

use std::time::Duration;

use load::{Errors, Keys, Measured, Pace, Plan, Target, Values, Watch, Workload};
use tokio::runtime::Handle;

use super::Result;
use super::nodes::Node;

/// Bytes of a value.
pub const VALUE_BYTES: usize = 256;

/// What is done in a turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Which operations.
    pub workload: Workload,
    /// Callers.
    pub clients: usize,
    /// How long nothing is counted.
    pub warm: Duration,
    /// How long it is counted then.
    pub span: Duration,
    /// Keys, of which each call takes any.
    pub records: u64,
    /// Turns of another number have other choices.
    pub nth: usize,
}

/// The keys of all benches here.
pub fn keys(records: u64) -> Keys {
    Keys { prefix: "k".to_owned(), records }
}

/// Has a turn.
///
/// # Errors
/// If any call failed.
pub fn run(runtime: &Handle, target: &Target, turn: &Turn, nodes: &[Node]) -> Result<Measured> {
    let plan = Plan {
        workload: turn.workload.clone(),
        keys: keys(turn.records),
        clients: turn.clients,
        pace: Pace::Closed,
        warmup: turn.warm,
        span: turn.span,
        value_bytes: VALUE_BYTES,
        seed: turn.nth as u64,
    };
    // Whether the cluster is well is asked before and after: to ask it is work for its nodes.
    let servers = nodes.iter().filter_map(Node::pid).collect();
    let watch = Watch { wellness: None, servers };
    let measured = runtime.block_on(load::run(target, &plan, &watch, &mut |_second| ()));
    let reasons = load::reasons(&measured, Errors::Refuse);
    if reasons.is_empty() { Ok(measured) } else { Err(reasons.join("; ")) }
}

/// Sets every key once.
///
/// # Errors
/// The first failure of any caller.
pub fn fill(runtime: &Handle, target: &Target, records: u64) -> Result<()> {
    let (keys, values) = (keys(records), Values::new(VALUE_BYTES, 1));
    let mut silent = |_done| ();
    runtime
        .block_on(load::fill(target, &keys, &values, &mut silent))
        .map_err(|failed| failed.to_string())
}
