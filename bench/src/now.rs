//! The real clock: what is measured here is time itself.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use domain::time::Timestamp;

/// A point to measure from.
#[expect(clippy::disallowed_methods, reason = "measures")]
pub fn instant() -> Instant {
    Instant::now()
}

/// The time.
#[expect(clippy::disallowed_methods, reason = "the adapter of this program")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
