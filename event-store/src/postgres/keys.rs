//! Data keys. A key is a row; a row whose bytes are null is a tombstone.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::ids::StreamId;
use tokio_postgres::Row;

use super::{Database, PostgresSideStore, gather::answers};
use crate::port::{KeyStore, LogError, WrappedKey};

/// How long to wait for those who may still read what was erased.
const SWEPT_WITHIN: Duration = Duration::from_secs(2);

fn key(row: &Row, first: usize) -> Result<WrappedKey, tokio_postgres::Error> {
    let (ring_key, bytes) = (row.try_get::<_, Option<i64>>(first)?, row.try_get(first + 1)?);
    Ok(match (ring_key.and_then(|number| u32::try_from(number).ok()), bytes) {
        (Some(ring_key), Some(bytes)) => WrappedKey::Wrapped { ring_key, bytes },
        _ => WrappedKey::Erased,
    })
}

fn columns(key: &WrappedKey) -> (Option<i64>, Option<&[u8]>) {
    match key {
        WrappedKey::Wrapped { ring_key, bytes } => (Some(i64::from(*ring_key)), Some(bytes)),
        WrappedKey::Erased => (None, None),
    }
}

/// One probe of the index for each.
const GET_MANY: &str = "SELECT asked.n, kept.ring_key, kept.bytes FROM unnest($1::text[]) WITH ORDINALITY AS asked (stream, n) \
     JOIN LATERAL (SELECT ring_key, bytes FROM data_keys WHERE data_keys.stream = asked.stream LIMIT 1) AS kept ON true";

/// How many of the keys are new. In the order of their names: of two who insert the same keys at once, one waits for
/// the other and not both.
const INSERT_MANY: &str = "WITH inserted AS (INSERT INTO data_keys (stream, ring_key, bytes) \
     SELECT stream, ring_key, bytes FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS new (stream, ring_key, bytes) \
     ORDER BY stream ON CONFLICT (stream) DO NOTHING RETURNING 1) SELECT count(*) FROM inserted";

/// The keys of streams, by their names.
pub(super) async fn of_streams(
    database: Arc<Database>,
    names: Vec<String>,
) -> Result<Vec<Option<WrappedKey>>, LogError> {
    let rows = database.repeatable(GET_MANY, &[&names]).await?;
    answers(&database, &rows, names.len(), |found, row| {
        *found = Some(key(row, 1)?);
        Ok(())
    })
}

#[async_trait]
impl KeyStore for PostgresSideStore {
    async fn get(&self, stream: &StreamId) -> Result<Option<WrappedKey>, LogError> {
        self.keys.ask(stream.to_string()).await
    }

    async fn insert(&self, stream: &StreamId, wrapped: WrappedKey) -> Result<WrappedKey, LogError> {
        let kept = self.insert_many(&[(stream.clone(), wrapped)]).await?;
        Ok(kept.into_iter().next().unwrap_or(WrappedKey::Erased))
    }

    async fn get_many(&self, streams: &[StreamId]) -> Result<Vec<Option<WrappedKey>>, LogError> {
        let names: Vec<String> = streams.iter().map(ToString::to_string).collect();
        of_streams(Arc::clone(&self.database), names).await
    }

    async fn insert_many(&self, keys: &[(StreamId, WrappedKey)]) -> Result<Vec<WrappedKey>, LogError> {
        let names: Vec<String> = keys.iter().map(|(stream, _)| stream.to_string()).collect();
        let (ring_keys, bytes): (Vec<_>, Vec<_>) = keys.iter().map(|(_, key)| columns(key)).unzip();
        let rows = self.database.repeatable(INSERT_MANY, &[&names, &ring_keys, &bytes]).await?;
        let failed = |error: tokio_postgres::Error| self.database.describe(&error);
        let inserted: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(failed)?;
        if usize::try_from(inserted).is_ok_and(|inserted| inserted == keys.len()) {
            return Ok(keys.iter().map(|(_, key)| key.clone()).collect());
        }
        let streams: Vec<StreamId> = keys.iter().map(|(stream, _)| stream.clone()).collect();
        // Rows of keys are never deleted.
        let kept = self.get_many(&streams).await?;
        Ok(kept.into_iter().map(|kept| kept.unwrap_or(WrappedKey::Erased)).collect())
    }

    async fn rewrap(&self, stream: &StreamId, wrapped: WrappedKey) -> Result<(), LogError> {
        let (ring_key, bytes) = columns(&wrapped);
        self.database
            .repeatable(
                "UPDATE data_keys SET ring_key = $2, bytes = $3 WHERE stream = $1 AND bytes IS NOT NULL",
                &[&stream.to_string(), &ring_key, &bytes],
            )
            .await
            .map(drop)
    }

    async fn erase(&self, stream: &StreamId) -> Result<(), LogError> {
        let rows = self
            .database
            .repeatable(
                "INSERT INTO data_keys (stream) VALUES ($1) \
                 ON CONFLICT (stream) DO UPDATE SET ring_key = NULL, bytes = NULL \
                 RETURNING pg_current_xact_id()::text",
                &[&stream.to_string()],
            )
            .await?;
        match rows.first() {
            Some(row) => self.sweep(row.try_get(0).map_err(|error| self.database.describe(&error))?).await,
            None => Ok(()),
        }
    }

    async fn list_not_under(
        &self,
        ring_key: u32,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, WrappedKey)>, LogError> {
        let rows = self
            .database
            .repeatable(
                "SELECT stream, ring_key, bytes FROM data_keys \
                 WHERE stream > $1 AND ring_key IS NOT NULL AND ring_key <> $2 ORDER BY stream LIMIT $3",
                &[&after.unwrap_or_default(), &i64::from(ring_key), &i64::try_from(limit).unwrap_or(i64::MAX)],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, key(row, 1)?)))
            .collect::<Result<_, _>>()
            .map_err(|error| self.database.describe(&error))
    }
}

impl PostgresSideStore {
    /// Takes the old bytes of an erased key out of the table. The server keeps them while a transaction that
    /// began before may still read them, so those are waited for.
    async fn sweep(&self, erased_by: &str) -> Result<(), LogError> {
        let _one_at_a_time = self.sweeping.lock().await;
        let is_unread = async {
            loop {
                let rows = self
                    .database
                    .repeatable(
                        "SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() \
                         AND datname = current_database() AND age(backend_xmin) >= age($1::text::xid8::xid)",
                        &[&erased_by],
                    )
                    .await?;
                let readers: i64 = match rows.first() {
                    Some(row) => row.try_get(0).map_err(|error| self.database.describe(&error))?,
                    None => 0,
                };
                if readers == 0 {
                    return Ok::<_, LogError>(());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let is_unread = tokio::time::timeout(SWEPT_WITHIN, is_unread).await;
        let client = self.database.client().await?;
        self.database.timed(client.batch_execute("VACUUM data_keys")).await?;
        is_unread.unwrap_or_else(|_| {
            Err(LogError::Unavailable(
                "erased, but a long transaction keeps the old bytes in the table: try again".to_owned(),
            ))
        })
    }
}
