//! Following the log: catching up and then live, through one call.

use std::{sync::Arc, time::Duration};

use runtime::{Instant, Runtime};
use schemas::envelope::{Position, StoredEvent};
use tokio::sync::watch;

use crate::port::{EventLog, LogError};

/// A log that says nothing is asked anyway after this: a lost wake-up costs a moment, not an event.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A reader's place in the log.
pub struct Subscription {
    runtime: Runtime,
    log: Arc<dyn EventLog>,
    announced: watch::Receiver<Position>,
    after: Position,
    batch: usize,
    /// When the log was last asked. Kept here, so that waits that are cancelled add up.
    asked: Instant,
}

/// Follows the log from after a position: none skipped, none reordered, none twice.
pub fn subscribe(runtime: &Runtime, log: Arc<dyn EventLog>, after: Position, batch: usize) -> Subscription {
    let announced = log.watch();
    let (runtime, asked) = (runtime.clone(), runtime.instant());
    Subscription { runtime, log, announced, after, batch: batch.max(1), asked }
}

impl Subscription {
    /// The next events, at least one: waits for it. May be cancelled; what was not returned comes again.
    pub async fn next(&mut self) -> Result<Vec<StoredEvent>, LogError> {
        loop {
            let is_announced = *self.announced.borrow_and_update() > self.after;
            if is_announced || self.runtime.since(self.asked) >= ASK_AGAIN {
                let events = self.log.read_all(self.after, self.batch).await?;
                self.asked = self.runtime.instant();
                if let Some(last) = events.last() {
                    self.after = last.position;
                    return Ok(events);
                }
            }
            let woken = self.runtime.timeout_at(self.asked + ASK_AGAIN, self.announced.changed()).await;
            if let Ok(Err(_)) = woken {
                return Err(LogError::Unavailable("the event log is closed".to_owned()));
            }
        }
    }

    /// The position of the last event that was returned.
    pub fn position(&self) -> Position {
        self.after
    }

    /// Whether everything that the log has announced was returned.
    pub fn is_caught_up(&self) -> bool {
        *self.announced.borrow() <= self.after
    }
}
