//! Sizes and durations as people write them.
//!
//! A unit means what it says: `64MiB` is 64 · 2²⁰ bytes, `64MB` is 64 · 10⁶. A number without a
//! unit is refused, except zero: whoever reads it later cannot know what was meant.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// A length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

const SPANS: &[(&str, Duration)] = &[
    ("d", Duration::from_secs(86_400)),
    ("h", Duration::from_secs(3_600)),
    ("m", Duration::from_secs(60)),
    ("s", Duration::from_secs(1)),
    ("ms", Duration::from_millis(1)),
    ("us", Duration::from_micros(1)),
];

impl Size {
    /// So many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Size {
        Size(bytes)
    }

    /// So many times 2²⁰ bytes.
    #[must_use]
    pub const fn mib(mib: u64) -> Size {
        Size(mib << 20)
    }

    /// So many times 2¹⁰ bytes.
    #[must_use]
    pub const fn kib(kib: u64) -> Size {
        Size(kib << 10)
    }

    /// In bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In bytes, for what is counted in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Reads a size.
    ///
    /// # Errors
    /// What a size looks like.
    pub fn parse(text: &str) -> Result<Size, String> {
        let wanted = || format!("`{text}` is not a size: write it as 64MiB, 64MB or 512KiB");
        let text = text.trim();
        if text == "0" {
            return Ok(Size(0));
        }
        let at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wanted)?;
        let (number, unit) = text.split_at(at);
        let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(wanted)?;
        let number = number.trim().replace('_', "");
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(*factor).map(Size).ok_or_else(wanted);
        }
        // 1.5GiB: thousandths are exact enough, and whole numbers never come here.
        let (whole, rest) = number.split_once('.').ok_or_else(wanted)?;
        if rest.is_empty() || rest.len() > 3 || rest.contains(|c: char| !c.is_ascii_digit()) {
            return Err(wanted());
        }
        let whole: u64 = whole.parse().ok().ok_or_else(wanted)?;
        let thousandths: u64 = format!("{rest:0<3}").parse().ok().ok_or_else(wanted)?;
        let bytes = whole.checked_mul(*factor).ok_or_else(wanted)?;
        let part = thousandths.checked_mul(*factor).ok_or_else(wanted)? / 1_000;
        bytes.checked_add(part).map(Size).ok_or_else(wanted)
    }
}

impl Span {
    /// So many milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// So many seconds.
    #[must_use]
    pub const fn secs(secs: u64) -> Span {
        Span(Duration::from_secs(secs))
    }

    /// As the standard library has it.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Reads a length of time: `10s`, `1m30s`, `1.5s`, `250ms`.
    ///
    /// # Errors
    /// What a length of time looks like.
    pub fn parse(text: &str) -> Result<Span, String> {
        let wanted = || format!("`{text}` is not a duration: write it as 10s, 1m30s or 250ms");
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Span(Duration::ZERO));
        }
        if rest.is_empty() {
            return Err(wanted());
        }
        let mut whole = Duration::ZERO;
        while !rest.is_empty() {
            let at = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wanted)?;
            let (number, after) = rest.split_at(at);
            let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let (_, factor) = SPANS.iter().find(|(name, _)| *name == unit).ok_or_else(wanted)?;
            let number: f64 = number.parse().ok().ok_or_else(wanted)?;
            if !number.is_finite() || !(0.0..1e9).contains(&number) {
                return Err(wanted());
            }
            // To whole microseconds: the sum then is what was written.
            let micros = (factor.as_secs_f64() * number * 1e6).round();
            let part = Duration::try_from_secs_f64(micros / 1e6).ok().ok_or_else(wanted)?;
            whole = whole.checked_add(part).ok_or_else(wanted)?;
            rest = after;
        }
        Ok(Span(whole))
    }
}

impl From<usize> for Size {
    fn from(bytes: usize) -> Size {
        Size(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(duration)
    }
}

impl fmt::Display for Size {
    /// In the unit that gives the smallest whole number, so that it can be read back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let exact = SIZES.iter().filter(|(_, factor)| self.0.is_multiple_of(*factor));
        let (unit, factor) = exact.max_by_key(|(_, factor)| factor).copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0");
        }
        let micros = self.0.as_micros();
        let exact = SPANS.iter().find(|(_, factor)| micros.is_multiple_of(factor.as_micros()));
        let (unit, factor) = exact.copied().unwrap_or(("us", Duration::from_micros(1)));
        write!(f, "{}{unit}", micros / factor.as_micros())
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let text = String::deserialize(deserializer)?;
        Size::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = String::deserialize(deserializer)?;
        Span::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_mean_what_they_say_and_are_shown_so_that_they_can_be_read_back() {
        let cases = [
            ("64MiB", 64 << 20, "64MiB"),
            ("64MB", 64_000_000, "64MB"),
            ("1.5GiB", 3 << 29, "1536MiB"),
            ("10_000B", 10_000, "10kB"),
            ("0", 0, "0"),
            ("4096B", 4_096, "4KiB"),
        ];
        for (text, bytes, shown) in cases {
            let size = Size::parse(text).unwrap();
            assert_eq!(size.get(), bytes, "{text}");
            assert_eq!(Size::parse(&size.to_string()), Ok(size));
            assert_eq!(size.to_string(), shown);
        }
        for text in ["", "64", "64 M", "64mib", "-1B", "1.B", "99999999TiB", "1.2345GiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_add_up_and_are_shown_so_that_they_can_be_read_back() {
        let cases = [
            ("10s", 10_000_000, "10s"),
            ("1m30s", 90_000_000, "90s"),
            ("1.5s", 1_500_000, "1500ms"),
            ("250ms", 250_000, "250ms"),
            ("2h", 7_200_000_000, "2h"),
            ("100us", 100, "100us"),
            ("0", 0, "0"),
        ];
        for (text, micros, shown) in cases {
            let span = Span::parse(text).unwrap();
            assert_eq!(span.get().as_micros(), micros, "{text}");
            assert_eq!(span.to_string(), shown);
            assert_eq!(Span::parse(shown), Ok(span));
        }
        for text in ["", "10", "s", "10 parsecs", "-1s", "1e12s", "infs"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}
