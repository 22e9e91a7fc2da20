//! Requests that walk through ranges of one region: scans and checksums.

use std::sync::Arc;

use bytes::Bytes;
use kv::RegionState;
use kv::read::{PageEnd, Reader, Scan, Values};
use proto::kvrpcpb::{
    self, ChecksumAlgorithm, Context, KvPair, RawBatchScanRequest, RawBatchScanResponse,
    RawChecksumRequest, RawChecksumResponse, RawScanRequest, RawScanResponse,
};
use storage::{Cf, Direction, View};
use tokio::task::spawn_blocking;
use types::KeyRange;

use super::checksum::{self, Checksum};
use super::{ANSWER_BYTES_MAX, Raw, Version, joined, paired, reader, target, too_long};
use crate::service::errors::Denied;

/// Most pairs of one scan; clients ask for no more.
const SCAN_PAIRS_MAX: usize = 10_240;
/// Ranges of one request.
const RANGES_MAX: usize = 1_024;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Way {
    /// By itself.
    Alone,
    /// On a stream with others.
    Batched,
}

impl Raw {
    pub(in crate::service) async fn scan(
        &self,
        request: RawScanRequest,
        way: Way,
    ) -> (RawScanResponse, Version) {
        let RawScanRequest { context, start_key, end_key, limit, key_only, cf, reverse } = request;
        let wanted = Wanted { limit: limit as usize, key_only, reverse };
        let most = match way {
            Way::Alone => self.scan_bytes_max,
            Way::Batched => ANSWER_BYTES_MAX,
        };
        let range = vec![(start_key, end_key)];
        let scanned = self.try_scan(context, &cf, range, (wanted, most)).await;
        let (region_error, kvs, version) = paired(scanned);
        (RawScanResponse { region_error, kvs }, version)
    }

    pub(in crate::service) async fn batch_scan(
        &self,
        request: RawBatchScanRequest,
    ) -> (RawBatchScanResponse, Version) {
        let RawBatchScanRequest { context, ranges, each_limit, key_only, cf, reverse } = request;
        let wanted = Wanted { limit: each_limit as usize, key_only, reverse };
        let ranges = ranges.into_iter().map(|range| (range.start_key, range.end_key)).collect();
        let scanned = self.try_scan(context, &cf, ranges, (wanted, ANSWER_BYTES_MAX)).await;
        let (region_error, kvs, version) = paired(scanned);
        (RawBatchScanResponse { region_error, kvs }, version)
    }

    /// Each range by itself, clipped to the region; together they fit into one answer.
    async fn try_scan(
        &self,
        context: Option<Context>,
        cf: &str,
        ranges: Vec<(Bytes, Bytes)>,
        (wanted, most): (Wanted, usize),
    ) -> Result<(Vec<KvPair>, Version), Denied> {
        let target = target(&self.edge, context)?;
        let family = self.edge.family(cf)?;
        check_ranges(ranges.len())?;
        let range = |(start, end): &(Bytes, Bytes)| {
            let (lower, upper) = if wanted.reverse { (end, start) } else { (start, end) };
            self.edge.range(lower, upper)
        };
        let ranges: Vec<KeyRange> = ranges.iter().map(range).collect::<Result<_, _>>()?;
        // Few find much: only what does not fit into the first look has a wide one.
        let mut bytes_max = ANSWER_BYTES_MAX;
        loop {
            let place = self.data.bounds.look(bytes_max > ANSWER_BYTES_MAX).await?;
            let ranges = ranges.clone();
            let look = move |view: Box<dyn View>, state: Arc<RegionState>| {
                spawn_blocking(move || {
                    let _place = place;
                    scan_all(reader(&*view, &state), family, ranges, wanted, bytes_max)
                })
            };
            let (found, index) = self.data.read(&target, std::iter::empty(), look).await?;
            match joined(found.await)? {
                Some(found) => {
                    return Ok((self.pairs(found.into_iter()), Some((target.region, index))));
                }
                None if bytes_max < most => bytes_max = most,
                None => return Err(too_long("pairs", wanted.limit)),
            }
        }
    }

    pub(in crate::service) async fn checksum(
        &self,
        request: RawChecksumRequest,
    ) -> (RawChecksumResponse, Version) {
        match self.try_checksum(request).await {
            Ok((Checksum { crc64_xor, pairs, bytes }, version)) => {
                let said = RawChecksumResponse {
                    checksum: crc64_xor,
                    total_kvs: pairs,
                    total_bytes: bytes,
                    ..Default::default()
                };
                (said, version)
            }
            Err(denied) => {
                let (region_error, error) = denied.said();
                (RawChecksumResponse { region_error, error, ..Default::default() }, None)
            }
        }
    }

    /// Each range clipped to the region: clients ask for all of it, region by region.
    async fn try_checksum(
        &self,
        request: RawChecksumRequest,
    ) -> Result<(Checksum, Version), Denied> {
        if request.algorithm != i32::from(ChecksumAlgorithm::Crc64Xor) {
            let why = format!("CRIB-E2001: no algorithm {} for checksums", request.algorithm);
            return Err(Denied::Bad(why));
        }
        let target = target(&self.edge, request.context)?;
        check_ranges(request.ranges.len())?;
        let range = |range: &kvrpcpb::KeyRange| self.edge.range(&range.start_key, &range.end_key);
        let ranges: Vec<KeyRange> = request.ranges.iter().map(range).collect::<Result<_, _>>()?;
        let api = self.edge.api;
        let place = self.data.bounds.look(false).await?;
        let look = move |view: Box<dyn View>, state: Arc<RegionState>| {
            spawn_blocking(move || {
                let _place = place;
                checksum::of(&reader(&*view, &state), api, Cf::Default, &ranges)
            })
        };
        let (found, index) = self.data.read(&target, std::iter::empty(), look).await?;
        Ok((joined(found.await)?, Some((target.region, index))))
    }
}

fn check_ranges(count: usize) -> Result<(), Denied> {
    if count > RANGES_MAX {
        let why = format!("CRIB-E2004: {count} ranges, {RANGES_MAX} is the most");
        return Err(Denied::Bad(why));
    }
    Ok(())
}

/// The pairs of all ranges; `None` if they have more bytes than that.
fn scan_all(
    reader: Reader<'_>,
    family: Cf,
    ranges: Vec<KeyRange>,
    wanted: Wanted,
    mut bytes_max: usize,
) -> Result<Option<Pairs>, storage::Error> {
    let mut found = Vec::new();
    for range in ranges {
        let scan = Scan {
            range,
            direction: if wanted.reverse { Direction::Reverse } else { Direction::Forward },
            pairs_max: wanted.limit.min(SCAN_PAIRS_MAX),
            bytes_max,
            values: if wanted.key_only { Values::Left } else { Values::Whole },
        };
        let page = reader.scan(family, &scan)?;
        if page.end == PageEnd::Bytes {
            return Ok(None);
        }
        // The first pair of a page is there whatever it has.
        let bytes: usize = page.pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > bytes_max && !found.is_empty() {
            return Ok(None);
        }
        bytes_max = bytes_max.saturating_sub(bytes);
        found.extend(page.pairs);
    }
    Ok(Some(found))
}

/// Engine keys and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What is wanted of a scan.
#[derive(Clone, Copy)]
struct Wanted {
    limit: usize,
    key_only: bool,
    reverse: bool,
}
