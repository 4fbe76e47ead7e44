//! A bounded queue, fair to all sources, before the machine's blocking pool, a bounded number of hashes at a time, and memory that is kept
//! from one hash to the next.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use argon2::Block;
use runtime::{Instant, Runtime};
use tokio::sync::oneshot;
use zeroize::Zeroize;

use super::queue::{Asker, Queue, Room};
use crate::VaultError;

/// The blocks of one hash at a time. Reused from hash to hash; wiped when they are given back.
#[derive(Default)]
pub(super) struct Memory {
    blocks: Vec<Block>,
    /// Blocks of all together.
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

impl Drop for Memory {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Runs with memory, or is told that it gave way to another.
type Job = Box<dyn FnOnce(Option<&mut Memory>) + Send>;

/// Bounds of a pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) threads: usize,
    /// Jobs that may wait.
    pub(super) waiting: Room,
    /// Blocks (KiB) of a usual hash; what more was needed for an imported one is given back at once.
    pub(super) usual: usize,
    /// How long memory is kept without work for it.
    pub(super) idle: Duration,
}

struct Shared {
    state: Mutex<State>,
    bounds: Bounds,
    runtime: Runtime,
    held: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    jobs: Queue<Job>,
    /// Threads of the machine that take jobs, or were asked for to do so.
    workers: usize,
    /// Memory that no worker uses, the last used at the end, each with the moment it was put there.
    spare: Vec<(Instant, Memory)>,
    /// Whether someone looks after what is spare.
    is_looked_after: bool,
    is_closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The lock is never held while a job runs, so what it guards is whole even if a thread died.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out what has been spare for too long, and says whether something is left.
    fn too_long_spare(&self) -> (Vec<(Instant, Memory)>, bool) {
        let mut state = self.state();
        let idle = self.bounds.idle;
        let old = state.spare.partition_point(|(since, _)| self.runtime.since(*since) >= idle);
        let old = state.spare.drain(..old).collect();
        state.is_looked_after = !state.spare.is_empty();
        (old, state.is_looked_after)
    }
}

/// Gives back what has been spare for too long, until nothing is spare.
async fn look_after(runtime: Runtime, idle: Duration, shared: Weak<Shared>) {
    loop {
        runtime.sleep(idle).await;
        let Some((old, is_some_left)) = shared.upgrade().map(|shared| shared.too_long_spare()) else { return };
        // Wiping takes a while.
        drop(runtime.blocking("wiping memory of hashes", move || drop(old)));
        if !is_some_left {
            return;
        }
    }
}

/// One of the threads that hash at a time.
struct Worker {
    shared: Arc<Shared>,
    is_counted: bool,
}

impl Worker {
    fn work(mut self) {
        let usual = self.shared.bounds.usual;
        let spare = self.shared.state().spare.pop().map(|(_, memory)| memory);
        let mut memory = spare.unwrap_or_else(|| Memory { blocks: Vec::new(), held: Arc::clone(&self.shared.held) });
        while let Some(job) = self.next(&mut memory) {
            // Whoever waits for it is told by the end of its channel.
            drop(catch_unwind(AssertUnwindSafe(|| job(Some(&mut memory)))));
            if memory.blocks.len() > usual {
                memory.give_back();
            }
        }
    }

    /// The next job. When there is none this worker is one no more, in the same moment: whoever adds a job sees
    /// it, and finds its memory.
    fn next(&mut self, memory: &mut Memory) -> Option<Job> {
        let mut state = self.shared.state();
        let job = if state.is_closed { None } else { state.jobs.pop() };
        if job.is_some() {
            return job;
        }
        state.workers -= 1;
        self.is_counted = false;
        let Shared { runtime, bounds, .. } = &*self.shared;
        if !memory.blocks.is_empty() && !state.is_closed {
            state.spare.push((runtime.instant(), std::mem::take(memory)));
            if !std::mem::replace(&mut state.is_looked_after, true) {
                drop(state);
                let looked_after = look_after(runtime.clone(), bounds.idle, Arc::downgrade(&self.shared));
                drop(runtime.spawn("memory of hashes", looked_after));
            }
        }
        None
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A machine that stops does not run it.
        if self.is_counted {
            self.shared.state().workers -= 1;
        }
    }
}

/// The queue. Dropping it ends the workers after what they are doing.
pub(super) struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    pub(super) fn new(bounds: Bounds, runtime: Runtime) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), bounds, runtime, held: Arc::default() }) }
    }

    /// Memory that is held now, in KiB.
    pub(super) fn held_kib(&self) -> usize {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// Runs it on one of the threads; [`VaultError::Busy`] at once when too many wait already, or later when it gave
    /// way to another source. When the caller has gone away before its turn, it is not run.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        asker: &Asker,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, VaultError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            if !answer.is_closed() {
                // It may have gone away meanwhile; then nobody wants to know.
                let _ = answer.send(memory.map(work).ok_or(VaultError::Busy));
            }
        });
        if let Some(worker) = self.enqueued(asker, job) {
            drop(self.shared.runtime.blocking("hashing", move || worker.work()));
        }
        answered.await.unwrap_or_else(|_| Err(VaultError::Io("a hashing thread ended".to_owned())))
    }

    /// Adds a job; the worker to be started for it, while there may be more of them.
    fn enqueued(&self, asker: &Asker, job: Job) -> Option<Worker> {
        let mut state = self.shared.state();
        if let Some(gives_way) = state.jobs.push(asker, job, self.shared.bounds.waiting) {
            gives_way(None);
        }
        if state.workers >= self.shared.bounds.threads.max(1) {
            return None;
        }
        state.workers += 1;
        Some(Worker { shared: Arc::clone(&self.shared), is_counted: true })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
    }
}

#[cfg(test)]
impl Pool {
    /// How many wait for a thread.
    pub(super) fn waiting(&self) -> usize {
        self.shared.state().jobs.len()
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
