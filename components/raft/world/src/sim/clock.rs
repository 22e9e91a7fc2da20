//! A host's monotonic clock: some offset, some rate, and in some runs jumps.

use types::Time;

use super::plan::Plan;
use crate::rng::Rng;

const MILLION: u128 = 1_000_000;

/// Maps between true time and a host's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    global: Time,
    local: Time,
    /// Local nanoseconds per million true ones.
    rate_ppm: u64,
}

impl Clock {
    pub(crate) fn draw(rng: &mut Rng, plan: &Plan) -> Clock {
        let drift = plan.drift_ppm;
        let rate_ppm = rng.between((1_000_000 - drift, 1_000_000 + drift));
        Clock { global: Time::ZERO, local: Time(rng.between((0, 1 << 40))), rate_ppm }
    }

    pub(crate) fn local(&self, global: Time) -> Time {
        let passed = u128::from(global.0 - self.global.0) * u128::from(self.rate_ppm) / MILLION;
        Time(self.local.0 + u64::try_from(passed).expect("runs are short"))
    }

    /// The first true instant at which the clock shows `local`.
    pub(crate) fn global(&self, local: Time) -> Time {
        let left = u128::from(local.0.saturating_sub(self.local.0)) * MILLION;
        let passed = left.div_ceil(u128::from(self.rate_ppm));
        Time(self.global.0 + u64::try_from(passed).unwrap_or(u64::MAX / 4))
    }

    pub(crate) fn jump(&mut self, now: Time, by: i64) {
        self.local = Time(self.local(now).0.saturating_add_signed(by));
        self.global = now;
    }
}
