//! Tasks, and how they end.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{StreamExt, future::AbortHandle, stream::FuturesUnordered};
use tokio::sync::oneshot;

use crate::Runtime;

/// How a task ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// It panicked.
    #[error("the task panicked")]
    Panicked,
    /// It was aborted, or the machine stopped.
    #[error("the task was aborted")]
    Aborted,
}

/// A task's end, to be awaited. The task goes on when this is dropped.
#[derive(Debug)]
pub struct Task<T> {
    abort: AbortHandle,
    told: oneshot::Receiver<Result<T, Ended>>,
}

impl<T> Task<T> {
    pub(crate) fn new(abort: AbortHandle, told: oneshot::Receiver<Result<T, Ended>>) -> Self {
        Self { abort, told }
    }

    /// Ends it where it next waits.
    pub fn abort(&self) {
        self.abort.abort();
    }

    /// The same, once whoever holds this lets go of it.
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop(self)
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Ended>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.told).poll(context).map(|told| told.unwrap_or(Err(Ended::Aborted)))
    }
}

/// A task that ends with its holder.
#[derive(Debug)]
pub struct AbortOnDrop<T>(Task<T>);

impl<T> AbortOnDrop<T> {
    /// Ends it before.
    pub fn abort(&self) {
        self.0.abort();
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, Ended>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

/// Tasks that are known by a key; those that run are aborted with their holder.
pub struct Tasks<K, T> {
    running: FuturesUnordered<Keyed<K, T>>,
}

struct Keyed<K, T> {
    /// Taken when the task has ended.
    key: Option<K>,
    task: AbortOnDrop<T>,
}

impl<K: Unpin, T> Future for Keyed<K, T> {
    type Output = (Option<K>, Result<T, Ended>);
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.task).poll(context));
        Poll::Ready((self.key.take(), ended))
    }
}

impl<K: Unpin, T: Send + 'static> Tasks<K, T> {
    /// None yet.
    pub fn new() -> Self {
        Self { running: FuturesUnordered::new() }
    }

    /// Runs one more.
    pub fn spawn(&self, runtime: &Runtime, name: &'static str, key: K, work: impl Future<Output = T> + Send + 'static) {
        self.running.push(Keyed { key: Some(key), task: runtime.spawn(name, work).abort_on_drop() });
    }

    /// The next one that ends; `None` when none runs. Cancel-safe.
    pub async fn next(&mut self) -> Option<(K, Result<T, Ended>)> {
        let (key, ended) = self.running.next().await?;
        Some((key?, ended))
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Ends them all where they next wait.
    pub fn abort_all(&self) {
        self.running.iter().for_each(|running| running.task.abort());
    }
}

impl<K: Unpin, T: Send + 'static> Default for Tasks<K, T> {
    fn default() -> Self {
        Self::new()
    }
}
