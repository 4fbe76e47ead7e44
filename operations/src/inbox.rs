//! The development inbox: the last messages, sealed.

use domain::{
    secret::SecretText,
    time::{Seconds, Timestamp},
    values::Channel,
};
use event_store::port::LogError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Operations, keeper::SealedMessage};

/// Messages that are kept.
const KEPT: u32 = 1_000;
/// How long.
const LIVES: Seconds = Seconds::hours(24);
const SEAL: &[u8] = b"countersign inbox";

/// A message that a gateway would have sent. `Debug` shows only its id.
#[derive(Clone, Serialize, Deserialize)]
pub struct InboxMessage {
    /// Names the send: the same message put twice is shown once.
    pub id: Uuid,
    /// How it would have travelled.
    pub channel: Channel,
    /// The address or number.
    pub to: String,
    /// The subject of a mail.
    pub subject: Option<String>,
    /// The words.
    pub body: SecretText,
    /// The code within.
    pub code: Option<SecretText>,
    /// When it was sent.
    pub at: Timestamp,
}

impl std::fmt::Debug for InboxMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[inbox message {}]", self.id)
    }
}

impl Operations {
    fn recipient(&self, to: &str) -> [u8; 32] {
        self.ring.lookup_hash("inbox", &to.to_ascii_lowercase())
    }

    /// Keeps a message; the oldest ones give way.
    pub async fn inbox_put(&self, message: InboxMessage) -> Result<(), LogError> {
        let unsealed = |what: &str| LogError::Unavailable(format!("an inbox message was not sealed: {what}"));
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(&message).map_err(|_| unsealed("not JSON"))?);
        let sealed = self
            .inbox_key
            .seal(&[SEAL, message.id.as_bytes()], &plain)
            .map_err(|error| unsealed(&error.to_string()))?;
        let message = SealedMessage { id: message.id, recipient: self.recipient(&message.to), at: message.at, sealed };
        let since = message.at.minus(LIVES);
        self.keeper.put_message(message, KEPT, since).await
    }

    /// The last messages, newest first; those to one address or number when it is given.
    pub async fn inbox_list(&self, to: Option<&str>, limit: u32) -> Result<Vec<InboxMessage>, LogError> {
        let recipient = to.map(|to| self.recipient(to));
        let rows = self.keeper.messages(recipient, limit).await?;
        // A message that another key ring sealed is none of ours.
        Ok(rows
            .into_iter()
            .filter_map(|(id, sealed)| {
                let plain = self.inbox_key.open(&[SEAL, id.as_bytes()], &sealed).ok()?;
                serde_json::from_slice(&plain).ok()
            })
            .collect())
    }
}
