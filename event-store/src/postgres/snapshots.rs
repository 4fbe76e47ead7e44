//! Snapshots: in a table that a crash of the server empties, which costs nothing but time.

use async_trait::async_trait;
use domain::ids::StreamId;
use schemas::envelope::{Position, Version};

use super::{PostgresSideStore, database::signed};
use crate::port::{LogError, Snapshot, SnapshotStore};

#[async_trait]
impl SnapshotStore for PostgresSideStore {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, LogError> {
        let rows = self
            .database
            .repeatable(
                "SELECT version, position, format, bytes FROM snapshots WHERE stream = $1",
                &[&stream.to_string()],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let snapshot = || {
            Ok(Snapshot {
                version: Version(row.try_get::<_, i64>(0)?.unsigned_abs()),
                position: Position(row.try_get::<_, i64>(1)?.unsigned_abs()),
                format: u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(u32::MAX),
                bytes: row.try_get(3)?,
            })
        };
        snapshot().map(Some).map_err(|error| self.database.describe(&error))
    }

    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), LogError> {
        self.database
            .repeatable(
                "INSERT INTO snapshots (stream, version, position, format, bytes) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (stream) DO UPDATE SET version = excluded.version, position = excluded.position, \
                 format = excluded.format, bytes = excluded.bytes \
                 WHERE excluded.format <> snapshots.format OR excluded.version > snapshots.version",
                &[
                    &stream.to_string(),
                    &signed(snapshot.version.0),
                    &signed(snapshot.position.0),
                    &i64::from(snapshot.format),
                    &snapshot.bytes,
                ],
            )
            .await
            .map(drop)
    }

    async fn delete(&self, stream: &StreamId) -> Result<(), LogError> {
        self.database.repeatable("DELETE FROM snapshots WHERE stream = $1", &[&stream.to_string()]).await.map(drop)
    }
}
