//! One thread that writes, and a small pool of connections that read.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::file;
use crate::{
    dialect::{Dialect, render},
    error::ViewError,
};

/// The writing thread's own things.
pub(crate) struct WriterState {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    /// Rendered SQL by its static text and the suffix of its tables.
    rendered: HashMap<(usize, &'static str), Arc<str>>,
    /// Whether a transaction is open over several jobs.
    held: bool,
}

impl WriterState {
    /// Begins a transaction over several jobs: until it ends, no other process writes.
    pub(crate) fn hold(&mut self) -> Result<(), ViewError> {
        if !self.held {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            self.held = true;
        }
        Ok(())
    }

    /// Ends it, with what the jobs wrote.
    pub(crate) fn go_on(&mut self) -> Result<(), ViewError> {
        if std::mem::take(&mut self.held) {
            self.connection.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    /// Ends it, without.
    pub(crate) fn let_go(&mut self) {
        if std::mem::take(&mut self.held) {
            // One that fails leaves the transaction to the next BEGIN, which then fails loudly.
            drop(self.connection.execute_batch("ROLLBACK"));
        }
    }

    /// Whether there is one.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// The SQL of a change, rendered once for each suffix of tables.
    pub(crate) fn rendered(&mut self, sql: &'static str, suffix: &'static str) -> Arc<str> {
        let rendered = || render(Dialect::Sqlite, sql, suffix, 0).into();
        Arc::clone(self.rendered.entry((sql.as_ptr() as usize, suffix)).or_insert_with(rendered))
    }
}

type Job = Box<dyn FnOnce(&mut WriterState) + Send>;

/// Where writes are handed in.
pub(crate) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, path: &Path) -> Result<Self, ViewError> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let mut state = WriterState { connection, path: path.to_owned(), rendered: HashMap::new(), held: false };
        let thread = std::thread::Builder::new()
            .name("views".to_owned())
            .spawn(move || {
                while let Ok(job) = waiting.recv() {
                    job(&mut state);
                }
            })
            .map_err(|error| ViewError::Unavailable(error.to_string()))?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs on the thread, after what was handed in before. Runs to its end even when nobody waits any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriterState) -> Result<T, ViewError> + Send + 'static,
    ) -> Result<T, ViewError> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(Box::new(move |state| drop(reply.send(work(state)))))?;
        answer.await.map_err(|_| ViewError::Closed)?
    }

    /// Runs on the thread, unheard.
    pub(crate) fn hand_in(&self, job: Job) -> Result<(), ViewError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().ok_or(ViewError::Closed)?.send(job).map_err(|_| ViewError::Closed)
    }

    /// Ends the thread after what was handed in.
    pub(crate) async fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
    }
}

/// Connections that read.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<(u64, Connection)>>>,
    permits: Arc<Semaphore>,
    /// Counts the files: a connection to one that was deleted is not used again.
    file: Arc<AtomicU64>,
}

impl Readers {
    pub(crate) fn new(path: &Path, most: usize) -> Self {
        Self {
            path: path.to_owned(),
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(most)),
            file: Arc::default(),
        }
    }

    /// Forgets all connections.
    pub(crate) fn renew(&self) {
        self.file.fetch_add(1, Ordering::SeqCst);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Reads on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ViewError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| ViewError::Closed)?;
        let (path, idle, file) = (self.path.clone(), Arc::clone(&self.idle), Arc::clone(&self.file));
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let now = file.load(Ordering::SeqCst);
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match kept {
                Some((made, connection)) if made == now => connection,
                _ => file::open_reader(&path)?,
            };
            let result = read(&connection)?;
            if file.load(Ordering::SeqCst) == now {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push((now, connection));
            }
            Ok(result)
        })
        .await
        .map_err(|_| ViewError::Closed)?
    }

    pub(crate) fn close(&self) {
        self.permits.close();
        self.renew();
    }
}
