//! Points in time, as the log keeps them.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A span of whole seconds; every duration of a rule is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Seconds(pub u32);

impl Seconds {
    /// `n` minutes.
    pub const fn minutes(n: u32) -> Self {
        Self(n * 60)
    }
    /// `n` hours.
    pub const fn hours(n: u32) -> Self {
        Self(n * 3_600)
    }
    /// `n` days of 24 hours.
    pub const fn days(n: u32) -> Self {
        Self(n * 86_400)
    }
    /// As milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0 as i64 * 1_000
    }
}

/// A point in UTC with millisecond precision, written as RFC 3339.
///
/// Range: 1970 to 9999-12-30T21:59:59.999Z; arithmetic saturates at its ends, so that no stored value can
/// make `evolve` panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The end of the last second that `jiff` reads and writes whole.
const LAST_MILLISECOND: i64 = 253_402_207_199_999;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since 1970, clamped to the range.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < 0 {
            Self(0)
        } else if millis > LAST_MILLISECOND {
            Self(LAST_MILLISECOND)
        } else {
            Self(millis)
        }
    }
    /// From whole seconds since 1970, clamped to the range.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1_000))
    }
    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }
    /// Whole seconds since 1970, as RFC 6238 counts them.
    pub const fn as_seconds(self) -> u64 {
        (self.0 / 1_000).unsigned_abs()
    }
    /// This many seconds later.
    #[must_use]
    pub const fn plus(self, span: Seconds) -> Self {
        Self::from_millis(self.0.saturating_add(span.as_millis()))
    }
    /// This many seconds earlier.
    #[must_use]
    pub const fn minus(self, span: Seconds) -> Self {
        Self::from_millis(self.0.saturating_sub(span.as_millis()))
    }
    /// Seconds from `earlier` to `self`, rounded up, at least 0.
    pub fn seconds_since(self, earlier: Self) -> u32 {
        let millis = self.0.saturating_sub(earlier.0).max(0);
        u32::try_from(millis.saturating_add(999) / 1_000).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => f.write_str("out of range"),
        }
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from_millis(text.parse::<jiff::Timestamp>()?.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}
