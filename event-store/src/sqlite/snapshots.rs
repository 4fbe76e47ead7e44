//! Snapshots in the log's file.

use async_trait::async_trait;
use domain::ids::StreamId;
use rusqlite::{OptionalExtension, params};
use schemas::envelope::{Position, Version};

use super::{SqliteStore, writer::signed};
use crate::port::{LogError, Snapshot, SnapshotStore};

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, LogError> {
        let name = stream.to_string();
        self.readers
            .read(move |reader| {
                reader
                    .connection
                    .prepare_cached("SELECT version, position, format, bytes FROM snapshots WHERE stream = ?1")?
                    .query_row([name], |row| {
                        Ok(Snapshot {
                            version: Version(row.get::<_, i64>(0)?.unsigned_abs()),
                            position: Position(row.get::<_, i64>(1)?.unsigned_abs()),
                            format: row.get(2)?,
                            bytes: row.get(3)?,
                        })
                    })
                    .optional()
            })
            .await
    }

    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), LogError> {
        let name = stream.to_string();
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO snapshots (stream, version, position, format, bytes) VALUES (?1, ?2, ?3, ?4, ?5) \
                         ON CONFLICT (stream) DO UPDATE SET version = excluded.version, position = excluded.position, \
                         format = excluded.format, bytes = excluded.bytes \
                         WHERE excluded.format <> snapshots.format OR excluded.version > snapshots.version",
                    )?
                    .execute(params![
                        name,
                        signed(snapshot.version.0),
                        signed(snapshot.position.0),
                        snapshot.format,
                        snapshot.bytes
                    ])
                    .map(drop)
            })
            .await
    }

    async fn delete(&self, stream: &StreamId) -> Result<(), LogError> {
        let name = stream.to_string();
        self.writer
            .run(move |connection| {
                connection.prepare_cached("DELETE FROM snapshots WHERE stream = ?1")?.execute([&name]).map(drop)
            })
            .await
    }
}
