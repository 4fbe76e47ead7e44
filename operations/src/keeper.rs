//! What a keeper of operations does. What a limit means, what is sealed and what is hashed is decided above it.

use async_trait::async_trait;
use domain::{
    ids::SessionId,
    time::{Seconds, Timestamp},
};
use event_store::port::{KeptAnswer, LogError};
use schemas::envelope::Position;
use uuid::Uuid;

use crate::holdings::Bucket;

/// A sealed message.
pub(super) struct SealedMessage {
    pub(super) id: Uuid,
    /// Keyed hash of the address or number.
    pub(super) recipient: [u8; 32],
    pub(super) at: Timestamp,
    pub(super) sealed: Vec<u8>,
}

/// A place that keeps what is neither history nor derived from it.
#[async_trait]
pub(super) trait OperationsKeeper: Send + Sync + 'static {
    /// Charges all buckets or none.
    async fn charge(&self, buckets: Vec<Bucket>, now: Timestamp) -> Result<Result<(), Seconds>, LogError>;
    /// Gives charges back.
    async fn refund(&self, buckets: Vec<Bucket>, now: Timestamp) -> Result<(), LogError>;
    /// How much a bucket holds.
    async fn count(&self, bucket: Bucket, now: Timestamp) -> Result<u32, LogError>;
    /// Whether a network is known, by its hash.
    async fn is_known_network(&self, network: [u8; 32]) -> Result<bool, LogError>;
    /// Remembers a network, writing it only when it was last seen before `again`; forgets those not seen since
    /// `forget`.
    async fn remember_network(
        &self,
        network: [u8; 32],
        now: Timestamp,
        again: Timestamp,
        forget: Timestamp,
    ) -> Result<(), LogError>;
    /// Keeps an answer unless its key has one that has not expired; what is kept afterwards.
    async fn keep_answer(&self, answer: KeptAnswer, now: Timestamp) -> Result<KeptAnswer, LogError>;
    /// A worker's place in the log.
    async fn load(&self, worker: &str) -> Result<Option<Position>, LogError>;
    /// Moves it.
    async fn save(&self, worker: &str, position: Position) -> Result<(), LogError>;
    /// Keeps a message unless it is there; keeps no more than `kept`, and none from before `since`.
    async fn put_message(&self, message: SealedMessage, kept: u32, since: Timestamp) -> Result<(), LogError>;
    /// The last messages with their ids, newest first.
    async fn messages(&self, recipient: Option<[u8; 32]>, limit: u32) -> Result<Vec<(Uuid, Vec<u8>)>, LogError>;
    /// The last uses of sessions that are written.
    async fn uses(&self, sessions: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>, LogError>;
    /// Writes last uses, later ones only; forgets those from before `forget`.
    async fn write_uses(&self, uses: Vec<(SessionId, Timestamp)>, forget: Option<Timestamp>) -> Result<(), LogError>;
    /// The same with nobody waiting for it.
    fn write_uses_later(&self, uses: Vec<(SessionId, Timestamp)>, forget: Option<Timestamp>);
    /// Finishes what was handed in, and ends.
    async fn close(&self);
}
