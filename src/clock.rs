//! The one place that reads a clock.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use domain::time::Timestamp;
use event_store::port::Clock;

use crate::config::ConfigError;

/// Names the file that moves the clock in tests.
pub const TEST_CLOCK: &str = "COUNTERSIGN_TEST_CLOCK";

/// The system's clock; in tests moved by a file.
#[derive(Debug, Clone)]
pub struct SystemClock {
    begun: Instant,
    /// Holds signed seconds. It is read at every use, so that one file moves several processes.
    offset: Option<PathBuf>,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the adapter that everything else asks")]
    fn default() -> Self {
        Self { begun: Instant::now(), offset: None }
    }
}

impl SystemClock {
    /// The clock of this process. A build for use refuses to be moved: who can move the clock can
    /// use old codes again.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let Some(path) = std::env::var_os(TEST_CLOCK) else { return Ok(Self::default()) };
        if !cfg!(debug_assertions) {
            return Err(ConfigError::new(TEST_CLOCK, "moves the clock, for tests only", "unset it"));
        }
        Ok(Self { offset: Some(path.into()), ..Self::default() })
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the adapter that everything else asks")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let offset = self.offset.as_deref().map_or(0, read_offset);
        Timestamp::from_millis(millis.saturating_add(offset.saturating_mul(1_000)))
    }

    fn running(&self) -> Duration {
        self.begun.elapsed()
    }
}

fn read_offset(path: &Path) -> i64 {
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_file_moves_the_clock_at_every_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let clock = SystemClock { offset: Some(file.path().to_owned()), ..SystemClock::default() };
        let before = clock.now();
        std::fs::write(file.path(), "86400\n").unwrap();
        assert!(clock.now().seconds_since(before) >= 86_400);
        std::fs::write(file.path(), "-60").unwrap();
        assert!(clock.now() < before);
    }
}
