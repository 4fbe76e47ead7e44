//! Keeps the receipts' tables small: in turns, away from what anybody waits for.

use std::{
    future::Future,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use domain::time::Timestamp;
use tokio::{sync::Notify, time::MissedTickBehavior};

use crate::port::LogError;

/// How often expired receipts are dropped, and how many at once.
const EVERY: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 1_000;

/// The time of the newest receipt that this process wrote: what expired before it is dropped. Nobody asks a clock
/// here, and a process that writes no receipts drops none.
#[derive(Debug)]
pub(crate) struct Tidying {
    newest: AtomicI64,
    begun: Notify,
}

impl Tidying {
    pub(crate) fn new() -> Self {
        Self { newest: AtomicI64::new(i64::MIN), begun: Notify::new() }
    }

    /// A receipt of this time was written. The first one begins a turn.
    pub(crate) fn written(&self, at: Timestamp) {
        if self.newest.fetch_max(at.as_millis(), Ordering::Relaxed) == i64::MIN {
            self.begun.notify_one();
        }
    }

    /// Drops what expired, again and again, by a function that drops so many and tells how many those were.
    pub(crate) async fn run<F, Dropped>(&self, drop_expired: F)
    where
        F: Fn(Timestamp, usize) -> Dropped,
        Dropped: Future<Output = Result<usize, LogError>>,
    {
        self.begun.notified().await;
        let mut turns = tokio::time::interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let now = Timestamp::from_millis(self.newest.load(Ordering::Relaxed));
            loop {
                match drop_expired(now, AT_ONCE).await {
                    Ok(dropped) if dropped >= AT_ONCE => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "expired receipts were not dropped");
                        break;
                    }
                }
            }
        }
    }
}
