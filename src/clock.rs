//! The machine of this process; in tests with a clock that a file moves.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::time::Timestamp;
use futures::future::BoxFuture;
use runtime::{Machine, NoRandomness, Runtime, System};

use crate::{Failure, config::ConfigError};

/// Names the file that moves the clock in tests.
pub const TEST_CLOCK: &str = "COUNTERSIGN_TEST_CLOCK";

/// The runtime of this process. A build for use refuses a clock that can be moved: who can move the clock can use
/// old codes again.
pub fn runtime() -> Result<Runtime, Failure> {
    let Some(file) = std::env::var_os(TEST_CLOCK) else { return Runtime::system().map_err(Failure::other) };
    if !cfg!(debug_assertions) {
        return Err(ConfigError::new(TEST_CLOCK, "moves the clock, for tests only", "unset it").into());
    }
    Runtime::new(Arc::new(Moved::by(file.into()))).map_err(Failure::other)
}

/// The system's machine, with a time of day that a file moves.
struct Moved {
    /// Holds signed seconds. It is read at every use, so that one file moves several processes.
    file: PathBuf,
    system: System,
}

impl Moved {
    fn by(file: PathBuf) -> Self {
        Self { file, system: System::default() }
    }
}

impl Machine for Moved {
    fn now(&self) -> Timestamp {
        let offset = read_offset(&self.file).saturating_mul(1_000);
        Timestamp::from_millis(self.system.now().as_millis().saturating_add(offset))
    }
    fn running(&self) -> Duration {
        self.system.running()
    }
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        self.system.sleep(pause)
    }
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.system.spawn(name, task);
    }
    fn run_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        self.system.run_blocking(name, work);
    }
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        self.system.fill(bytes)
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
        let clock = Moved::by(file.path().to_owned());
        let before = clock.now();
        std::fs::write(file.path(), "86400\n").unwrap();
        assert!(clock.now().seconds_since(before) >= 86_400);
        std::fs::write(file.path(), "-60").unwrap();
        assert!(clock.now() < before);
    }
}
