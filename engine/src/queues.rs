//! One queue per stream: commands take their turn in order of arrival.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::ids::StreamId;
use tokio::sync::{Mutex as Fair, OwnedMutexGuard};

/// The queues that someone stands in. Tokio's mutex is fair: first come, first served.
#[derive(Default)]
pub(crate) struct Queues {
    waiting: Mutex<BTreeMap<StreamId, Arc<Fair<()>>>>,
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

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<StreamId, Arc<Fair<()>>>> {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use domain::ids::{AccountId, StreamId};
    use uuid::Uuid;

    use super::*;

    fn stream() -> StreamId {
        StreamId::Account(AccountId(Uuid::nil()))
    }

    #[tokio::test]
    async fn turns_come_in_order_of_arrival_and_leave_nothing_behind() {
        let queues = Arc::new(Queues::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = stream();
        let turn = queues.turn(&first).await;
        let mut tasks = Vec::new();
        for n in 0..20 {
            let (waiting, order) = (Arc::clone(&queues), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let stream = stream();
                let _turn = waiting.turn(&stream).await;
                order.lock().unwrap().push(n);
            }));
            tokio::task::yield_now().await;
        }
        assert_eq!(queues.len(), 1);
        drop(turn);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(queues.len(), 0);
    }

    #[tokio::test]
    async fn whoever_leaves_the_queue_leaves_it_tidy() {
        let queues = Queues::default();
        let stream = stream();
        let turn = queues.turn(&stream).await;
        let waited = tokio::time::timeout(Duration::from_millis(5), queues.turn(&stream)).await;
        assert!(waited.is_err());
        drop(turn);
        assert_eq!(queues.len(), 0);
        drop(queues.turn(&stream).await);
        assert_eq!(queues.len(), 0);
    }
}
