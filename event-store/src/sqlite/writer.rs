//! The one thread that writes. It takes what is waiting, writes all of it in one transaction, and answers
//! after the commit: requests that arrive while the disk works share the next one (group commit).

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, Sender},
    },
};

use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use schemas::envelope::{Position, Version};
use tokio::{sync::oneshot, time::Instant};

use super::{Shared, schema::describe};
use crate::{
    port::{Append, AppendError, Appended, LogError, Receipt},
    tail::stored,
};

/// What the writer is asked.
pub(super) enum Write {
    /// Events.
    Append(Append, oneshot::Sender<Result<Appended, AppendError>>),
    /// Anything else that commits with its neighbours.
    Job(Box<dyn Job>),
    /// What must not wait in the write-ahead log: committed alone, and the log is emptied after it.
    Erasure(Box<dyn Job>),
    /// No more.
    Close,
}

/// A write of any result type.
pub(super) trait Job: Send {
    /// Writes; called again when the transaction it was part of is rolled back.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    /// Answers, after the commit or its failure.
    fn finish(self: Box<Self>, committed: Result<(), LogError>);
}

struct Typed<T, F> {
    write: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, LogError>>,
}

impl<T: Send, F: FnMut(&Connection) -> rusqlite::Result<T> + Send> Job for Typed<T, F> {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.write)(connection)?);
        Ok(())
    }
    fn finish(self: Box<Self>, committed: Result<(), LogError>) {
        let Self { result, reply, .. } = *self;
        let answer = committed.and_then(|()| result.ok_or_else(|| LogError::Unavailable("not written".into())));
        // Whoever gave up waiting needs no answer.
        drop(reply.send(answer));
    }
}

/// Where requests are handed in.
#[derive(Clone)]
pub(super) struct Writer {
    requests: Sender<Write>,
}

impl Writer {
    pub(super) fn new(requests: Sender<Write>) -> Self {
        Self { requests }
    }

    pub(super) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Write::Append(append, reply)).map_err(|_| AppendError::Log(closed()))?;
        // The thread ended between taking the request and answering it: it may have committed.
        answer.await.unwrap_or_else(|_| Err(AppendError::Unknown(closed())))
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        write: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        self.hand_in(write, Write::Job).await
    }

    pub(super) async fn erase<T: Send + 'static>(
        &self,
        write: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        self.hand_in(write, Write::Erasure).await
    }

    async fn hand_in<T: Send + 'static>(
        &self,
        write: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        kind: impl FnOnce(Box<dyn Job>) -> Write,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(kind(Box::new(Typed { write, result: None, reply }))).map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) fn close(&self) {
        drop(self.requests.send(Write::Close));
    }
}

pub(super) fn closed() -> LogError {
    LogError::Unavailable("the event log is closed".to_owned())
}

/// An append within the open transaction.
struct InFlight {
    append: Append,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
    /// What to say after the commit: written now, written earlier, or a conflict.
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy)]
enum Verdict {
    Written(Appended),
    WrittenEarlier(Appended),
    Conflict,
}

/// The thread's own things.
pub(super) struct WriterThread {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) requests: Receiver<Write>,
    pub(super) shared: Arc<Shared>,
    pub(super) batch: usize,
}

impl WriterThread {
    /// Returns the connection when the store is closed.
    pub(super) fn run(mut self) -> Connection {
        let mut appends: Vec<InFlight> = Vec::with_capacity(self.batch);
        let mut jobs: Vec<Box<dyn Job>> = Vec::new();
        let mut is_open = true;
        while is_open {
            let mut erasure = None;
            let mut next = self.requests.recv().ok();
            while let Some(request) = next {
                match request {
                    Write::Append(append, reply) => appends.push(InFlight { append, reply, verdict: None }),
                    Write::Job(job) => jobs.push(job),
                    Write::Erasure(job) => {
                        erasure = Some(job);
                        break;
                    }
                    Write::Close => {
                        is_open = false;
                        break;
                    }
                }
                next = if appends.len() + jobs.len() < self.batch { self.requests.try_recv().ok() } else { None };
            }
            if appends.is_empty() && jobs.is_empty() && erasure.is_none() {
                // Every sender is gone, or this is the wish to close.
                break;
            }
            if !(appends.is_empty() && jobs.is_empty()) {
                self.commit(&mut appends, &mut jobs);
            }
            if let Some(job) = erasure {
                self.erase(job);
            }
        }
        self.connection
    }

    fn commit(&mut self, appends: &mut Vec<InFlight>, jobs: &mut Vec<Box<dyn Job>>) {
        let begun = Instant::now();
        match self.attempt(appends, jobs) {
            Ok(()) => {
                metrics::histogram!("countersign_commit_seconds").record(begun.elapsed().as_secs_f64());
                self.settle(appends, jobs);
            }
            Err(Failure::Rejected(_)) if appends.len() + jobs.len() > 1 => {
                // One of them cannot be written; the others must not suffer for it.
                for request in appends.drain(..) {
                    self.commit(&mut vec![request], &mut Vec::new());
                }
                for job in jobs.drain(..) {
                    self.commit(&mut Vec::new(), &mut vec![job]);
                }
            }
            Err(failure) => {
                let error = |failure: &Failure| describe(&self.path, failure.cause());
                for request in appends.drain(..) {
                    let answer = match &failure {
                        Failure::Unknown(_) => AppendError::Unknown(error(&failure)),
                        Failure::Rejected(_) => AppendError::Log(error(&failure)),
                    };
                    drop(request.reply.send(Err(answer)));
                }
                for job in jobs.drain(..) {
                    job.finish(Err(error(&failure)));
                }
            }
        }
    }

    fn attempt(&mut self, appends: &mut [InFlight], jobs: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        let written = (|| {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let mut tidied = false;
            for request in appends.iter_mut() {
                request.verdict = Some(append(&self.connection, &request.append)?);
                if let Some(receipt) = request.append.receipt.as_ref().filter(|_| !tidied) {
                    tidied = true;
                    drop_expired_receipts(&self.connection, receipt.at)?;
                }
            }
            jobs.iter_mut().try_for_each(|job| job.run(&self.connection))
        })();
        let result = match written {
            Ok(()) => self
                .connection
                .prepare_cached("COMMIT")
                .and_then(|mut commit| commit.execute([]))
                .map(drop)
                .map_err(Failure::Unknown),
            Err(error) => Err(Failure::Rejected(error)),
        };
        if result.is_err() && !self.connection.is_autocommit() {
            // A roll-back that fails leaves the transaction to the next BEGIN, which then fails loudly.
            drop(self.connection.execute_batch("ROLLBACK"));
        }
        result
    }

    /// After the commit: readers first, so that whoever is answered can already read what it wrote.
    fn settle(&self, appends: &mut Vec<InFlight>, jobs: &mut Vec<Box<dyn Job>>) {
        metrics::histogram!("countersign_commit_requests")
            .record(f64::from(u32::try_from(appends.len() + jobs.len()).unwrap_or(u32::MAX)));
        let mut bytes = 0;
        let mut replies = Vec::with_capacity(appends.len());
        let mut last = None;
        {
            let mut tail = self.shared.newest.tail();
            for InFlight { append, reply, verdict } in appends.drain(..) {
                match verdict {
                    Some(Verdict::Written(appended)) => {
                        last = Some(appended.position);
                        for event in stored(append, appended) {
                            bytes += event.data.len() + event.metadata.len() + 200;
                            tail.push(event);
                        }
                        replies.push((reply, Ok(appended)));
                    }
                    Some(Verdict::WrittenEarlier(appended)) => replies.push((reply, Ok(appended))),
                    Some(Verdict::Conflict) => replies.push((reply, Err(AppendError::Conflict))),
                    None => replies.push((reply, Err(AppendError::Log(closed())))),
                }
            }
        }
        self.shared.unsaved.fetch_add(bytes, Ordering::Relaxed);
        if let Some(position) = last {
            self.shared.newest.announce(position);
        }
        for (reply, answer) in replies {
            drop(reply.send(answer));
        }
        for job in jobs.drain(..) {
            job.finish(Ok(()));
        }
    }

    fn erase(&mut self, mut job: Box<dyn Job>) {
        let erased = job.run(&self.connection).and_then(|()| {
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        });
        job.finish(match erased {
            Ok(0) => Ok(()),
            Ok(_) => Err(LogError::Unavailable(
                "erased, but a reader keeps the old bytes in the write-ahead log: try again".to_owned(),
            )),
            Err(error) => Err(describe(&self.path, &error)),
        });
    }
}

enum Failure {
    /// Nothing was written.
    Rejected(rusqlite::Error),
    /// The commit itself failed.
    Unknown(rusqlite::Error),
}

impl Failure {
    fn cause(&self) -> &rusqlite::Error {
        match self {
            Self::Rejected(error) | Self::Unknown(error) => error,
        }
    }
}

/// `SQLite` counts in signed numbers; ours stay far below the difference.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn append(connection: &Connection, append: &Append) -> rusqlite::Result<Verdict> {
    let name = append.stream.to_string();
    let known: Option<i64> = connection
        .prepare_cached("SELECT id FROM streams WHERE name = ?1")?
        .query_row([&name], |row| row.get(0))
        .optional()?;
    let head: Option<i64> = match known {
        None => None,
        Some(stream) => connection
            .prepare_cached("SELECT max(version) FROM events WHERE stream = ?1")?
            .query_row([stream], |row| row.get(0))?,
    };
    let expected = signed(append.expected.version().0);
    if head.unwrap_or(0) != expected {
        let earlier = match known {
            Some(stream) => written_earlier(connection, stream, append)?,
            None => None,
        };
        return Ok(earlier.map_or(Verdict::Conflict, Verdict::WrittenEarlier));
    }
    if let Some(receipt) = &append.receipt {
        if is_taken(connection, receipt)? {
            return Ok(Verdict::Conflict);
        }
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO receipts (key, body, stream, answer, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                receipt.key,
                receipt.body,
                receipt.stream.to_string(),
                receipt.answer,
                receipt.expires_at.as_millis()
            ])?;
    }
    let stream = match known {
        Some(stream) => stream,
        None => connection.prepare_cached("INSERT INTO streams (name) VALUES (?1)")?.insert([&name])?,
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO events (stream, version, id, type, schema_version, metadata, data) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut version = expected;
    let mut position = 0;
    for event in &append.events {
        version += 1;
        position = insert.insert(params![
            stream,
            version,
            event.id.0.as_bytes(),
            event.event_type,
            event.schema_version,
            event.metadata,
            event.data
        ])?;
    }
    Ok(Verdict::Written(Appended {
        version: Version(version.unsigned_abs()),
        position: Position(position.unsigned_abs()),
    }))
}

/// Whether exactly these events already stand where they were to go.
fn written_earlier(connection: &Connection, stream: i64, append: &Append) -> rusqlite::Result<Option<Appended>> {
    let mut find = connection.prepare_cached("SELECT id, position FROM events WHERE stream = ?1 AND version = ?2")?;
    let mut appended = None;
    let mut version = append.expected.version();
    for event in &append.events {
        version = version.plus(1);
        let found: Option<([u8; 16], i64)> =
            find.query_row([stream, signed(version.0)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((id, position)) if id == *event.id.0.as_bytes() => {
                appended = Some(Appended { version, position: Position(position.unsigned_abs()) });
            }
            _ => return Ok(None),
        }
    }
    Ok(appended)
}

/// A key whose receipt is still valid: the command was carried out by someone else meanwhile.
fn is_taken(connection: &Connection, receipt: &Receipt) -> rusqlite::Result<bool> {
    let valid_until: Option<i64> = connection
        .prepare_cached("SELECT expires_at FROM receipts WHERE key = ?1")?
        .query_row([receipt.key], |row| row.get(0))
        .optional()?;
    Ok(valid_until.is_some_and(|until| receipt.at.as_millis() < until))
}

/// The table tidies itself while it is used: no timer, no long transaction.
fn drop_expired_receipts(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM receipts WHERE key IN (SELECT key FROM receipts WHERE expires_at <= ?1 LIMIT 256)",
        )?
        .execute([now.as_millis()])
        .map(drop)
}
