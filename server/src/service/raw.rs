//! Raw keys and values: from messages of the protocol to reads and commands, and back.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use kv::command::{Action, Cas, DeleteRange, Mutation};
use kv::edge::Target;
use kv::read::{Found, Reader};
use kv::{Edge, RegionError, RegionState, Reply};
use proto::errorpb;
use proto::kvrpcpb::{
    ApiVersion, Context, KvPair, RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest,
    RawBatchGetResponse, RawBatchPutRequest, RawBatchPutResponse, RawCasRequest, RawCasResponse,
    RawDeleteRangeRequest, RawDeleteRangeResponse, RawDeleteRequest, RawDeleteResponse,
    RawGetKeyTtlRequest, RawGetKeyTtlResponse, RawGetRequest, RawGetResponse, RawPutRequest,
    RawPutResponse, UnsafeDestroyRangeRequest, UnsafeDestroyRangeResponse,
};
use storage::{Cf, View};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use types::{GroupId, Index, KeyRange, Region, StoreId};

use super::data::{Data, PATIENCE, now_seconds};
use super::errors::Denied;
use super::requests::Method;

mod checksum;
mod ranges;

pub(super) use ranges::Way;

/// Keys of one batch. Clients do not cut batches of reads: a hundred thousand short keys are usual.
const BATCH_KEYS_MAX: usize = 262_144;

/// Bytes of keys and values in one answer, but that of a scan.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// The most that [`scan_bytes_max`] says.
const SCAN_BYTES_MAX: usize = 512 << 20;

/// Bytes of keys and values that a scan finds at most which is asked for by itself: twice what a
/// region has until it splits. Some clients ask for all of a region, whatever range they are asked
/// for. On a stream others wait behind an answer, and it has [`ANSWER_BYTES_MAX`] like any other.
pub(crate) fn scan_bytes_max(split_bytes: u64) -> usize {
    let twice = usize::try_from(split_bytes.saturating_mul(2)).unwrap_or(usize::MAX);
    twice.clamp(ANSWER_BYTES_MAX, SCAN_BYTES_MAX)
}

/// Regions of which ranges are destroyed side by side.
const DESTROYED_AT_ONCE: usize = 16;

/// Region and slot of what was read or written.
pub(super) type Version = Option<(GroupId, Index)>;

/// The raw interface of one store.
pub(crate) struct Raw {
    data: Arc<Data>,
    edge: Edge,
    /// See [`scan_bytes_max`].
    scan_bytes_max: usize,
}

/// What `Context` says, checked.
fn target(edge: &Edge, context: Option<Context>) -> Result<Target, Denied> {
    let context = context.ok_or_else(|| Denied::Bad("CRIB-E2003: no context".to_owned()))?;
    edge.check_api(context.api_version() == ApiVersion::V2)?;
    let region = GroupId::new(context.region_id)
        .ok_or_else(|| Denied::Bad("CRIB-E2003: no region in the context".to_owned()))?;
    let epoch = context.region_epoch.unwrap_or_default().into();
    let store = context.peer.and_then(|peer| StoreId::new(peer.store_id));
    Ok(Target { region, epoch, store })
}

fn slices(keys: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> + Clone {
    keys.iter().map(Vec::as_slice)
}

impl Raw {
    pub(crate) fn new(data: Arc<Data>, edge: Edge, scan_bytes_max: usize) -> Raw {
        Raw { data, edge, scan_bytes_max }
    }

    /// Does what is asked, and counts it. The work is pinned by the caller: what is passed by value
    /// is copied at each step, and there are kilobytes of it.
    pub(super) async fn timed<T>(
        &self,
        method: Method,
        work: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    ) -> T {
        self.data.requests.timed(method, work).await
    }

    pub(super) async fn get(&self, request: RawGetRequest) -> (RawGetResponse, Version) {
        match self.try_get(request.context, &request.key, &request.cf).await {
            Ok((found, version)) => {
                let not_found = found.is_none();
                let value = found.map(|found| found.value.into()).unwrap_or_default();
                (RawGetResponse { value, not_found, ..Default::default() }, version)
            }
            Err(denied) => {
                let (region_error, error) = denied.said();
                (RawGetResponse { region_error, error, ..Default::default() }, None)
            }
        }
    }

    async fn try_get(
        &self,
        context: Option<Context>,
        key: &[u8],
        cf: &str,
    ) -> Result<(Option<Found>, Version), Denied> {
        let target = target(&self.edge, context)?;
        let family = self.edge.family(cf)?;
        let key = self.edge.key(key)?;
        let (found, index) = self.data.get(&target, family, &key).await?;
        Ok((found?, Some((target.region, index))))
    }

    pub(super) async fn get_key_ttl(
        &self,
        request: RawGetKeyTtlRequest,
    ) -> (RawGetKeyTtlResponse, Version) {
        match self.try_get(request.context, &request.key, &request.cf).await {
            Ok((found, version)) => {
                let not_found = found.is_none();
                let ttl = found.and_then(|found| found.ttl_seconds).unwrap_or(0);
                (RawGetKeyTtlResponse { not_found, ttl, ..Default::default() }, version)
            }
            Err(denied) => {
                let (region_error, error) = denied.said();
                (RawGetKeyTtlResponse { region_error, error, ..Default::default() }, None)
            }
        }
    }

    pub(super) async fn batch_get(
        &self,
        request: RawBatchGetRequest,
    ) -> (RawBatchGetResponse, Version) {
        let (region_error, pairs, version) = paired(self.try_batch_get(request).await);
        (RawBatchGetResponse { region_error, pairs }, version)
    }

    async fn try_batch_get(
        &self,
        request: RawBatchGetRequest,
    ) -> Result<(Vec<KvPair>, Version), Denied> {
        let target = target(&self.edge, request.context)?;
        let family = self.edge.family(&request.cf)?;
        let keys = self.engine_keys(&request.keys)?;
        let asked = keys.clone();
        let place = self.data.bounds.look(false).await?;
        let look = move |view: Box<dyn View>, state: Arc<RegionState>| {
            spawn_blocking(move || {
                let _place = place;
                reader(&*view, &state).get_all(family, slices(&asked), ANSWER_BYTES_MAX)
            })
        };
        let (found, index) = self.data.read(&target, slices(&keys), look).await?;
        let found = joined(found.await)?.ok_or_else(|| too_long("keys", keys.len()))?;
        let pairs = self.pairs(found.into_iter().map(|(key, found)| (key, found.value)));
        Ok((pairs, Some((target.region, index))))
    }

    /// Pairs as clients have them. Keys of another form are none that a client wrote.
    fn pairs(&self, pairs: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<KvPair> {
        let api = self.edge.api;
        let client = |(key, value): (Vec<u8>, Vec<u8>)| {
            let key = api.client_key(&key)?.into();
            Some(KvPair { error: None, key, value: value.into() })
        };
        pairs.filter_map(client).collect()
    }

    fn engine_keys(&self, keys: &[Bytes]) -> Result<Vec<Vec<u8>>, Denied> {
        if keys.len() > BATCH_KEYS_MAX {
            let why = format!("CRIB-E2004: {} keys, {BATCH_KEYS_MAX} is the most", keys.len());
            return Err(Denied::Bad(why));
        }
        Ok(keys.iter().map(|key| self.edge.key(key)).collect::<Result<_, _>>()?)
    }

    pub(super) async fn put(&self, request: RawPutRequest) -> (RawPutResponse, Version) {
        let RawPutRequest { context, key, value, cf, ttl, .. } = request;
        let mutation = || {
            let family = self.edge.family(&cf)?;
            let key = self.edge.key(&key)?.into();
            Ok(Mutation { family, key, stored: self.edge.value(&value, ttl, now_seconds())? })
        };
        let (region_error, error, version) =
            self.mutate(context, mutation().map(|m| vec![m])).await;
        (RawPutResponse { region_error, error }, version)
    }

    pub(super) async fn delete(&self, request: RawDeleteRequest) -> (RawDeleteResponse, Version) {
        let RawDeleteRequest { context, key, cf, .. } = request;
        let mutation = || Ok(Mutation::delete(self.edge.family(&cf)?, self.edge.key(&key)?));
        let (region_error, error, version) =
            self.mutate(context, mutation().map(|m| vec![m])).await;
        (RawDeleteResponse { region_error, error }, version)
    }

    pub(super) async fn batch_put(
        &self,
        request: RawBatchPutRequest,
    ) -> (RawBatchPutResponse, Version) {
        let RawBatchPutRequest { context, pairs, cf, ttl, ttls, .. } = request;
        let ttls = if ttls.is_empty() { vec![ttl] } else { ttls };
        let mutations = || {
            let family = self.edge.family(&cf)?;
            let now = now_seconds();
            let ttls = self.edge.ttls(&ttls, pairs.len())?;
            let mutation = |(pair, ttl): (&KvPair, u64)| {
                let stored = self.edge.value(&pair.value, ttl, now)?;
                Ok(Mutation { family, key: self.edge.key(&pair.key)?.into(), stored })
            };
            pairs.iter().zip(ttls).map(mutation).collect::<Result<Vec<_>, Denied>>()
        };
        let (region_error, error, version) = self.mutate(context, mutations()).await;
        (RawBatchPutResponse { region_error, error }, version)
    }

    pub(super) async fn batch_delete(
        &self,
        request: RawBatchDeleteRequest,
    ) -> (RawBatchDeleteResponse, Version) {
        let RawBatchDeleteRequest { context, keys, cf, .. } = request;
        let mutations = || {
            let family = self.edge.family(&cf)?;
            let keys = self.engine_keys(&keys)?;
            Ok(keys.into_iter().map(|key| Mutation::delete(family, key)).collect())
        };
        let (region_error, error, version) = self.mutate(context, mutations()).await;
        (RawBatchDeleteResponse { region_error, error }, version)
    }

    async fn mutate(
        &self,
        context: Option<Context>,
        mutations: Result<Vec<Mutation>, Denied>,
    ) -> (Option<errorpb::Error>, String, Version) {
        match self.try_mutate(context, mutations).await {
            Ok(version) => (None, String::new(), version),
            Err(denied) => {
                let (region_error, error) = denied.said();
                (region_error, error, None)
            }
        }
    }

    async fn try_mutate(
        &self,
        context: Option<Context>,
        mutations: Result<Vec<Mutation>, Denied>,
    ) -> Result<Version, Denied> {
        let mutations = mutations?;
        let target = target(&self.edge, context)?;
        if mutations.is_empty() {
            return Ok(None);
        }
        if mutations.len() > BATCH_KEYS_MAX {
            let why = format!("CRIB-E2004: more than {BATCH_KEYS_MAX} keys");
            return Err(Denied::Bad(why));
        }
        let index = self.data.write(&target, mutations).await?;
        Ok(Some((target.region, index)))
    }

    pub(super) async fn compare_and_swap(
        &self,
        request: RawCasRequest,
    ) -> (RawCasResponse, Version) {
        match self.try_cas(request).await {
            Ok((succeed, previous, version)) => {
                let previous_not_exist = previous.is_none();
                let previous_value = previous.unwrap_or_default();
                let said = RawCasResponse {
                    succeed,
                    previous_not_exist,
                    previous_value,
                    ..Default::default()
                };
                (said, version)
            }
            Err(denied) => {
                let (region_error, error) = denied.said_once();
                (RawCasResponse { region_error, error, ..Default::default() }, None)
            }
        }
    }

    async fn try_cas(
        &self,
        request: RawCasRequest,
    ) -> Result<(bool, Option<Bytes>, Version), Denied> {
        let target = target(&self.edge, request.context)?;
        let family = self.edge.family(&request.cf)?;
        let key = [self.edge.key(&request.key)?];
        let now_seconds = now_seconds();
        let stored = if request.delete {
            Bytes::new()
        } else {
            self.edge.value(&request.value, request.ttl, now_seconds)?
        };
        let mutation = Mutation { family, key: key[0].clone().into(), stored };
        let expected = (!request.previous_not_exist).then_some(request.previous_value);
        let action = Action::Cas(Cas { mutation, expected, now_seconds });
        let (reply, index) = self.data.command(&target, slices(&key), action).await?;
        let Reply::Cas { succeeded, previous } = reply else {
            return Err(Denied::Bad("CRIB-E4002: another reply than was asked for".to_owned()));
        };
        Ok((succeeded, previous, Some((target.region, index))))
    }

    pub(super) async fn delete_range(
        &self,
        request: RawDeleteRangeRequest,
    ) -> (RawDeleteRangeResponse, Version) {
        let done = async {
            let target = target(&self.edge, request.context)?;
            let family = self.edge.family(&request.cf)?;
            let range = self.edge.range(&request.start_key, &request.end_key)?;
            self.check_within(&target, &range)?;
            self.delete_within(&target, vec![family], range).await
        };
        match done.await {
            Ok(version) => (RawDeleteRangeResponse::default(), version),
            Err(denied) => {
                let (region_error, error) = denied.said();
                (RawDeleteRangeResponse { region_error, error }, None)
            }
        }
    }

    /// A range that goes on behind its region is refused: some clients take the answer of one
    /// region for that of all of it.
    fn check_within(&self, target: &Target, range: &KeyRange) -> Result<(), Denied> {
        let state = self.data.find(target, std::iter::empty())?;
        let region = &state.region;
        if region.range.covers(range) {
            return Ok(());
        }
        let outside = match region.range.contains(&range.start) {
            true => &range.end,
            false => &range.start,
        };
        Err(RegionError::outside(region, outside).into())
    }

    async fn delete_within(
        &self,
        target: &Target,
        families: Vec<Cf>,
        range: KeyRange,
    ) -> Result<Version, Denied> {
        let KeyRange { start, end } = range;
        let action =
            Action::DeleteRange(DeleteRange { families, start: start.into(), end: end.into() });
        let (_, index) = self.data.command(target, std::iter::empty(), action).await?;
        Ok(Some((target.region, index)))
    }

    /// Clients send this to every store: each deletes what it leads, through the log. What is led
    /// from elsewhere is left to that store, but what nobody leads, or this store does not lead any
    /// more, may have been left to this one: then it says that it is not done.
    ///
    /// One hole is left: leadership that moves from a store that was not asked yet to one that has
    /// answered. Whoever needs more than that deletes the range by regions, or asks twice.
    pub(super) async fn unsafe_destroy_range(
        &self,
        request: UnsafeDestroyRangeRequest,
    ) -> UnsafeDestroyRangeResponse {
        let api = self.edge.api;
        let end = &request.end_key;
        let end = if end.is_empty() { Vec::new() } else { api.engine_key(end) };
        let range = KeyRange::new(api.engine_key(&request.start_key), end);
        let part = |region: &Region| self.destroy(region.id, region.range.intersection(&range));
        let here = self.data.regions.within(&range);
        let parts: Vec<_> = here.iter().map(|state| part(&state.region)).collect();
        let mut destroyed = futures_util::stream::iter(parts).buffer_unordered(DESTROYED_AT_ONCE);
        while let Some(done) = destroyed.next().await {
            if let Err(denied) = done {
                let (region_error, error) = denied.said_in_both();
                return UnsafeDestroyRangeResponse { region_error, error };
            }
        }
        UnsafeDestroyRangeResponse::default()
    }

    /// Deletes what a region had of a range, if it is led from here.
    async fn destroy(&self, region: GroupId, part: KeyRange) -> Result<(), Denied> {
        if !self.data.leads_or_leaves(region).await? {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        let mut left = vec![part];
        while let Some(part) = left.pop() {
            // What was cut off since is led from here at first, or by nobody.
            for state in self.data.regions.within(&part) {
                let region = &state.region;
                let target = Target { region: region.id, epoch: region.epoch, store: None };
                let part = region.range.intersection(&part);
                let families = vec![Cf::Default, Cf::Lock, Cf::Write];
                match self.delete_within(&target, families, part.clone()).await {
                    Ok(_) => {}
                    Err(Denied::Region(RegionError::EpochNotMatch(_)))
                        if Instant::now() < deadline =>
                    {
                        left.push(part);
                    }
                    Err(denied) => return Err(denied),
                }
            }
        }
        Ok(())
    }
}

fn reader<'a>(view: &'a dyn View, state: &'a RegionState) -> Reader<'a> {
    Reader { view, region: &state.region, now_seconds: now_seconds() }
}

/// What would be cut if it were answered is refused: clients take a short answer for all there is.
fn too_long(what: &str, count: usize) -> Denied {
    let why = format!("the answer is too long: ask for fewer {what} than {count}");
    Denied::Bad(format!("CRIB-E2005: {why}"))
}

/// Answers of pairs have no field for what is wrong with a request. That of a pair some clients do
/// not look at, and take what they got for all there is; after most region errors they look for the
/// region again and ask the same. One kind of these all of them give to their callers: see
/// [`Denied::final_error`].
fn paired(
    found: Result<(Vec<KvPair>, Version), Denied>,
) -> (Option<errorpb::Error>, Vec<KvPair>, Version) {
    let denied = match found {
        Ok((pairs, version)) => return (None, pairs, version),
        Err(denied) => denied,
    };
    (Some(denied.final_error()), Vec::new(), None)
}

fn joined<T>(
    joined: Result<Result<T, storage::Error>, tokio::task::JoinError>,
) -> Result<T, Denied> {
    let result = joined.map_err(|error| Denied::Bad(format!("CRIB-E4003: {error}")))?;
    Ok(result?)
}
