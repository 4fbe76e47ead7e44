//! The embedded adapter: one `SQLite` file holds the log, the data keys, snapshots and receipts.
//!
//! One thread writes (group commit), a few read, and one watches the file for what other processes
//! append. Positions are taken inside `BEGIN IMMEDIATE`, where `SQLite` allows one writer over all
//! processes: they become visible in their own order, without gaps (ADR 0009).

mod keys;
mod log;
mod reader;
mod schema;
mod snapshots;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::Connection;

use self::{
    reader::{Readers, Watcher},
    writer::{Writer, WriterThread},
};
use crate::{
    port::LogError,
    tail::{Newest, Tail},
};

/// How the file is used.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Connections that read, each with a thread. 3.
    pub readers: usize,
    /// Requests that share one commit, at most. 256.
    pub batch: usize,
    /// How long to wait for another process that writes. 5 seconds.
    pub busy_timeout: Duration,
    /// How often to look for what other processes appended. 20 milliseconds.
    pub poll: Duration,
    /// The newest events that are kept in memory for subscribers. 512.
    pub tail: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 3,
            batch: 256,
            busy_timeout: Duration::from_secs(5),
            poll: Duration::from_millis(20),
            tail: 512,
        }
    }
}

/// The embedded event log, with the stores beside it.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    shared: Arc<Shared>,
    /// Dropped to end the watcher.
    open: Mutex<Option<mpsc::Sender<()>>>,
    /// Each ends with the connection it had.
    threads: Mutex<Vec<JoinHandle<Connection>>>,
}

/// What the threads share.
pub(in crate::sqlite) struct Shared {
    newest: Newest<Tail>,
    /// Bytes appended since the write-ahead log was last copied into the file.
    unsaved: AtomicUsize,
}

impl SqliteStore {
    /// Opens the file, or creates it. Several processes may have it open.
    pub async fn open(path: &Path, options: SqliteOptions) -> Result<Self, LogError> {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || Self::open_now(&path, &options))
            .await
            .map_err(|error| LogError::Unavailable(format!("opening was interrupted: {error}")))?
    }

    fn open_now(path: &Path, options: &SqliteOptions) -> Result<Self, LogError> {
        schema::prepare(path, options.busy_timeout)?;
        let first = schema::reader(path, options.busy_timeout)?;
        let last = reader::last_position(&first).map_err(|error| schema::describe(path, &error))?;
        let shared =
            Arc::new(Shared { newest: Newest::new(Tail::new(options.tail), last), unsaved: AtomicUsize::new(0) });
        let mut threads = Vec::new();

        let (requests, received) = mpsc::channel();
        let writer = WriterThread {
            path: path.to_owned(),
            connection: schema::writer(path, options.busy_timeout)?,
            requests: received,
            shared: Arc::clone(&shared),
            batch: options.batch.max(1),
        };
        threads.push(spawn("log-writer", path, move || writer.run())?);

        let mut connections = vec![first];
        for _ in 1..options.readers.max(1) {
            connections.push(schema::reader(path, options.busy_timeout)?);
        }
        let (readers, loops) = Readers::new(path, connections);
        for read in loops {
            threads.push(spawn("log-reader", path, read)?);
        }

        let (open, until_closed) = mpsc::channel();
        let watcher = Watcher {
            connection: schema::checkpointer(path, options.busy_timeout)?,
            shared: Arc::clone(&shared),
            poll: options.poll,
            open: until_closed,
        };
        threads.push(spawn("log-watcher", path, move || watcher.run())?);

        Ok(Self {
            writer: Writer::new(requests),
            readers,
            shared,
            open: Mutex::new(Some(open)),
            threads: Mutex::new(threads),
        })
    }

    /// Finishes what was handed in and closes the file. Later calls are answered as unavailable.
    pub async fn close(&self) {
        self.stop();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            // A thread that panicked has said so already. All of them first, then one connection after the
            // other: of two that close at once neither is the last, and the write-ahead log would stay.
            let connections: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
            connections.into_iter().for_each(drop);
        });
        drop(joined.await);
    }

    fn stop(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.writer.close();
        self.readers.close();
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("position", &self.shared.newest.position()).finish_non_exhaustive()
    }
}

fn spawn(
    name: &str,
    path: &Path,
    run: impl FnOnce() -> Connection + Send + 'static,
) -> Result<JoinHandle<Connection>, LogError> {
    let path: PathBuf = path.to_owned();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| LogError::Unavailable(format!("{}: no thread to serve it: {error}", path.display())))
}
