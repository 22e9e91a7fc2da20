//! Callers in a closed loop: each waits for its answer before it asks again.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::Result;
use super::target::{Target, key_of};

/// Bytes of a value.
pub const VALUE_BYTES: usize = 256;
/// Where values are cut from: no two are the same, and none can be packed.
const POOL_BYTES: usize = 1 << 16;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Set the value of a key.
    Put,
    /// Read a key, linearizably.
    Get,
}

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// What.
    pub op: Op,
    /// Callers.
    pub clients: usize,
    /// How long.
    pub span: Duration,
    /// Keys, of which each call takes any.
    pub keys: u64,
}

/// What came of it. There were no errors.
#[derive(Clone, Debug)]
pub struct Answers {
    /// From the first call to the last answer.
    pub elapsed: Duration,
    /// How long each call took, in microseconds, ascending.
    pub took_us: Vec<f64>,
}

/// Numbers without order.
pub struct Dice(u64);

impl Dice {
    /// Others for each caller.
    pub fn new(caller: usize) -> Dice {
        Dice((caller as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next, below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// Bytes that values are cut from.
#[derive(Clone)]
pub struct Values(Bytes);

impl Default for Values {
    fn default() -> Values {
        let mut dice = Dice::new(7_919);
        let byte = |_| u8::try_from(dice.below(256)).expect("below 256");
        Values((0..POOL_BYTES).map(byte).collect::<Vec<u8>>().into())
    }
}

impl Values {
    /// Any of them.
    pub fn any(&self, dice: &mut Dice) -> Bytes {
        let most = (POOL_BYTES - VALUE_BYTES) as u64;
        let at = usize::try_from(dice.below(most)).expect("within the pool");
        self.0.slice(at..at + VALUE_BYTES)
    }
}

/// Calls for as long as is wanted.
///
/// # Errors
/// The first error of any caller: there is no figure then.
pub fn run(runtime: &Handle, target: &Target, load: Load) -> Result<Answers> {
    let begun = Instant::now();
    let values = Values::default();
    let callers: Vec<_> = (0..load.clients)
        .map(|caller| runtime.spawn(call(target.clone(), values.clone(), load, caller, begun)))
        .collect();
    let mut took_us = Vec::new();
    for caller in callers {
        let of_one = runtime.block_on(caller).map_err(|error| error.to_string())??;
        took_us.extend(of_one.into_iter().map(|took| took.as_secs_f64() * 1e6));
    }
    let elapsed = begun.elapsed();
    took_us.sort_by(f64::total_cmp);
    Ok(Answers { elapsed, took_us })
}

async fn call(
    target: Target,
    values: Values,
    load: Load,
    caller: usize,
    begun: Instant,
) -> Result<Vec<Duration>> {
    // Other numbers in each run.
    let nth = usize::try_from(begun.elapsed().subsec_nanos()).expect("few");
    let mut dice = Dice::new(caller + (nth << 10));
    let mut took = Vec::new();
    while begun.elapsed() < load.span {
        let key = key_of(dice.below(load.keys));
        let since = Instant::now();
        match load.op {
            Op::Put => target.put(caller, key, values.any(&mut dice)).await?,
            Op::Get => target.get(caller, key).await?,
        }
        took.push(since.elapsed());
    }
    Ok(took)
}

/// Sets every key once.
///
/// # Errors
/// The first error of any caller.
pub fn fill(runtime: &Handle, target: &Target, keys: u64, clients: usize) -> Result<()> {
    let values = Values::default();
    let callers: Vec<_> = (0..clients)
        .map(|caller| {
            let (target, values) = (target.clone(), values.clone());
            runtime.spawn(async move {
                let mut dice = Dice::new(caller);
                for number in (caller as u64..keys).step_by(clients) {
                    target.put(caller, key_of(number), values.any(&mut dice)).await?;
                }
                Result::Ok(())
            })
        })
        .collect();
    for caller in callers {
        runtime.block_on(caller).map_err(|error| error.to_string())??;
    }
    Ok(())
}
