//! Byte strings in a row, each behind its length: commands, and chunks of snapshots.

use bytes::Bytes;

/// The parts in a row.
#[must_use]
pub fn join(parts: &[&[u8]]) -> Bytes {
    let mut out = Vec::new();
    parts.iter().for_each(|part| push(&mut out, part));
    out.into()
}

/// Appends a part.
pub fn push(out: &mut Vec<u8>, part: &[u8]) {
    let len = u32::try_from(part.len()).expect("a part is far below 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(part);
}

/// The parts of a row. Nothing if the bytes are none.
#[must_use]
pub fn split(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (len, tail) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (part, tail) = tail.split_at_checked(len)?;
        parts.push(part);
        rest = tail;
    }
    Some(parts)
}

/// A number as a part.
#[must_use]
pub fn number(part: &[u8]) -> Option<u64> {
    part.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_out_as_they_went_in_and_torn_rows_are_refused() {
        let row = join(&[b"put", b"", b"value"]);
        assert_eq!(split(&row), Some(vec![&b"put"[..], b"", b"value"]));
        assert_eq!(split(&row[..row.len() - 1]), None);
        assert_eq!(split(&row[..2]), None);
        assert_eq!(split(&[]), Some(vec![]));
    }
}
