//! Where workers stand in the log.

use async_trait::async_trait;
use event_store::port::{Checkpoints, LogError};
use rusqlite::{OptionalExtension, params};
use schemas::envelope::Position;

use super::Operations;

#[async_trait]
impl Checkpoints for Operations {
    async fn load(&self, name: &str) -> Result<Position, LogError> {
        let name = name.to_owned();
        self.writer
            .run(move |connection| {
                let position: Option<i64> = connection
                    .prepare_cached("SELECT position FROM worker_checkpoints WHERE worker = $1")?
                    .query_row([name], |row| row.get(0))
                    .optional()?;
                Ok(position.map_or(Position::START, |position| Position(position.unsigned_abs())))
            })
            .await
    }

    async fn save(&self, name: &str, position: Position) -> Result<(), LogError> {
        let name = name.to_owned();
        let position = i64::try_from(position.0).unwrap_or(i64::MAX);
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO worker_checkpoints (worker, position) VALUES ($1, $2)
                         ON CONFLICT (worker) DO UPDATE SET position = excluded.position",
                    )?
                    .execute(params![name, position])
                    .map(drop)
            })
            .await
    }
}
