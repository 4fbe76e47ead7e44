//! The threads that read, and the one that watches the file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use domain::ids::EventId;
use rusqlite::{Connection, Row};
use schemas::envelope::{Position, StoredEvent, Version};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Shared, schema::describe, writer::closed};
use crate::port::LogError;

/// Copy the write-ahead log into the file after this much was appended.
const CHECKPOINT_EVERY: usize = 8 << 20;

/// What a reader does; `None` ends the thread.
type Read = Option<Box<dyn FnOnce(&mut Reader) + Send>>;

/// A connection that reads, with the names it has met.
pub(super) struct Reader {
    pub(super) connection: Connection,
    types: HashMap<String, Arc<str>>,
    stream: Arc<str>,
}

impl Reader {
    /// An event of the columns position, stream, version, id, type, schema version, metadata, data.
    pub(super) fn event(names: &mut Names<'_>, row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
        let stream = names.stream(row.get_ref(1)?.as_str()?);
        let event_type = names.event_type(row.get_ref(4)?.as_str()?);
        Ok(StoredEvent {
            position: Position(row.get::<_, i64>(0)?.unsigned_abs()),
            stream,
            version: Version(row.get::<_, i64>(2)?.unsigned_abs()),
            id: EventId(Uuid::from_bytes(row.get(3)?)),
            event_type,
            schema_version: row.get(5)?,
            metadata: row.get(6)?,
            data: row.get(7)?,
        })
    }

    pub(super) fn split(&mut self) -> (&Connection, Names<'_>) {
        (&self.connection, Names { types: &mut self.types, stream: &mut self.stream })
    }
}

/// Names that were met before are shared, not copied for every event.
pub(super) struct Names<'a> {
    types: &'a mut HashMap<String, Arc<str>>,
    stream: &'a mut Arc<str>,
}

impl Names<'_> {
    fn stream(&mut self, name: &str) -> Arc<str> {
        if **self.stream != *name {
            *self.stream = name.into();
        }
        Arc::clone(self.stream)
    }
    fn event_type(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.types.get(name) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = name.into();
        self.types.insert(name.to_owned(), Arc::clone(&shared));
        shared
    }
}

/// Where reads are handed in.
pub(super) struct Readers {
    path: PathBuf,
    requests: Sender<Read>,
    count: usize,
}

impl Readers {
    /// The pool, and a loop for each of its threads.
    pub(super) fn new(
        path: &Path,
        connections: Vec<Connection>,
    ) -> (Self, Vec<impl FnOnce() -> Connection + Send + 'static>) {
        let (requests, received) = channel::<Read>();
        let received = Arc::new(Mutex::new(received));
        let count = connections.len();
        let loops = connections
            .into_iter()
            .map(|connection| {
                let received = Arc::clone(&received);
                let reader = Reader { connection, types: HashMap::new(), stream: Arc::from("") };
                move || serve(&received, reader)
            })
            .collect();
        (Self { path: path.to_owned(), requests, count }, loops)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        let job = move |reader: &mut Reader| {
            // A caller that went away before its turn costs nothing.
            if !reply.is_closed() {
                drop(reply.send(read(reader)));
            }
        };
        self.requests.send(Some(Box::new(job))).map_err(|_| closed())?;
        match answer.await {
            Ok(result) => result.map_err(|error| describe(&self.path, &error)),
            Err(_) => Err(closed()),
        }
    }

    pub(super) fn close(&self) {
        for _ in 0..self.count {
            drop(self.requests.send(None));
        }
    }
}

fn serve(requests: &Mutex<Receiver<Read>>, mut reader: Reader) -> Connection {
    loop {
        // The lock is held while waiting: the idle readers queue for it, and the next one takes the next job.
        let request = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match request {
            Ok(Some(read)) => read(&mut reader),
            Ok(None) | Err(_) => return reader.connection,
        }
    }
}

pub(super) fn last_position(connection: &Connection) -> rusqlite::Result<Position> {
    let last: Option<i64> =
        connection.prepare_cached("SELECT max(position) FROM events")?.query_row([], |row| row.get(0))?;
    Ok(Position(last.unwrap_or(0).unsigned_abs()))
}

/// Notices what other processes append, and copies the write-ahead log into the file beside the writer.
pub(super) struct Watcher {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) poll: Duration,
    /// Closed when the store is.
    pub(super) open: Receiver<()>,
}

impl Watcher {
    /// Returns the connection when the store is closed.
    pub(super) fn run(self) -> Connection {
        let mut seen = None;
        while matches!(self.open.recv_timeout(self.poll), Err(RecvTimeoutError::Timeout)) {
            match self.look(seen) {
                Ok(version) => seen = Some(version),
                // The next look tries again; what this process reads and writes reports the error.
                Err(error) => tracing::warn!(%error, "the log's file cannot be watched"),
            }
            if self.shared.unsaved.load(Ordering::Relaxed) >= CHECKPOINT_EVERY {
                self.shared.unsaved.store(0, Ordering::Relaxed);
                let copied = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                if let Err(error) = copied {
                    tracing::warn!(%error, "the write-ahead log cannot be copied into the file");
                }
            }
        }
        self.connection
    }

    /// `data_version` changes when another connection commits; only then is the log asked.
    fn look(&self, seen: Option<i64>) -> rusqlite::Result<i64> {
        let version = self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if seen != Some(version) {
            self.shared.newest.announce(last_position(&self.connection)?);
        }
        Ok(version)
    }
}
