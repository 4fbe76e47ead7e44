//! Answers that are kept: the same command again gets the first one.

use domain::{
    ids::StreamId,
    outcome::{Outcome, Refusal},
};
use schemas::envelope::{Position, Version};
use serde::{Deserialize, Serialize};
use vault::DataKey;
use zeroize::Zeroizing;

use crate::{Engine, ExecuteError, Executed, Request};

/// The answer as it is sealed.
#[expect(clippy::large_enum_variant, reason = "one of them, on its way to bytes or back")]
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Accepted(Outcome),
    Refused(Refusal),
}

const LABEL: &[u8] = b"receipt";

pub(crate) fn sealed(
    stream: &StreamId,
    key: &DataKey,
    of: &[u8; 32],
    outcome: &Result<Outcome, Refusal>,
) -> Result<Vec<u8>, ExecuteError> {
    let answer = match outcome {
        Ok(outcome) => Answer::Accepted(outcome.clone()),
        Err(refusal) => Answer::Refused(refusal.clone()),
    };
    let plain = serde_json::to_vec(&answer)
        .map_err(|error| ExecuteError::Internal(format!("an answer has no JSON: {:?}", error.classify())))?;
    Ok(key.seal(&[LABEL, stream.to_string().as_bytes(), of], &Zeroizing::new(plain))?)
}

impl Engine {
    /// The first answer of this request, when it was given one.
    pub(crate) async fn replay(&self, request: &Request) -> Result<Option<Executed>, ExecuteError> {
        let Some(idempotency) = &request.idempotency else { return Ok(None) };
        let Some(receipt) = self.log().receipt(&idempotency.key, self.now()).await? else { return Ok(None) };
        if receipt.body != idempotency.body {
            return Err(ExecuteError::IdempotencyConflict);
        }
        // The account is erased: its first answer is gone with it, and the command is not the first any more.
        let Some(key) = self.keys().key(&receipt.stream).await? else {
            return Err(ExecuteError::IdempotencyConflict);
        };
        let plain = key.open(&[LABEL, receipt.stream.to_string().as_bytes(), &receipt.key], &receipt.answer)?;
        let answer = serde_json::from_slice(&plain)
            .map_err(|error| ExecuteError::Internal(format!("a kept answer is unreadable: {:?}", error.classify())))?;
        let outcome = match answer {
            Answer::Accepted(outcome) => Ok(outcome),
            Answer::Refused(refusal) => Err(refusal),
        };
        Ok(Some(Executed { outcome, position: self.reached(&receipt.stream).await?, replayed: true }))
    }

    /// Where a stream stands.
    async fn reached(&self, stream: &StreamId) -> Result<Position, ExecuteError> {
        let head = self.log().head(stream).await?;
        let before_head = Version(head.0.saturating_sub(1));
        let last = self.log().read_stream(stream, before_head, 1).await?;
        Ok(last.last().map_or(Position::START, |event| event.position))
    }
}
