//! Snapshots: in a table that a crash of the server empties, which costs nothing but time.

use std::sync::Arc;

use async_trait::async_trait;
use domain::ids::StreamId;
use schemas::envelope::{Position, Version};

use super::{Database, PostgresSideStore, database::signed, gather::answers};
use crate::port::{LogError, Snapshot, SnapshotStore};

/// The snapshots of streams, by their names.
pub(super) async fn of_streams(database: Arc<Database>, names: Vec<String>) -> Result<Vec<Option<Snapshot>>, LogError> {
    let rows = database
        .repeatable(
            "SELECT asked.n, found.* FROM unnest($1::text[]) WITH ORDINALITY AS asked (stream, n) \
             JOIN LATERAL (SELECT version, position, format, bytes FROM snapshots WHERE stream = asked.stream LIMIT 1) \
             AS found ON true",
            &[&names],
        )
        .await?;
    answers(&database, &rows, names.len(), |found, row| {
        *found = Some(Snapshot {
            version: Version(row.try_get::<_, i64>(1)?.unsigned_abs()),
            position: Position(row.try_get::<_, i64>(2)?.unsigned_abs()),
            format: u32::try_from(row.try_get::<_, i64>(3)?).unwrap_or(u32::MAX),
            bytes: row.try_get(4)?,
        });
        Ok(())
    })
}

#[async_trait]
impl SnapshotStore for PostgresSideStore {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, LogError> {
        self.snapshots.ask(stream.to_string()).await
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
