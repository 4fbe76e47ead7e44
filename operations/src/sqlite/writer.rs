//! The one thread that writes: what waits shares a transaction, and is answered after its commit.

use std::{
    sync::{Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use event_store::port::LogError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::file::failed;

/// Requests of one transaction, at most.
const BATCH: usize = 128;

type Answer = Box<dyn FnOnce(Result<(), LogError>) + Send>;
/// A request; without a connection no transaction could be begun, and it only answers.
type Job = Box<dyn FnOnce(Option<&Connection>) -> Answer + Send>;

pub(super) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn closed() -> LogError {
    LogError::Unavailable("the file of operations is closed".to_owned())
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, LogError> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("operations".to_owned())
            .spawn(move || work(&connection, &waiting))
            .map_err(|error| LogError::Unavailable(error.to_string()))?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs a write, all or nothing of it, and answers when it is committed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(Box::new(move |connection| {
            let result = connection.map_or_else(|| Err(closed()), |connection| whole(connection, write));
            Box::new(move |committed| {
                let result = committed.and(result);
                // Whoever gave up waiting needs no answer.
                drop(reply.send(result));
            })
        }))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Runs a write that nobody waits for.
    pub(super) fn run_unheard(&self, write: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static) {
        let handed_in = self.hand_in(Box::new(move |connection| {
            let result = connection.map_or_else(|| Err(closed()), |connection| whole(connection, write));
            Box::new(move |committed| {
                if let Err(error) = committed.and(result) {
                    tracing::warn!(%error, "a write in the background failed");
                }
            })
        }));
        drop(handed_in);
    }

    fn hand_in(&self, job: Job) -> Result<(), LogError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().ok_or_else(closed)?.send(job).map_err(|_| closed())
    }

    pub(super) async fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
    }
}

/// One request's writes, taken back alone when one of them fails.
fn whole<T>(connection: &Connection, write: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, LogError> {
    let run = |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    let whole = || {
        run("SAVEPOINT request")?;
        let result = write(connection);
        if result.is_err() {
            run("ROLLBACK TO request")?;
        }
        run("RELEASE request")?;
        result
    };
    whole().map_err(|error| failed(&error))
}

fn work(connection: &Connection, waiting: &mpsc::Receiver<Job>) {
    let mut answers: Vec<Answer> = Vec::with_capacity(BATCH);
    while let Ok(first) = waiting.recv() {
        let begun = connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
        let mut next = Some(first);
        while let Some(job) = next {
            answers.push(job(begun.is_ok().then_some(connection)));
            next = if answers.len() < BATCH { waiting.try_recv().ok() } else { None };
        }
        let committed = begun.and_then(|_| connection.prepare_cached("COMMIT")?.execute([]));
        if committed.is_err() && !connection.is_autocommit() {
            // A roll-back that fails leaves the transaction to the next BEGIN, which then fails loudly.
            drop(connection.execute_batch("ROLLBACK"));
        }
        for answer in answers.drain(..) {
            answer(committed.as_ref().map(drop).map_err(failed));
        }
    }
}
