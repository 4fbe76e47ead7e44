//! Data keys in the log's file. A key is a row; a row whose bytes are null is a tombstone.

use async_trait::async_trait;
use domain::ids::StreamId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteStore;
use crate::port::{KeyStore, LogError, WrappedKey};

fn key(row: &Row<'_>, first: usize) -> rusqlite::Result<WrappedKey> {
    let (ring_key, bytes) = (row.get(first)?, row.get(first + 1)?);
    Ok(match (ring_key, bytes) {
        (Some(ring_key), Some(bytes)) => WrappedKey::Wrapped { ring_key, bytes },
        _ => WrappedKey::Erased,
    })
}

fn columns(key: &WrappedKey) -> (Option<u32>, Option<&[u8]>) {
    match key {
        WrappedKey::Wrapped { ring_key, bytes } => (Some(*ring_key), Some(bytes)),
        WrappedKey::Erased => (None, None),
    }
}

fn find(connection: &Connection, stream: &str) -> rusqlite::Result<Option<WrappedKey>> {
    connection
        .prepare_cached("SELECT ring_key, bytes FROM data_keys WHERE stream = ?1")?
        .query_row([stream], |row| key(row, 0))
        .optional()
}

/// Keeps a key unless there is one; what is there afterwards.
fn insert(connection: &Connection, stream: &str, key: &WrappedKey) -> rusqlite::Result<WrappedKey> {
    let (ring_key, bytes) = columns(key);
    let inserted = connection
        .prepare_cached("INSERT OR IGNORE INTO data_keys (stream, ring_key, bytes) VALUES (?1, ?2, ?3)")?
        .execute(params![stream, ring_key, bytes])?;
    if inserted == 1 { Ok(key.clone()) } else { Ok(find(connection, stream)?.unwrap_or(WrappedKey::Erased)) }
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn get(&self, stream: &StreamId) -> Result<Option<WrappedKey>, LogError> {
        let name = stream.to_string();
        self.readers.read(move |reader| find(&reader.connection, &name)).await
    }

    async fn insert(&self, stream: &StreamId, key: WrappedKey) -> Result<WrappedKey, LogError> {
        let name = stream.to_string();
        self.writer.run(move |connection| insert(connection, &name, &key)).await
    }

    async fn get_many(&self, streams: &[StreamId]) -> Result<Vec<Option<WrappedKey>>, LogError> {
        let names: Vec<String> = streams.iter().map(ToString::to_string).collect();
        self.readers.read(move |reader| names.iter().map(|name| find(&reader.connection, name)).collect()).await
    }

    async fn insert_many(&self, keys: &[(StreamId, WrappedKey)]) -> Result<Vec<WrappedKey>, LogError> {
        let keys: Vec<(String, WrappedKey)> =
            keys.iter().map(|(stream, key)| (stream.to_string(), key.clone())).collect();
        self.writer.run(move |connection| keys.iter().map(|(name, key)| insert(connection, name, key)).collect()).await
    }

    async fn rewrap(&self, stream: &StreamId, key: WrappedKey) -> Result<(), LogError> {
        let name = stream.to_string();
        self.writer
            .run(move |connection| {
                let (ring_key, bytes) = columns(&key);
                connection
                    .prepare_cached(
                        "UPDATE data_keys SET ring_key = ?2, bytes = ?3 WHERE stream = ?1 AND bytes IS NOT NULL",
                    )?
                    .execute(params![name, ring_key, bytes])
                    .map(drop)
            })
            .await
    }

    async fn erase(&self, stream: &StreamId) -> Result<(), LogError> {
        let name = stream.to_string();
        self.writer
            .erase(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO data_keys (stream) VALUES (?1) \
                         ON CONFLICT (stream) DO UPDATE SET ring_key = NULL, bytes = NULL",
                    )?
                    .execute([&name])
                    .map(drop)
            })
            .await
    }

    async fn list_not_under(
        &self,
        ring_key: u32,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, WrappedKey)>, LogError> {
        let after = after.unwrap_or_default().to_owned();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers
            .read(move |reader| {
                reader
                    .connection
                    .prepare_cached(
                        "SELECT stream, ring_key, bytes FROM data_keys \
                         WHERE stream > ?1 AND ring_key IS NOT NULL AND ring_key <> ?2 ORDER BY stream LIMIT ?3",
                    )?
                    .query_map(params![after, ring_key, limit], |row| Ok((row.get(0)?, key(row, 1)?)))?
                    .collect()
            })
            .await
    }
}
