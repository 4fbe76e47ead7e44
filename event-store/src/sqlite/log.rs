//! The log over the file.

use async_trait::async_trait;
use domain::{ids::StreamId, time::Timestamp};
use rusqlite::{OptionalExtension, params};
use schemas::envelope::{Position, StoredEvent, Version};
use tokio::sync::watch;

use super::{SqliteStore, reader, reader::Reader, writer::signed};
use crate::port::{Append, AppendError, Appended, EventLog, LogError, Receipt};

/// `CROSS JOIN` fixes the order of the two tables: the log first, then each event's stream.
const READ_ALL: &str = "SELECT e.position, s.name, e.version, e.id, e.type, e.schema_version, e.metadata, e.data \
     FROM events e CROSS JOIN streams s ON s.id = e.stream WHERE e.position > ?1 ORDER BY e.position LIMIT ?2";

const READ_STREAM: &str = "SELECT e.position, s.name, e.version, e.id, e.type, e.schema_version, e.metadata, e.data \
     FROM streams s CROSS JOIN events e ON e.stream = s.id WHERE s.name = ?1 AND e.version > ?2 \
     ORDER BY e.version LIMIT ?3";

fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[async_trait]
impl EventLog for SqliteStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.events.is_empty() {
            return Err(AppendError::Log(LogError::Unavailable("an append without events".to_owned())));
        }
        self.writer.append(append).await
    }

    async fn read_stream(&self, stream: &StreamId, after: Version, count: usize) -> Result<Vec<StoredEvent>, LogError> {
        let name = stream.to_string();
        self.readers
            .read(move |reader| {
                let (connection, mut names) = reader.split();
                connection
                    .prepare_cached(READ_STREAM)?
                    .query_map(params![name, signed(after.0), limit(count)], |row| Reader::event(&mut names, row))?
                    .collect()
            })
            .await
    }

    async fn read_all(&self, after: Position, count: usize) -> Result<Vec<StoredEvent>, LogError> {
        if let Some(events) = self.shared.newest.tail().after(after, count) {
            return Ok(events);
        }
        self.readers
            .read(move |reader| {
                let (connection, mut names) = reader.split();
                connection
                    .prepare_cached(READ_ALL)?
                    .query_map([signed(after.0), limit(count)], |row| Reader::event(&mut names, row))?
                    .collect()
            })
            .await
    }

    async fn head(&self, stream: &StreamId) -> Result<Version, LogError> {
        let name = stream.to_string();
        self.readers
            .read(move |reader| {
                let head: Option<i64> = reader
                    .connection
                    .prepare_cached(
                        "SELECT max(version) FROM events WHERE stream = (SELECT id FROM streams WHERE name = ?1)",
                    )?
                    .query_row([name], |row| row.get(0))?;
                Ok(Version(head.unwrap_or(0).unsigned_abs()))
            })
            .await
    }

    async fn last_position(&self) -> Result<Position, LogError> {
        self.readers.read(|reader| reader::last_position(&reader.connection)).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.shared.newest.watch()
    }

    async fn receipt(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<Receipt>, LogError> {
        let key = *key;
        let found = self
            .readers
            .read(move |reader| {
                reader
                    .connection
                    .prepare_cached(
                        "SELECT body, stream, answer, expires_at FROM receipts WHERE key = ?1 AND expires_at > ?2",
                    )?
                    .query_row(params![key, now.as_millis()], |row| {
                        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
                    })
                    .optional()
            })
            .await?;
        found
            .map(|(body, stream, answer, expires_at)| {
                let stream = stream
                    .parse()
                    .map_err(|_| LogError::Unreadable("a receipt names a stream that is none of ours".to_owned()))?;
                let expires_at = Timestamp::from_millis(expires_at);
                Ok(Receipt { key, body, stream, answer, at: now, expires_at })
            })
            .transpose()
    }
}
