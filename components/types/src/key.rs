//! Keys and ranges of keys, and the codec that lets a key be followed by something else without
//! losing its order.

use alloc::vec::Vec;
use core::fmt;

/// Bytes of a group of the codec.
const GROUP: usize = 8;
/// The marker of a full group; less by one for each byte of padding.
const FULL: u8 = 0xff;

/// Encodes a key so that it may be followed by more bytes and still sorts as it did: groups of
/// eight bytes, each with a marker that says how many of them are the key's. The last group has
/// fewer than eight, so that no encoded key is the beginning of another.
///
/// Source: the TiKV client protocol, in which boundaries of regions are keys of this form.
#[must_use]
pub fn encode_key(key: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity((key.len() / GROUP + 1) * (GROUP + 1));
    encode_key_into(key, &mut encoded);
    encoded
}

/// As [`encode_key`], appending.
pub fn encode_key_into(key: &[u8], encoded: &mut Vec<u8>) {
    let (groups, rest) = key.as_chunks::<GROUP>();
    for group in groups {
        encoded.extend_from_slice(group);
        encoded.push(FULL);
    }
    let padding = GROUP - rest.len();
    encoded.extend_from_slice(rest);
    encoded.extend_from_slice(&[0; GROUP][..padding]);
    // At most eight.
    encoded.push(FULL - u8::try_from(padding).unwrap_or(0));
}

/// Decodes what [`encode_key`] made, and returns what follows it; `None` if it is not of that form.
#[must_use]
pub fn decode_key(encoded: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut key = Vec::with_capacity(encoded.len() / (GROUP + 1) * GROUP);
    let mut rest = encoded;
    loop {
        let (group, after) = rest.split_first_chunk::<{ GROUP + 1 }>()?;
        rest = after;
        let padding = usize::from(FULL - group[GROUP]);
        if padding > GROUP {
            return None;
        }
        let (bytes, zeros) = group[..GROUP].split_at(GROUP - padding);
        key.extend_from_slice(bytes);
        if padding > 0 {
            return zeros.iter().all(|&byte| byte == 0).then_some((key, rest));
        }
    }
}

/// The keys from `start` to before `end`. An empty `end` is that of all keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyRange {
    /// The first key.
    pub start: Vec<u8>,
    /// The first key behind it; empty for none.
    pub end: Vec<u8>,
}

impl KeyRange {
    /// A range by its bounds.
    #[must_use]
    pub fn new(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> KeyRange {
        KeyRange { start: start.into(), end: end.into() }
    }

    /// Whether it holds a key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && (self.end.is_empty() || key < self.end.as_slice())
    }

    /// Whether it holds no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.end.is_empty() && self.start >= self.end
    }

    /// Whether it holds every key that the other does.
    #[must_use]
    pub fn covers(&self, other: &KeyRange) -> bool {
        let ends_later = self.end.is_empty() || (!other.end.is_empty() && other.end <= self.end);
        other.is_empty() || (self.start <= other.start && ends_later)
    }

    /// Whether both hold a key.
    #[must_use]
    pub fn overlaps(&self, other: &KeyRange) -> bool {
        !self.intersection(other).is_empty()
    }

    /// The keys that are in both.
    #[must_use]
    pub fn intersection(&self, other: &KeyRange) -> KeyRange {
        let start = self.start.as_slice().max(&other.start);
        let end = match (self.end.as_slice(), other.end.as_slice()) {
            ([], end) | (end, []) => end,
            (one, other) => one.min(other),
        };
        KeyRange::new(start, end)
    }
}

/// Bytes as text: printable ASCII as it is, the rest as `\xNN`. The one way in which keys are
/// shown, everywhere.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'\\' => f.write_str("\\\\")?,
                b' '..=b'~' => write!(f, "{}", byte as char)?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", Escaped(&self.start), Escaped(&self.end))
    }
}

impl fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_keys_are_those_of_the_protocol() {
        let cases: [(&[u8], &[u8]); 4] = [
            (b"", &[0, 0, 0, 0, 0, 0, 0, 0, 0xf7]),
            (b"abc", b"abc\0\0\0\0\0\xfa"),
            (b"abcdefgh", b"abcdefgh\xff\0\0\0\0\0\0\0\0\xf7"),
            (b"abcdefghi", b"abcdefgh\xffi\0\0\0\0\0\0\0\xf8"),
        ];
        for (key, encoded) in cases {
            assert_eq!(encode_key(key), encoded);
            let mut followed = encoded.to_vec();
            followed.push(7);
            assert_eq!(decode_key(&followed), Some((key.to_vec(), &[7][..])));
        }
    }

    #[test]
    fn order_of_keys_is_that_of_encoded_keys() {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for len in 0..20 {
            for byte in [0u8, 1, 0x7f, 0xff] {
                keys.push(alloc::vec![byte; len]);
                let mut key = alloc::vec![0; len];
                key.push(byte);
                keys.push(key);
            }
        }
        for one in &keys {
            for other in &keys {
                assert_eq!(one.cmp(other), encode_key(one).cmp(&encode_key(other)));
            }
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_not_decoded() {
        let short: &[u8] = b"abc";
        let no_end: &[u8] = b"abcdefgh\xff";
        let bad_padding: &[u8] = b"abc\0\0\0\0x\xfa";
        let bad_marker: &[u8] = b"abc\0\0\0\0\0\x01";
        for encoded in [short, no_end, bad_padding, bad_marker] {
            assert_eq!(decode_key(encoded), None);
        }
    }

    #[test]
    fn ranges_meet_where_both_hold_a_key() {
        let all = KeyRange::default();
        let low = KeyRange::new("a", "m");
        let high = KeyRange::new("m", "");
        assert!(all.contains(b"") && low.contains(b"a") && !low.contains(b"m"));
        assert!(!low.overlaps(&high) && all.overlaps(&low) && high.overlaps(&all));
        assert!(all.covers(&high) && high.covers(&KeyRange::new("x", "z")) && !low.covers(&all));
        assert_eq!(all.intersection(&low), low);
        assert!(KeyRange::new("b", "a").is_empty() && !all.is_empty());
    }

    #[test]
    fn keys_are_shown_so_that_they_can_be_typed() {
        assert_eq!(alloc::format!("{}", Escaped(b"r\0\0\\x z\xff")), "r\\x00\\x00\\\\x z\\xff");
    }
}
