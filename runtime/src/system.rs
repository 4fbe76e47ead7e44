//! The machine of the binary: tokio and the operating system. Nothing else reads a clock, waits, spawns or draws.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::time::Timestamp;
use futures::future::BoxFuture;
use tokio::{task::unconstrained, time::Instant};

use crate::{Machine, NoRandomness};

/// Tokio's current runtime, the system's clocks and its randomness. Waiting and spawning need a runtime around
/// them; the rest does not.
#[derive(Debug, Clone)]
pub struct System {
    begun: Instant,
}

impl Default for System {
    fn default() -> Self {
        Self { begun: Instant::now() }
    }
}

impl Machine for System {
    #[expect(clippy::disallowed_methods, reason = "the adapter that everything else asks")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn running(&self) -> Duration {
        self.begun.elapsed()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        // A time-out must be noticed however much its work has used of what tokio lets a task do in one go.
        Box::pin(unconstrained(tokio::time::sleep(pause)))
    }

    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }

    fn run_blocking(&self, _: &'static str, work: Box<dyn FnOnce() + Send>) {
        drop(tokio::task::spawn_blocking(work));
    }

    #[expect(clippy::disallowed_methods, reason = "the one source that the rule points to")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|_| NoRandomness)
    }
}
