//! Following the log: catching up and then live, through one call.

use std::{sync::Arc, time::Duration};

use schemas::envelope::{Position, StoredEvent};
use tokio::sync::watch;

use crate::port::{EventLog, LogError};

/// A log that says nothing is asked anyway after this: a lost wake-up costs a moment, not an event.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A reader's place in the log.
pub struct Subscription {
    log: Arc<dyn EventLog>,
    announced: watch::Receiver<Position>,
    after: Position,
    batch: usize,
}

/// Follows the log from after a position: none skipped, none reordered, none twice.
pub fn subscribe(log: Arc<dyn EventLog>, after: Position, batch: usize) -> Subscription {
    let announced = log.watch();
    Subscription { log, announced, after, batch: batch.max(1) }
}

impl Subscription {
    /// The next events, at least one: waits for it. May be cancelled; what was not returned comes again.
    pub async fn next(&mut self) -> Result<Vec<StoredEvent>, LogError> {
        let mut is_worth_asking = *self.announced.borrow_and_update() > self.after;
        loop {
            if is_worth_asking {
                let events = self.log.read_all(self.after, self.batch).await?;
                if let Some(last) = events.last() {
                    self.after = last.position;
                    return Ok(events);
                }
            }
            match tokio::time::timeout(ASK_AGAIN, self.announced.changed()).await {
                Ok(Ok(())) => is_worth_asking = *self.announced.borrow_and_update() > self.after,
                Ok(Err(_)) => return Err(LogError::Unavailable("the event log is closed".to_owned())),
                Err(_) => is_worth_asking = true,
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
