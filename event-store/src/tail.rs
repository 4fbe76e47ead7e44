//! The newest events, in memory: subscribers of this process follow the log without reading the
//! database. For adapters whose positions have no gap.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use schemas::envelope::{Position, StoredEvent, Version};
use tokio::sync::watch;

use crate::port::{Append, Appended};

/// What those who write or follow a log tell those who read it: its newest events, and how far it is.
pub(crate) struct Newest<T> {
    tail: Mutex<T>,
    position: watch::Sender<Position>,
}

impl<T> Newest<T> {
    /// A tail of some kind, of a log that is known up to here.
    pub(crate) fn new(tail: T, position: Position) -> Self {
        Self { tail: Mutex::new(tail), position: watch::Sender::new(position) }
    }

    /// A panic elsewhere leaves the tail whole: each change to it is one push.
    pub(crate) fn tail(&self) -> MutexGuard<'_, T> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the log is there now; it never goes back.
    pub(crate) fn announce(&self, position: Position) {
        self.position.send_if_modified(|known| {
            let is_newer = *known < position;
            if is_newer {
                *known = position;
            }
            is_newer
        });
    }

    /// How far the log is known to be.
    pub(crate) fn position(&self) -> Position {
        *self.position.borrow()
    }

    /// Moves with it.
    pub(crate) fn watch(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }
}

/// A gapless run of the newest events that this process appended.
pub(crate) struct Tail {
    events: VecDeque<StoredEvent>,
    capacity: usize,
}

impl Tail {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), capacity }
    }

    /// Adds an event; one that does not follow the last (another process wrote between) starts a new run.
    pub(crate) fn push(&mut self, event: StoredEvent) {
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

    /// The events after a position, when the first of them is here; `None` sends the reader to the database.
    pub(crate) fn after(&self, after: Position, limit: usize) -> Option<Vec<StoredEvent>> {
        let first = self.events.front()?.position.0;
        let last = self.events.back()?.position.0;
        if limit == 0 || after.0 + 1 < first || after.0 >= last {
            return None;
        }
        let skip = usize::try_from(after.0 + 1 - first).ok()?;
        Some(self.events.iter().skip(skip).take(limit).cloned().collect())
    }
}

/// The events of an append as they are stored.
pub(crate) fn stored(append: Append, appended: Appended) -> impl Iterator<Item = StoredEvent> {
    let stream: Arc<str> = append.stream.to_string().into();
    let count = u64::try_from(append.events.len()).unwrap_or(u64::MAX);
    let (first_position, first_version) =
        (appended.position.0.saturating_sub(count) + 1, appended.version.0.saturating_sub(count) + 1);
    append.events.into_iter().zip(0_u64..).map(move |(event, n)| StoredEvent {
        position: Position(first_position + n),
        stream: Arc::clone(&stream),
        version: Version(first_version + n),
        id: event.id,
        event_type: event.event_type,
        schema_version: event.schema_version,
        metadata: event.metadata,
        data: event.data,
    })
}
