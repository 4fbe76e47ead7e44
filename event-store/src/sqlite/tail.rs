//! The newest events, in memory: subscribers of this process follow the log without reading the file.

use std::collections::VecDeque;

use schemas::envelope::{Position, StoredEvent};

/// A gapless run of the newest events that this process appended.
pub(super) struct Tail {
    events: VecDeque<StoredEvent>,
    capacity: usize,
}

impl Tail {
    pub(super) fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), capacity }
    }

    /// Adds an event; one that does not follow the last (another process wrote between) starts a new run.
    pub(super) fn push(&mut self, event: StoredEvent) {
        if self.events.back().is_some_and(|last| last.position.0 + 1 != event.position.0) {
            self.events.clear();
        }
        if self.events.len() >= self.capacity {
            self.events.pop_front();
        }
        if self.capacity > 0 {
            self.events.push_back(event);
        }
    }

    /// The events after a position, when the first of them is here; `None` sends the reader to the file.
    pub(super) fn after(&self, after: Position, limit: usize) -> Option<Vec<StoredEvent>> {
        let first = self.events.front()?.position.0;
        let last = self.events.back()?.position.0;
        if limit == 0 || after.0 + 1 < first || after.0 >= last {
            return None;
        }
        let skip = usize::try_from(after.0 + 1 - first).ok()?;
        Some(self.events.iter().skip(skip).take(limit).cloned().collect())
    }
}
