//! Reading a range in order, page by page, region by region.
//!
//! A cursor is the key up to which everything was delivered. Each page asks the region that has the
//! cursor now, for no more than what both it and the range hold; so a region that splits between
//! two pages, or while one is read, is nothing special. A page with fewer keys than were asked for
//! has reached the end of its region. The scan ends where the range does, or where no region
//! follows.
//!
//! Each page is read at an instant of its own: a scan is not a view.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use proto::kvrpcpb::RawScanRequest;
use tokio_stream::Stream;
use types::KeyRange;

use crate::backoff::{Budget, Kind};
use crate::client::{Client, unfit};
use crate::command::{Body, Command};
use crate::error::{Error, Result};
use crate::region_cache::Route;
use crate::router::Router;

/// Bytes that a page is to have, about.
const PAGE_BYTES: usize = 1 << 20;
/// How a store begins to say that what was asked for does not fit into an answer.
pub(crate) const TOO_LONG: &str = "CRIB-E2005";
/// Keys that a page may have: stores give no more in one answer.
const PAGE_KEYS_MAX: usize = 10_240;

/// Keys of the first page: how large values are is known only behind it.
const FIRST_PAGE_KEYS: usize = 64;

/// How to scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanOptions {
    /// Keys to deliver at most.
    /// Default: no bound.
    pub limit: Option<usize>,
    /// From the end of the range down.
    /// Default: off.
    pub is_reverse: bool,
    /// Without the values, which stay empty.
    /// Default: off.
    pub is_keys_only: bool,
    /// Keys in one answer, at most; fewer in the first, and if the values are large.
    /// Default: 1,024. Not zero, at most 10,240.
    pub page_keys: usize,
}

impl Default for ScanOptions {
    fn default() -> ScanOptions {
        ScanOptions { limit: None, is_reverse: false, is_keys_only: false, page_keys: 1_024 }
    }
}

/// Keys and values of a range, in order. After an error it has ended.
///
/// It does nothing but when it is asked for more; dropping it stops it.
pub struct Scan {
    /// Delivered next.
    ready: VecDeque<(Bytes, Bytes)>,
    /// What follows; none if nothing does.
    next: Option<Next>,
}

enum Next {
    Ask(Box<Cursor>),
    Asked(Pin<Box<dyn Future<Output = Result<Page>> + Send>>),
}

/// Where a scan is.
struct Cursor {
    router: Arc<Router>,
    /// What is still to be read, as requests have it.
    left: KeyRange,
    options: ScanOptions,
    /// Keys that are still wanted.
    wanted: usize,
    page_keys: usize,
}

/// What one request gave, and where to go on.
struct Page {
    pairs: Vec<(Bytes, Bytes)>,
    next: Option<Box<Cursor>>,
}

impl Client {
    /// The keys of a range and their values, in order. An empty end is that of all keys.
    #[must_use]
    pub fn scan(&self, range: &KeyRange, options: ScanOptions) -> Scan {
        let left = self.router.keys.request_range(range);
        let wanted = options.limit.unwrap_or(usize::MAX);
        let most = options.page_keys.clamp(1, PAGE_KEYS_MAX);
        let page_keys = if options.is_keys_only { most } else { most.min(FIRST_PAGE_KEYS) };
        let is_empty = range.is_empty() || left.is_empty() || wanted == 0;
        let router = Arc::clone(&self.router);
        let cursor = Cursor { router, left, options, wanted, page_keys };
        let next = (!is_empty).then(|| Next::Ask(Box::new(cursor)));
        Scan { ready: VecDeque::new(), next }
    }

    /// How many keys there are in a range, page by page.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn count(&self, range: &KeyRange) -> Result<u64> {
        let options =
            ScanOptions { is_keys_only: true, page_keys: PAGE_KEYS_MAX, ..ScanOptions::default() };
        let mut scan = self.scan(range, options);
        let mut count = 0;
        while scan.next().await?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

impl Scan {
    /// The next key and its value; none at the end.
    ///
    /// # Errors
    /// See [`Error`]. What was delivered before is right; the rest may be scanned from there.
    pub async fn next(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        std::future::poll_fn(|ctx| Pin::new(&mut *self).poll_next(ctx)).await.transpose()
    }

    /// All that is left of it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn collect(mut self) -> Result<Vec<(Bytes, Bytes)>> {
        let mut pairs = Vec::new();
        while let Some(pair) = self.next().await? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

impl Stream for Scan {
    type Item = Result<(Bytes, Bytes)>;

    fn poll_next(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(pair) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(pair)));
            }
            match this.next.take() {
                None => return Poll::Ready(None),
                Some(Next::Ask(cursor)) => {
                    this.next = Some(Next::Asked(Box::pin(cursor.page())));
                }
                Some(Next::Asked(mut page)) => {
                    let Poll::Ready(result) = page.as_mut().poll(ctx) else {
                        this.next = Some(Next::Asked(page));
                        return Poll::Pending;
                    };
                    match result {
                        Ok(page) => {
                            this.ready.extend(page.pairs);
                            this.next = page.next.map(Next::Ask);
                        }
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    }
                }
            }
        }
    }
}

impl Cursor {
    /// Reads one page.
    async fn page(mut self: Box<Cursor>) -> Result<Page> {
        let mut budget = Budget::new(&self.router.options, Kind::Read);
        loop {
            let route = self.locate(&mut budget).await?;
            // A region that begins or ends in the middle of an encoded key is none of ours.
            let Some(bounds) = self.router.keys.request_of_bounds(&route.region.range) else {
                let range = &route.region.range;
                return Err(Error::Refused(format!("bounds of a region are no keys: {range}")));
            };
            let part = self.left.intersection(&bounds);
            let limit = self.page_keys.min(self.wanted);
            let command = self.command(&part, limit);
            let setback = match self.router.attempt(&route, command, &mut budget).await {
                Ok(Ok(Body::Pairs(pairs))) => return self.turn(pairs, limit, bounds),
                Ok(Ok(other)) => return Err(unfit(&other)),
                Ok(Err(setback)) => setback,
                Err(Error::Refused(why)) if why.starts_with(TOO_LONG) && limit > 1 => {
                    self.page_keys = limit / 2;
                    continue;
                }
                Err(error) => return Err(error),
            };
            budget.pause(setback).await?;
        }
    }

    async fn locate(&self, budget: &mut Budget) -> Result<Route> {
        let keys = self.router.keys;
        if self.options.is_reverse {
            self.router.locate_before(&keys.bound(&self.left.end), budget).await
        } else {
            self.router.locate(&keys.bound(&self.left.start), budget).await
        }
    }

    fn command(&self, part: &KeyRange, limit: usize) -> Command {
        let (low, high) = (part.start.clone().into(), part.end.clone().into());
        let is_reverse = self.options.is_reverse;
        let (start_key, end_key) = if is_reverse { (high, low) } else { (low, high) };
        Command::scan(RawScanRequest {
            start_key,
            end_key,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            key_only: self.options.is_keys_only,
            reverse: is_reverse,
            ..Default::default()
        })
    }

    /// Moves on, behind a page.
    fn turn(
        mut self: Box<Cursor>,
        pairs: Vec<(Bytes, Bytes)>,
        limit: usize,
        bounds: KeyRange,
    ) -> Result<Page> {
        let is_region_done = pairs.len() < limit;
        let is_last = if self.options.is_reverse {
            let end = match pairs.last() {
                Some((key, _)) if !is_region_done => key.to_vec(),
                _ => bounds.start,
            };
            // An empty end would be that of all keys.
            let is_last = end.is_empty() || end <= self.left.start;
            self.left.end = end;
            is_last
        } else {
            let start = match pairs.last() {
                Some((key, _)) if !is_region_done => [key, &[0][..]].concat(),
                _ => bounds.end,
            };
            // An empty start would be that of all keys.
            let is_last = start.is_empty() || (!self.left.end.is_empty() && start >= self.left.end);
            self.left.start = start;
            is_last
        };
        self.wanted = self.wanted.saturating_sub(pairs.len());
        let is_done = is_last || self.wanted == 0;
        self.adapt(&pairs);
        let user = |(key, value)| Some((self.router.keys.user(&key)?, value));
        let count = pairs.len();
        let pairs: Vec<(Bytes, Bytes)> = pairs.into_iter().filter_map(user).collect();
        if pairs.len() < count || count > limit {
            return Err(Error::Refused(
                "the store's answer has keys that were not asked for".into(),
            ));
        }
        Ok(Page { pairs, next: (!is_done).then_some(self) })
    }

    /// Asks for fewer keys at once if they are large: an answer may be refused for its size.
    fn adapt(&mut self, pairs: &[(Bytes, Bytes)]) {
        let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        if let Some(mean) = bytes.checked_div(pairs.len()) {
            let most = self.options.page_keys.clamp(1, PAGE_KEYS_MAX);
            self.page_keys = PAGE_BYTES.checked_div(mean).unwrap_or(most).clamp(1, most);
        }
    }
}
