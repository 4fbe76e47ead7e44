//! Operations in SQLite: a file of their own, one thread that writes.

mod file;
mod writer;

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use domain::{
    ids::SessionId,
    time::{Seconds, Timestamp},
};
use event_store::port::{KeptAnswer, LogError};
use rusqlite::{Connection, OptionalExtension, params};
use schemas::envelope::Position;
use uuid::Uuid;

use self::{file::failed, writer::Writer};
use super::{
    holdings::{Bucket, Holdings},
    keeper::{OperationsKeeper, SealedMessage},
};

/// Expired buckets that one charge takes away with it: the table tidies itself while it is used.
const TIDIED: i64 = 16;

/// The file.
pub(super) struct SqliteOperations {
    writer: Writer,
    /// For the look-ups of last uses, of some microseconds each.
    reading: Mutex<Connection>,
}

impl SqliteOperations {
    pub(super) async fn open(path: &Path) -> Result<Self, LogError> {
        let owned = path.to_owned();
        let (writing, reading) = tokio::task::spawn_blocking(move || file::open(&owned))
            .await
            .map_err(|_| LogError::Unavailable("the file of operations was not opened".to_owned()))??;
        Ok(Self { writer: Writer::start(writing)?, reading: Mutex::new(reading) })
    }
}

fn load(connection: &Connection, buckets: &[Bucket]) -> rusqlite::Result<Holdings> {
    let mut holdings = Holdings::default();
    for bucket in buckets {
        let bytes: Option<Vec<u8>> = connection
            .prepare_cached("SELECT charges FROM limits WHERE bucket = $1 AND window_seconds = $2")?
            .query_row(params![bucket.hash, bucket.window.0], |row| row.get(0))
            .optional()?;
        holdings.insert(bucket.key(), &bytes.unwrap_or_default());
    }
    Ok(holdings)
}

fn write(connection: &Connection, holdings: &Holdings) -> rusqlite::Result<()> {
    for ((hash, window), held) in holdings.changed() {
        match held.end() {
            None => connection
                .prepare_cached("DELETE FROM limits WHERE bucket = $1 AND window_seconds = $2")?
                .execute(params![hash, window])?,
            Some(end) => connection
                .prepare_cached(
                    "INSERT INTO limits (bucket, window_seconds, charges, expires_at) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (bucket, window_seconds) DO UPDATE SET charges = excluded.charges,
                        expires_at = excluded.expires_at",
                )?
                .execute(params![hash, window, held.to_bytes(), end])?,
        };
    }
    Ok(())
}

fn write_uses(
    connection: &Connection,
    uses: &[(SessionId, Timestamp)],
    forget: Option<Timestamp>,
) -> rusqlite::Result<()> {
    if let Some(forget) = forget {
        connection
            .prepare_cached("DELETE FROM session_activity WHERE last_used_at < $1")?
            .execute([forget.as_millis()])?;
    }
    for (session, at) in uses {
        connection
            .prepare_cached(
                "INSERT INTO session_activity (session_id, last_used_at) VALUES ($1, $2)
                 ON CONFLICT (session_id) DO UPDATE SET last_used_at = max(session_activity.last_used_at, excluded.last_used_at)",
            )?
            .execute(params![session.0.as_bytes(), at.as_millis()])?;
    }
    Ok(())
}

#[async_trait]
impl OperationsKeeper for SqliteOperations {
    async fn charge(&self, buckets: Vec<Bucket>, now: Timestamp) -> Result<Result<(), Seconds>, LogError> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "DELETE FROM limits WHERE (bucket, window_seconds) IN
                            (SELECT bucket, window_seconds FROM limits WHERE expires_at <= $1 LIMIT $2)",
                    )?
                    .execute([now.as_millis(), TIDIED])?;
                let mut holdings = load(connection, &buckets)?;
                let charged = holdings.charge(&buckets, now);
                write(connection, &holdings)?;
                Ok(charged)
            })
            .await
    }

    async fn refund(&self, buckets: Vec<Bucket>, now: Timestamp) -> Result<(), LogError> {
        self.writer
            .run(move |connection| {
                let mut holdings = load(connection, &buckets)?;
                holdings.refund(&buckets, now);
                write(connection, &holdings)
            })
            .await
    }

    async fn count(&self, bucket: Bucket, now: Timestamp) -> Result<u32, LogError> {
        self.writer
            .run(move |connection| Ok(load(connection, std::slice::from_ref(&bucket))?.count(&bucket, now)))
            .await
    }

    async fn is_known_network(&self, network: [u8; 32]) -> Result<bool, LogError> {
        self.writer
            .run(move |connection| {
                connection.prepare_cached("SELECT 1 FROM known_networks WHERE network = $1")?.exists([network])
            })
            .await
    }

    async fn remember_network(
        &self,
        network: [u8; 32],
        now: Timestamp,
        again: Timestamp,
        forget: Timestamp,
    ) -> Result<(), LogError> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached("DELETE FROM known_networks WHERE seen_at < $1")?
                    .execute([forget.as_millis()])?;
                connection
                    .prepare_cached(
                        "INSERT INTO known_networks (network, seen_at) VALUES ($1, $2)
                         ON CONFLICT (network) DO UPDATE SET seen_at = excluded.seen_at WHERE known_networks.seen_at < $3",
                    )?
                    .execute(params![network, now.as_millis(), again.as_millis()])
                    .map(drop)
            })
            .await
    }

    async fn keep_answer(&self, answer: KeptAnswer, now: Timestamp) -> Result<KeptAnswer, LogError> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "DELETE FROM answers WHERE key IN (SELECT key FROM answers WHERE expires_at <= $1 LIMIT $2)",
                    )?
                    .execute([now.as_millis(), TIDIED])?;
                connection
                    .prepare_cached(
                        "INSERT INTO answers (key, body, answer, expires_at) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (key) DO UPDATE SET body = excluded.body, answer = excluded.answer,
                            expires_at = excluded.expires_at WHERE answers.expires_at <= $5",
                    )?
                    .execute(params![
                        answer.key,
                        answer.body,
                        answer.answer,
                        answer.expires_at.as_millis(),
                        now.as_millis()
                    ])?;
                connection.prepare_cached("SELECT body, answer, expires_at FROM answers WHERE key = $1")?.query_row(
                    [answer.key],
                    |row| {
                        let expires_at = Timestamp::from_millis(row.get(2)?);
                        Ok(KeptAnswer { key: answer.key, body: row.get(0)?, answer: row.get(1)?, expires_at })
                    },
                )
            })
            .await
    }

    async fn load(&self, worker: &str) -> Result<Option<Position>, LogError> {
        let worker = worker.to_owned();
        self.writer
            .run(move |connection| {
                let position: Option<i64> = connection
                    .prepare_cached("SELECT position FROM worker_checkpoints WHERE worker = $1")?
                    .query_row([worker], |row| row.get(0))
                    .optional()?;
                Ok(position.map(|position| Position(position.unsigned_abs())))
            })
            .await
    }

    async fn save(&self, worker: &str, position: Position) -> Result<(), LogError> {
        let worker = worker.to_owned();
        let position = i64::try_from(position.0).unwrap_or(i64::MAX);
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO worker_checkpoints (worker, position) VALUES ($1, $2)
                         ON CONFLICT (worker) DO UPDATE SET position = excluded.position",
                    )?
                    .execute(params![worker, position])
                    .map(drop)
            })
            .await
    }

    async fn put_message(&self, message: SealedMessage, kept: u32, since: Timestamp) -> Result<(), LogError> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO inbox (message_id, recipient, at, box) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (message_id) DO NOTHING",
                    )?
                    .execute(params![
                        message.id.as_bytes(),
                        message.recipient,
                        message.at.as_millis(),
                        message.sealed
                    ])?;
                connection
                    .prepare_cached(
                        "DELETE FROM inbox WHERE number <= (SELECT max(number) FROM inbox) - $1 OR at < $2",
                    )?
                    .execute([i64::from(kept), since.as_millis()])
                    .map(drop)
            })
            .await
    }

    async fn messages(&self, recipient: Option<[u8; 32]>, limit: u32) -> Result<Vec<(Uuid, Vec<u8>)>, LogError> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT message_id, box FROM inbox WHERE $1 IS NULL OR recipient = $1
                         ORDER BY number DESC LIMIT $2",
                    )?
                    .query_map(params![recipient, limit], |row| Ok((Uuid::from_bytes(row.get(0)?), row.get(1)?)))?
                    .collect()
            })
            .await
    }

    async fn uses(&self, sessions: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>, LogError> {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let find = || {
            let mut find = reading.prepare_cached("SELECT last_used_at FROM session_activity WHERE session_id = $1")?;
            let mut found = Vec::new();
            for session in sessions {
                let at: Option<i64> = find.query_row([session.0.as_bytes()], |row| row.get(0)).optional()?;
                found.extend(at.map(|at| (*session, Timestamp::from_millis(at))));
            }
            Ok(found)
        };
        find().map_err(|error: rusqlite::Error| failed(&error))
    }

    async fn write_uses(&self, uses: Vec<(SessionId, Timestamp)>, forget: Option<Timestamp>) -> Result<(), LogError> {
        self.writer.run(move |connection| write_uses(connection, &uses, forget)).await
    }

    fn write_uses_later(&self, uses: Vec<(SessionId, Timestamp)>, forget: Option<Timestamp>) {
        self.writer.run_unheard(move |connection| write_uses(connection, &uses, forget));
    }

    async fn close(&self) {
        self.writer.close().await;
    }
}
