//! The newest events, in memory: the subscribers of this process share what one subscription brings.

use std::collections::VecDeque;

use schemas::envelope::{Position, StoredEvent};

/// All of our events after a position, up to the newest that the subscription brought.
pub(super) struct Tail {
    /// Nothing is known up to and including this.
    floor: Position,
    events: VecDeque<StoredEvent>,
    capacity: usize,
}

impl Tail {
    pub(super) fn new(floor: Position, capacity: usize) -> Self {
        Self { floor, events: VecDeque::new(), capacity }
    }

    /// Adds the event that follows.
    pub(super) fn push(&mut self, event: StoredEvent) {
        if self.capacity == 0 {
            self.floor = event.position;
            return;
        }
        if self.events.len() >= self.capacity
            && let Some(dropped) = self.events.pop_front()
        {
            self.floor = dropped.position;
        }
        self.events.push_back(event);
    }

    /// Forgets everything up to a position: something there must be read from the server.
    pub(super) fn restart(&mut self, floor: Position) {
        self.events.clear();
        self.floor = self.floor.max(floor);
    }

    /// The events after a position, when all of them up to the first are here; `None` sends the reader to the
    /// server, also when there are none yet: an append may have been answered before the subscription heard.
    pub(super) fn after(&self, after: Position, limit: usize) -> Option<Vec<StoredEvent>> {
        if after < self.floor {
            return None;
        }
        let first = self.events.partition_point(|event| event.position <= after);
        let found: Vec<_> = self.events.iter().skip(first).take(limit).cloned().collect();
        (!found.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::EventId;
    use schemas::envelope::Version;
    use uuid::Uuid;

    use super::*;

    fn event(position: u64) -> StoredEvent {
        StoredEvent {
            position: Position(position),
            stream: "account-x".into(),
            version: Version(1),
            id: EventId(Uuid::nil()),
            event_type: "Something".into(),
            schema_version: 1,
            metadata: Vec::new(),
            data: Vec::new(),
        }
    }

    fn positions(tail: &Tail, after: u64, limit: usize) -> Option<Vec<u64>> {
        tail.after(Position(after), limit).map(|events| events.iter().map(|event| event.position.0).collect())
    }

    #[test]
    fn it_answers_only_what_it_knows_without_a_gap() {
        let mut tail = Tail::new(Position(100), 3);
        assert_eq!(positions(&tail, 100, 9), None);
        for position in [110, 250, 260] {
            tail.push(event(position));
        }
        assert_eq!(positions(&tail, 99, 9), None);
        assert_eq!(positions(&tail, 100, 9), Some(vec![110, 250, 260]));
        assert_eq!(positions(&tail, 120, 1), Some(vec![250]));
        assert_eq!(positions(&tail, 260, 9), None);
        tail.push(event(300));
        assert_eq!(positions(&tail, 100, 9), None);
        assert_eq!(positions(&tail, 110, 9), Some(vec![250, 260, 300]));
    }

    #[test]
    fn it_starts_again_after_what_it_cannot_hold() {
        let mut tail = Tail::new(Position(0), 3);
        tail.push(event(10));
        tail.restart(Position(20));
        assert_eq!(positions(&tail, 0, 9), None);
        assert_eq!(positions(&tail, 15, 9), None);
        tail.push(event(30));
        assert_eq!(positions(&tail, 15, 9), None);
        assert_eq!(positions(&tail, 20, 9), Some(vec![30]));
    }
}
