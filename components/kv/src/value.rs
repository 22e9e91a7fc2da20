//! Values as they are stored under raw keys: flags, when they expire, and the client's bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | flags: bit 0 says that a time of expiry follows; the others are zero |
//! | 8, if bit 0 | the second since 1970 at which the value is gone, big endian |
//! | rest | what the client wrote |
//!
//! A stored value has at least one byte, so that commands can say with none that a key is deleted.
//! What has expired stays until it is written over or its range deleted; readers skip it.

use std::fmt;

/// The flag that a time of expiry follows.
const EXPIRES: u8 = 1;

/// A stored value, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// The second since 1970 at which it is gone; `None` for never.
    pub expires: Option<u64>,
    /// What the client wrote.
    pub value: &'a [u8],
}

/// Bytes that are no stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoValue;

impl<'a> Stored<'a> {
    /// Takes stored bytes apart.
    ///
    /// # Errors
    /// If they are of no known form.
    pub fn decode(bytes: &'a [u8]) -> Result<Stored<'a>, NoValue> {
        match bytes.split_first() {
            Some((0, value)) => Ok(Stored { expires: None, value }),
            Some((&EXPIRES, rest)) => {
                let (seconds, value) = rest.split_first_chunk::<8>().ok_or(NoValue)?;
                Ok(Stored { expires: Some(u64::from_be_bytes(*seconds)), value })
            }
            _ => Err(NoValue),
        }
    }

    /// As it is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + self.value.len());
        match self.expires {
            None => bytes.push(0),
            Some(seconds) => {
                bytes.push(EXPIRES);
                bytes.extend_from_slice(&seconds.to_be_bytes());
            }
        }
        bytes.extend_from_slice(self.value);
        bytes
    }

    /// Whether it is there at this second since 1970.
    #[must_use]
    pub fn is_live(&self, now_seconds: u64) -> bool {
        self.expires.is_none_or(|expires| expires > now_seconds)
    }

    /// Itself, if it is there at this second since 1970.
    #[must_use]
    pub fn live_at(self, now_seconds: u64) -> Option<Stored<'a>> {
        self.is_live(now_seconds).then_some(self)
    }

    /// Seconds until it expires; `None` for never.
    #[must_use]
    pub fn ttl_seconds(&self, now_seconds: u64) -> Option<u64> {
        self.expires.map(|expires| expires.saturating_sub(now_seconds))
    }
}

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a stored value of no known form")
    }
}

impl std::error::Error for NoValue {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_comes_back_as_it_was_stored() {
        for expires in [None, Some(0), Some(u64::MAX)] {
            for value in [&b""[..], b"v", b"\x01longer than eight bytes"] {
                let stored = Stored { expires, value };
                assert_eq!(Stored::decode(&stored.encode()), Ok(stored));
            }
        }
        assert_eq!(
            Stored { expires: Some(258), value: b"v" }.encode(),
            b"\x01\0\0\0\0\0\0\x01\x02v"
        );
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for bytes in [&b""[..], b"\x01", b"\x01\0\0\0\0\0\0\0", b"\x02v", b"\xff"] {
            assert_eq!(Stored::decode(bytes), Err(NoValue));
        }
    }

    #[test]
    fn value_is_gone_in_the_second_in_which_it_expires() {
        let stored = Stored { expires: Some(10), value: b"" };
        assert!(stored.is_live(9) && !stored.is_live(10) && !stored.is_live(11));
        assert_eq!(stored.ttl_seconds(7), Some(3));
        assert!(Stored { expires: None, value: b"" }.is_live(u64::MAX));
    }
}
