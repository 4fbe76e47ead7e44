//! States in memory, never older than what the live subscription has seen.
//!
//! A state that was read before an event and kept after the event was followed would stay wrong. So
//! whoever reads in order to keep says so first ([`States::enter`]); the follower notes the versions it
//! sees of such streams, and only a state that is as new is kept.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::ids::StreamId;
use runtime::{Cache, Runtime};
use schemas::envelope::Version;

use crate::Loaded;

#[derive(Clone)]
struct Kept {
    version: Version,
    /// A `Loaded<D>`; one cache serves all deciders.
    loaded: Arc<dyn Any + Send + Sync>,
}

#[derive(Default)]
struct Reading {
    readers: usize,
    /// The newest event that the follower has seen meanwhile.
    followed: Version,
}

pub(crate) struct States {
    kept: Option<Cache<StreamId, Kept>>,
    reading: Mutex<BTreeMap<StreamId, Reading>>,
}

/// The right to keep a state, acquired before it is read.
pub(crate) struct Pass<'a> {
    states: &'a States,
    stream: &'a StreamId,
}

impl States {
    pub(crate) fn new(runtime: &Runtime, capacity: usize) -> Self {
        Self { kept: (capacity > 0).then(|| Cache::new(runtime, capacity)), reading: Mutex::default() }
    }

    pub(crate) fn get<D: Send + Sync + 'static>(&self, stream: &StreamId) -> Option<Arc<Loaded<D>>> {
        self.kept.as_ref()?.get(stream)?.loaded.downcast().ok()
    }

    pub(crate) fn enter<'a>(&'a self, stream: &'a StreamId) -> Pass<'a> {
        self.reading().entry(stream.clone()).or_default().readers += 1;
        Pass { states: self, stream }
    }

    pub(crate) fn forget(&self, stream: &StreamId) {
        if let Some(kept) = &self.kept {
            kept.remove(stream);
        }
    }

    /// An event of this version was followed: a state without it goes.
    pub(crate) fn followed(&self, stream: &StreamId, version: Version) {
        let mut reading = self.reading();
        if let Some(reading) = reading.get_mut(stream) {
            reading.followed = reading.followed.max(version);
        }
        if let Some(kept) = &self.kept
            && kept.peek(stream).is_some_and(|known| known.version < version)
        {
            kept.remove(stream);
        }
    }

    fn reading(&self) -> MutexGuard<'_, BTreeMap<StreamId, Reading>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Keeps the state, unless a newer event was followed or a newer state is kept already.
    pub(crate) fn keep<D: Send + Sync + 'static>(&self, loaded: &Arc<Loaded<D>>) {
        let Some(kept) = &self.states.kept else { return };
        // Deliveries, audit accesses and farewells are written a few times and then never again.
        if matches!(self.stream, StreamId::Delivery(_) | StreamId::AuditAccess(_) | StreamId::Farewell(_)) {
            return;
        }
        let reading = self.states.reading();
        let is_current = reading.get(self.stream).is_none_or(|reading| reading.followed <= loaded.version);
        let is_newer = kept.peek(self.stream).is_none_or(|known| known.version <= loaded.version);
        if is_current && is_newer {
            let state = Kept { version: loaded.version, loaded: Arc::clone(loaded) as Arc<dyn Any + Send + Sync> };
            kept.insert(self.stream.clone(), state);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut reading = self.states.reading();
        if let Some(entry) = reading.get_mut(self.stream) {
            entry.readers = entry.readers.saturating_sub(1);
            if entry.readers == 0 {
                reading.remove(self.stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use domain::ids::AccountId;
    use schemas::envelope::Position;
    use uuid::Uuid;

    use super::*;

    fn states(capacity: usize) -> States {
        States::new(&Runtime::system().unwrap(), capacity)
    }

    fn stream() -> StreamId {
        StreamId::Account(AccountId(Uuid::nil()))
    }

    fn at(version: u64) -> Arc<Loaded<u64>> {
        Arc::new(Loaded {
            state: Arc::new(version),
            version: Version(version),
            position: Position(version),
            at: domain::time::Timestamp::EPOCH,
            learned: std::time::Duration::ZERO,
            snapshot: Version::NONE,
            is_unopened: false,
        })
    }

    fn kept(states: &States) -> Option<u64> {
        states.get::<u64>(&stream()).map(|loaded| *loaded.state)
    }

    #[test]
    fn an_event_that_was_followed_removes_an_older_state_and_no_newer_one() {
        let (states, stream) = (states(10), stream());
        states.enter(&stream).keep(&at(5));
        states.followed(&stream, Version(5));
        assert_eq!(kept(&states), Some(5));
        states.followed(&stream, Version(6));
        assert_eq!(kept(&states), None);
    }

    #[test]
    fn a_state_read_before_an_event_is_not_kept_after_it() {
        let (states, stream) = (states(10), stream());
        let pass = states.enter(&stream);
        states.followed(&stream, Version(6));
        pass.keep(&at(5));
        assert_eq!(kept(&states), None);
        pass.keep(&at(6));
        assert_eq!(kept(&states), Some(6));
    }

    #[test]
    fn an_older_state_does_not_replace_a_newer_one() {
        let (states, stream) = (states(10), stream());
        let pass = states.enter(&stream);
        pass.keep(&at(6));
        pass.keep(&at(5));
        assert_eq!(kept(&states), Some(6));
    }

    #[test]
    fn nothing_is_left_of_readers_that_are_gone() {
        let (states, stream) = (states(10), stream());
        let passes = (states.enter(&stream), states.enter(&stream));
        assert_eq!(states.reading().len(), 1);
        drop(passes);
        assert_eq!(states.reading().len(), 0);
    }

    #[test]
    fn without_capacity_nothing_is_kept() {
        let (states, stream) = (states(0), stream());
        states.enter(&stream).keep(&at(5));
        assert_eq!(kept(&states), None);
    }
}
