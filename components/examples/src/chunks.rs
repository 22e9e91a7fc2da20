//! Snapshots of states that are a row of items.

use bytes::Bytes;
use multiraft::{Corrupt, SnapshotReader};
use storage::Error;

use crate::parts;

/// Packs items into chunks, as [`parts`].
pub struct Chunks<I>(pub I);

impl<I: Iterator<Item = Result<Bytes, Error>> + Send> SnapshotReader for Chunks<I> {
    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, Error> {
        let mut chunk = Vec::new();
        while chunk.len() < bytes
            && let Some(item) = self.0.next()
        {
            parts::push(&mut chunk, &item?);
        }
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

/// Hands the items of a chunk to `take`, which says whether they make sense.
///
/// # Errors
/// If one does not.
pub fn unpack(chunk: &[u8], take: impl FnMut(&[u8]) -> Option<()>) -> Result<(), Corrupt> {
    let taken = parts::split(chunk).and_then(|items| items.into_iter().try_for_each(take));
    taken.ok_or_else(|| Corrupt("a chunk of a snapshot makes no sense".to_owned()))
}
