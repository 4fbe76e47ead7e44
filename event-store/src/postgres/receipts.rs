//! Receipts of a log that is not in this database: written before the append, and valid once the stream holds
//! the event that the append was to write.

use domain::{
    ids::{EventId, StreamId},
    time::Timestamp,
};
use schemas::envelope::Version;
use tokio_postgres::Row;

use super::{PostgresSideStore, database::signed};
use crate::port::{LogError, Receipt};

/// What makes a pending receipt valid: this event at this place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptProof {
    /// The stream of the append.
    pub stream: StreamId,
    /// The version of an event of the append.
    pub version: Version,
    /// The id of that event.
    pub event: EventId,
}

/// A receipt that is valid once its proof can be found in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// What makes it valid.
    pub proof: ReceiptProof,
}

impl PostgresSideStore {
    /// Keeps a receipt, durably, and returns `None`. When another one that has not expired stands under its key,
    /// it stays, and is returned: whoever asks looks whether it is valid (then the command was carried out by someone
    /// else), and may replace one that is not ([`PostgresSideStore::replace_receipt`]).
    pub async fn put_receipt(&self, pending: &PendingReceipt) -> Result<Option<PendingReceipt>, LogError> {
        let PendingReceipt { receipt, proof } = pending;
        loop {
            let kept = self
                .database
                .repeatable(
                    "INSERT INTO receipts_pending AS standing \
                     (key, body, stream, answer, at, expires_at, append_stream, append_version, append_event) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (key) DO UPDATE SET \
                     body = excluded.body, stream = excluded.stream, answer = excluded.answer, at = excluded.at, \
                     expires_at = excluded.expires_at, append_stream = excluded.append_stream, \
                     append_version = excluded.append_version, append_event = excluded.append_event \
                     WHERE standing.expires_at <= excluded.at OR (standing.append_stream = excluded.append_stream \
                     AND standing.append_version = excluded.append_version \
                     AND standing.append_event = excluded.append_event) RETURNING 1",
                    &[
                        &receipt.key.as_slice(),
                        &receipt.body.as_slice(),
                        &receipt.stream.to_string(),
                        &receipt.answer,
                        &receipt.at.as_millis(),
                        &receipt.expires_at.as_millis(),
                        &proof.stream.to_string(),
                        &signed(proof.version.0),
                        &proof.event.0,
                    ],
                )
                .await?;
            if !kept.is_empty() {
                return Ok(None);
            }
            // Gone again in between: then there is room now.
            if let Some(standing) = self.pending_receipt(&receipt.key, receipt.at).await? {
                return Ok(Some(standing));
            }
        }
    }

    /// Puts a receipt in the place of one that turned out not to be valid; whether that one still stood there.
    pub async fn replace_receipt(&self, old: &ReceiptProof, pending: &PendingReceipt) -> Result<bool, LogError> {
        let PendingReceipt { receipt, proof } = pending;
        let replaced = self
            .database
            .repeatable(
                "UPDATE receipts_pending SET body = $2, stream = $3, answer = $4, at = $5, expires_at = $6, \
                 append_stream = $7, append_version = $8, append_event = $9 \
                 WHERE key = $1 AND append_stream = $10 AND append_version = $11 AND append_event = $12 RETURNING 1",
                &[
                    &receipt.key.as_slice(),
                    &receipt.body.as_slice(),
                    &receipt.stream.to_string(),
                    &receipt.answer,
                    &receipt.at.as_millis(),
                    &receipt.expires_at.as_millis(),
                    &proof.stream.to_string(),
                    &signed(proof.version.0),
                    &proof.event.0,
                    &old.stream.to_string(),
                    &signed(old.version.0),
                    &old.event.0,
                ],
            )
            .await?;
        Ok(!replaced.is_empty())
    }

    /// The receipt under a key, unless it expired. Whether it is valid only the log can tell.
    pub async fn pending_receipt(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<PendingReceipt>, LogError> {
        let rows = self
            .database
            .repeatable(
                "SELECT body, stream, answer, at, expires_at, append_stream, append_version, append_event \
                 FROM receipts_pending WHERE key = $1 AND expires_at > $2",
                &[&key.as_slice(), &now.as_millis()],
            )
            .await?;
        rows.first().map(|row| self.pending(key, row)).transpose()
    }

    /// Forgets a receipt whose append did not happen.
    pub async fn delete_receipt(&self, key: &[u8; 32], proof: &ReceiptProof) -> Result<(), LogError> {
        self.database
            .repeatable(
                "DELETE FROM receipts_pending \
                 WHERE key = $1 AND append_stream = $2 AND append_version = $3 AND append_event = $4",
                &[&key.as_slice(), &proof.stream.to_string(), &signed(proof.version.0), &proof.event.0],
            )
            .await
            .map(drop)
    }

    /// Forgets up to this many receipts that expired; how many those were.
    pub async fn delete_expired_receipts(&self, now: Timestamp, limit: usize) -> Result<usize, LogError> {
        self.database
            .repeatable(
                "DELETE FROM receipts_pending WHERE key IN (SELECT key FROM receipts_pending \
                 WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1",
                &[&now.as_millis(), &i64::try_from(limit).unwrap_or(i64::MAX)],
            )
            .await
            .map(|rows| rows.len())
    }

    fn pending(&self, key: &[u8; 32], row: &Row) -> Result<PendingReceipt, LogError> {
        let unreadable = || self.database.unreadable("a receipt cannot be read");
        let failed = |error: tokio_postgres::Error| self.database.describe(&error);
        let stream = |column| -> Result<StreamId, LogError> {
            row.try_get::<_, &str>(column).map_err(failed)?.parse().map_err(|_| unreadable())
        };
        let receipt = Receipt {
            key: *key,
            body: row.try_get::<_, &[u8]>(0).map_err(failed)?.try_into().map_err(|_| unreadable())?,
            stream: stream(1)?,
            answer: row.try_get(2).map_err(failed)?,
            at: Timestamp::from_millis(row.try_get(3).map_err(failed)?),
            expires_at: Timestamp::from_millis(row.try_get(4).map_err(failed)?),
        };
        let proof = ReceiptProof {
            stream: stream(5)?,
            version: Version(row.try_get::<_, i64>(6).map_err(failed)?.unsigned_abs()),
            event: EventId(row.try_get(7).map_err(failed)?),
        };
        Ok(PendingReceipt { receipt, proof })
    }
}
