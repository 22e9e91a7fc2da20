//! How many requests of clients are answered, and how soon: by what is asked, whichever way it
//! came.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use multiraft::{Histogram, Times};

/// What clients ask of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    RawGet,
    RawBatchGet,
    RawPut,
    RawBatchPut,
    RawDelete,
    RawBatchDelete,
    RawDeleteRange,
    RawScan,
    RawBatchScan,
    RawGetKeyTtl,
    RawCompareAndSwap,
    RawChecksum,
    UnsafeDestroyRange,
}

/// All of them with their names, in the order of their declaration.
static METHODS: [(Method, &str); 13] = [
    (Method::RawGet, "raw_get"),
    (Method::RawBatchGet, "raw_batch_get"),
    (Method::RawPut, "raw_put"),
    (Method::RawBatchPut, "raw_batch_put"),
    (Method::RawDelete, "raw_delete"),
    (Method::RawBatchDelete, "raw_batch_delete"),
    (Method::RawDeleteRange, "raw_delete_range"),
    (Method::RawScan, "raw_scan"),
    (Method::RawBatchScan, "raw_batch_scan"),
    (Method::RawGetKeyTtl, "raw_get_key_ttl"),
    (Method::RawCompareAndSwap, "raw_compare_and_swap"),
    (Method::RawChecksum, "raw_checksum"),
    (Method::UnsafeDestroyRange, "unsafe_destroy_range"),
];

/// Times of the requests of a store that were answered, refusals included.
#[derive(Debug, Default)]
pub(crate) struct Requests([Histogram; METHODS.len()]);

impl Requests {
    /// Does what is asked, and counts it. A request whose caller goes away is not counted.
    pub(super) async fn timed<T>(
        &self,
        method: Method,
        work: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    ) -> T {
        let began = Instant::now();
        let answer = work.await;
        self.0[method as usize].record(began.elapsed());
        answer
    }

    /// What was counted, by name.
    pub(crate) fn times(&self) -> impl Iterator<Item = (&'static str, Times)> {
        METHODS.iter().zip(&self.0).map(|((_, name), histogram)| (*name, histogram.times()))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn each_method_is_counted_under_its_name() {
        let requests = Requests::default();
        for (nth, (method, _)) in METHODS.iter().enumerate() {
            assert_eq!(*method as usize, nth, "the order is that of the declaration");
            for _ in 0..=nth {
                requests.timed(*method, pin!(async {})).await;
            }
        }
        let counted: Vec<(&str, u64)> =
            requests.times().map(|(name, times)| (name, times.count())).collect();
        let expected: Vec<(&str, u64)> =
            (1..).zip(METHODS).map(|(n, (_, name))| (name, n)).collect();
        assert_eq!(counted, expected);
    }
}
