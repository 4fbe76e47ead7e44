//! The log in `PostgreSQL`, with the stores beside it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    ids::{EventId, StreamId},
    time::Timestamp,
};
use schemas::envelope::{Position, StoredEvent, Version};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_postgres::Row;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Database, Migration, PostgresSideStore,
    batch::{Request, stream_key},
    database::signed,
    gather::{Gathered, answers},
    shared::{Shared, closed},
    tidying::Tidying,
    watcher::{self, LAST, Watcher},
    writer::{Appender, Writer},
};
use crate::{
    port::{Append, AppendError, Appended, EventLog, KeyStore, LogError, Receipt, Snapshot, SnapshotStore, WrappedKey},
    tail::{Newest, Tail},
};

const MIGRATIONS: [Migration; 1] = [Migration { name: "the log", sql: include_str!("event_log_1.sql") }];

const READ_ALL: &str = "SELECT position, stream, version, id, type, schema_version, metadata, data \
     FROM events WHERE position > $1 ORDER BY position LIMIT $2";

const READ_STREAM: &str = "SELECT position, stream, version, id, type, schema_version, metadata, data \
     FROM events WHERE stream_key = $1 AND version > $2 ORDER BY version LIMIT $3";

/// The same for several streams: the number of the question, and what is selected above.
const READ_STREAMS: &str = "SELECT asked.n, found.* FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) \
     WITH ORDINALITY AS asked (key, after, count, n) \
     JOIN LATERAL (SELECT position, stream, version, id, type, schema_version, metadata, data FROM events \
     WHERE stream_key = asked.key AND version > asked.after ORDER BY version LIMIT asked.count) AS found ON true \
     ORDER BY asked.n, found.version";

/// A read of a stream that is this short shares its statement with others.
const SHORT: usize = 100;

const HEAD: &str = "SELECT version FROM events WHERE stream_key = $1 ORDER BY version DESC LIMIT 1";

/// How the log is used.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Requests that share one commit, at most. 256.
    pub batch: usize,
    /// Commits that are under way at once. 2.
    pub depth: usize,
    /// How often to look for what other processes appended, behind their notifications. 40 milliseconds.
    pub poll: Duration,
    /// The newest events that are kept in memory for subscribers. 2,048.
    pub tail: usize,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { batch: 256, depth: 2, poll: Duration::from_millis(40), tail: 2_048 }
    }
}

/// The event log in `PostgreSQL`, with data keys, snapshots and receipts.
pub struct PostgresStore {
    side: PostgresSideStore,
    streams: Gathered<StreamRead, Vec<StoredEvent>>,
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
    until_closed: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl PostgresStore {
    /// Opens the log, and creates or migrates its tables. Several processes may have it open.
    pub async fn open(database: Arc<Database>, options: PostgresOptions) -> Result<Self, LogError> {
        database.migrate("event_log", &MIGRATIONS).await?;
        let side = PostgresSideStore::open(Arc::clone(&database)).await?;
        let listener = Watcher::listen(&database).await?;
        let appender = Appender::connect(&database).await?;
        let shared = Arc::new(Shared {
            newest: Newest::new(Tail::new(options.tail), last_position(&database).await?),
            tidying: Tidying::new(),
        });
        let until_closed = CancellationToken::new();
        let batch = options.batch.max(1);
        let (requests, received) = mpsc::channel(batch * 4);
        let writer = Writer {
            database: Arc::clone(&database),
            requests: received,
            shared: Arc::clone(&shared),
            batch,
            depth: options.depth.max(1),
            until_closed: until_closed.clone(),
        };
        let watcher = Watcher {
            database: Arc::clone(&database),
            shared: Arc::clone(&shared),
            poll: options.poll,
            until_closed: until_closed.clone(),
        };
        let tasks = Mutex::new(vec![
            tokio::spawn(writer.run(appender)),
            tokio::spawn(watcher.run(listener)),
            tokio::spawn(watcher::tidy(Arc::clone(&database), Arc::clone(&shared), until_closed.clone())),
        ]);
        let streams = Gathered::new(database, read_streams);
        Ok(Self { side, streams, requests, shared, until_closed, tasks })
    }

    /// Finishes what was handed in. Later appends are answered as unavailable. The database stays open.
    pub async fn close(&self) {
        self.until_closed.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // A task that panicked has said so already.
            drop(task.await);
        }
    }

    fn database(&self) -> &Database {
        &self.side.database
    }
}

/// A question for the next events of a stream.
struct StreamRead {
    key: Uuid,
    after: i64,
    count: i64,
}

async fn read_streams(database: Arc<Database>, asked: Vec<StreamRead>) -> Result<Vec<Vec<StoredEvent>>, LogError> {
    let keys: Vec<Uuid> = asked.iter().map(|read| read.key).collect();
    let after: Vec<i64> = asked.iter().map(|read| read.after).collect();
    let counts: Vec<i64> = asked.iter().map(|read| read.count).collect();
    let rows = database.repeatable(READ_STREAMS, &[&keys, &after, &counts]).await?;
    let mut names = Names::default();
    answers(&database, &rows, asked.len(), |events: &mut Vec<_>, row| {
        events.push(names.event(row, 1)?);
        Ok(())
    })
}

fn events(database: &Database, rows: &[Row]) -> Result<Vec<StoredEvent>, LogError> {
    let mut names = Names::default();
    rows.iter().map(|row| names.event(row, 0)).collect::<Result<_, _>>().map_err(|error| database.describe(&error))
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.until_closed.cancel();
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("position", &self.shared.newest.position()).finish_non_exhaustive()
    }
}

/// Names that were met before are shared, not copied for every event.
#[derive(Default)]
struct Names {
    types: HashMap<String, Arc<str>>,
    stream: Option<Arc<str>>,
}

impl Names {
    /// An event of the columns position, stream, version, id, type, schema version, metadata, data, from this one on.
    fn event(&mut self, row: &Row, first: usize) -> Result<StoredEvent, tokio_postgres::Error> {
        Ok(StoredEvent {
            position: Position(row.try_get::<_, i64>(first)?.unsigned_abs()),
            stream: self.stream(row.try_get(first + 1)?),
            version: Version(row.try_get::<_, i64>(first + 2)?.unsigned_abs()),
            id: EventId(row.try_get(first + 3)?),
            event_type: self.event_type(row.try_get(first + 4)?),
            schema_version: u16::try_from(row.try_get::<_, i32>(first + 5)?).unwrap_or(u16::MAX),
            metadata: row.try_get(first + 6)?,
            data: row.try_get(first + 7)?,
        })
    }

    fn stream(&mut self, name: &str) -> Arc<str> {
        match &self.stream {
            Some(known) if **known == *name => Arc::clone(known),
            _ => Arc::clone(self.stream.insert(name.into())),
        }
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

async fn last_position(database: &Database) -> Result<Position, LogError> {
    let rows = database.repeatable(LAST, &[]).await?;
    let last: Option<i64> =
        rows.first().map(|row| row.try_get(0)).transpose().map_err(|error| database.describe(&error))?;
    Ok(Position(last.unwrap_or(0).unsigned_abs()))
}

fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[async_trait]
impl EventLog for PostgresStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.events.is_empty() {
            return Err(AppendError::Log(LogError::Unavailable("an append without events".to_owned())));
        }
        let (reply, answer) = oneshot::channel();
        let request = Request { append, reply, alone: false };
        self.requests.send(request).await.map_err(|_| AppendError::Log(closed()))?;
        // The task ended between taking the request and answering it: it may have committed.
        answer.await.unwrap_or_else(|_| Err(AppendError::Unknown(closed())))
    }

    async fn read_stream(&self, stream: &StreamId, after: Version, count: usize) -> Result<Vec<StoredEvent>, LogError> {
        let key = stream_key(&stream.to_string());
        let (after, limit) = (signed(after.0), limit(count));
        if count <= SHORT {
            return self.streams.ask(StreamRead { key, after, count: limit }).await;
        }
        let rows = self.database().repeatable(READ_STREAM, &[&key, &after, &limit]).await?;
        events(self.database(), &rows)
    }

    async fn read_all(&self, after: Position, count: usize) -> Result<Vec<StoredEvent>, LogError> {
        if let Some(events) = self.shared.newest.tail().after(after, count) {
            return Ok(events);
        }
        let rows = self.database().repeatable(READ_ALL, &[&signed(after.0), &limit(count)]).await?;
        events(self.database(), &rows)
    }

    async fn head(&self, stream: &StreamId) -> Result<Version, LogError> {
        let rows = self.database().repeatable(HEAD, &[&stream_key(&stream.to_string())]).await?;
        let head: Option<i64> =
            rows.first().map(|row| row.try_get(0)).transpose().map_err(|error| self.database().describe(&error))?;
        Ok(Version(head.unwrap_or(0).unsigned_abs()))
    }

    async fn last_position(&self) -> Result<Position, LogError> {
        last_position(self.database()).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.shared.newest.watch()
    }

    async fn receipt(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<Receipt>, LogError> {
        let rows = self
            .database()
            .repeatable(
                "SELECT body, stream, answer, expires_at FROM receipts WHERE key = $1 AND expires_at > $2",
                &[&key.as_slice(), &now.as_millis()],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let failed = |error: tokio_postgres::Error| self.database().describe(&error);
        let unreadable = || self.database().unreadable("a receipt cannot be read");
        Ok(Some(Receipt {
            key: *key,
            body: row.try_get::<_, &[u8]>(0).map_err(failed)?.try_into().map_err(|_| unreadable())?,
            stream: row.try_get::<_, &str>(1).map_err(failed)?.parse().map_err(|_| unreadable())?,
            answer: row.try_get(2).map_err(failed)?,
            at: now,
            expires_at: Timestamp::from_millis(row.try_get(3).map_err(failed)?),
        }))
    }
}

#[async_trait]
impl KeyStore for PostgresStore {
    async fn get(&self, stream: &StreamId) -> Result<Option<WrappedKey>, LogError> {
        self.side.get(stream).await
    }
    async fn insert(&self, stream: &StreamId, key: WrappedKey) -> Result<WrappedKey, LogError> {
        self.side.insert(stream, key).await
    }
    async fn get_many(&self, streams: &[StreamId]) -> Result<Vec<Option<WrappedKey>>, LogError> {
        self.side.get_many(streams).await
    }
    async fn insert_many(&self, keys: &[(StreamId, WrappedKey)]) -> Result<Vec<WrappedKey>, LogError> {
        self.side.insert_many(keys).await
    }
    async fn rewrap(&self, stream: &StreamId, key: WrappedKey) -> Result<(), LogError> {
        self.side.rewrap(stream, key).await
    }
    async fn erase(&self, stream: &StreamId) -> Result<(), LogError> {
        self.side.erase(stream).await
    }
    async fn list_not_under(
        &self,
        ring_key: u32,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, WrappedKey)>, LogError> {
        self.side.list_not_under(ring_key, after, limit).await
    }
}

#[async_trait]
impl SnapshotStore for PostgresStore {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, LogError> {
        self.side.load(stream).await
    }
    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), LogError> {
        self.side.save(stream, snapshot).await
    }
    async fn delete(&self, stream: &StreamId) -> Result<(), LogError> {
        self.side.delete(stream).await
    }
}
