//! One queue per stream: commands take their turn in order of arrival.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::ids::StreamId;
use tokio::sync::{Mutex as Fair, OwnedMutexGuard};

/// The queues that someone stands in. Tokio's mutex is fair: first come, first served.
#[derive(Default)]
pub(crate) struct Queues {
    waiting: Mutex<HashMap<StreamId, Arc<Fair<()>>>>,
}

/// A turn; the next one comes when it is dropped.
pub(crate) struct Turn<'a> {
    queues: &'a Queues,
    stream: &'a StreamId,
    held: Option<OwnedMutexGuard<()>>,
}

impl Queues {
    pub(crate) async fn turn<'a>(&'a self, stream: &'a StreamId) -> Turn<'a> {
        let queue = Arc::clone(self.waiting().entry(stream.clone()).or_default());
        // Built before waiting: a caller that goes away in the queue still leaves it tidy.
        let mut turn = Turn { queues: self, stream, held: None };
        turn.held = Some(queue.lock_owned().await);
        turn
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<StreamId, Arc<Fair<()>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waiting().len()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queues.waiting();
        self.held = None;
        // The map's own is the last one: nobody waits, and nobody can join while the map is locked.
        if waiting.get(self.stream).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            waiting.remove(self.stream);
        }
    }
}
