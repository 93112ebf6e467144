//! Moments, and the one place they come from.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in UTC, in microseconds since 1970-01-01; RFC 3339 with six decimals as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment plus `span`; saturates at the end of time.
    #[must_use]
    pub fn after(self, span: std::time::Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment minus `span`; saturates at the beginning of time.
    #[must_use]
    pub fn before(self, span: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Timestamp {
    /// Its text, of the years from 0 to 9999; `None` for others.
    fn plain(self) -> Option<[u8; 27]> {
        let moment = jiff::Timestamp::from_microsecond(self.0).ok()?;
        let utc = jiff::tz::Offset::UTC.to_datetime(moment);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |places: Range<usize>, mut number: u32| {
            for digit in text[places].iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        };
        put(0..4, utc.year().try_into().ok()?);
        put(5..7, utc.month().try_into().ok()?);
        put(8..10, utc.day().try_into().ok()?);
        put(11..13, utc.hour().try_into().ok()?);
        put(14..16, utc.minute().try_into().ok()?);
        put(17..19, utc.second().try_into().ok()?);
        put(20..26, u32::try_from(utc.subsec_nanosecond()).ok()? / 1000);
        Some(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.plain() {
            return f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?);
        }
        let moment = jiff::Timestamp::from_microsecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{moment:.6}")
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(|moment| Self(moment.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A page of messages has dozens of them, and the way through a formatter takes most of their time.
        match self.plain().as_ref().map(|text| str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("expected an RFC 3339 date and time"))
    }
}

/// Where moments come from: strictly increasing within a process, even if the machine's clock steps back.
///
/// Clones share their state, so two parts of one app never read the same moment twice.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    last: Arc<AtomicI64>,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self { source: Source::System, last: Arc::default() }
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it, for tests.
    pub fn manual(start: Timestamp) -> Self {
        let source = Source::Manual(Arc::new(AtomicI64::new(start.micros())));
        Self { source, last: Arc::default() }
    }

    /// Moves a manual clock forwards; the machine's clock is left alone.
    pub fn advance(&self, span: std::time::Duration) {
        if let Source::Manual(now) = &self.source {
            now.fetch_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    /// A moment later than every moment that this clock has given before.
    pub fn now(&self) -> Timestamp {
        let wall = self.wall().micros();
        let previous =
            self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |l| Some(wall.max(l + 1)));
        Timestamp(wall.max(previous.unwrap_or_else(|last| last) + 1))
    }

    /// What the source says, steps back included: for the expiry of tokens, which other machines judge too.
    pub fn wall(&self) -> Timestamp {
        match &self.source {
            Source::System => Timestamp(jiff::Timestamp::now().as_microsecond()),
            Source::Manual(now) => Timestamp(now.load(Ordering::Relaxed)),
        }
    }

    /// Never gives a moment up to and including `floor`, which an earlier process has already used.
    pub fn raise(&self, floor: Timestamp) {
        self.last.fetch_max(floor.micros(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_six_decimals_and_round_trips() {
        let moment = Timestamp::from_micros(1_769_860_800_123_456);
        assert_eq!(moment.to_string(), "2026-01-31T12:00:00.123456Z");
        assert_eq!("2026-01-31T12:00:00.123456Z".parse::<Timestamp>().unwrap(), moment);
        let whole = Timestamp::from_micros(1_769_860_800_000_000);
        assert_eq!(whole.to_string(), "2026-01-31T12:00:00.000000Z");
        assert_eq!("2026-01-31T13:00:00+01:00".parse::<Timestamp>().unwrap(), whole);
    }

    #[test]
    fn the_text_is_that_of_the_library() {
        let edges =
            [i64::MIN, i64::MAX, 0, -1, 1, 253_402_300_799_999_999, 253_402_207_200_999_999];
        let ends = [-377_705_023_201_000_000, -62_167_219_200_000_001, -62_167_219_200_000_000];
        let steps = (0..100_000).map(|n| n * 2_534_023_007_999 - 3_777_050_232_010);
        for micros in edges.into_iter().chain(ends).chain(steps) {
            let Ok(moment) = jiff::Timestamp::from_microsecond(micros) else { continue };
            let text = Timestamp::from_micros(micros).to_string();
            assert_eq!(text, format!("{moment:.6}"), "{micros}");
            let json = serde_json::to_string(&Timestamp::from_micros(micros)).unwrap();
            assert_eq!(json, format!("\"{text}\""));
        }
    }

    #[test]
    fn a_clock_never_repeats_itself_nor_steps_back() {
        let clock = Clock::manual(Timestamp::from_micros(5));
        let (first, second) = (clock.now(), clock.now());
        assert!(first < second);
        clock.raise(Timestamp::from_micros(1_000));
        assert_eq!(clock.now().micros(), 1_001);
    }
}
