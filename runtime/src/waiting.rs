//! Moments, and waiting for them.

use std::{ops::Add, time::Duration};

use futures::future::{self, BoxFuture, FutureExt};

use crate::Runtime;

/// A moment of one machine, to measure and to wait from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub(crate) Duration);

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

/// It was not done in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it took too long")]
pub struct TimedOut;

/// Ticks again and again. A tick that was taken late puts off the next: they never come in a bunch.
pub struct Every {
    runtime: Runtime,
    pause: Duration,
    next: BoxFuture<'static, ()>,
}

impl Every {
    pub(crate) fn new(runtime: Runtime, pause: Duration) -> Self {
        Self { runtime, pause, next: future::ready(()).boxed() }
    }

    /// Waits for the next tick. Cancel-safe.
    pub async fn tick(&mut self) {
        self.next.as_mut().await;
        self.next = self.runtime.sleep(self.pause);
    }
}
