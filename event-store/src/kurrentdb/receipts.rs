//! Receipts beside a log that cannot commit them with its events.
//!
//! An answer is written to PostgreSQL before its events are appended, with the place and the id of the first
//! of them. An append is all or nothing, so the answer is valid once that event stands there; it is void once
//! another does. In between the command is under way, or whoever carried it out is gone.

use std::{sync::Arc, time::Duration};

use domain::time::Timestamp;
use schemas::envelope::Version;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::KurrentStore;
use crate::{
    port::{Append, AppendError, EventLog, LogError, Receipt},
    postgres::{PendingReceipt, PostgresSideStore, ReceiptProof, Tidying},
};

/// A command that may still be under way is waited for; looked at this often.
const ASK_AGAIN: Duration = Duration::from_millis(10);
/// An append whose receipt is this many time-outs old and that does not stand in the log never will: whoever
/// wrote it repeats the append three times at most, and begins nothing later than one time-out after that.
const ABANDONED: u32 = 12;

/// What became of the append of a receipt.
enum Fate {
    /// Its events stand in the log.
    Carried,
    /// Others stand in their place: it never will be.
    Void,
    /// Nothing stands there yet.
    Open,
}

/// The receipt of an append, and what makes it valid.
pub(super) fn pending(append: &Append) -> Option<PendingReceipt> {
    let (receipt, first) = append.receipt.clone().zip(append.events.first())?;
    let version = append.expected.version().plus(1);
    Some(PendingReceipt { receipt, proof: ReceiptProof { stream: append.stream.clone(), version, event: first.id } })
}

/// Forgets receipts that expired, until the store is closed.
pub(super) async fn tidy(side: Arc<PostgresSideStore>, tidying: Arc<Tidying>, closed: CancellationToken) {
    let work = tidying.run(|now, at_once| {
        let side = Arc::clone(&side);
        async move { side.delete_expired_receipts(now, at_once).await }
    });
    closed.run_until_cancelled(work).await;
}

impl KurrentStore {
    /// Writes a receipt, once no other of its key can be valid any more.
    pub(super) async fn claim(&self, pending: &PendingReceipt) -> Result<(), AppendError> {
        let begun = Instant::now();
        while let Some(standing) = self.side.put_receipt(pending).await? {
            let is_free = match self.fate(&standing.proof).await? {
                Fate::Carried => return Err(AppendError::Conflict),
                Fate::Void => true,
                Fate::Open => self.is_abandoned(&standing.receipt, pending.receipt.at),
            };
            if is_free && self.side.replace_receipt(&standing.proof, pending).await? {
                break;
            }
            if begun.elapsed() > self.link.timeout() {
                return Err(AppendError::Log(LogError::Unavailable(
                    "another request with the same idempotency key is under way".to_owned(),
                )));
            }
            if !is_free {
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
        if begun.elapsed() > self.link.timeout() {
            // By now someone may hold it for abandoned.
            return Err(AppendError::Log(LogError::Unavailable("writing an answer took too long".to_owned())));
        }
        Ok(())
    }

    fn is_abandoned(&self, receipt: &Receipt, now: Timestamp) -> bool {
        let lease = i64::try_from((self.link.timeout() * ABANDONED).as_millis()).unwrap_or(i64::MAX);
        now.as_millis().saturating_sub(receipt.at.as_millis()) > lease
    }

    /// Forgets the receipt of an append that did not happen. It is void; this makes room sooner.
    pub(super) async fn withdraw(&self, pending: &PendingReceipt) {
        if let Err(error) = self.side.delete_receipt(&pending.receipt.key, &pending.proof).await {
            tracing::debug!(%error, "a void receipt was not deleted");
        }
    }

    /// The receipt of a key, when it is valid.
    pub(super) async fn valid_receipt(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<Receipt>, LogError> {
        let Some(PendingReceipt { receipt, proof }) = self.side.pending_receipt(key, now).await? else {
            return Ok(None);
        };
        let is_valid = matches!(self.fate(&proof).await?, Fate::Carried);
        Ok(is_valid.then_some(Receipt { at: now, ..receipt }))
    }

    async fn fate(&self, proof: &ReceiptProof) -> Result<Fate, LogError> {
        let before = Version(proof.version.0.saturating_sub(1));
        let stands = self.read_stream(&proof.stream, before, 1).await?;
        Ok(match stands.first() {
            Some(event) if event.id == proof.event => Fate::Carried,
            Some(_) => Fate::Void,
            None => Fate::Open,
        })
    }
}
