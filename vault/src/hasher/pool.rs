//! A fixed number of threads, a bounded queue before them, and memory that stays with its thread.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use argon2::Block;
use tokio::sync::oneshot;
use zeroize::Zeroize;

use crate::VaultError;

/// The blocks of a thread. Reused from hash to hash; wiped and given back on idleness.
#[derive(Default)]
pub(super) struct Memory {
    blocks: Vec<Block>,
    /// Blocks of all threads together.
    held: Arc<AtomicUsize>,
}

impl Memory {
    /// At least this many blocks of 1 KiB, with whatever the last hash left in them (argon2 writes each
    /// block before it reads it).
    pub(super) fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.blocks.len() < count {
            // Not grown in place: that would copy the old blocks for nothing.
            self.give_back();
            self.blocks = vec![Block::new(); count];
            self.held.fetch_add(count, Ordering::Relaxed);
        }
        &mut self.blocks[..count]
    }

    fn give_back(&mut self) {
        self.held.fetch_sub(self.blocks.len(), Ordering::Relaxed);
        self.blocks.iter_mut().for_each(Zeroize::zeroize);
        self.blocks = Vec::new();
    }
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Bounds of a pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) threads: usize,
    /// Jobs that may wait.
    pub(super) waiting: usize,
    /// Blocks (KiB) of a usual hash; a thread that needed more for an imported one gives them back at once.
    pub(super) usual: usize,
    /// How long a thread without work keeps its memory.
    pub(super) idle: Duration,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    bounds: Bounds,
    held: Arc<AtomicUsize>,
}

struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // The lock is never held while a job runs, so what it guards is whole even if a thread died.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut memory = Memory { blocks: Vec::new(), held: Arc::clone(&self.held) };
        while let Some(job) = self.next(&mut memory) {
            job(&mut memory);
            if memory.blocks.len() > self.bounds.usual {
                memory.give_back();
            }
        }
        memory.give_back();
    }

    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if memory.blocks.is_empty() {
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            } else {
                let (woken, timeout) =
                    self.work.wait_timeout(queue, self.bounds.idle).unwrap_or_else(PoisonError::into_inner);
                queue = woken;
                if timeout.timed_out() && queue.jobs.is_empty() {
                    drop(queue);
                    memory.give_back();
                    queue = self.queue();
                }
            }
        }
    }
}

/// The threads. Dropping it ends them after what they are doing.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: usize,
}

impl Pool {
    pub(super) fn start(bounds: Bounds) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { jobs: VecDeque::new(), closed: false }),
            work: Condvar::new(),
            bounds,
            held: Arc::default(),
        });
        let started = (0..bounds.threads.max(1)).filter(|number| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("hash-{number}")).spawn(move || shared.work()).is_ok()
        });
        let threads = started.count();
        Self { shared, threads }
    }

    /// Memory that the threads hold now, in KiB.
    pub(super) fn held_kib(&self) -> usize {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// Runs it on one of the threads; [`VaultError::Busy`] at once when too many wait already. When the
    /// caller has gone away before its turn, it is not run.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, VaultError> {
        if self.threads == 0 {
            return Err(VaultError::Io("no thread could be started for hashing".to_owned()));
        }
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            if !answer.is_closed() {
                // It may have gone away meanwhile; then nobody wants to know.
                let _ = answer.send(work(memory));
            }
        });
        {
            let mut queue = self.shared.queue();
            if queue.jobs.len() >= self.shared.bounds.waiting {
                return Err(VaultError::Busy);
            }
            queue.jobs.push_back(job);
        }
        self.shared.work.notify_one();
        answered.await.map_err(|_| VaultError::Io("a hashing thread ended".to_owned()))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.work.notify_all();
    }
}

#[cfg(test)]
impl Pool {
    /// How many wait for a thread.
    pub(super) fn waiting(&self) -> usize {
        self.shared.queue().jobs.len()
    }

    /// Asks, even after the pool is gone, whether its threads are too.
    pub(super) fn ended(&self) -> impl Fn() -> bool + use<> {
        let shared = Arc::downgrade(&self.shared);
        move || shared.strong_count() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reused_and_given_back_wiped() {
        let mut memory = Memory::default();
        assert_eq!(memory.blocks(8).len(), 8);
        let first = memory.blocks.as_ptr();
        assert_eq!(memory.blocks(4).len(), 4);
        assert_eq!(memory.blocks.as_ptr(), first, "a smaller hash uses the same blocks");
        assert_eq!(memory.blocks(16).len(), 16);
        assert_eq!(memory.held.load(Ordering::Relaxed), 16);
        memory.give_back();
        assert_eq!(memory.blocks.capacity(), 0);
        assert_eq!(memory.held.load(Ordering::Relaxed), 0);
    }
}
